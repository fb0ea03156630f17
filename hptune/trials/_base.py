"""The trials' seam."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple, TypeAlias

from hptune.engine import Engine, Work
from hptune.fitters import Reports
from hptune.plan import Plan
from hptune.records import FitTask, Rung

__all__ = ["Finish", "Place", "Trial", "one_task_each"]

Place: TypeAlias = Literal["executors", "driver"]
"""Where trials run: on the engine's workers, or in threads of this process."""


class Finish(NamedTuple):
    """What becomes of a winner: its refitted model, the line of Python that loads it from the sweep's files, and what
    people should be told, a line each."""

    model: Any = None
    load_model: str | None = None
    notes: tuple[str, ...] = ()


class Trial(ABC):
    """What runs for a candidate where that is no fit on a fold.

    A subclass says what decides the answer (`content`), and what an engine does with a task (`working`). All else
    is the sweep's: candidates, the journal, resuming, the table.

    Attributes
    ----------
    kind : str
        Names the kind in cells' keys.
    place : {"executors", "driver"}
        Where it runs.
    n_folds : int
        Outcomes of each candidate; 1 unless a trial is itself run on several parts of the data.
    at_once : int
        How many run at the same time on the driver, where no limit says otherwise.
    refit : bool
        Whether `finish` leaves a model of the winner.
    """

    kind: ClassVar[str]
    place: Place = "executors"
    n_folds: int = 1
    at_once: int = 1
    refit: bool = False

    @property
    @abstractmethod
    def content(self) -> Mapping[str, Any]:
        """What decides what a trial answers, by the key of the sweep file that tells it.

        Values without a canonical form are fitted again when a sweep is resumed.
        """

    @property
    @abstractmethod
    def shown(self) -> str:
        """What people call it, in a few words."""

    @abstractmethod
    def working(
        self, engine: Engine, out: Path | None, reports: Reports | None = None
    ) -> AbstractContextManager[Work]:
        """What the engine does with a task, which is a candidate's; it travels to other processes.

        Whatever the trials need meanwhile on this side lives as long as the context. An outcome is "ok" only with
        a finite score, under the name that the objective gives it.

        Parameters
        ----------
        engine : Engine
            Where the tasks run.
        out : Path, optional
            The sweep's directory.
        reports : Reports, optional
            Where trials may be stopped, takes the values of the objective that they log, as scores.
        """

    def give_up(self, task: FitTask) -> None:  # noqa: B027 - most trials have nothing of that kind
        """End what a task has begun outside of its thread, when it takes too long on the driver: by default nothing."""

    def plan(self, candidates: Sequence[Mapping[str, Any]]) -> Plan:
        """The tasks of some candidates, numbered from 0: by default one for each, or for each on each fold."""
        return one_task_each(candidates, self.n_folds)

    def finish(self, params: Mapping[str, Any], out: Path | None) -> Finish:
        """Make of the winner's parameters what people want of them, after the table is written: nothing by default."""
        return Finish()


def one_task_each(candidates: Sequence[Mapping[str, Any]], n_folds: int = 1) -> Plan:
    """A task for each candidate and fold, in the candidates' order.

    Examples
    --------
    >>> [task.params for task in one_task_each([{"x": 1}, {"x": 2}]).tasks]
    [{'x': 1}, {'x': 2}]
    """
    cells = [(number, fold) for number in range(len(candidates)) for fold in range(n_folds)]
    tasks = tuple(
        FitTask(task, fold, candidates[number], (Rung(number),)) for task, (number, fold) in enumerate(cells)
    )
    return Plan(tasks, len(candidates), n_folds, rounds_asked=0)
