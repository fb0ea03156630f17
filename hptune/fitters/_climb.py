"""Fitting once and scoring at each rung: what all members with a ladder have in common."""

from __future__ import annotations

import time
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeAlias

from hptune._sklearn_compat import aligned_fit_params, safe_split, score
from hptune.fitters._apart import fit_apart
from hptune.fitters._base import (
    Evaluation,
    Ladder,
    LongFit,
    TrainingRows,
    Watch,
    apply_params,
    is_multimetric,
    scores_by_name,
    scoring_error,
    thread_caps,
    whole_number,
)
from hptune.records import FitTask, Outcome, Rung

__all__ = [
    "LadderFitter",
    "ScoredRows",
    "climb",
    "estimator_for",
    "score_rungs",
]


@dataclass(frozen=True)
class ScoredRows:
    """Rows to score, and the seconds that it took to make X of them; `fresh` where that was just now."""

    X: Any
    y: Any
    score_params: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    fresh: bool = False


Fit: TypeAlias = Callable[[Any, TrainingRows], LongFit]


class LadderFitter(ABC):
    """A member whose candidates may share one fit.

    Attributes
    ----------
    classes : tuple of type
        The estimators it accepts, and none of their subclasses.
    parameter : str
        The parameter that counts rounds.
    fit_params : frozenset of str
        Fit parameters with which rounds are known to be shared.
    watched : bool
        Whether `fit` heeds the watch of the rows that it gets.
    """

    classes: ClassVar[tuple[type, ...]]
    parameter: ClassVar[str] = "n_estimators"
    fit_params: ClassVar[frozenset[str]] = frozenset({"sample_weight"})
    default_rounds: ClassVar[int | None] = None
    watched: ClassVar[bool] = False

    def accepts(self, estimator: Any) -> bool:
        """Whether the estimator is of exactly one of the classes: a subclass may behave otherwise."""
        return type(estimator) in self.classes

    def watches(self, estimator: Any) -> bool:
        """Whether all of its fits can be watched."""
        return self.watched

    def ladder(self, estimator: Any, fit_params: Mapping[str, Any]) -> Ladder | None:
        """The ladder, where the first n rounds of a longer fit are known to equal a shorter fit."""
        params = estimator.get_params(deep=False)
        value = params.get(self.parameter)
        rounds = whole_number(self.default_rounds if value is None else value)
        shared = rounds is not None and rounds >= 1 and self.fit_params.issuperset(fit_params)
        return Ladder(self.parameter, rounds) if shared and rounds and self.shares(params) else None

    @abstractmethod
    def shares(self, params: Mapping[str, Any]) -> bool:
        """Whether rounds are shared under these parameters of the estimator."""

    @abstractmethod
    def cost(self, estimator: Any) -> float:
        """Expected work relative to other settings of the same estimator, any unit."""

    def rounds_asked(self, estimator: Any) -> int:
        """The value of the parameter that counts rounds; 1 where it is no whole number."""
        value = getattr(estimator, self.parameter)
        return whole_number(self.default_rounds if value is None else value) or 1

    @abstractmethod
    def fit(self, estimator: Any, rows: TrainingRows) -> LongFit:
        """Fit the estimator once."""

    @abstractmethod
    def rounds_of(self, fitted: Any) -> int:
        """Rounds that a fitted estimator holds."""

    def fit_and_score(self, task: FitTask, data: Evaluation) -> list[Outcome]:
        """One fit for all rungs; where it fails, each rung is fitted apart and has its own answer."""
        if task.rung_parameter is not None or data.watch is not None:
            try:
                return climb(task, data, self.fit)
            except Exception:  # noqa: S110 - scikit-learn's way below decides what each rung makes of an error
                pass
        return [fit_apart(task.alone(rung), data, self.rounds_of) for rung in task.rungs]


def climb(task: FitTask, data: Evaluation, fit: Fit) -> list[Outcome]:
    """One fit of the task's estimator, scored at each rung."""
    started = time.perf_counter()
    estimator = estimator_for(task, data)
    train, test = data.folds[task.fold]
    X, y = safe_split(estimator, data.X, data.y, train)
    fit_params = aligned_fit_params(data.X, data.fit_params, train)
    X_test, y_test = safe_split(estimator, data.X, data.y, test, train)
    scored = {"test": ScoredRows(X_test, y_test, aligned_fit_params(data.X, data.score_params, test))}
    watch = None if data.watch is None else _watching(data, data.watch, scored["test"])
    rows = TrainingRows(X, y, fit_params, task.fold, data.run_id, started, watch)
    long_fit = fit(estimator, rows)
    if data.return_train_score:
        scored["train"] = ScoredRows(X, y, aligned_fit_params(data.X, data.score_params, train))
    return score_rungs(task, data, long_fit, scored)


def _watching(data: Evaluation, watch: Watch, rows: ScoredRows) -> Callable[[int, Callable[[], Any]], bool]:
    """A watch of models for one of scores; what a scorer warns of is left to the score that stays."""

    def watching(rounds: int, model: Callable[[], Any]) -> bool:
        def scores() -> dict[str, float]:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return scores_by_name(_scores(model(), rows, data))

        return watch(rounds, scores)

    return watching


def estimator_for(task: FitTask, data: Evaluation) -> Any:
    """The task's estimator, ready to be fitted within the threads that a fit may use."""
    estimator = apply_params(data.estimator, task.params)
    return estimator.set_params(**thread_caps(estimator, data.threads))


def score_rungs(
    task: FitTask, data: Evaluation, fit: LongFit, rows: Mapping[str, ScoredRows]
) -> list[Outcome]:
    """The outcome of each rung; `rows` holds the rows to score as "test" and, where asked for, "train"."""
    outcomes: list[Outcome] = []
    below: int | None = 0
    for rung in task.rungs:
        if fit.stopped and (rung.rounds is None or rung.rounds > fit.rounds):
            outcomes.append(_stopped(task.fold, rung, below, fit))
        else:
            outcomes.append(_score_rung(task.fold, rung, below, data, fit, rows))
        below = rung.rounds
    return outcomes


def _score_rung(
    fold: int, rung: Rung, below: int | None, data: Evaluation, fit: LongFit, rows: Mapping[str, ScoredRows]
) -> Outcome:
    model, test = fit.model_of(rung.rounds), rows["test"]
    start = time.perf_counter()
    test_scores = _scores(model, test, data)
    score_seconds = time.perf_counter() - start
    fit_seconds, is_first = fit.seconds_at(rung.rounds), below == 0
    work = fit_seconds - (0.0 if is_first else fit.seconds_at(below)) + score_seconds
    return Outcome(
        candidate=rung.candidate,
        fold=fold,
        status="ok",
        test_scores=scores_by_name(test_scores),
        multimetric=is_multimetric(test_scores),
        train_scores=scores_by_name(_scores(model, rows["train"], data)) if "train" in rows else {},
        n_test_samples=len(data.folds[fold][1]),
        fit_time=fit_seconds + fit.reused_seconds,
        score_time=score_seconds + test.seconds,
        work_time=work + (test.seconds if is_first and test.fresh else 0.0),
        rounds_trained=_trained(fit, rung.rounds) - _trained(fit, below),
        matrices_built=fit.matrices_built if is_first else 0,
        prefix_fits=fit.prefix_fits if is_first else 0,
        best_iteration=fit.best_iteration,
        error=scoring_error(data, test_scores, model, test.X, test.y, test.score_params),
    )


def _stopped(fold: int, rung: Rung, below: int | None, fit: LongFit) -> Outcome:
    """What came of a rung that was not reached; who stopped the fit knows its scores."""
    seconds, is_first = fit.seconds_at(None), below == 0
    return Outcome(
        candidate=rung.candidate,
        fold=fold,
        status="stopped",
        test_scores={},
        fit_time=seconds + fit.reused_seconds,
        work_time=seconds - (0.0 if is_first else fit.seconds_at(min(below or 0, fit.rounds))),
        rounds_trained=fit.rounds - _trained(fit, below),
        matrices_built=fit.matrices_built if is_first else 0,
        prefix_fits=fit.prefix_fits if is_first else 0,
    )


def _scores(model: Any, rows: ScoredRows, data: Evaluation) -> Any:
    return score(model, rows.X, rows.y, data.scorer, rows.score_params, data.error_score)


def _trained(fit: LongFit, rounds: int | None) -> int:
    return fit.rounds if rounds is None else min(rounds, fit.rounds)
