"""The policies' seam: what runs report, what is remembered of it, and who is judged by it."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias

from hptune.errors import ConfigurationError

__all__ = ["History", "Policy", "Report", "Shape"]

Shape: TypeAlias = Literal["lockstep", "waves"]


@dataclass(frozen=True)
class Report:
    """One value of the primary metric that a run reported.

    Parameters
    ----------
    run : int
        The run's number.
    step : int
        Its interval, from 1: how many values the run has logged with this one, or how many rounds it has done.
    value : float
        Larger is better. What is no finite number is worse than every number.
    """

    run: int
    step: int
    value: float


class _Curve:
    """What one run reported, and at each step the best and the average until then: asked for again and again."""

    def __init__(self) -> None:
        self.values: list[float] = []
        self.bests: list[float] = []
        self.averages: list[float | None] = []
        self._sum = 0.0
        self._count = 0

    def add(self, value: float) -> None:
        self.values.append(value)
        self.bests.append(max(value, self.bests[-1]) if self.bests else value)
        if math.isfinite(value):
            self._sum += value
            self._count += 1
        # Rounding must not put an average above the best.
        self.averages.append(min(self._sum / self._count, self.bests[-1]) if self._count else None)


class History:
    """What all runs reported, and which of them have ended. The order of arrival leaves no trace."""

    def __init__(self) -> None:
        self._curves: dict[int, _Curve] = {}
        self._finished: set[int] = set()
        self._stopped: set[int] = set()

    def add(self, report: Report) -> None:
        """Note a report; a run's reports come in the order of their steps.

        Steps between that no policy reads may be missing. They are as values that are no finite number.
        """
        curve = self._curves.setdefault(report.run, _Curve())
        done = len(curve.values)
        if report.step <= done:
            raise ValueError(f"run {report.run} reports step {report.step} after {done}")
        for _ in range(report.step - done - 1):
            curve.add(-math.inf)
        curve.add(report.value if math.isfinite(report.value) else -math.inf)

    def finish(self, run: int) -> None:
        """Note that a run came to its own end."""
        self._finished.add(run)

    def stop(self, run: int) -> None:
        """Note that a run was stopped."""
        self._stopped.add(run)

    def steps(self, run: int) -> int:
        """The last step that a run has reported."""
        return len(self._curves[run].values) if run in self._curves else 0

    def has_finished(self, run: int) -> bool:
        """Whether a run came to its own end."""
        return run in self._finished

    def is_running(self, run: int) -> bool:
        """Whether a run has neither finished nor been stopped."""
        return run not in self._finished and run not in self._stopped

    def reached(self, step: int) -> list[int]:
        """The runs that reported at `step`, in order of their numbers, whatever became of them."""
        return sorted(run for run, curve in self._curves.items() if len(curve.values) >= step)

    def value(self, run: int, step: int) -> float:
        """What a run reported at `step`; minus infinity for what is no finite number."""
        return self._curves[run].values[step - 1]

    def values(self, run: int, step: int) -> list[float]:
        """What a run reported up to and including `step`."""
        return self._curves[run].values[:step]

    def best(self, run: int, step: int) -> float:
        """The best that a run reported up to and including `step`; minus infinity where nothing was finite."""
        return self._curves[run].bests[step - 1]

    def average(self, run: int, step: int) -> float | None:
        """The mean of the finite values that a run reported up to and including `step`; None where there is none."""
        return self._curves[run].averages[step - 1]


@dataclass(frozen=True, kw_only=True)
class Policy(ABC):
    """Says which runs are not worth going on with.

    Parameters
    ----------
    evaluation_interval : int, default 1
        The policy is applied at every so many reports of a run.
    delay_evaluation : int, default 0
        It is not applied before a run's report of this number.

    Attributes
    ----------
    shape : {"lockstep", "waves"}
        What fits on folds must look like for it: all folds of a candidate at the same round, whose mean is reported;
        or fold after fold, where a report is a fold's score.
    """

    shape: ClassVar[Shape] = "lockstep"

    evaluation_interval: int = 1
    delay_evaluation: int = 0

    def __post_init__(self) -> None:
        check_whole("evaluation_interval", self.evaluation_interval, 1)
        check_whole("delay_evaluation", self.delay_evaluation, 0)

    def decide(self, report: Report, history: History) -> frozenset[int]:
        """The runs that should stop now.

        They need not be the one that reported: what it reported may show that others, which reported before it,
        cannot keep up. A run that has come to a later interval meanwhile is judged there.

        Parameters
        ----------
        report : Report
            What arrived last; `history` has it already.
        history : History
            What all runs reported.
        """
        if not self.applies_at(report.step):
            return frozenset()
        reached = history.reached(report.step)
        judged = {
            run for run in reached if history.is_running(run) and self._is_at(run, report.step, history)
        }
        return frozenset(judged & self._losers(report, history, reached))

    def applies_at(self, step: int) -> bool:
        """Whether anything is decided by a report of this step."""
        return step % self.evaluation_interval == 0 and step >= self.delay_evaluation

    def reads(self, step: int) -> bool:
        """Whether the value of this step has a part in any decision; others need not be reported."""
        return True

    @abstractmethod
    def _losers(self, report: Report, history: History, reached: list[int]) -> set[int]:
        """Of the runs that reached the step, those that are not worth going on with."""

    def _is_at(self, run: int, step: int, history: History) -> bool:
        steps = history.steps(run)
        return steps - steps % self.evaluation_interval == step


def check_whole(name: str, value: object, least: int) -> None:
    """Refuse what is no whole number from `least` on."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ConfigurationError(
            f"early_termination.{name} must be a whole number from {least} but is {value!r}",
            f"correct {name}",
        )
