"""What every member of the fitters keeps to."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.datasets import make_classification
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
)
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from xgboost import XGBClassifier, XGBRanker

from hptune.fitters import BY_NAME, fitter_for
from tests.fitters.against_sklearn import assert_equal_to_sklearn, outcomes_of

X, y = make_classification(90, 6, random_state=0)
# A new member gets its line here.
SUITABLE: dict[str, tuple[Any, dict[str, Any]]] = {
    "pipeline": (
        Pipeline([("scale", StandardScaler()), ("trees", ExtraTreesClassifier(random_state=0))]),
        {"trees__n_estimators": [2, 3]},
    ),
    "xgboost": (XGBClassifier(random_state=0), {"n_estimators": [2, 3]}),
    "forest": (ExtraTreesClassifier(random_state=0), {"n_estimators": [2, 3]}),
    "gradient boosting": (GradientBoostingClassifier(random_state=0), {"n_estimators": [2, 3]}),
    "histogram gradient boosting": (HistGradientBoostingClassifier(), {"max_iter": [2, 3]}),
    "scikit-learn": (LogisticRegression(), {"C": [0.1, 1.0]}),
}
MEMBERS = pytest.mark.parametrize("name", BY_NAME)


def test_every_member_is_held_to_the_contract_and_the_general_one_stands_last() -> None:
    assert list(BY_NAME) == list(SUITABLE)


@MEMBERS
def test_a_member_is_found_for_its_estimators_and_for_none_of_their_subclasses(name: str) -> None:
    estimator, _ = SUITABLE[name]
    assert fitter_for(estimator) is BY_NAME[name]
    subclass = type("Mine", (type(estimator),), {})
    mine = subclass(**estimator.get_params(deep=False))
    assert fitter_for(mine) is BY_NAME["scikit-learn"]


@MEMBERS
@pytest.mark.parametrize("scoring", [None, "neg_log_loss"], ids=str)
def test_a_member_gives_scikit_learns_answer(name: str, scoring: str | None) -> None:
    estimator, grid = SUITABLE[name]
    outcomes = assert_equal_to_sklearn(estimator, grid, X, y, scoring)
    assert all(outcome.fit_time > 0 and outcome.work_time > 0 for outcome in outcomes)
    assert all(outcome.n_test_samples == 30 for outcome in outcomes)


@MEMBERS
def test_longer_fits_cost_more(name: str) -> None:
    estimator, grid = SUITABLE[name]
    (parameter, (low, high)) = next(iter(grid.items()))
    cost = BY_NAME[name].cost
    assert (
        0 < cost(estimator.set_params(**{parameter: low})) <= cost(estimator.set_params(**{parameter: high}))
    )


def test_the_matrix_of_a_ranker_is_shared_too() -> None:
    queries = np.repeat(np.arange(18), 5)
    estimator = XGBRanker(random_state=0)
    outcomes = outcomes_of(
        estimator,
        {"n_estimators": [2, 4], "max_depth": [1, 2]},
        X,
        y,
        scoring=lambda model, X, y: float(model.predict(X).sum()),
        cv=KFold(3),
        fit_params={"qid": queries},
    )
    assert sum(outcome.rounds_trained for outcome in outcomes) == 3 * 2 * 4
    assert sum(outcome.matrices_built for outcome in outcomes) == 3
