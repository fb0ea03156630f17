"""Candidates, and searches in other threads, never see what another one left behind."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
import sklearn.model_selection
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from xgboost import XGBRegressor

from hptune import GridSearchCV


class WritesIntoX(RegressorMixin, BaseEstimator):
    """Least squares that scales its training rows in place, as some estimators do."""

    def __init__(self, shift: int = 1) -> None:
        self.shift = shift

    def fit(self, X: Any, y: Any) -> WritesIntoX:
        X *= 2
        self.coef_ = np.linalg.lstsq(np.asarray(X) + self.shift, y, rcond=None)[0]
        return self

    def predict(self, X: Any) -> Any:
        return np.asarray(X) @ self.coef_


def rows(seed: int) -> tuple[Any, Any]:
    X = np.random.default_rng(seed).normal(size=(60, 3))
    return X, X.sum(axis=1) * (seed + 1)


@pytest.mark.parametrize(
    "first",
    ["passthrough", StandardScaler(), StandardScaler().set_output(transform="pandas")],
    ids=["passthrough", "array", "data frame"],
)
def test_a_last_step_that_writes_into_its_rows_changes_no_other_candidate(first: Any) -> None:
    pipeline = Pipeline([("first", first), ("last", WritesIntoX())])
    grid = {"last__shift": [1, 2, 3]}
    X, y = rows(0)
    theirs = sklearn.model_selection.GridSearchCV(pipeline, grid, cv=3).fit(X.copy(), y).cv_results_
    ours = GridSearchCV(pipeline, grid, cv=3, spark="serial").fit(X.copy(), y).cv_results_
    assert ours["mean_test_score"].tobytes() == theirs["mean_test_score"].tobytes()


def test_searches_in_several_threads_do_not_see_each_others_matrices() -> None:
    def search(seed: int, scores: dict[int, bytes]) -> None:
        X, y = rows(seed)
        grid = {"n_estimators": [3, 5], "max_depth": [2, 3]}
        found = GridSearchCV(XGBRegressor(n_jobs=1), grid, cv=3, spark="serial", refit=False).fit(X, y)
        scores[seed] = found.cv_results_["mean_test_score"].tobytes()

    alone: dict[int, bytes] = {}
    for seed in range(4):
        search(seed, alone)
    for _ in range(4):
        together: dict[int, bytes] = {}
        threads = [threading.Thread(target=search, args=(seed, together)) for seed in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert together == alone
