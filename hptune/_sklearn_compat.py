"""Every private of scikit-learn that hptune leans on, each behind a function of ours.

They are used because the promise is scikit-learn's own answer: its splitting, fitting, scoring and table
code *is* that answer. ``tests/test_private_interfaces.py`` fails clearly when one of them changes.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from sklearn import get_config
from sklearn.metrics import _scorer as scorers
from sklearn.model_selection import GridSearchCV
from sklearn.model_selection import _validation as validation
from sklearn.model_selection._search import BaseSearchCV
from sklearn.utils.metaestimators import _safe_split
from sklearn.utils.parallel import delayed

__all__ = [
    "BaseSearchCV",
    "aligned_fit_params",
    "carries_requests_or_callbacks",
    "cv_results",
    "fit_and_score",
    "has_callbacks",
    "hist_model_of_iterations",
    "judge_failures",
    "output_config",
    "reads_predictions_only",
    "routed_params",
    "safe_split",
    "score",
    "scorer_content",
    "warning_filters",
    "with_warning_filters",
]


def safe_split(estimator: Any, X: Any, y: Any, rows: Any, train_rows: Any = None) -> tuple[Any, Any]:
    """X and y at `rows`, for precomputed kernels too (``sklearn.utils.metaestimators._safe_split``)."""
    X_part, y_part = _safe_split(estimator, X, y, rows, train_rows)
    return X_part, y_part


def aligned_fit_params(X: Any, params: Mapping[str, Any], rows: Any) -> dict[str, Any]:
    """`params` with everything that has one entry a row cut down to `rows`."""
    aligned: dict[str, Any] = validation._check_method_params(X, params=dict(params), indices=rows)
    return aligned


def score(
    estimator: Any, X: Any, y: Any, scorer: Any, score_params: Mapping[str, Any], error_score: Any
) -> Any:
    """The scorer's value or dict of values, with scikit-learn's handling of failing scorers."""
    return validation._score(estimator, X, y, scorer, dict(score_params), error_score)


def judge_failures(results: Sequence[Mapping[str, Any]], error_score: Any) -> None:
    """scikit-learn's warning about fits that failed, and its error if all of them did."""
    validation._warn_or_raise_about_fit_failures(results, error_score)


def routed_params(
    estimator: Any, scorer: Any, params: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Which of `params` go to ``fit`` and which to the scorer, by the installed version's rules.

    Since 1.9 sample weights reach scorers that take them.
    """
    search = GridSearchCV(estimator, {}, scoring=scorer)
    routed = search._get_routed_params_for_fit(dict(params))
    return dict(routed.estimator.fit), dict(routed.scorer.score)


def has_callbacks(estimator: Any) -> bool:
    """Whether ``set_callbacks`` of scikit-learn 1.9 and later was used on the estimator."""
    return bool(getattr(estimator, "_skl_callbacks", None))


def carries_requests_or_callbacks(estimator: Any) -> bool:
    """Whether an estimator's clones carry along metadata requests or callbacks that were set on it."""
    return not vars(estimator).keys().isdisjoint({"_metadata_request", "_skl_callbacks"})


def output_config(estimator: Any) -> Any:
    """What ``set_output`` set on an estimator, which its clones carry along; None where it was not called."""
    return vars(estimator).get("_sklearn_output_config")


# Libraries that every worker has, so that their warnings' classes can be loaded there.
_KNOWN_EVERYWHERE = frozenset({"builtins", "numpy", "pandas", "scipy", "sklearn", "xgboost"})


def warning_filters(call: Any) -> list[Any]:
    """The caller's warning filters, as scikit-learn's ``delayed`` and ``Parallel`` keep them with a call.

    Filters on warnings of other libraries are left out: their classes may be unknown on a worker.
    """
    return [entry for entry in getattr(call, "warning_filters", ()) if _is_known_everywhere(entry[2])]


def _is_known_everywhere(category: Any) -> bool:
    """`category` is a class or, where ``simplefilter`` was given several, a tuple of classes."""
    classes = category if isinstance(category, tuple) else (category,)
    return all(each.__module__.split(".")[0] in _KNOWN_EVERYWHERE for each in classes)


def with_warning_filters(filters: Sequence[Any], function: Callable[..., Any], *args: Any) -> Any:
    """``function(*args)`` under `filters`, set by scikit-learn's own code for its workers."""
    wrapped, _, _ = delayed(function)()
    return wrapped.with_config_and_warning_filters(get_config(), filters)(*args)


def fit_and_score(
    estimator: Any,
    X: Any,
    y: Any,
    *,
    scorer: Any,
    train: Any,
    test: Any,
    parameters: Mapping[str, Any],
    fit_params: Mapping[str, Any],
    score_params: Mapping[str, Any],
    return_train_score: bool,
    error_score: float | str,
    verbose: int = 0,
    split_progress: tuple[int, int] | None = None,
) -> dict[str, Any]:
    """One fit as scikit-learn's searches do it (``_fit_and_score``).

    Returns a dict with ``test_scores``, ``fit_time``, ``score_time``, ``n_test_samples``, ``estimator``,
    ``fit_error`` (a traceback or None) and, where asked for, ``train_scores``.
    """
    result: dict[str, Any] = validation._fit_and_score(
        estimator,
        X,
        y,
        scorer=scorer,
        train=train,
        test=test,
        verbose=verbose,
        split_progress=split_progress,
        parameters=dict(parameters),
        fit_params=dict(fit_params),
        score_params=dict(score_params),
        return_train_score=return_train_score,
        return_n_test_samples=True,
        return_times=True,
        return_estimator=True,
        error_score=error_score,
    )
    return result


def cv_results(
    candidates: Sequence[Mapping[str, Any]],
    cells: Sequence[Mapping[str, Any]],
    n_splits: int,
    return_train_score: bool,
) -> dict[str, Any]:
    """``cv_results_`` of candidates x splits, by scikit-learn's own code.

    Parameters
    ----------
    candidates : sequence of dict, length n_candidates
        The parameter settings, in order.
    cells : sequence of dict, length n_candidates * n_splits
        What `fit_and_score` returns, ordered by candidate, then split.
    n_splits : int
        Number of folds.
    return_train_score : bool
        Whether the cells hold ``train_scores``.
    """
    search = GridSearchCV(None, {}, return_train_score=return_train_score)
    results: dict[str, Any] = search._format_results([dict(c) for c in candidates], n_splits, list(cells))
    return {name: value if name == "params" else np.asanyarray(value) for name, value in results.items()}


def hist_model_of_iterations(fitted: Any, n: int) -> Any:
    """A copy of a fitted HistGradientBoosting* cut to its first `n` iterations.

    Its trees are the private list ``_predictors``; the public ``n_iter_`` is that list's length. The score
    attributes, where it tracked any, have one entry more: before the first iteration. Early stopping by a named
    scorer leaves ``_raw_predict``, bound to the fitted estimator, on the instance; a copy must not keep it.
    """
    model = copy.copy(fitted)
    vars(model).pop("_raw_predict", None)
    model._predictors = fitted._predictors[:n]
    model.train_score_ = fitted.train_score_[: n + 1].copy()
    model.validation_score_ = fitted.validation_score_[: n + 1].copy()
    return model.set_params(max_iter=n)


def reads_predictions_only(scorer: Any) -> bool:
    """Whether a scorer sees X through the estimator's predictions alone.

    True for scorers by name, for what ``make_scorer`` made, for an estimator's own ``score``, and for several
    of these together; the classes are private.
    """
    if type(scorer) is scorers._MultimetricScorer:
        return all(reads_predictions_only(single) for single in scorer._scorers.values())
    return type(scorer) in (scorers._Scorer, scorers._PassthroughScorer)


def scorer_content(scorer: Any) -> Any:
    """What makes a scorer what it is, in values that can be compared; what is none of scikit-learn's as it is.

    Scorers have no public attributes, and their texts name functions without the modules. One that requests
    metadata carries more than that.
    """
    if type(scorer) is scorers._MultimetricScorer:
        return {name: scorer_content(single) for name, single in scorer._scorers.items()}
    if type(scorer) is scorers._Scorer and not hasattr(scorer, "_metadata_request"):
        return [scorer._score_func, scorer._sign, dict(scorer._kwargs), scorer._response_method]
    return "score" if type(scorer) is scorers._PassthroughScorer else scorer
