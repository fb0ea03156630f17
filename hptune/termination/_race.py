"""Candidates that take fold after fold, as long as a policy lets them."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

from hptune.policies import Policy
from hptune.records import FitTask, Outcome
from hptune.termination._judge import Judge

__all__ = ["Race"]

Source: TypeAlias = Callable[[int], Sequence[FitTask]]


class Race:
    """Gives out fits in the order of folds: one of a candidate's begins when those before it have let it go on.

    Parameters
    ----------
    policy : Policy
        Decides after each fold.
    metric : str
        The score that it sees.
    n_folds : int
        Folds of a candidate.
    source : callable
        ``source(free)`` gives tasks that may be begun some time, at least one where there are any.
    """

    def __init__(self, policy: Policy, metric: str, n_folds: int, source: Source) -> None:
        self._judge = Judge(policy)
        self._metric = metric
        self._n_folds = n_folds
        self._source = source
        self._held: list[FitTask] = []
        self._begun: set[tuple[int, int]] = set()
        self._done: dict[int, dict[int, float]] = defaultdict(dict)  # candidate, fold: score
        self._reported: dict[int, int] = defaultdict(int)  # folds by candidate
        self._dropped: set[int] = set()

    def feed(self, free: int) -> list[FitTask]:
        """At most `free` fits to begin now."""
        ready: list[FitTask] = []
        while len(ready) < free:
            task = self._next()
            if task is not None:
                self._begun.update(task.cells)
                ready.append(task)
                continue
            more = self._source(free - len(ready))
            if not more:
                break
            self._held = sorted([*self._held, *more], key=lambda task: task.fold)
        return ready

    def see(self, outcomes: Iterable[Outcome]) -> list[Outcome]:
        """Take in what came of fits; returns an outcome for each fit that is not worth beginning any more."""
        seen = []
        for outcome in outcomes:
            seen.append(outcome.candidate)
            if outcome.status == "stopped":
                self._dropped.add(outcome.candidate)
                self._begun.add((outcome.candidate, outcome.fold))
            else:
                score = outcome.test_scores.get(self._metric, math.nan)
                self._done[outcome.candidate].setdefault(outcome.fold, score)
        for fold in range(self._n_folds):
            for candidate in seen:
                if self._reported[candidate] == fold and fold in self._done[candidate]:
                    self._reported[candidate] += 1
                    self._judge.report(candidate, fold + 1, self._done[candidate][fold])
        return [outcome for candidate in self._judge.just_stopped() for outcome in self._drop(candidate)]

    def _next(self) -> FitTask | None:
        """The first task that may begin; those of candidates that are out of the race are forgotten."""
        for number, task in enumerate(self._held):
            rungs = tuple(rung for rung in task.rungs if rung.candidate not in self._dropped)
            if not rungs:
                continue
            if all(self._reported[rung.candidate] >= task.fold for rung in rungs):
                self._held = self._held[number + 1 :] if number == 0 else self._without(number)
                return task.of_rungs(rungs)
        self._held = [task for task in self._held if self._is_in(task)]
        return None

    def _without(self, number: int) -> list[FitTask]:
        return [task for other, task in enumerate(self._held) if other != number and self._is_in(task)]

    def _is_in(self, task: FitTask) -> bool:
        return any(rung.candidate not in self._dropped for rung in task.rungs)

    def _drop(self, candidate: int) -> list[Outcome]:
        """The outcomes of the folds that are left of a candidate that has just lost."""
        self._dropped.add(candidate)
        left = [(candidate, fold) for fold in range(self._n_folds) if fold not in self._done[candidate]]
        cells = [cell for cell in left if cell not in self._begun]
        self._begun.update(cells)
        return [
            Outcome(candidate, fold, "stopped", {}, stopped_after=self._reported[candidate])
            for _, fold in cells
        ]
