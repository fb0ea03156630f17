"""Trials that are no fits on folds: what runs for a candidate, and what is made of its answer."""

from hptune.trials._answer import Answer, Unusable, metric_never_logged, read_answer
from hptune.trials._base import Finish, Place, Trial, one_task_each
from hptune.trials._command import Command, parse_command
from hptune.trials._function import FunctionTrial
from hptune.trials._inputs import Inputs
from hptune.trials._package import Package, pack_directory, pack_files
from hptune.trials._script import ScriptTrial

__all__ = [
    "Answer",
    "Command",
    "Finish",
    "FunctionTrial",
    "Inputs",
    "Package",
    "Place",
    "ScriptTrial",
    "Trial",
    "Unusable",
    "metric_never_logged",
    "one_task_each",
    "pack_directory",
    "pack_files",
    "parse_command",
    "read_answer",
]
