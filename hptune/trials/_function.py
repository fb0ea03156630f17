"""Functions as trials."""

from __future__ import annotations

import functools
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cloudpickle

from hptune.context import Run, StepLog, active
from hptune.engine import Engine, Work
from hptune.fitters import Reports
from hptune.records import FitTask, Objective, Outcome
from hptune.trials._base import Place, Trial
from hptune.trials._runs import Clock, Shared, finished, shared_by, stopped, unfinished

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
    def working(self, engine: Engine, out: Path | None, reports: Reports | None = None) -> Iterator[Work]:
        """Calls the function."""
        with (
            shared_by(self.sweep, self.objective, engine, out, reports) as shared,
            nullcontext() if engine.is_local else _taken_along(self.function),
        ):
            yield functools.partial(_called, self.function, shared)


@contextmanager
def _taken_along(function: Callable[..., Any]) -> Iterator[None]:
    """While open, the function's module is pickled with it where it lies in this directory: other machines lack it."""
    module = sys.modules.get(getattr(function, "__module__", ""))
    file = getattr(module, "__file__", None)
    if module is None or file is None or not Path(file).resolve().is_relative_to(Path.cwd()):
        yield
        return
    cloudpickle.register_pickle_by_value(module)
    try:
        yield
    finally:
        cloudpickle.unregister_pickle_by_value(module)


def _called(function: Callable[[dict[str, Any]], Any], shared: Shared, task: FitTask) -> list[Outcome]:
    clock = Clock()
    with tempfile.TemporaryDirectory(prefix="hptune-run-", ignore_cleanup_errors=True) as name:
        directory, watch = Path(name), shared.watch(task)
        log = StepLog(directory, watch.see)
        try:
            with active(Run(shared.run_id(task), task.params, log=log, stops=watch.tell)):
                value = function(dict(task.params))
        except (Exception, SystemExit):  # a failing trial is a value
            reason = traceback.format_exc()
            return unfinished(shared, task, clock, "failed", reason, log.values(), directory)
        finally:
            watch.close()
        if watch.heeded:
            return stopped(shared, task, clock, watch, log.values(), directory)
        return finished(shared, task, clock, value, log.values(), directory)
