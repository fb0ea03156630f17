"""Random small grids give what GridSearchCV gives, whatever shares a fit, repeats, fails or has no score."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import FitFailedWarning
from sklearn.tree import DecisionTreeClassifier
from xgboost import XGBClassifier, XGBRegressor

from hptune.engine import SerialEngine
from hptune.errors import AllTrialsFailedError
from hptune.fitters import evaluate
from hptune.plan import make_plan
from hptune.results import collect_cells, cv_table
from tests.builders import Case, assert_same_results, classes_table, evaluation, grid_search, sweep_of

TABLE = classes_table(40, 4)
BOOSTED = {
    "n_estimators": st.sampled_from([1, 2, 3, np.int64(2), 2.0, None]),
    "max_depth": st.sampled_from([1, 2, 2.0, np.int32(2), -1, "2", "deep"]),
    "learning_rate": st.sampled_from([0.3, 1, np.float64(0.3), float("nan")]),
    "booster": st.sampled_from(["gbtree", "dart", None]),
    "tree_method": st.sampled_from(["hist", "approx", "exact"]),
    "subsample": st.sampled_from([0.5, 1.0]),
    "colsample_bytree": st.sampled_from([0.5, "0.5", float("nan")]),
}
TREES = {
    "max_depth": st.sampled_from([1, 2, None, np.int64(1), "deep"]),
    "min_samples_leaf": st.sampled_from([1, 0.2, np.float32(0.25)]),
    "criterion": st.sampled_from(["gini", "entropy"]),
}


def grids(space: dict[str, Any]) -> st.SearchStrategy[list[dict[str, list[Any]]]]:
    choices = {name: st.lists(values, min_size=1, max_size=2) for name, values in space.items()}
    one = st.fixed_dictionaries({}, optional=choices).filter(bool)
    return st.lists(one, min_size=1, max_size=2)


def sometimes_nan(estimator: Any, X: Any, y: Any) -> float:
    share = float(np.mean(estimator.predict(X) == y))
    return share if share > 0.6 else float("nan")


def raising(estimator: Any, X: Any, y: Any) -> float:
    if estimator.max_depth == 2:
        raise ValueError("no score")
    return 1.0


def whole(estimator: Any, X: Any, y: Any) -> int:
    return int(np.sum(estimator.predict(X) == y))


SCORERS = (None, sometimes_nan, raising, whole)


def compare(case: Case) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of failed fits and scores, by both
        warnings.simplefilter("ignore", FitFailedWarning)
        ours = table(case)
        try:
            theirs = grid_search(case, refit=False).cv_results_
        except ValueError as error:  # scikit-learn gives up where all fits fail
            assert "fits failed" in str(error)
            assert np.isnan(ours["mean_test_score"]).all()
            return
        assert_same_results(ours, theirs)


def table(case: Case) -> dict[str, Any]:
    sweep = sweep_of(case)
    plan = make_plan(case.estimator, sweep.candidates, 2, {})
    data = evaluation(case, run_id=repr(case.grid))
    outcomes = [outcome for task in plan.tasks for outcome in evaluate(data, task)]
    return cv_table(sweep.candidates, collect_cells(outcomes, plan.n_candidates, 2), ["score"])


SLOWLY = settings(deadline=None, suppress_health_check=list(HealthCheck))


@SLOWLY
@given(
    grid=grids(BOOSTED),
    model=st.sampled_from(
        [(XGBRegressor, None), *((XGBClassifier, scoring) for scoring in ("neg_log_loss", *SCORERS))]
    ),
)
def test_boosted_trees_give_grid_search_cvs_table(grid: list[dict[str, list[Any]]], model: Any) -> None:
    estimator, scoring = model
    compare(Case(estimator(random_state=0, n_estimators=2), grid, *TABLE, scoring=scoring, cv=2))


@SLOWLY
@given(grid=grids(TREES), scoring=st.sampled_from([None, "roc_auc", sometimes_nan, whole]))
def test_any_estimator_gives_grid_search_cvs_table(grid: list[dict[str, list[Any]]], scoring: Any) -> None:
    compare(Case(DecisionTreeClassifier(random_state=0), grid, *TABLE, scoring=scoring, cv=2))


class Refusing(ClassifierMixin, BaseEstimator):
    def __init__(self, depth: int = 1) -> None:
        self.depth = depth

    def set_params(self, **params: Any) -> Refusing:
        if params.get("depth", 1) < 0:
            raise RuntimeError("depth below zero")
        return super().set_params(**params)  # type: ignore[no-any-return]

    def fit(self, X: Any, y: Any) -> Refusing:
        self.classes_ = np.unique(y)
        return self

    def predict(self, X: Any) -> Any:
        return np.zeros(len(X), dtype=int)


@pytest.mark.parametrize("depth", ["2", 10**400], ids=["text", "beyond floats"])
def test_a_value_that_tells_no_cost_is_scored_or_failed_as_by_scikit_learn(depth: Any) -> None:
    compare(Case(XGBClassifier(random_state=0), {"max_depth": [1, depth]}, *TABLE, cv=2))


def test_a_setting_that_cannot_be_set_is_a_failed_row() -> None:
    from tests.builders import swept

    result = swept(Case(Refusing(), {"depth": [1, -1]}, *TABLE, cv=2), SerialEngine())
    assert result.table["status"].tolist() == ["ok", "failed"]
    assert result.table["error"][1] == "RuntimeError: depth below zero"


def test_a_sweep_without_any_finite_score_says_so() -> None:
    from tests.builders import swept

    with pytest.raises(AllTrialsFailedError, match="RuntimeError: depth below zero"):
        swept(Case(Refusing(), {"depth": [-2, -1]}, *TABLE, cv=2), SerialEngine())


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
def test_several_metrics_give_grid_search_cvs_table(weighted: bool) -> None:
    from sklearn.metrics import check_scoring

    from hptune.sweep import run

    metrics = {"neg_log_loss": "neg_log_loss", "accuracy": "accuracy"}
    weights = np.linspace(0.1, 2.0, len(TABLE[1])) if weighted else None
    grid = {"n_estimators": [1, 3]}
    case = Case(XGBClassifier(random_state=0), grid, *TABLE, scoring=metrics, cv=2, weights=weights)
    scorer = check_scoring(case.estimator, scoring=list(metrics))
    ours = run(sweep_of(case, scorer=scorer, metrics=tuple(metrics)), SerialEngine())
    assert_same_results(ours.cv_results_, grid_search(case, refit="neg_log_loss").cv_results_)
