"""Asynchronous successive halving (Li et al., "A System for Massively Parallel Hyperparameter Tuning", 2020)."""

from __future__ import annotations

from dataclasses import dataclass

from hptune.policies._base import History, Policy, Report, check_whole

__all__ = ["SuccessiveHalvingPolicy"]


@dataclass(frozen=True, kw_only=True)
class SuccessiveHalvingPolicy(Policy):
    """At rungs that lie farther and farther apart, only the best of the runs that have come so far go on.

    It is the variant that stops: a run is judged once at each rung, by what has arrived there, and neither waits
    nor is resumed. The rungs are the intervals ``min_resource * reduction_factor ** k``, each put off to the next
    one at which the policy is applied; of n runs that have arrived, max(1, n // reduction_factor) may go on.

    Parameters
    ----------
    reduction_factor : int, default 3
        From 2.
    min_resource : int, default 1
        The interval of the first rung.
    """

    reduction_factor: int = 3
    min_resource: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole("reduction_factor", self.reduction_factor, 2)
        check_whole("min_resource", self.min_resource, 1)

    def applies_at(self, step: int) -> bool:
        """At rungs only."""
        return super().applies_at(step) and self._is_rung(step)

    def reads(self, step: int) -> bool:
        """The rungs."""
        return self.applies_at(step)

    def _losers(self, report: Report, history: History, reached: list[int]) -> set[int]:
        values = sorted((history.value(run, report.step) for run in reached), reverse=True)
        least = values[max(1, len(values) // self.reduction_factor) - 1]
        return {report.run} if history.value(report.run, report.step) < least else set()

    def _is_rung(self, step: int) -> bool:
        """Whether a rung lies at the step, or between the application before and this one."""
        rung = self.min_resource
        while rung <= step - self.evaluation_interval:
            rung *= self.reduction_factor
        return rung <= step
