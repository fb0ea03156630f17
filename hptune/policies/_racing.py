"""Racing over folds (Maron and Moore, "The Racing Algorithm", 1997; here with a paired t-test)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hptune.errors import ConfigurationError
from hptune.policies._base import History, Policy, Report, Shape

__all__ = ["RacingPolicy"]


@dataclass(frozen=True, kw_only=True)
class RacingPolicy(Policy):
    """Drops a candidate when the folds done say that it cannot win.

    A report is a fold's score, and all candidates take the folds in the same order. A candidate is compared with the
    one whose mean over the same folds is best: it goes if a one-sided paired t-test says, at the level `alpha`, that
    its scores are lower. That needs two folds; a candidate that failed on a fold goes at once.

    Parameters
    ----------
    alpha : float, default 0.05
        Between 0 and 1: the larger, the earlier candidates go.
    """

    shape: ClassVar[Shape] = "waves"

    alpha: float = 0.05

    def __post_init__(self) -> None:
        super().__post_init__()
        is_number = isinstance(self.alpha, (int, float)) and not isinstance(self.alpha, bool)
        if not is_number or not 0 < self.alpha < 1:
            raise ConfigurationError(
                f"early_termination.alpha must lie between 0 and 1 but is {self.alpha!r}", "correct alpha"
            )

    def _losers(self, report: Report, history: History, reached: list[int]) -> set[int]:
        scores = {run: history.values(run, report.step) for run in reached}
        means = {run: sum(values) / len(values) for run, values in scores.items()}
        leader = max(reached, key=lambda run: (means[run], -run))
        if means[leader] == -math.inf:
            return set()
        return {run for run in reached if run != leader and self._loses(scores[run], scores[leader])}

    def _loses(self, scores: list[float], leader: list[float]) -> bool:
        from scipy.special import stdtr  # a part of a second that checking a sweep file does without

        if -math.inf in scores:
            return True
        ahead = np.subtract(leader, scores)
        folds = len(ahead)
        if folds < 2:
            return False
        error = float(ahead.std(ddof=1)) / math.sqrt(folds)
        if error == 0:
            return bool(ahead[0] > 0)
        return bool(stdtr(folds - 1, -float(ahead.mean()) / error) < self.alpha)
