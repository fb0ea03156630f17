"""Which candidates share a fit, and that sharing changes no bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from xgboost import XGBClassifier, XGBRanker, XGBRegressor, XGBRFClassifier, XGBRFRegressor
from xgboost.callback import LearningRateScheduler

from hptune.engine import SerialEngine
from hptune.fitters import Ladder, fitter_for
from hptune.plan import make_plan
from tests.builders import Case, assert_same_results, classes_table, grid_search, numbers_table, swept


class TunedClassifier(XGBClassifier):
    """A subclass may do anything, so nothing is known about its rounds."""


def squared(y_true: Any, y_pred: Any) -> tuple[Any, Any]:
    return y_pred - y_true, np.ones_like(y_pred)


def halving(epoch: int) -> float:
    return 0.5**epoch


def ladder(estimator: Any, **fit_params: Any) -> Ladder | None:
    return fitter_for(estimator).ladder(estimator, fit_params)


NEVER = {
    "dart": XGBClassifier(booster="dart"),
    "gblinear": XGBClassifier(booster="gblinear"),
    "random forest classifier": XGBRFClassifier(),
    "random forest regressor": XGBRFRegressor(),
    "subclass": TunedClassifier(),
    "early stopping": XGBClassifier(early_stopping_rounds=3),
    "callbacks": XGBClassifier(callbacks=[LearningRateScheduler(halving)]),
    "callable objective": XGBRegressor(objective=squared),
    "process_type": XGBClassifier(process_type="update"),
    "rounds as a float": XGBClassifier(n_estimators=3.0),
    "rounds as a bool": XGBClassifier(n_estimators=True),
    "no rounds": XGBClassifier(n_estimators=0),
}


@pytest.mark.parametrize("name", NEVER)
def test_estimators_whose_rounds_differ_are_fitted_apart(name: str) -> None:
    assert ladder(NEVER[name]) is None


@pytest.mark.parametrize("name", ["eval_set", "xgb_model", "verbose", "base_margin_eval_set", "unheard_of"])
def test_other_fit_parameters_rule_a_ladder_out(name: str) -> None:
    assert ladder(XGBClassifier(), **{name: None}) is None


@pytest.mark.parametrize("name", ["sample_weight", "base_margin", "feature_weights", "qid", "group"])
def test_fit_parameters_of_the_rows_do_not_rule_a_ladder_out(name: str) -> None:
    assert ladder(XGBRanker(n_estimators=7), **{name: None}) == Ladder("n_estimators", 7)


@pytest.mark.parametrize(
    ("rounds", "counted"), [(None, 100), (1, 1), (np.int64(5), 5)], ids=["default", "one", "numpy"]
)
def test_rounds_are_counted_as_xgboost_counts_them(rounds: Any, counted: int) -> None:
    assert ladder(XGBClassifier(n_estimators=rounds)) == Ladder("n_estimators", counted)


@pytest.mark.parametrize("name", ["dart", "gblinear", "random forest classifier", "subclass"])
def test_what_is_never_laddered_still_gives_scikit_learns_answer(name: str) -> None:
    estimator = NEVER[name].set_params(random_state=0)
    other = "max_depth" if name != "gblinear" else "reg_lambda"  # XGBoost warns of what it does not use
    case = Case(estimator, {"n_estimators": [2, 4], other: [2]}, *classes_table(80))
    result = swept(case, SerialEngine())
    assert result.savings.fits == 6
    assert_same_results(result.cv_results_, grid_search(case, refit=False).cv_results_)


SAME = {
    "subsample": {"subsample": 0.5},
    "colsample_bytree": {"colsample_bytree": 0.5},
    "colsample_bylevel": {"colsample_bylevel": 0.5},
    "colsample_bynode": {"colsample_bynode": 0.5},
    "all sampling at once": {"subsample": 0.6, "colsample_bytree": 0.7, "colsample_bylevel": 0.7},
    "num_parallel_tree": {"num_parallel_tree": 3, "subsample": 0.6},
    "lossguide": {"grow_policy": "lossguide", "max_leaves": 5, "tree_method": "hist"},
    "exact": {"tree_method": "exact", "subsample": 0.7},
    "approx": {"tree_method": "approx", "subsample": 0.7},
    "hist": {"tree_method": "hist", "max_bin": 16},
    "alias spellings": {"eta": 0.2, "lambda": 2.0},
    "no seed": {"random_state": None, "subsample": 0.5},
}


@pytest.mark.parametrize("name", SAME)
@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
def test_a_ladder_gives_scikit_learns_answer(name: str, weighted: bool) -> None:
    X, y = classes_table(90, classes=3)
    weights = np.random.default_rng(0).uniform(0.1, 2.0, len(y)) if weighted else None
    estimator = XGBClassifier(**{"random_state": 0, **SAME[name]})
    case = Case(estimator, {"n_estimators": [6, 1, 3]}, X, y, scoring="neg_log_loss", weights=weights)
    result = swept(case, SerialEngine())
    assert result.savings.fits == 3
    assert_same_results(result.cv_results_, grid_search(case, refit=False).cv_results_)


def test_multi_output_trees_give_scikit_learns_answer() -> None:
    X, y = numbers_table()
    estimator = XGBRegressor(random_state=0, multi_strategy="multi_output_tree", tree_method="hist")
    case = Case(estimator, {"n_estimators": [2, 5]}, X, np.column_stack([y, -2 * y]), scoring="r2")
    result = swept(case, SerialEngine())
    assert_same_results(result.cv_results_, grid_search(case, refit=False).cv_results_)


def test_a_base_margin_gives_scikit_learns_answer() -> None:
    import functools

    from sklearn.model_selection import GridSearchCV

    from hptune.fitters import evaluate
    from tests.builders import evaluation

    X, y = numbers_table()
    margin = np.linspace(-50, 50, len(y))
    case = Case(XGBRegressor(random_state=0, subsample=0.5), {"n_estimators": [2, 5]}, X, y)
    fit_params = {"base_margin": margin}
    data = evaluation(case, run_id="margin").__class__(
        **{**vars(evaluation(case, run_id="margin")), "fit_params": fit_params}
    )
    plan = make_plan(case.estimator, [{"n_estimators": 2}, {"n_estimators": 5}], 3, fit_params)
    assert len(plan.tasks) == 3
    outcomes = [o for task in plan.tasks for o in functools.partial(evaluate, data)(task)]
    search = GridSearchCV(case.estimator, case.grid, cv=case.folds, refit=False).fit(X, y, **fit_params)
    for outcome in outcomes:
        expected = search.cv_results_[f"split{outcome.fold}_test_score"][outcome.candidate]
        assert outcome.test_scores["score"] == expected


def test_feature_weights_of_one_candidate_do_not_reach_another() -> None:
    X, y = classes_table(90)
    weights = [np.array([1.0, 0, 0, 0, 0, 0]), np.array([0, 0, 0, 0, 0, 1.0])]
    estimator = XGBClassifier(random_state=0, colsample_bynode=0.3)
    case = Case(estimator, {"feature_weights": weights, "n_estimators": [2, 4]}, X, y, scoring="neg_log_loss")
    result = swept(case, SerialEngine())
    assert result.savings.fits == 6
    assert_same_results(result.cv_results_, grid_search(case, refit=False).cv_results_)


def test_tree_methods_and_bins_of_one_candidate_do_not_reach_another() -> None:
    X, y = classes_table(90)
    grid = {"tree_method": ["exact", "hist", "approx"], "max_bin": [4, 64], "n_estimators": [2, 4]}
    case = Case(XGBClassifier(random_state=0), grid, X, y, scoring="neg_log_loss")
    result = swept(case, SerialEngine())
    assert_same_results(result.cv_results_, grid_search(case, refit=False).cv_results_)


APPROXIMATE = {
    "rows drawn": {"subsample": [0.5, 0.7, 1.0], "n_estimators": [3, 5]},
    "seeds": {"random_state": [0, 1], "subsample": [0.5]},
    "objectives": {"objective": ["reg:pseudohubererror", "reg:squarederror"]},
}


@pytest.mark.parametrize(
    "method",
    [{"tree_method": "approx"}, {"tree_method": "exact", "updater": "grow_histmaker", "verbosity": 0}],
    ids=str,
)
@pytest.mark.parametrize("name", APPROXIMATE)
def test_cuts_by_one_candidates_gradients_do_not_reach_another(name: str, method: Any) -> None:
    X, y = numbers_table(rows=600)
    case = Case(XGBRegressor(random_state=0, max_bin=16, n_estimators=4, **method), APPROXIMATE[name], X, y)
    result = swept(case, SerialEngine())
    assert_same_results(result.cv_results_, grid_search(case, refit=False).cv_results_)


def test_missing_values_of_one_candidate_do_not_reach_another() -> None:
    X, y = classes_table(90)
    X = np.where(X > 1, 0.0, X)
    case = Case(XGBClassifier(random_state=0), {"missing": [np.nan, 0.0], "n_estimators": [2, 4]}, X, y)
    result = swept(case, SerialEngine())
    assert_same_results(result.cv_results_, grid_search(case, refit=False).cv_results_)


def test_candidates_of_a_ladder_come_from_any_part_of_the_grid() -> None:
    grid = [
        {"n_estimators": [4, 2], "max_depth": [2]},
        {"max_depth": [2, 3], "n_estimators": [3]},
    ]
    case = Case(XGBClassifier(random_state=0), grid, *classes_table(90))
    result = swept(case, SerialEngine())
    assert result.savings.fits == 2 * 3
    assert_same_results(result.cv_results_, grid_search(case, refit=False).cv_results_)


def test_a_rungs_time_is_what_it_alone_would_take() -> None:
    case = Case(XGBClassifier(random_state=0), {"n_estimators": [50, 1]}, *classes_table(90))
    result = swept(case, SerialEngine())
    long, short = result.cv_results_["mean_fit_time"]
    assert long > short > 0
    work = result.table.sort_values("candidate")["work_time"]
    assert work.iloc[0] < 3 * (long + result.cv_results_["mean_score_time"][0])


def test_a_failing_rung_has_its_own_error_and_the_others_their_scores() -> None:
    grid = [{"n_estimators": [2, 3]}, {"n_estimators": [2], "max_depth": [-3]}]
    case = Case(XGBClassifier(random_state=0), grid, *classes_table(90))
    result = swept(case, SerialEngine())
    table = result.table.sort_values("candidate")
    assert list(table["status"]) == ["ok", "ok", "failed"]
    assert "max_depth" in table["error"].iloc[2]
