"""Every search gives scikit-learn's answer to the last bit, wherever its fits run."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import sklearn
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import get_scorer
from sklearn.model_selection import GroupKFold
from sklearn.preprocessing import StandardScaler

from tests.search.cases import CASES, C, Case, groups, table, weights
from tests.search.comparison import assert_same_search

pytestmark = pytest.mark.shares_session


@pytest.mark.parametrize("name", CASES)
def test_the_answer_is_scikit_learns(name: str, place: Any) -> None:
    case = CASES[name]()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the estimators; the table is what counts here
        assert_same_search(case.ours(place), case.scikit_learns(), case.X)


def test_the_answer_of_processes_is_scikit_learns() -> None:
    case = CASES["metrics in a list, refit by name"]()
    assert_same_search(case.ours("processes"), case.scikit_learns(), case.X)


def test_metadata_is_routed_as_asked_for(place: Any) -> None:
    with sklearn.config_context(enable_metadata_routing=True):
        case = Case(
            LogisticRegression().set_fit_request(sample_weight=True),
            C,
            *table(),
            {
                "scoring": get_scorer("accuracy").set_score_request(sample_weight="scored"),
                "cv": GroupKFold(3),
            },
            {"sample_weight": weights(), "scored": weights() ** 2, "groups": groups()},
        )
        assert_same_search(case.ours(place), case.scikit_learns(), case.X)


def test_the_global_output_format_reaches_the_fits(place: Any) -> None:
    def columns(estimator: Any, X: Any, y: Any = None) -> float:
        return float(hasattr(estimator.transform(X), "columns"))

    case = Case(StandardScaler(), {"with_mean": [True, False]}, table()[0], None, {"scoring": columns})
    with sklearn.config_context(transform_output="pandas"):
        assert case.ours(place).cv_results_["mean_test_score"].tolist() == [1.0, 1.0]


@pytest.mark.parametrize("category", [ConvergenceWarning, (ConvergenceWarning, DeprecationWarning)], ids=str)
def test_the_callers_warning_filters_reach_the_fits(category: Any, place: Any) -> None:
    case = Case(LogisticRegression(max_iter=1), C, *table(), {"error_score": -1.0, "refit": False})
    with warnings.catch_warnings():
        warnings.simplefilter("error", category)
        with pytest.raises(ValueError, match="All the 9 fits failed"):
            case.ours(place)


@pytest.mark.parametrize("unused", ["all", 1, "2*n_jobs"])
def test_pre_dispatch_changes_nothing(unused: Any, place: Any) -> None:
    plain = Case(LogisticRegression(), C, *table())
    case = Case(LogisticRegression(), C, *table(), {"pre_dispatch": unused})
    np.testing.assert_array_equal(
        case.ours(place).cv_results_["mean_test_score"], plain.scikit_learns().cv_results_["mean_test_score"]
    )
