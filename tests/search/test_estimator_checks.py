"""scikit-learn's checks of estimators: our searches fail exactly those that its own searches fail."""

from __future__ import annotations

import functools
import warnings
from typing import Any

import pytest
import sklearn.model_selection
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.utils.estimator_checks import check_estimator

from tests.search.comparison import OURS

pytestmark = pytest.mark.shares_session

ESTIMATORS = {
    "Ridge": (Ridge, {"alpha": [0.1, 1.0]}),
    "LogisticRegression": (LogisticRegression, {"C": [0.1, 1.0]}),
}


def checked(kind: Any, name: str, **place: Any) -> dict[str, str]:
    """Each check with how it ended; a check that runs several times is numbered."""
    estimator, grid = ESTIMATORS[name]
    few = {"n_iter": 2, "random_state": 0} if "Randomized" in kind.__name__ else {}
    search = kind(estimator(), grid, cv=2, error_score="raise", **few, **place)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = check_estimator(search, on_fail=None, on_skip=None)
    return {f"{number} {check['check_name']}": check["status"] for number, check in enumerate(results)}


@functools.cache
def scikit_learns(kind: str, name: str) -> dict[str, str]:
    return checked(getattr(sklearn.model_selection, kind), name)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        pytest.param(kind, name, marks=[pytest.mark.slow] * ((kind, name) != ("GridSearchCV", "Ridge")))
        for kind in OURS
        for name in ESTIMATORS
    ],
)
def test_the_checks_end_as_scikit_learns_in_this_process(kind: str, name: str) -> None:
    theirs = scikit_learns(kind, name)
    assert len(theirs) > 40
    assert checked(OURS[kind], name, spark="serial") == theirs


@pytest.mark.spark
@pytest.mark.slow
@pytest.mark.parametrize("name", ESTIMATORS)
@pytest.mark.parametrize("kind", OURS)
def test_the_checks_end_as_scikit_learns_on_the_active_session(kind: str, name: str, spark: Any) -> None:
    assert checked(OURS[kind], name) == scikit_learns(kind, name)


@pytest.mark.spark
@pytest.mark.slow
@pytest.mark.parametrize("name", ESTIMATORS)
@pytest.mark.parametrize("kind", OURS)
def test_the_checks_end_as_scikit_learns_with_a_session_given_by_hand(
    kind: str, name: str, spark: Any
) -> None:
    assert checked(OURS[kind], name, spark=spark) == scikit_learns(kind, name)
