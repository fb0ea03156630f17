"""Functions as trials."""

from __future__ import annotations

import functools
import tempfile
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hptune.context import Run, StepLog, active
from hptune.engine import Engine, Work
from hptune.records import FitTask, Objective, Outcome
from hptune.trials._base import Place, Trial
from hptune.trials._runs import Clock, Shared, finished, shared_by, unfinished

__all__ = ["FunctionTrial"]


@dataclass(frozen=True)
class FunctionTrial(Trial):
    """A trial is a call of a function with the candidate's parameters.

    Parameters
    ----------
    function : callable
        Gets a dict. It returns a number, or a dict with the metric that ranks; or None, where it logged that metric
        to `Run.get_context()`. Where it runs in other processes, it is pickled with what it closes over.
    objective : Objective
        What ranks.
    place : {"executors", "driver"}
        Where it is called.
    sweep : str
        The sweep's name, of which its runs have theirs.
    """

    kind = "function"

    function: Callable[[dict[str, Any]], Any]
    objective: Objective
    place: Place = "executors"
    sweep: str = "sweep"

    @property
    def content(self) -> Mapping[str, Any]:
        """The function."""
        return {"trial": self.function}

    @property
    def shown(self) -> str:
        """The function's name."""
        return f"function {getattr(self.function, '__qualname__', type(self.function).__name__)}"

    @contextmanager
    def working(self, engine: Engine, out: Path | None) -> Iterator[Work]:
        """Calls the function."""
        with shared_by(self.sweep, self.objective, engine, out) as shared:
            yield functools.partial(_called, self.function, shared)


def _called(function: Callable[[dict[str, Any]], Any], shared: Shared, task: FitTask) -> list[Outcome]:
    clock = Clock()
    with tempfile.TemporaryDirectory(prefix="hptune-run-", ignore_cleanup_errors=True) as name:
        directory = Path(name)
        log = StepLog(directory)
        try:
            with active(Run(shared.run_id(task), task.params, log=log)):
                value = function(dict(task.params))
        except (Exception, SystemExit):  # a failing trial is a value
            reason = traceback.format_exc()
            return unfinished(shared, task, clock, "failed", reason, log.values(), directory)
        return finished(shared, task, clock, value, log.values(), directory)
