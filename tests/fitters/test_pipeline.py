"""Pipelines: what steps have in common is fitted once, beside scikit-learn fitting each pipeline apart."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sklearn
from sklearn.base import BaseEstimator, RegressorMixin, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.datasets import make_classification
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.feature_selection import SelectKBest
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.model_selection import StratifiedKFold
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, StandardScaler
from sklearn.svm import SVC
from xgboost import XGBClassifier

from hptune.fitters import fitter_for
from hptune.fitters._matrix_cache import WORKER_CACHE
from hptune.records import Outcome
from tests.fitters.against_sklearn import (
    assert_equal_to_sklearn,
    everything_it_left,
    fits_of,
    outcomes_of,
)

X, y = make_classification(120, 8, n_informative=5, random_state=0)
WORDS = np.array(["red", "green", "blue", "one", "two", "three", "up", "down"])
TEXTS = [
    " ".join(WORDS[np.random.default_rng(row).integers(0, 8, 12)]) + (" yes" if label else " no")
    for row, label in enumerate(y)
]
FIVE_FOLDS = StratifiedKFold(5)


def prefix_fits(outcomes: list[Outcome]) -> int:
    return sum(outcome.prefix_fits for outcome in outcomes)


class Shifted(TransformerMixin, BaseEstimator):
    """Somebody's own transformer, of which nothing is known."""

    def fit(self, X: Any, y: Any = None) -> Shifted:
        self.shift_ = 1.0
        return self

    def transform(self, X: Any) -> Any:
        return X + self.shift_


def half(X: Any) -> Any:
    return X / 2


def scoring_name(scoring: object) -> str:
    return getattr(scoring, "__name__", str(scoring))


@pytest.mark.parametrize(
    "scoring",
    [*(pytest.param(name, marks=pytest.mark.slow) for name in ("neg_log_loss", None)), everything_it_left],
    ids=scoring_name,
)
def test_pca_with_3_settings_and_a_classifier_with_8_is_fitted_15_times_not_120(scoring: Any) -> None:
    pipeline = Pipeline([("pca", PCA()), ("classify", LogisticRegression(max_iter=500))])
    grid = {"pca__n_components": [2, 3, 4], "classify__C": list(np.logspace(-3, 2, 8))}
    outcomes = assert_equal_to_sklearn(pipeline, grid, X, y, scoring, FIVE_FOLDS)
    assert len(outcomes) == 120
    assert prefix_fits(outcomes) == 15


def size_of_vocabulary(model: Any, X: Any, y: Any) -> float:
    return float(len(model[0].vocabulary_) + model.predict_proba(X)[:, 0].sum())


@pytest.mark.parametrize("scoring", ["accuracy", size_of_vocabulary])
def test_text_features_with_3_settings_are_fitted_15_times(scoring: Any) -> None:
    pipeline = Pipeline([("words", TfidfVectorizer()), ("classify", LogisticRegression())])
    grid = {"words__ngram_range": [(1, 1), (1, 2), (2, 2)], "classify__C": [0.1, 1.0]}
    outcomes = assert_equal_to_sklearn(pipeline, grid, TEXTS, y, scoring, FIVE_FOLDS)
    assert prefix_fits(outcomes) == 15


def test_an_earlier_step_is_shared_by_candidates_that_differ_in_a_later_one() -> None:
    pipeline = Pipeline([("scale", StandardScaler()), ("pca", PCA(svd_solver="full")), ("nb", GaussianNB())])
    grid = {"pca__n_components": [2, 3], "nb__var_smoothing": [1e-9, 1e-3]}
    outcomes = assert_equal_to_sklearn(pipeline, grid, X, y, cv=FIVE_FOLDS)
    assert prefix_fits(outcomes) == 5 * (1 + 2)


@pytest.mark.parametrize(
    "last, parameter",
    [
        (RandomForestClassifier(random_state=0), "n_estimators"),
        (HistGradientBoostingClassifier(random_state=0), "max_iter"),
        (XGBClassifier(subsample=0.7, random_state=0, n_jobs=-1), "n_estimators"),
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("scoring", ["neg_log_loss", everything_it_left], ids=scoring_name)
def test_the_last_step_climbs_its_ladder_on_shared_output(last: Any, parameter: str, scoring: Any) -> None:
    if scoring is everything_it_left and isinstance(last, XGBClassifier):
        scoring = predicted
    pipeline = Pipeline([("pca", PCA(random_state=0)), ("model", last)])
    grid = {"pca__n_components": [2, 3], f"model__{parameter}": [2, 4, 7]}
    outcomes = assert_equal_to_sklearn(pipeline, grid, X, y, scoring)
    assert prefix_fits(outcomes) == fits_of(outcomes) == 6
    assert sum(outcome.rounds_trained for outcome in outcomes) == 6 * 7


def predicted(model: Any, X: Any, y: Any) -> float:
    return float(model.predict_proba(X)[:, 0].sum()) + model.get_params()["model__n_estimators"]


def test_quantised_matrices_are_built_once_for_each_prefix_and_fold() -> None:
    pipeline = Pipeline([("pca", PCA()), ("boost", XGBClassifier())])
    grid = {"pca__n_components": [2, 3], "boost__n_estimators": [2, 3], "boost__max_depth": [1, 2, 3]}
    outcomes = assert_equal_to_sklearn(pipeline, grid, X, y)
    assert prefix_fits(outcomes) == sum(outcome.matrices_built for outcome in outcomes) == 2 * 3


@pytest.mark.parametrize(
    "last",
    [SVC(), KNeighborsClassifier(), SGDClassifier(random_state=0), LogisticRegression(solver="liblinear")],
    ids=lambda value: type(value).__name__,
)
def test_classifiers_learn_from_shared_output(last: Any) -> None:
    pipeline = Pipeline([("scale", MinMaxScaler()), ("best", SelectKBest(k=4)), ("model", last)])
    outcomes = assert_equal_to_sklearn(pipeline, {"best__k": [3, 4], "scale": ["passthrough", None]}, X, y)
    assert 0 < prefix_fits(outcomes) <= 4 * 3


def test_units_of_several_transformers_are_shared_too() -> None:
    columns = ColumnTransformer([("low", StandardScaler(), [0, 1]), ("high", PCA(2), [2, 3, 4])])
    union = FeatureUnion([("best", SelectKBest(k=2)), ("pca", PCA(2, random_state=1))])
    pipeline = Pipeline([("columns", columns), ("union", union), ("nb", GaussianNB())])
    outcomes = assert_equal_to_sklearn(pipeline, {"nb__var_smoothing": [1e-9, 1e-5, 1e-2]}, X, y)
    assert prefix_fits(outcomes) == 2 * 3


def test_data_frames_and_weights_of_the_last_step_pass() -> None:
    pipeline = Pipeline([("scale", StandardScaler().set_output(transform="pandas")), ("nb", GaussianNB())])
    weights = np.linspace(0.1, 1, len(y))
    fit_params = {"nb__sample_weight": weights}
    grid = {"nb__var_smoothing": [1e-9, 1e-2]}
    outcomes = assert_equal_to_sklearn(pipeline, grid, X, y, fit_params=fit_params)
    assert prefix_fits(outcomes) == 3


@pytest.mark.parametrize(
    "pipeline",
    [
        Pipeline([("pca", PCA(svd_solver="randomized", n_components=2)), ("nb", GaussianNB())]),
        Pipeline([("svd", TruncatedSVD(2, algorithm="arpack")), ("nb", GaussianNB())]),
        Pipeline([("pca", PCA(random_state=np.random.RandomState(0))), ("nb", GaussianNB())]),
        Pipeline([("own", Shifted()), ("nb", GaussianNB())]),
        Pipeline([("own", FunctionTransformer(half)), ("nb", GaussianNB())]),
        Pipeline([("own", FunctionTransformer(lambda X: X / 2)), ("nb", GaussianNB())]),
        Pipeline([("union", FeatureUnion([("own", Shifted())])), ("nb", GaussianNB())]),
        Pipeline([("frozen", FrozenEstimator(PCA(2).fit(X))), ("nb", GaussianNB())]),
        Pipeline(
            [("scale", StandardScaler()), ("in place", StandardScaler(copy=False)), ("nb", GaussianNB())]
        ),
        Pipeline([("nb", GaussianNB())]),
    ],
    ids=lambda pipeline: str([type(step).__name__ for _, step in pipeline.steps]),
)
def test_nothing_is_reused_where_a_condition_fails(pipeline: Pipeline) -> None:
    outcomes = outcomes_of(pipeline, {"nb__var_smoothing": [1e-9, 1e-2]}, X, y)
    assert prefix_fits(outcomes) == 0
    assert {outcome.status for outcome in outcomes} == {"ok"}


def test_a_memory_rules_reuse_out(tmp_path: Any) -> None:
    pipeline = Pipeline([("pca", PCA(2)), ("nb", GaussianNB())], memory=str(tmp_path))
    assert prefix_fits(outcomes_of(pipeline, {"nb__var_smoothing": [1e-9, 1e-2]}, X, y)) == 0


def test_no_ladder_on_a_prefix_that_is_not_reused() -> None:
    forest = RandomForestClassifier(random_state=0)
    shared, apart = (
        Pipeline([("scale", StandardScaler()), ("forest", forest)]),
        Pipeline([("own", Shifted()), ("forest", forest)]),
    )
    ladder = fitter_for(shared).ladder(shared, {})
    assert ladder is not None and ladder.parameter == "forest__n_estimators"
    assert fitter_for(shared).ladder(shared, {"scale__sample_weight": y}) is None
    assert fitter_for(apart).ladder(apart, {}) is None


def test_an_unseeded_step_that_draws_takes_the_ladder_apart() -> None:
    pipeline = Pipeline(
        [("pca", PCA(2, svd_solver="randomized")), ("forest", RandomForestClassifier(random_state=0))]
    )
    outcomes = outcomes_of(pipeline, {"forest__n_estimators": [1, 2]}, X, y)
    assert sum(outcome.rounds_trained for outcome in outcomes) == 3 * (1 + 2)


def test_routed_metadata_rules_reuse_out() -> None:
    pipeline = Pipeline([("scale", StandardScaler()), ("nb", GaussianNB())])
    fitter = fitter_for(pipeline)
    forest = Pipeline([("scale", StandardScaler()), ("forest", RandomForestClassifier(random_state=0))])
    with sklearn.config_context(enable_metadata_routing=True):
        assert fitter.ladder(forest, {"forest__sample_weight": y}) is None


def test_a_failing_step_fails_its_candidates_as_scikit_learn_says() -> None:
    pipeline = Pipeline([("pca", PCA()), ("nb", GaussianNB())])
    outcomes = outcomes_of(pipeline, {"pca__n_components": [2, 99]}, X, y)
    failed = [outcome for outcome in outcomes if outcome.status == "failed"]
    assert {outcome.candidate for outcome in failed} == {1}
    assert all("n_components=99" in str(outcome.error) for outcome in failed)


def test_reused_steps_count_in_the_times_of_each_candidate_and_once_in_the_work() -> None:
    pipeline = Pipeline([("pca", PCA()), ("nb", GaussianNB())])
    outcomes = outcomes_of(pipeline, {"nb__var_smoothing": [1e-9, 1e-5, 1e-2]}, X, y)
    for fold in range(3):
        first, *others = (outcome for outcome in outcomes if outcome.fold == fold)
        assert first.prefix_fits == 1
        for other in others:
            assert other.prefix_fits == 0
            assert other.fit_time + other.score_time > other.work_time


def test_rows_to_score_count_in_the_budget_of_what_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = Pipeline([("scale", StandardScaler()), ("nb", GaussianNB())])
    grid = {"nb__var_smoothing": [1e-9, 1e-5], "scale__with_mean": [True, False]}
    learned_from = X.nbytes * 2 // 3  # in each of 3 folds, and scored beside half as much
    monkeypatch.setattr(WORKER_CACHE, "budget", 2 * learned_from)
    assert prefix_fits(assert_equal_to_sklearn(pipeline, grid, X, y)) == 4 * 3
    monkeypatch.setattr(WORKER_CACHE, "budget", 2 * (2 * learned_from + learned_from // 2))
    assert prefix_fits(assert_equal_to_sklearn(pipeline, grid, X, y)) == 2 * 3


class Doubling(RegressorMixin, BaseEstimator):
    """Doubles in place what it predicts from."""

    def __init__(self, setting: int = 0) -> None:
        self.setting = setting

    def fit(self, X: Any, y: Any) -> Doubling:
        self.mean_ = float(y.mean()) + self.setting
        return self

    def predict(self, X: Any) -> Any:
        X *= 2.0
        return self.mean_ + np.asarray(X).sum(axis=1)


@pytest.mark.parametrize("output", ["default", "pandas"])
def test_a_last_step_that_writes_into_scored_rows_writes_into_its_own(output: str) -> None:
    scale = StandardScaler().set_output(transform=output)
    pipeline = Pipeline([("scale", scale), ("last", Doubling())])
    assert_equal_to_sklearn(pipeline, {"last__setting": [0, 1, 2]}, X, y)
