"""`BayesSearchCV` with a policy: what is stopped has no score, and what is not has scikit-learn's."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import make_regression
from sklearn.linear_model import Ridge, SGDRegressor
from sklearn.model_selection import KFold, cross_validate
from xgboost import XGBRegressor

from hptune import BayesSearchCV
from hptune.errors import ConfigurationError
from hptune.history import read_children
from hptune.journal import read_journal
from hptune.policies import BanditPolicy, Policy, RacingPolicy, SuccessiveHalvingPolicy
from hptune.space import float_

pytestmark = pytest.mark.shares_session

X, Y = make_regression(150, 6, noise=5.0, random_state=0)
ESTIMATOR = XGBRegressor(n_estimators=30, max_depth=3, subsample=0.5, seed=0, n_jobs=1)
POLICIES: dict[str, Policy] = {
    "asha": SuccessiveHalvingPolicy(min_resource=4),
    "racing": RacingPolicy(alpha=0.1),
}
FOLDS = KFold(4)


@pytest.fixture(autouse=True)
def nothing_is_warned_of() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        yield


def search(policy: Any, **options: Any) -> BayesSearchCV:
    chosen = {"n_iter": 14, "cv": FOLDS, "random_state": 0, "spark": "serial", **options}
    space = {"learning_rate": float_(0.0003, 0.5, log=True)}
    estimator = chosen.pop("estimator", ESTIMATOR)
    return BayesSearchCV(estimator, chosen.pop("space", space), early_termination=policy, **chosen)


def assert_scores(found: BayesSearchCV, scoring: Any = None) -> None:
    """Those of candidates that were not stopped are scikit-learn's, to the last bit; the others have none."""
    table = found.cv_results_
    means = [name for name in table if name.startswith("mean_test_")]
    stopped = table["status"] == "stopped"
    assert stopped.any() and set(table["status"][~stopped]) == {"ok"}
    for number, params in enumerate(table["params"]):
        if stopped[number]:
            assert all(np.isnan(table[name][number]) for name in means)
            assert table["stopped_after"][number] >= 1 and np.isfinite(table["last_score"][number])
            continue
        model = clone(found.estimator).set_params(**params)
        theirs = cross_validate(model, X, Y, cv=FOLDS, scoring=scoring)
        assert [table[name][number] for name in means] == [
            theirs[name.removeprefix("mean_")].mean() for name in means
        ]
        assert np.isnan(table["stopped_after"][number]) and np.isnan(table["last_score"][number])
    for name in means:
        ranks = table[f"rank_{name.removeprefix('mean_')}"]
        assert ranks[~stopped].max() < ranks[stopped].min()


@pytest.mark.parametrize("name", POLICIES)
def test_what_is_stopped_has_no_scores_and_ranks_last(name: str) -> None:
    found = search(POLICIES[name]).fit(X, Y)
    assert_scores(found)
    assert found.best_score_ == np.nanmax(found.cv_results_["mean_test_score"])
    again = clone(found.estimator).set_params(**found.best_params_).fit(X, Y)
    assert (found.predict(X) == again.predict(X)).all()


def test_every_place_stops_candidates(place: Any) -> None:
    rounds = 60 if place == "serial" else 300  # elsewhere a fit must last until it has been heard of
    space = {"learning_rate": [0.4, 0.3, 0.002, 0.001, 0.0005, 0.0002], "n_estimators": [rounds]}
    assert_scores(search(BanditPolicy(slack_factor=0.05), space=space, spark=place).fit(X, Y))


def test_the_first_go_is_known_to_the_later_ones() -> None:
    """Ten candidates are the first go; each later one of a serial search is one, and a sole run is never stopped."""
    assert (search(POLICIES["asha"], n_iter=30).fit(X, Y).cv_results_["status"][10:] == "stopped").any()
    assert (search(POLICIES["racing"], n_iter=30).fit(X, Y).cv_results_["status"][10:] == "stopped").any()


def test_of_several_metrics_the_one_that_refits_decides() -> None:
    scoring, metric = ["r2", "neg_mean_absolute_error"], "neg_mean_absolute_error"
    found = search(POLICIES["asha"], n_iter=20, scoring=scoring, refit=metric).fit(X, Y)
    assert_scores(found, scoring)
    assert (found.cv_results_["last_score"][found.cv_results_["status"] == "stopped"] < -1).all()


@pytest.mark.parametrize("name", POLICIES)
def test_a_search_goes_on_with_what_the_policy_knew(name: str, tmp_path: Path) -> None:
    whole = search(POLICIES[name], n_iter=20).fit(X, Y).cv_results_
    search(POLICIES[name], n_iter=12, out=tmp_path).fit(X, Y)
    found = search(POLICIES[name], n_iter=20, out=tmp_path).fit(X, Y).cv_results_
    for column in ("status", "stopped_after", "last_score", "mean_test_score", "param_learning_rate"):
        assert found[column].tolist() == pytest.approx(whole[column].tolist(), nan_ok=True) or (
            found[column].tolist() == whole[column].tolist()
        )
    fits = [len(session.outcomes) for session in read_journal(tmp_path / "journal.jsonl").sessions]
    assert fits == [12 * 4, 8 * 4]
    if name == "asha":
        lengths = [child.curves["score"][-1][0] for child in read_children(tmp_path)]
        expected = np.where(whole["status"] == "ok", lengths, whole["stopped_after"])
        assert lengths == expected.tolist()
    with pytest.raises(ConfigurationError, match="early_termination"):
        search(BanditPolicy(slack_amount=1.0), out=tmp_path).fit(X, Y)


def test_a_policy_is_given_as_in_a_sweep_file_and_cloned_with_the_search() -> None:
    given = {"type": "asha", "min_resource": 4}
    first, second = (search(p, n_iter=12).fit(X, Y).cv_results_ for p in (given, POLICIES["asha"]))
    assert first["status"].tolist() == second["status"].tolist()
    assert clone(search(POLICIES["asha"])).early_termination == POLICIES["asha"]


def test_without_a_policy_the_results_have_no_more_columns_than_scikit_learns() -> None:
    found = search(None, n_iter=2).fit(X, Y).cv_results_
    assert not {"status", "stopped_after", "last_score"} & set(found)


def test_what_cannot_be_meant_is_refused() -> None:
    alpha = {"alpha": float_(0.1, 1.0)}
    with pytest.raises(ConfigurationError, match="go round by round, which Ridge has not"):
        search("asha", estimator=Ridge(), space=alpha).fit(X, Y)
    with pytest.raises(ConfigurationError, match="compares candidates over folds, and there are 2"):
        search("racing", cv=2).fit(X, Y)
    with pytest.raises(ConfigurationError, match="did you mean 'bandit'"):
        search("bandid").fit(X, Y)
    with pytest.raises(ConfigurationError, match="scikit-learn refits by fit: use refit=False"):
        search("asha", estimator=SGDRegressor(max_iter=20), space=alpha).fit(X, Y)


def test_passes_of_partial_fit_are_watched_where_nothing_is_refitted() -> None:
    space = {"eta0": float_(1e-6, 0.1, log=True)}
    sgd = SGDRegressor(max_iter=20, tol=None, random_state=0)
    found = search("asha", estimator=sgd, space=space, n_iter=20, refit=False).fit(X, Y)
    assert (found.cv_results_["status"] == "stopped").any()
