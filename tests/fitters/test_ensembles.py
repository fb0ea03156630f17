"""Rounds and trees that candidates share, beside scikit-learn fitting each candidate apart."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.datasets import make_classification, make_regression
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import Ridge

from hptune.fitters import fitter_for
from tests.builders import examples
from tests.fitters.against_sklearn import (
    assert_equal_to_sklearn,
    everything_it_left,
    fits_of,
    outcomes_of,
)

LABELLED = make_classification(90, 6, n_informative=4, n_classes=3, random_state=0)
NUMBERED = make_regression(90, 6, noise=5.0, random_state=0)

FOREST_OPTIONS = {
    "max_depth": st.sampled_from([2, None]),
    "max_features": st.sampled_from([1.0, "sqrt"]),
    "random_state": st.integers(0, 9),
}
BAGGED = {"bootstrap": st.just(True), "max_samples": st.sampled_from([None, 0.5])}
WEIGHTED = {"class_weight": st.sampled_from([None, "balanced", "balanced_subsample"])}
BOOSTING_OPTIONS = {
    "subsample": st.sampled_from([1.0, 0.6]),
    "max_features": st.sampled_from([None, 2]),
    "n_iter_no_change": st.sampled_from([None, 1]),
    "tol": st.just(0.1),
    "init": st.sampled_from([None, "zero"]),
    "random_state": st.integers(0, 9),
}
HIST_OPTIONS = {
    "early_stopping": st.sampled_from(["auto", False, True]),
    "validation_fraction": st.sampled_from([0.2, None]),
    "n_iter_no_change": st.just(1),
    "tol": st.just(0.05),
    "max_features": st.sampled_from([1.0, 0.5]),
    "min_samples_leaf": st.just(5),
    "random_state": st.integers(0, 9),
}

FAMILIES: list[tuple[type, str, dict[str, Any]]] = [
    (RandomForestClassifier, "n_estimators", {**FOREST_OPTIONS, **BAGGED, **WEIGHTED}),
    (RandomForestRegressor, "n_estimators", {**FOREST_OPTIONS, **BAGGED}),
    (ExtraTreesClassifier, "n_estimators", {**FOREST_OPTIONS, **WEIGHTED}),
    (ExtraTreesRegressor, "n_estimators", FOREST_OPTIONS),
    (GradientBoostingClassifier, "n_estimators", BOOSTING_OPTIONS),
    (
        GradientBoostingRegressor,
        "n_estimators",
        {**BOOSTING_OPTIONS, "loss": st.sampled_from(["squared_error", "huber", "quantile"])},
    ),
    (
        HistGradientBoostingClassifier,
        "max_iter",
        {**HIST_OPTIONS, "scoring": st.sampled_from(["loss", "accuracy"])},
    ),
    (
        HistGradientBoostingRegressor,
        "max_iter",
        {**HIST_OPTIONS, "scoring": st.sampled_from(["loss", "r2"])},
    ),
]
KINDS = pytest.mark.parametrize(
    "kind, parameter, options", FAMILIES, ids=[kind.__name__ for kind, *_ in FAMILIES]
)


def rows_for(kind: type) -> tuple[Any, Any]:
    return LABELLED if kind.__name__.endswith("Classifier") else NUMBERED


@KINDS
@settings(
    max_examples=examples(0.2),
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize=settings.get_current_profile_name() == "few",
)
@given(data=st.data())
def test_every_rung_is_the_shorter_fit_in_all_that_it_leaves(
    kind: type, parameter: str, options: dict[str, Any], data: st.DataObject
) -> None:
    estimator = kind(**data.draw(st.fixed_dictionaries(options)))
    rungs = data.draw(st.lists(st.integers(1, 9), min_size=2, max_size=4, unique=True))
    outcomes = assert_equal_to_sklearn(
        estimator, {parameter: rungs}, *rows_for(kind), scoring=everything_it_left
    )
    assert fits_of(outcomes) == 3


@KINDS
def test_sample_weights_reach_a_shared_fit(kind: type, parameter: str, options: dict[str, Any]) -> None:
    X, y = rows_for(kind)
    weights = np.random.default_rng(0).uniform(0.1, 2, len(y))
    outcomes = assert_equal_to_sklearn(
        kind(random_state=0),
        {parameter: [2, 4]},
        X,
        y,
        scoring=everything_it_left,
        fit_params={"sample_weight": weights},
    )
    assert fits_of(outcomes) == 3


@KINDS
@pytest.mark.parametrize(
    "params, fit_params",
    [({"random_state": np.random.RandomState(0)}, {}), ({"warm_start": True}, {}), ({}, {"unknown": 1})],
    ids=["generator", "warm start", "unknown fit parameter"],
)
def test_no_ladder_where_a_common_condition_fails(
    kind: type,
    parameter: str,
    options: dict[str, Any],
    params: dict[str, Any],
    fit_params: dict[str, Any],
) -> None:
    estimator = kind(random_state=0)
    assert fitter_for(estimator).ladder(estimator, {}) is not None
    estimator.set_params(**params)
    assert fitter_for(estimator).ladder(estimator, fit_params) is None


@pytest.mark.parametrize(
    "estimator, fit_params",
    [
        (RandomForestClassifier(), {}),
        (RandomForestClassifier(random_state=0, oob_score=True), {}),
        (RandomForestRegressor(random_state=0, oob_score=max), {}),
        (ExtraTreesRegressor(random_state=0, n_estimators=0), {}),
        (ExtraTreesRegressor(random_state=0, n_estimators=2.0), {}),
        (GradientBoostingClassifier(), {}),
        (GradientBoostingClassifier(random_state=0), {"monitor": print}),
        (GradientBoostingRegressor(random_state=0, init=Ridge()), {}),
        (HistGradientBoostingClassifier(max_features=0.5), {}),
        (HistGradientBoostingClassifier(early_stopping=True), {}),
        (HistGradientBoostingRegressor(random_state=0, scoring=max), {}),
        (HistGradientBoostingRegressor(random_state=0), {"X_val": 0, "y_val": 0}),
    ],
    ids=repr,
)
def test_no_ladder_where_an_own_condition_fails(estimator: Any, fit_params: dict[str, Any]) -> None:
    assert fitter_for(estimator).ladder(estimator, fit_params) is None


def test_a_subclass_is_fitted_apart() -> None:
    class Forest(RandomForestClassifier):
        pass

    estimator = Forest(random_state=0)
    assert fitter_for(estimator).ladder(estimator, {}) is None


def test_unseeded_histogram_boosting_is_shared_while_it_has_nothing_to_draw() -> None:
    estimator = HistGradientBoostingRegressor()
    outcomes = assert_equal_to_sklearn(estimator, {"max_iter": [2, 3]}, *NUMBERED)
    assert sum(outcome.rounds_trained for outcome in outcomes) == 3 * 3


@pytest.mark.parametrize("seed, trained", [(None, 3 * (1 + 2)), (0, 3 * 2)])
def test_unseeded_histogram_boosting_is_fitted_apart_where_it_draws_validation_rows(
    seed: int | None, trained: int
) -> None:
    X = np.random.default_rng(0).normal(size=(15_003, 1))
    estimator = HistGradientBoostingRegressor(random_state=seed, max_leaf_nodes=3)
    outcomes = outcomes_of(estimator, {"max_iter": [1, 2]}, X, X[:, 0])
    assert sum(outcome.rounds_trained for outcome in outcomes) == trained


@KINDS
def test_a_rung_is_charged_the_time_until_its_round_and_the_work_above_the_rung_below(
    kind: type, parameter: str, options: dict[str, Any]
) -> None:
    outcomes = outcomes_of(kind(random_state=0), {parameter: [2, 4, 8]}, *rows_for(kind))
    for fold in range(3):
        short, middle, long = (outcome for outcome in outcomes if outcome.fold == fold)
        assert 0 < short.fit_time < middle.fit_time < long.fit_time
        assert [outcome.rounds_trained for outcome in (short, middle, long)] == [2, 2, 4]
        work = sum(outcome.work_time - outcome.score_time for outcome in (short, middle, long))
        assert work == pytest.approx(long.fit_time)


def test_a_failing_fit_fails_each_rung_with_its_own_error() -> None:
    X, y = LABELLED
    estimator = RandomForestClassifier(random_state=0, max_depth=-1)
    outcomes = outcomes_of(estimator, {"n_estimators": [1, 2]}, X, y)
    assert [outcome.status for outcome in outcomes] == ["failed"] * 6
    assert all("max_depth" in str(outcome.error) for outcome in outcomes)
