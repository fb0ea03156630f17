"""Early stopping: validation rows come from a fold's training rows, and the scored rows are never looked at."""

from __future__ import annotations

import uuid
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge
from sklearn.metrics import check_scoring, mean_squared_error
from sklearn.model_selection import KFold
from xgboost import XGBClassifier, XGBRanker, XGBRegressor

from hptune.config import parse_config
from hptune.engine import SerialEngine
from hptune.errors import ConfigurationError
from hptune.fitters import Evaluation, evaluate, stopping_early
from hptune.fitters._early_stopping import validation_split
from hptune.matrix import FeatureMatrix
from hptune.records import EarlyStopping, FitTask, Outcome, Rung
from hptune.summary import SweepResult
from hptune.sweep import Sweep, run
from tests.builders import examples

EARLY = EarlyStopping(rounds=3, validation_fraction=0.2, seed=1)
RNG = np.random.default_rng(0)
# The first column is the row's number, so that whoever sees a row can tell which it was.
X = np.column_stack([np.arange(200.0), RNG.normal(size=(200, 3))])
Y = X[:, 1] + RNG.normal(size=200)
FOLDS = list(KFold(4, shuffle=True, random_state=0).split(X))


def stopped(estimator: Any, fold: int = 0, y: Any = Y, **evaluation: Any) -> Outcome:
    """The outcome of one fit that stops early."""
    scorer = evaluation.pop("scorer", None) or check_scoring(estimator, "neg_mean_squared_error")
    data = Evaluation(
        stopping_early(estimator, EARLY, []),
        X,
        y,
        FOLDS,
        scorer,
        early_stopping=EARLY,
        run_id=uuid.uuid4().hex,
        **evaluation,
    )
    (outcome,) = evaluate(data, FitTask(0, fold, {}, (Rung(0),)))
    return outcome


def watch(monkeypatch: pytest.MonkeyPatch, kind: type) -> list[dict[str, Any]]:
    """Records what every fit of `kind` gets."""
    calls: list[dict[str, Any]] = []
    fit = kind.fit  # type: ignore[attr-defined]

    def watched(self: Any, X: Any, y: Any, **arguments: Any) -> Any:
        calls.append({"X": X, "y": y, **arguments})
        return fit(self, X, y, **arguments)

    monkeypatch.setattr(kind, "fit", watched)
    return calls


def rows_in(X: Any) -> set[int]:
    return set(np.asarray(X)[:, 0].astype(int))


@pytest.mark.parametrize("fold", range(4))
def test_scored_rows_reach_neither_fit_nor_its_validation_rows(
    fold: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = watch(monkeypatch, XGBRegressor)
    stopped(XGBRegressor(), fold)
    (call,) = calls
    learned, watched = rows_in(call["X"]), rows_in(call["eval_set"][0][0])
    train, test = (set(numbers) for numbers in FOLDS[fold])
    assert learned | watched == train
    assert not learned & watched
    assert not (learned | watched) & test


def test_the_outcome_is_that_of_a_fit_watched_by_hand() -> None:
    outcome = stopped(XGBRegressor(n_estimators=50))
    train, test = FOLDS[0]
    learned, watched = (train[part] for part in validation_split(EARLY, Y[train], None, stratify=False))
    by_hand = XGBRegressor(n_estimators=50, early_stopping_rounds=3)
    by_hand.fit(X[learned], Y[learned], eval_set=[(X[watched], Y[watched])], verbose=False)
    assert outcome.best_iteration == by_hand.best_iteration + 1
    assert outcome.test_scores["score"] == -mean_squared_error(Y[test], by_hand.predict(X[test]))
    assert outcome.rounds_trained == by_hand.get_booster().num_boosted_rounds() < 50


def test_weights_and_margins_are_cut_with_the_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = watch(monkeypatch, XGBRegressor)
    numbers = np.arange(200.0)
    stopped(XGBRegressor(), fit_params={"sample_weight": 1 + numbers, "base_margin": -numbers})
    (call,) = calls
    watched = call["eval_set"][0][0][:, 0]
    np.testing.assert_array_equal(call["sample_weight"], 1 + call["X"][:, 0])
    np.testing.assert_array_equal(call["sample_weight_eval_set"][0], 1 + watched)
    np.testing.assert_array_equal(call["base_margin_eval_set"][0], -watched)


def test_queries_of_a_ranker_stay_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = watch(monkeypatch, XGBRanker)
    queries = np.repeat(np.arange(40), 5)
    relevance = (np.random.default_rng(1).random(200) < 0.4).astype(int)
    outcome = stopped(XGBRanker(), y=relevance, scorer=lambda *_: 1.0, fit_params={"qid": queries})
    (call,) = calls
    assert outcome.best_iteration is not None
    assert not set(call["qid"]) & set(call["eval_qid"][0])


def test_a_classifier_keeps_the_shares_of_its_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = watch(monkeypatch, XGBClassifier)
    y = (np.arange(200) % 10 == 0).astype(int)
    stopped(XGBClassifier(), y=y, scorer=check_scoring(XGBClassifier(), "accuracy"))
    (call,) = calls
    assert np.mean(call["eval_set"][0][1]) == pytest.approx(np.mean(call["y"]), abs=0.04)


@settings(max_examples=examples(1.5), deadline=None)
@given(
    fraction=st.floats(0.1, 0.5),
    seed=st.integers(0, 99),
    grouped=st.booleans(),
    stratify=st.booleans(),
)
def test_a_split_parts_all_rows_keeps_groups_whole_and_repeats(
    fraction: float, seed: int, grouped: bool, stratify: bool
) -> None:
    early = EarlyStopping(5, fraction, seed)
    y = np.tile([0, 0, 1], 40)
    groups = np.repeat(np.arange(30), 4) if grouped else None
    learned, watched = validation_split(early, y, groups, stratify=stratify)
    np.testing.assert_array_equal(np.sort(np.concatenate([learned, watched])), np.arange(120))
    assert (np.diff(learned) > 0).all() and (np.diff(watched) > 0).all()
    if groups is not None:
        assert not set(groups[learned]) & set(groups[watched])
    again = validation_split(early, y, groups, stratify=stratify)
    np.testing.assert_array_equal(watched, again[1])


def swept(early: EarlyStopping | None, candidates: list[dict[str, Any]]) -> SweepResult:
    train = FeatureMatrix(X, ("number", "a", "b", "c"), y=Y)
    estimator = XGBRegressor(n_estimators=60)
    scorer = check_scoring(estimator, "r2")
    sweep = Sweep("early", train, estimator, candidates, FOLDS, scorer, early_stopping=early)
    return run(sweep, SerialEngine())


def test_best_iterations_stand_in_the_table_and_their_mean_refits_the_winner() -> None:
    result = swept(EARLY, [{"max_depth": 2}, {"max_depth": 3}])
    folds = [result.cv_results_[f"split{fold}_best_iteration"] for fold in range(4)]
    means = result.cv_results_["mean_best_iteration"]
    np.testing.assert_array_equal(means, np.mean(folds, axis=0))
    assert set(result.table["mean_best_iteration"]) == set(means)
    rounds = result.best_model.get_booster().num_boosted_rounds()
    assert rounds == round(means[result.best_index]) < 60


def test_without_early_stopping_the_table_has_no_such_column() -> None:
    result = swept(None, [{"max_depth": 2}])
    assert not [name for name in result.cv_results_ if "best_iteration" in name]


def test_candidates_that_differ_in_rounds_are_fitted_apart() -> None:
    result = swept(EARLY, [{"n_estimators": 2}, {"n_estimators": 60}])
    assert result.savings.fits == 2 * 4


def test_other_estimators_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="does not know Ridge"):
        stopping_early(Ridge(), EARLY, [])
    with pytest.raises(ConfigurationError, match="keep one of them"):
        stopping_early(XGBRegressor(), EARLY, [{"early_stopping_rounds": 3}])


RAW = {"data": "d", "estimator": "xgboost.XGBRegressor", "search_space": {"max_depth": [1]}}


def test_the_sweep_file_gives_rounds_fraction_and_seed() -> None:
    config = parse_config({**RAW, "early_stopping": {"rounds": 50}, "seed": 7})
    assert config.early_stopping == EarlyStopping(50, 0.1, 7)
    assert parse_config({**RAW, **config.to_mapping()}).early_stopping == config.early_stopping


@pytest.mark.parametrize(
    "value, told",
    [
        (50, "must be a map"),
        ({"round": 50}, "rounds"),
        ({}, "early_stopping.rounds must be"),
        ({"rounds": 0}, "early_stopping.rounds must be"),
        ({"rounds": True}, "early_stopping.rounds must be"),
        ({"rounds": 5, "validation_fraction": 1.0}, "between 0 and 1"),
        ({"rounds": 5, "validation_fraction": "0.1"}, "between 0 and 1"),
    ],
)
def test_a_wrong_value_is_told_in_one_line(value: Any, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        parse_config({**RAW, "early_stopping": value})
