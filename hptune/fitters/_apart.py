"""One fit for one candidate and fold, by scikit-learn's own code."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sklearn.base import clone

from hptune._sklearn_compat import aligned_fit_params, fit_and_score, safe_split
from hptune.fitters._base import (
    Evaluation,
    apply_params,
    is_multimetric,
    scores_by_name,
    scoring_error,
    thread_caps,
)
from hptune.records import FitTask, Outcome, clipped

__all__ = ["fit_apart"]


def fit_apart(task: FitTask, data: Evaluation, rounds_of: Callable[[Any], int] = lambda fitted: 0) -> Outcome:
    """The outcome of a task with a single rung, fitted and scored as scikit-learn's searches do it.

    `rounds_of` tells how many boosting rounds a fitted estimator holds.
    """
    train, test = data.folds[task.fold]
    caps = thread_caps(apply_params(data.estimator, task.params), data.threads)
    result = fit_and_score(
        clone(data.estimator),
        data.X,
        data.y,
        scorer=data.scorer,
        train=train,
        test=test,
        parameters={**task.params, **caps},
        fit_params=data.fit_params,
        score_params=data.score_params,
        return_train_score=data.return_train_score,
        error_score=data.error_score,
        verbose=data.verbose,
        split_progress=(task.fold, len(data.folds)),
    )
    error = result["fit_error"]
    fitted = error is None
    return Outcome(
        candidate=task.rungs[0].candidate,
        fold=task.fold,
        status="ok" if fitted else "failed",
        test_scores=scores_by_name(result["test_scores"]),
        multimetric=is_multimetric(result["test_scores"]),
        train_scores=scores_by_name(result["train_scores"]) if data.return_train_score else {},
        n_test_samples=result["n_test_samples"],
        fit_time=result["fit_time"],
        score_time=result["score_time"],
        work_time=result["fit_time"] + result["score_time"],
        rounds_trained=rounds_of(result["estimator"]) if fitted else 0,
        error=_scoring_error(result, data, train, test) if fitted else clipped(error),
    )


def _scoring_error(result: Mapping[str, Any], data: Evaluation, train: Any, test: Any) -> str | None:
    if not data.scoring_errors:
        return None
    X, y = safe_split(result["estimator"], data.X, data.y, test, train)
    params = aligned_fit_params(data.X, data.score_params, test)
    return scoring_error(data, result["test_scores"], result["estimator"], X, y, params)
