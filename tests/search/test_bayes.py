"""`BayesSearchCV` is a search like scikit-learn's, whose candidates are found while it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import loguniform
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.exceptions import FitFailedWarning, NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold, ShuffleSplit, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from xgboost import XGBClassifier

from hptune import BayesSearchCV
from hptune.errors import ConfigurationError
from hptune.journal import read_journal
from hptune.space import choice, float_, int_
from tests.search.estimators import Failing

pytestmark = pytest.mark.shares_session

X, Y = make_classification(150, 6, random_state=0)
SPACE = {"C": float_(0.001, 100, log=True), "fit_intercept": [True, False]}


def search(**options: Any) -> BayesSearchCV:
    chosen = {"n_iter": 12, "cv": 3, "random_state": 0, "spark": "serial", **options}
    return BayesSearchCV(chosen.pop("estimator", LogisticRegression()), chosen.pop("space", SPACE), **chosen)


def test_every_place_gives_scikit_learns_scores_of_what_it_tried(place: Any) -> None:
    space = {"n_estimators": int_(2, 9), "subsample": float_(0.4, 1)}
    estimator = XGBClassifier(max_depth=2, random_state=0)
    found = search(estimator=estimator, space=space, n_iter=8, spark=place).fit(X, Y)
    assert len(found.cv_results_["params"]) == 8
    for params, score in zip(found.cv_results_["params"], found.cv_results_["mean_test_score"], strict=True):
        assert cross_val_score(clone(estimator).set_params(**params), X, Y, cv=3).mean() == score
    assert found.best_params_ == found.cv_results_["params"][np.argmax(found.cv_results_["mean_test_score"])]
    assert (found.predict(X) == clone(estimator).set_params(**found.best_params_).fit(X, Y).predict(X)).all()


def test_the_same_seed_finds_the_same_candidates() -> None:
    first, again, other = (search(random_state=seed).fit(X, Y).cv_results_["params"] for seed in (3, 3, 4))
    assert first == again
    assert first != other


def test_it_goes_where_scores_are_good() -> None:
    rng = np.random.default_rng(0)
    noise = np.hstack([X, rng.normal(size=(150, 30))])
    found = search(space={"C": float_(1e-6, 1e6, log=True)}, n_iter=40, scoring="neg_log_loss").fit(noise, Y)
    tried = np.log10([params["C"] for params in found.cv_results_["params"]])
    best = np.log10(found.best_params_["C"])
    assert np.median(abs(tried[-15:] - best)) < np.median(abs(tried[:10] - best))


def test_a_finite_space_is_tried_out() -> None:
    found = search(space={"C": [0.1, 1.0], "fit_intercept": [True, False]}, n_iter=50).fit(X, Y)
    assert len(found.cv_results_["params"]) == 4


def test_spaces_of_pipelines_scipy_and_alternatives() -> None:
    model = make_pipeline(StandardScaler(), LogisticRegression())
    space = [
        {"logisticregression__C": loguniform(0.01, 10)},
        {
            "logisticregression__C": choice(1.0),
            "standardscaler": ["passthrough", StandardScaler(with_mean=False)],
        },
    ]
    found = search(estimator=model, space=space, n_iter=10).fit(X, Y)
    assert {len(params) for params in found.cv_results_["params"]} == {1, 2}


def test_the_metric_that_refits_guides_it() -> None:
    found = search(scoring=["accuracy", "neg_log_loss"], refit="neg_log_loss").fit(X, Y)
    alone = search(scoring="neg_log_loss").fit(X, Y)
    assert found.cv_results_["params"] == alone.cv_results_["params"]
    assert found.best_score_ == alone.best_score_


@pytest.mark.filterwarnings("ignore:One or more of the test scores are non-finite")
def test_failing_fits_are_left_behind() -> None:
    space = {"C": float_(-1, 1)}  # the lower half is refused
    with pytest.warns(FitFailedWarning, match="fits failed"):
        found = search(space=space, n_iter=20).fit(X, Y)
    assert found.best_params_["C"] > 0
    with pytest.raises(ValueError, match="All the 15 fits failed"):
        search(space={"C": float_(-2, -1)}, n_iter=5).fit(X, Y)


def test_it_goes_on_in_its_directory(tmp_path: Path) -> None:
    search(out=tmp_path, n_iter=5).fit(X, Y)
    more = search(out=tmp_path).fit(X, Y)
    assert more.cv_results_["params"] == search().fit(X, Y).cv_results_["params"]
    assert [len(each.outcomes) for each in read_journal(tmp_path / "journal.jsonl").sessions] == [15, 21]


def test_it_is_an_estimator() -> None:
    unfitted = search()
    assert clone(unfitted).get_params()["n_iter"] == 12
    assert "n_iter=12" in repr(unfitted)
    with pytest.raises(NotFittedError):
        unfitted.predict(X)
    assert len(cross_val_score(search(n_iter=2), X, Y, cv=2)) == 2


@pytest.mark.parametrize("n_iter", [0, -1, 2.5, "many"])
def test_a_number_of_candidates_that_is_none_is_refused(n_iter: Any) -> None:
    with pytest.raises(ValueError, match="n_iter must be a whole number from 1 on"):
        search(n_iter=n_iter).fit(X, Y)


@pytest.mark.parametrize("space", [{}, [], {"C": []}])
def test_a_space_that_is_none_is_refused(space: Any) -> None:
    with pytest.raises(ConfigurationError):
        search(space=space).fit(X, Y)


def _row_sum(estimator: Any, X: Any, y: Any) -> float:
    """Tells on which rows it scores."""
    return float(X[:, 0].sum())


@pytest.mark.parametrize(
    "cv", [KFold(3, shuffle=True), ShuffleSplit(3, random_state=np.random.RandomState(0)), KFold(3).split(X)]
)
def test_all_candidates_are_compared_on_the_same_folds(cv: Any) -> None:
    found = search(cv=cv, scoring=_row_sum).fit(X, Y)
    for fold in range(3):
        assert len(set(found.cv_results_[f"split{fold}_test_score"])) == 1


def _two_scores(estimator: Any, X: Any, y: Any) -> dict[str, float]:
    return {"a": float(estimator.score(X, y)), "rows": float(len(X))}


@pytest.mark.filterwarnings("ignore:One or more of the (test|train) scores are non-finite")
@pytest.mark.parametrize("count", [2, 10], ids=["some", "all of the first go"])
def test_failed_fits_have_the_names_of_what_a_function_scores(count: int) -> None:
    options = {"space": {"setting": list(range(20))}, "scoring": _two_scores, "refit": "a"}
    first = search(estimator=Failing(), n_iter=count, **options).fit(X, Y).cv_results_["params"]
    fails = tuple(params["setting"] for params in first)
    tried = search(estimator=Failing(fails=fails), n_iter=14, return_train_score=True, **options)
    with pytest.warns(FitFailedWarning, match=f"{3 * count} fits failed out of a total of 42"):
        found = tried.fit(X, Y).cv_results_
    assert "mean_test_score" not in found
    for name in ("mean_test_a", "mean_test_rows", "mean_train_a", "split2_train_rows"):
        assert np.isnan(found[name]).tolist() == [True] * count + [False] * (14 - count)
    assert tried.best_params_["setting"] not in fails


@pytest.mark.filterwarnings("ignore:One or more of the test scores are non-finite")
def test_if_all_fits_fail_scikit_learn_tells_so_of_a_function_for_scores_too() -> None:
    space = {"setting": list(range(12))}
    failing = search(estimator=Failing(fails=tuple(range(12))), space=space, scoring=_two_scores, refit="a")
    with pytest.raises(ValueError, match="All the 36 fits failed"):
        failing.fit(X, Y)
