"""Functions as trials."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hptune.engine import Engine, Work
from hptune.records import FitTask, Objective, Outcome
from hptune.trials._base import Place, Trial
from hptune.trials._outcomes import answered

__all__ = ["FunctionTrial"]


@dataclass(frozen=True)
class FunctionTrial(Trial):
    """A trial is a call of a function with the candidate's parameters.

    Parameters
    ----------
    function : callable
        Gets a dict. It returns a number, or a dict with the metric that ranks. Where it runs in other processes,
        it is pickled with what it closes over.
    objective : Objective
        What ranks.
    place : {"executors", "driver"}
        Where it is called.
    """

    kind = "function"

    function: Callable[[dict[str, Any]], Any]
    objective: Objective
    place: Place = "executors"

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
        yield functools.partial(_called, self.function, self.objective)


def _called(function: Callable[[dict[str, Any]], Any], objective: Objective, task: FitTask) -> list[Outcome]:
    return answered(task, objective, lambda: function(dict(task.params)))
