"""How many native threads a fit may use, and that the user's own setting comes back."""

from __future__ import annotations

import os
import warnings
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_info, threadpool_limits
from xgboost import XGBClassifier

from hptune.engine import SerialEngine
from hptune.fitters import fit_alone, warn_of_capped_threads
from hptune.fitters._base import thread_caps
from hptune.fitters._hist_gradient_boosting import same_on_any_threads
from tests.builders import Case, classes_table, swept


@pytest.mark.parametrize(
    ("estimator", "caps"),
    [
        (XGBClassifier(), {"n_jobs": 2}),
        (XGBClassifier(n_jobs=0), {"n_jobs": 2}),
        (XGBClassifier(n_jobs=-1), {"n_jobs": 2}),
        (XGBClassifier(n_jobs=5), {"n_jobs": 2}),
        (XGBClassifier(n_jobs=1), {}),
        (XGBClassifier(n_jobs=2, nthread=-1), {"nthread": 2}),
        (LogisticRegression(), {}),
        (Pipeline([("a", "passthrough"), ("b", XGBClassifier())]), {"b__n_jobs": 2}),
        (Pipeline([("a", Pipeline([("b", XGBClassifier(n_jobs=-1))]))]), {"a__b__n_jobs": 2}),
    ],
)
def test_thread_parameters_that_ask_for_more_are_capped(estimator: Any, caps: dict[str, int]) -> None:
    assert thread_caps(estimator, 2) == caps


def test_a_forest_nested_in_a_pipeline_is_capped() -> None:
    forest = Pipeline([("model", RandomForestClassifier(n_jobs=-1))])
    assert thread_caps(forest, 1) == {"model__n_jobs": 1}


@pytest.mark.parametrize("n_jobs", [None, -1, 1])
def test_the_best_model_keeps_the_users_threads(n_jobs: int | None) -> None:
    X, y = classes_table(60)
    case = Case(XGBClassifier(n_jobs=n_jobs), {"n_estimators": [2]}, X, y, cv=2)
    assert swept(case, SerialEngine()).best_model.n_jobs == n_jobs
    assert fit_alone(case.estimator, {"n_estimators": 2}, X, y, {}).n_jobs == n_jobs


def pools(estimator: Any, X: Any, y: Any) -> float:
    return float(max(pool["num_threads"] for pool in threadpool_info()))


def test_every_fit_runs_with_one_thread_of_blas_and_openmp() -> None:
    case = Case(LogisticRegression(), {"C": [1.0]}, *classes_table(60), scoring=pools, cv=2)
    assert swept(case, SerialEngine()).best_score == 1.0


def test_capped_threads_are_told_once_by_name() -> None:
    with pytest.warns(UserWarning, match="^n_jobs is held at 0 in each fit") as told:
        warn_of_capped_threads(XGBClassifier(n_jobs=-1), [{"n_jobs": -1}, {"n_jobs": 9}], 0)
    assert len(told) == 1


@pytest.mark.parametrize("n_jobs", [None, 1, 2])
def test_nothing_is_told_where_nothing_was_asked_for(
    n_jobs: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_capped_threads(XGBClassifier(n_jobs=n_jobs), [{"max_depth": 3}], 2)
        warn_of_capped_threads(XGBClassifier(n_jobs=-1), [{}], 8)


def openmp(estimator: Any, X: Any, y: Any) -> float:
    return float(max(pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "openmp"))


@pytest.mark.skipif(
    not same_on_any_threads(HistGradientBoostingRegressor()),
    reason="this scikit-learn's bits depend on threads",
)
def test_histogram_boosting_alone_has_all_cores_and_the_same_bits() -> None:
    rng = np.random.default_rng(0)
    X = rng.random((3000, 5))
    y = np.exp(6 * rng.standard_normal(3000) + 3 * X[:, 0])  # sums in another order would differ
    model = HistGradientBoostingRegressor(max_iter=5, random_state=0)
    watching = clone(model).set_params(early_stopping=True, scoring=openmp)
    alone = fit_alone(watching, {}, X, y, {})
    assert set(alone.train_score_) == {os.cpu_count()}
    with threadpool_limits(limits=1):
        expected = clone(model).fit(X, y).predict(X)
        assert np.array_equal(fit_alone(model, {}, X, y, {}).predict(X), expected)


def test_blas_has_one_thread_even_alone() -> None:
    class Watching(Ridge):
        def fit(self, X: Any, y: Any) -> Any:
            self.pools_ = pools(self, X, y)
            return super().fit(X, y)

    assert fit_alone(Watching(), {}, *classes_table(60), {}).pools_ == 1.0
