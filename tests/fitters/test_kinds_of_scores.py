"""Scores that are numbers of unusual types are those of scikit-learn's table."""

from __future__ import annotations

import json
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

from hptune.engine import Engine, ProcessesEngine, SerialEngine
from hptune.fitters._base import scores_by_name
from tests.builders import Case, assert_same_results, classes_table, grid_search, swept


def correct(model: Any, X: Any, y: Any) -> int:
    return int((model.predict(X) == y).sum())


def exact(model: Any, X: Any, y: Any) -> Fraction:
    return Fraction(correct(model, X, y), len(y))


def precise(model: Any, X: Any, y: Any) -> Any:
    return np.longdouble(correct(model, X, y)) / len(y)


def whole(model: Any, X: Any, y: Any) -> Any:
    return np.int32(correct(model, X, y))


@pytest.mark.parametrize("engine", [SerialEngine(), ProcessesEngine(2)], ids=["serial", "processes"])
@pytest.mark.parametrize("scorer", [exact, precise, whole])
@pytest.mark.parametrize(
    ("estimator", "grid"),
    [
        (RandomForestClassifier(random_state=0), {"n_estimators": [2, 5]}),
        (LogisticRegression(), {"C": [0.01, 1.0]}),
    ],
    ids=["a shared fit", "fits apart"],
)
def test_any_kind_of_number_is_a_score(
    engine: Engine, scorer: Callable[..., Any], estimator: Any, grid: dict[str, Any]
) -> None:
    case = Case(estimator, grid, *classes_table(), scoring=scorer)
    result = swept(case, engine)
    assert_same_results(result.cv_results_, grid_search(case).cv_results_)
    assert set(result.table["status"]) == {"ok"}


def test_scores_are_plain_numbers() -> None:
    scores = {"a": np.longdouble(1) / 3, "b": Fraction(1, 3), "c": np.bool_(True), "d": np.int64(2), "e": 0.5}
    plain = scores_by_name(scores)
    assert plain == {"a": 1 / 3, "b": 1 / 3, "c": True, "d": 2, "e": 0.5}
    assert [type(value) for value in plain.values()] == [float, float, bool, int, float]
    assert json.loads(json.dumps(plain)) == plain
