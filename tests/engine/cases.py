"""The estimators on which every engine must give scikit-learn's answer."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from xgboost import XGBClassifier, XGBRegressor

from hptune.engine import Engine
from tests.builders import Case, assert_same_results, classes_table, grid_search, numbers_table, swept


@functools.cache
def cases() -> dict[str, Case]:
    rungs = {"n_estimators": [9, 2, 5], "max_depth": [2, 3], "subsample": 0.7, "learning_rate": [0.3, 0.1]}
    scaled = Pipeline([("scale", StandardScaler()), ("model", LogisticRegression())])
    wide = classes_table(rows=30_000, columns=30, seed=1)
    return {
        "xgboost, 2 classes": Case(XGBClassifier(random_state=0), rungs, *classes_table()),
        "xgboost, 12 classes": Case(
            XGBClassifier(random_state=0), rungs, *classes_table(240, 8, 12), scoring="neg_log_loss"
        ),
        "xgboost, regression": Case(
            XGBRegressor(random_state=0, colsample_bylevel=0.5), rungs, *numbers_table()
        ),
        "logistic regression": Case(LogisticRegression(), {"C": [0.01, 0.1, 1.0]}, *classes_table(200, 8, 3)),
        "logistic regression, 30,000 dense rows": Case(
            LogisticRegression(), {"C": [0.01, 1.0]}, *wide, scoring="neg_log_loss", cv=2
        ),
        "histogram gradient boosting": Case(
            HistGradientBoostingClassifier(random_state=0), {"max_iter": [3, 6]}, *classes_table()
        ),
        "pipeline": Case(
            scaled, {"model__C": [0.1, 1.0], "scale__with_mean": [True, False]}, *classes_table()
        ),
    }


NAMES = tuple(cases())


@functools.cache
def scikit_learns(name: str) -> GridSearchCV:
    return grid_search(cases()[name])


def assert_scikit_learns_answer(name: str, engine: Engine) -> None:
    case, search = cases()[name], scikit_learns(name)
    result = swept(case, engine)
    assert_same_results(result.cv_results_, search.cv_results_)
    assert result.best_params == search.best_params_
    assert result.best_index == search.best_index_
    assert result.best_score == search.best_score_
    for method in _prediction_methods(search.best_estimator_):
        expected = getattr(search.best_estimator_, method)(case.X)
        assert np.asarray(getattr(result.best_model, method)(case.X)).tobytes() == expected.tobytes()


def _prediction_methods(model: Any) -> list[str]:
    return [name for name in ("predict", "predict_proba") if hasattr(model, name)]
