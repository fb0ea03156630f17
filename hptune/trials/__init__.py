"""Trials that are no fits on folds: what runs for a candidate, and what is made of its answer."""

from hptune.trials._answer import Answer, Unusable, read_answer
from hptune.trials._base import Finish, Place, Trial, one_task_each
from hptune.trials._function import FunctionTrial

__all__ = [
    "Answer",
    "Finish",
    "FunctionTrial",
    "Place",
    "Trial",
    "Unusable",
    "one_task_each",
    "read_answer",
]
