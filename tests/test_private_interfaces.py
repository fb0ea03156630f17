"""The privates of scikit-learn and XGBoost that hptune leans on: these tests name the one that changed."""

from __future__ import annotations

import inspect
import signal
from typing import Any

import numpy as np
import pytest
import xgboost as xgb
from sklearn import config_context
from sklearn.base import clone
from sklearn.linear_model import Ridge
from sklearn.metrics import check_scoring, f1_score, make_scorer
from sklearn.model_selection import GridSearchCV
from sklearn.model_selection import _validation as validation
from sklearn.model_selection._search import BaseSearchCV
from sklearn.preprocessing import StandardScaler
from sklearn.utils.metaestimators import _safe_split

from hptune._sklearn_compat import (
    carries_requests_or_callbacks,
    has_callbacks,
    output_config,
    scorer_content,
)
from hptune.fitters._xgboost_compat import model_of_rounds, shared_matrix
from hptune.interrupts import Stopped, stoppable
from tests.builders import classes_table

PASSED = {
    validation._fit_and_score: [
        *("estimator", "X", "y", "scorer", "train", "test", "verbose", "parameters", "fit_params"),
        *("score_params", "return_train_score", "return_n_test_samples", "return_times"),
        *("return_estimator", "error_score"),
    ],
    validation._check_method_params: ["X", "params", "indices"],
    validation._score: ["estimator", "X_test", "y_test", "scorer", "score_params", "error_score"],
    validation._warn_or_raise_about_fit_failures: ["results", "error_score"],
    _safe_split: ["estimator", "X", "y", "indices", "train_indices"],
    GridSearchCV._format_results: ["self", "candidate_params", "n_splits", "out", "more_results"],
    GridSearchCV._get_routed_params_for_fit: ["self", "params"],
    BaseSearchCV.__init__: [
        *("self", "estimator", "scoring", "n_jobs", "refit", "cv", "verbose", "pre_dispatch", "error_score"),
        "return_train_score",
    ],
    BaseSearchCV._run_search: ["self", "evaluate_candidates"],
    xgb.XGBModel._create_dmatrix: ["self", "ref", "kwargs"],
}


@pytest.mark.parametrize("function", PASSED, ids=lambda function: function.__qualname__)
def test_a_private_function_takes_what_we_pass(function: Any) -> None:
    parameters = inspect.signature(function).parameters
    assert set(PASSED[function]) <= set(parameters), f"{function.__qualname__} changed its parameters"
    required = {
        name for name, p in parameters.items() if p.default is p.empty and p.kind is not p.VAR_KEYWORD
    }
    assert required <= set(PASSED[function]), f"{function.__qualname__} wants more than we pass"


@pytest.mark.parametrize("method", ["_fit_and_score", "_safe_split", "_score"])
def test_the_private_functions_positions_are_ours(method: str) -> None:
    function = {"_safe_split": _safe_split}.get(method) or getattr(validation, method)
    positional = [
        name for name, p in inspect.signature(function).parameters.items() if p.kind is not p.KEYWORD_ONLY
    ]
    assert positional[:3] == PASSED[function][:3]


@pytest.mark.parametrize("kind", [xgb.XGBClassifier, xgb.XGBRegressor])
def test_fit_takes_its_training_matrix_from_us(kind: Any) -> None:
    X, y = classes_table(60)
    estimator, built = kind(n_estimators=2), []

    def cached(build: Any) -> Any:
        built.append(build())
        return built[-1]

    with shared_matrix(estimator, cached):
        estimator.fit(X, y)
    assert len(built) == 1, "XGBoost no longer builds its training matrix by _create_dmatrix"
    assert isinstance(built[0], xgb.DMatrix)
    assert "_create_dmatrix" not in vars(estimator)


def test_a_stop_waits_for_the_matrix_that_native_code_builds() -> None:
    X, y = classes_table(60)
    estimator, built = xgb.XGBClassifier(n_estimators=2), []

    def cached(build: Any) -> Any:
        signal.raise_signal(signal.SIGTERM)
        built.append(build())
        return built[-1]

    with pytest.raises(Stopped), stoppable(), shared_matrix(estimator, cached):
        estimator.fit(X, y)
    assert len(built) == 1 and not estimator.__sklearn_is_fitted__()


def test_a_matrix_given_back_is_the_one_that_is_trained_on() -> None:
    X, y = classes_table(60)
    first, second = xgb.XGBClassifier(n_estimators=3), xgb.XGBClassifier(n_estimators=3, max_depth=2)
    alone = xgb.XGBClassifier(n_estimators=3, max_depth=2).fit(X, y)
    kept: list[Any] = []
    with shared_matrix(first, lambda build: kept.append(build()) or kept[0]):  # type: ignore[func-returns-value]
        first.fit(X, y)
    with shared_matrix(second, lambda build: kept[0]):
        second.fit(X, y)
    assert np.array_equal(second.predict_proba(X), alone.predict_proba(X))


@pytest.mark.parametrize("kind", [xgb.XGBClassifier, xgb.XGBRegressor])
def test_a_model_of_fewer_rounds_is_the_shorter_fit(kind: Any) -> None:
    X, y = classes_table(60)
    long, short = kind(n_estimators=7, subsample=0.5).fit(X, y), kind(n_estimators=3, subsample=0.5).fit(X, y)
    model = model_of_rounds(long, 3)
    assert model.get_booster().num_boosted_rounds() == 3, "XGBoost no longer reads the booster from _Booster"
    assert model.n_estimators == 3
    assert np.array_equal(model.predict(X), short.predict(X))
    assert long.get_booster().num_boosted_rounds() == 7


def test_a_scorer_is_what_its_four_attributes_say() -> None:
    scorer = make_scorer(f1_score, greater_is_better=False, response_method="predict", average="macro")
    assert scorer_content(scorer) == [f1_score, -1, {"average": "macro"}, "predict"]
    several = check_scoring(Ridge(), scoring=["r2", "neg_max_error"])
    assert scorer_content(several).keys() == {"r2", "neg_max_error"}
    assert scorer_content(check_scoring(Ridge())) == "score"
    assert scorer_content(len) is len
    assert set(vars(scorer)) == {"_score_func", "_sign", "_kwargs", "_response_method"}
    with config_context(enable_metadata_routing=True):
        requesting = make_scorer(f1_score).set_score_request(sample_weight=True)
    assert scorer_content(requesting) is requesting


def test_what_set_output_sets_is_found_on_the_estimator_and_its_clones() -> None:
    assert output_config(StandardScaler()) is None
    scaler = StandardScaler().set_output(transform="pandas")
    found = output_config(scaler)
    assert found == {"transform": "pandas"}, "scikit-learn no longer keeps it in _sklearn_output_config"
    assert output_config(clone(scaler)) == found


def test_requests_and_callbacks_are_found_on_the_estimator() -> None:
    assert not carries_requests_or_callbacks(Ridge())
    with config_context(enable_metadata_routing=True):
        requesting = Ridge().set_fit_request(sample_weight=True)
    assert carries_requests_or_callbacks(requesting), "scikit-learn no longer keeps it in _metadata_request"
    search = GridSearchCV(Ridge(), {})
    if hasattr(search, "set_callbacks"):  # since 1.9
        search.set_callbacks(pytest.importorskip("sklearn.callback").ProgressBar())
        assert carries_requests_or_callbacks(search), "scikit-learn no longer keeps them in _skl_callbacks"
        assert has_callbacks(search)
