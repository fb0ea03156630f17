"""The policies of Azure Machine Learning, as its documentation defines them."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass

from hptune.errors import ConfigurationError
from hptune.policies._base import History, Policy, Report

__all__ = ["BanditPolicy", "MedianStoppingPolicy", "TruncationSelectionPolicy"]


@dataclass(frozen=True, kw_only=True)
class BanditPolicy(Policy):
    """Stops runs whose best value so far misses the best of all runs, at the same interval, by more than the slack.

    Parameters
    ----------
    slack_factor : float, optional
        The slack as a ratio: with a best value of 0.8 and a factor of 0.2, runs below 0.8 / 1.2 stop. Below zero,
        where the best loss of 0.5 is the value -0.5, runs below -0.5 * 1.2 stop.
    slack_amount : float, optional
        The slack itself. Exactly one of the two is given.
    """

    slack_factor: float | None = None
    slack_amount: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        given = [name for name in ("slack_factor", "slack_amount") if getattr(self, name) is not None]
        if len(given) != 1:
            what = (
                "early_termination bandit has both slack_factor and slack_amount"
                if given
                else ("early_termination bandit has no slack")
            )
            raise ConfigurationError(what, "give slack_factor or slack_amount")
        slack = getattr(self, given[0])
        is_number = isinstance(slack, (int, float)) and not isinstance(slack, bool)
        if not is_number or not 0 <= slack < math.inf:
            raise ConfigurationError(
                f"early_termination.{given[0]} must be a number from 0 but is {slack!r}",
                f"correct {given[0]}",
            )

    def _losers(self, report: Report, history: History, reached: list[int]) -> set[int]:
        best = {run: history.best(run, report.step) for run in reached}
        least = self._least(max(best.values()))
        return {run for run, value in best.items() if value < least}

    def _least(self, best: float) -> float:
        if self.slack_amount is not None:
            return best - self.slack_amount
        factor = 1 + (self.slack_factor or 0)
        return best / factor if best >= 0 else best * factor


@dataclass(frozen=True, kw_only=True)
class MedianStoppingPolicy(Policy):
    """Stops runs whose best value so far is worse than the median of all runs' running averages at that interval.

    What is no finite number is left out of an average, and a run that has reported nothing else out of the median.
    """

    def _losers(self, report: Report, history: History, reached: list[int]) -> set[int]:
        averages = [history.average(run, report.step) for run in reached]
        finite = [average for average in averages if average is not None]
        if not finite:
            return set()
        median = statistics.median(finite)
        return {run for run in reached if history.best(run, report.step) < median}


@dataclass(frozen=True, kw_only=True)
class TruncationSelectionPolicy(Policy):
    """Stops the lowest percentage of the runs that reported at an interval, by what they reported there.

    Of n runs these are the floor(n * percentage / 100) lowest; of equal ones those with the higher numbers.

    Parameters
    ----------
    truncation_percentage : int
        From 1 to 99.
    exclude_finished : bool, default False
        Leave runs that came to their own end out of the n.
    """

    truncation_percentage: int
    exclude_finished: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        percentage = self.truncation_percentage
        if not isinstance(percentage, int) or isinstance(percentage, bool) or not 1 <= percentage <= 99:
            raise ConfigurationError(
                f"early_termination.truncation_percentage must be a whole number from 1 to 99 but is {percentage!r}",
                "correct truncation_percentage",
            )
        if not isinstance(self.exclude_finished, bool):
            raise ConfigurationError(
                f"early_termination.exclude_finished must be true or false but is {self.exclude_finished!r}",
                "correct exclude_finished",
            )

    def reads(self, step: int) -> bool:
        """Those at which it is applied."""
        return self.applies_at(step)

    def _losers(self, report: Report, history: History, reached: list[int]) -> set[int]:
        compared = [run for run in reached if not (self.exclude_finished and history.has_finished(run))]
        count = len(compared) * self.truncation_percentage // 100
        return set(sorted(compared, key=lambda run: (history.value(run, report.step), -run))[:count])
