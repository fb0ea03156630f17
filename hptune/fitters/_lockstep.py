"""All folds of a candidate at the same round: a thread for each fold, of which one runs at a time.

The folds must be threads. Where rows or columns are sampled, a library may draw from a stream of its own for each
thread, as XGBoost does: two fits that take turns in one thread are not the fits that each would be alone.
"""

from __future__ import annotations

import contextvars
import math
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import sklearn
from threadpoolctl import ThreadpoolController

from hptune.fitters._base import Evaluation, Fitter, Reports
from hptune.fitters._matrix_cache import WORKER_CACHE
from hptune.records import FitTask, Outcome

__all__ = ["in_lockstep"]

_LEAVING_SECONDS = 1.0  # for a fold to notice that nobody waits for it any more


def in_lockstep(
    fitter: Fitter, task: FitTask, data: Evaluation, libraries: ThreadpoolController
) -> list[Outcome]:
    """Outcomes of all folds of a task, each what a fit of its own would give, as far as a policy lets them go on.

    After each round that ``data.reports`` reads, the mean of all folds at that round is reported. A fold that ends
    early by itself counts on with its last value, one that fails makes the mean NaN. Thread pools of `libraries` are
    held at one thread.
    """
    ring = _Ring(task, data.reports, data.metric)
    borrow = WORKER_CACHE.lent(data.run_id)
    results: dict[int, list[Outcome] | BaseException] = {}

    def fit(fold: int) -> None:
        borrow()
        try:
            ring.begin(fold)
            with libraries.limit(limits=1), sklearn.config_context(**data.config):
                watched = replace(data, watch=ring.watch(fold))
                results[fold] = fitter.fit_and_score(task.on_fold(fold), watched)
        except BaseException as error:  # raised again where it can be seen
            results[fold] = error
        finally:
            ring.leave(fold, results[fold])

    threads = [
        threading.Thread(
            target=contextvars.copy_context().run, args=(fit, fold), name=f"hptune-fold-{fold}", daemon=True
        )
        for fold in task.all_folds
    ]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        ring.abandon()
        for thread in threads:
            thread.join(_LEAVING_SECONDS)
    lost = data.reports.finish(task.run) if data.reports is not None else 0
    outcomes = []
    for fold in task.all_folds:
        found = results[fold]
        if isinstance(found, BaseException):
            raise found
        outcomes += [ring.completed(outcome) for outcome in found]
    return [replace(outcomes[0], unreported=lost), *outcomes[1:]]


class _Abandoned(BaseException):
    """Nobody waits for the fit any more."""


@dataclass
class _FoldState:
    """Where a fold is: the last round that was read, its scores there, and whether it still goes on."""

    step: int = 0
    scores: Mapping[str, float] = field(default_factory=dict)
    runs: bool = True
    failed: bool = False


class _Ring:
    """Whose turn it is, and what all folds have reached."""

    def __init__(self, task: FitTask, reports: Reports | None, metric: str) -> None:
        self._run = task.run
        self._reports = reports
        self._metric = metric
        self._folds = {fold: _FoldState() for fold in task.all_folds}
        self._turn = task.all_folds[0]
        self._condition = threading.Condition()
        self._reported = 0
        self._seen: Mapping[int, Mapping[str, float]] = {}
        self._stopped = False
        self._abandoned = False

    def begin(self, fold: int) -> None:
        """Wait for the fold's first turn."""
        with self._condition:
            self._await_turn(fold)

    def watch(self, fold: int) -> Callable[[int, Callable[[], Any]], bool]:
        """What the fold's fit calls after each round."""

        def watch(rounds: int, scores: Callable[[], Any]) -> bool:
            if self._abandoned:
                raise _Abandoned
            if self._reports is None:
                return False
            if not self._reports.reads(rounds):
                return self._is_stopped()
            told = scores()
            with self._condition:
                self._folds[fold].step, self._folds[fold].scores = rounds, told
                self._pass_on(fold)
                self._await_turn(fold)
            return self._is_stopped()

        return watch

    def leave(self, fold: int, result: list[Outcome] | BaseException) -> None:
        """The fold's fit has ended."""
        with self._condition:
            state = self._folds[fold]
            state.runs = False
            state.failed = isinstance(result, BaseException) or any(
                each.status == "failed" for each in result
            )
            if not state.failed and not self._stopped:
                state.scores = result[-1].test_scores  # type: ignore[index]  # a list, as it has not failed
            if self._turn == fold:
                self._pass_on(fold)

    def abandon(self) -> None:
        """Let every fold end as soon as it can."""
        with self._condition:
            self._abandoned = True
            self._condition.notify_all()

    def completed(self, outcome: Outcome) -> Outcome:
        """An outcome of a fit that was stopped, with the scores that were reported last."""
        if outcome.status != "stopped":
            return outcome
        scores = self._seen.get(outcome.fold, {})
        return replace(outcome, test_scores=scores, stopped_after=self._reported)

    def _is_stopped(self) -> bool:
        """Whether a policy has stopped the run, as was told at the last report or is known meanwhile."""
        self._stopped = self._stopped or (self._reports is not None and self._reports.stops(self._run))
        return self._stopped

    def _await_turn(self, fold: int) -> None:
        self._condition.wait_for(lambda: self._turn == fold or self._abandoned)
        if self._abandoned:
            raise _Abandoned

    def _pass_on(self, fold: int) -> None:
        """Give the turn to the next fold that still runs; after the last of them report what they have reached."""
        running = [other for other, state in self._folds.items() if state.runs]
        later = [other for other in running if other > fold]
        if not later:
            self._report()
        if running:
            self._turn = (later or running)[0]
            self._condition.notify_all()

    def _report(self) -> None:
        states = self._folds.values()
        step = max((state.step for state in states if state.runs), default=0)
        if self._reports is None or step <= self._reported or self._stopped:
            return
        self._reported = step
        self._seen = {fold: state.scores for fold, state in self._folds.items()}
        values = [math.nan if state.failed else float(state.scores[self._metric]) for state in states]
        mean = math.fsum(values) / len(values)
        self._stopped = self._reports.report(self._run, step, mean)
