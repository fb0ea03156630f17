"""A small search by hptune's fitters beside the same search by scikit-learn, compared bit for bit."""

from __future__ import annotations

import warnings
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.metrics import check_scoring
from sklearn.model_selection import GridSearchCV, KFold, ParameterGrid
from threadpoolctl import threadpool_limits

from hptune.fitters import Evaluation, evaluate
from hptune.plan import make_plan
from hptune.records import Outcome


def outcomes_of(
    estimator: Any, grid: Any, X: Any, y: Any, scoring: Any = None, cv: Any = None, **evaluation: Any
) -> list[Outcome]:
    """Every outcome of a grid, fitted in this process as a worker fits it."""
    fit_params: Mapping[str, Any] = evaluation.get("fit_params", {})
    folds = list((cv or KFold(3, shuffle=True, random_state=0)).split(X, y))
    candidates = list(ParameterGrid(grid))
    data = Evaluation(
        estimator=estimator,
        X=X,
        y=y,
        folds=folds,
        scorer=check_scoring(estimator, scoring),
        return_train_score=True,
        run_id=str(np.random.default_rng().integers(1 << 60)),
        **evaluation,
    )
    plan = make_plan(estimator, candidates, len(folds), fit_params)
    return [outcome for task in plan.tasks for outcome in evaluate(data, task)]


def assert_equal_to_sklearn(
    estimator: Any, grid: Any, X: Any, y: Any, scoring: Any = None, cv: Any = None, **evaluation: Any
) -> list[Outcome]:
    """The outcomes, after every score of every fold was compared with scikit-learn's own."""
    outcomes = outcomes_of(estimator, grid, X, y, scoring, cv, **evaluation)
    search = GridSearchCV(
        estimator,
        grid,
        scoring=scoring,
        cv=cv or KFold(3, shuffle=True, random_state=0),
        refit=False,
        return_train_score=True,
    )
    with threadpool_limits(limits=1), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The scoring .* does not support sample_weight")
        expected = search.fit(X, y, **evaluation.get("fit_params", {})).cv_results_
    assert len(outcomes) == len(expected["params"]) * search.n_splits_
    for outcome in outcomes:
        assert outcome.error is None
        for part, scores in (("test", outcome.test_scores), ("train", outcome.train_scores)):
            for name, value in scores.items():
                theirs = expected[f"split{outcome.fold}_{part}_{name}"][outcome.candidate]
                np.testing.assert_array_equal(value, theirs)
    return outcomes


def fits_of(outcomes: list[Outcome]) -> int:
    """How many fits the outcomes came from."""
    return len({outcome.fit_id for outcome in outcomes})


def everything_it_left(model: Any, X: Any, y: Any) -> float:
    """A plain callable scorer: a checksum over predictions and every public attribute of a fitted model."""
    return float(zlib.crc32(repr(_seen(model, X)).encode()))


def _seen(model: Any, X: Any) -> Any:
    predictions = [
        _plain(getattr(model, name)(X))
        for name in ("predict", "predict_proba", "decision_function", "apply", "transform")
        if hasattr(model, name)
    ]
    names = [name for name in dir(model) if name.endswith("_") and not name.startswith("_")]
    return predictions, model.get_params(), [(name, _plain(getattr(model, name, None))) for name in names]


def _plain(value: Any) -> Any:
    if hasattr(value, "tree_"):
        return [_plain(getattr(value.tree_, part)) for part in ("feature", "threshold", "value")]
    if isinstance(value, np.ndarray) and value.dtype == object:
        return [value.shape, [_plain(item) for item in value.ravel()]]
    if isinstance(value, np.ndarray):
        return [value.dtype.str, value.shape, zlib.crc32(np.ascontiguousarray(value).tobytes())]
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, BaseEstimator):
        return type(value).__name__
    return repr(value)
