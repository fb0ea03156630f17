"""Folds in lockstep: the scores of separate fits to the last bit, one value for all folds at the same round."""

from __future__ import annotations

import math
import threading
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.metrics import check_scoring
from xgboost import XGBClassifier, XGBRegressor

from hptune.fitters import evaluate
from hptune.fitters._matrix_cache import WORKER_CACHE
from hptune.plan import make_plan
from hptune.records import EarlyStopping, Outcome
from tests.builders import Case, classes_table, evaluation, numbers_table


@dataclass
class Script:
    """Reports that are taken down; runs stop after the steps that are given."""

    every: int = 1
    stop_after: Mapping[int, int] = field(default_factory=dict)
    told: list[tuple[int, int, float]] = field(default_factory=list)
    finished: list[int] = field(default_factory=list)
    stopped: set[int] = field(default_factory=set)

    def reads(self, step: int) -> bool:
        return step % self.every == 0

    def report(self, run: int, step: int, value: float) -> bool:
        self.told.append((run, step, value))
        if step >= self.stop_after.get(run, 10**9):
            self.stopped.add(run)
        return run in self.stopped

    def stops(self, run: int) -> bool:
        return run in self.stopped

    def finish(self, run: int) -> int:
        self.finished.append(run)
        return 0


SAMPLED = {"subsample": 0.5, "colsample_bynode": 0.6, "seed": 3, "max_depth": 3, "n_jobs": 1}
CASES = {
    "classifier": Case(
        XGBClassifier(**SAMPLED),
        {"n_estimators": [4, 9], "learning_rate": [0.1, 0.4]},
        *classes_table(classes=3),
    ),
    "regressor": Case(
        XGBRegressor(**SAMPLED), {"n_estimators": [7], "max_depth": [2, 4]}, *numbers_table(), cv=5
    ),
    "dart": Case(
        XGBRegressor(booster="dart", rate_drop=0.5, **SAMPLED), {"n_estimators": [6]}, *numbers_table()
    ),
    "gradient boosting": Case(
        GradientBoostingClassifier(subsample=0.5, max_features=2, random_state=1),
        {"n_estimators": [3, 8]},
        *classes_table(classes=3),
    ),
    "gradient boosting without a seed to share": Case(
        GradientBoostingClassifier(random_state=1, n_iter_no_change=2, tol=10.0),
        {"n_estimators": [20]},
        *classes_table(),
    ),
}


def outcomes_of(
    case: Case, script: Script | None, *, lockstep: bool = True, **fields: Any
) -> dict[tuple[int, int], Outcome]:
    candidates = [
        dict(zip(case.grid, values, strict=True))  # type: ignore[arg-type]
        for values in _product(list(case.grid.values()))  # type: ignore[union-attr]
    ]
    plan = make_plan(case.estimator, candidates, case.cv, {}, lockstep=lockstep)
    data = replace(evaluation(case, run_id=uuid.uuid4().hex, **fields), reports=script)
    return {(each.candidate, each.fold): each for task in plan.tasks for each in evaluate(data, task)}


def _product(lists: Sequence[Sequence[Any]]) -> list[tuple[Any, ...]]:
    return [(first, *rest) for first in lists[0] for rest in _product(lists[1:])] if lists else [()]


def scores(outcomes: Mapping[tuple[int, int], Outcome]) -> dict[tuple[int, int], Any]:
    return {cell: (each.status, each.test_scores, each.n_test_samples) for cell, each in outcomes.items()}


@pytest.mark.parametrize("every", [1, 3, 1000])
@pytest.mark.parametrize("name", CASES)
def test_scores_are_those_of_separate_fits_to_the_last_bit(name: str, every: int) -> None:
    case, script = CASES[name], Script(every)
    apart = outcomes_of(case, None, lockstep=False)
    together = outcomes_of(case, script)
    assert scores(together) == scores(apart)
    assert {each.status for each in together.values()} == {"ok"}
    assert [each.rounds_trained for each in together.values()] == [
        apart[cell].rounds_trained for cell in together
    ]
    assert bool(script.told) == (every < 1000)


def test_a_report_is_the_mean_of_all_folds_at_the_same_round() -> None:
    case, script = CASES["classifier"], Script()
    outcomes_of(case, script)
    rungs = replace(case, grid={"n_estimators": list(range(1, 10)), "learning_rate": [0.1, 0.4]})
    alone = outcomes_of(rungs, None, lockstep=False)
    for run, rate in ((2, 0), (3, 1)):  # the longer ones of the two ladders
        curve = [(step, value) for told, step, value in script.told if told == run]
        means = [
            math.fsum(alone[2 * rung + rate, fold].test_scores["score"] for fold in range(3)) / 3
            for rung in range(9)
        ]
        assert curve == list(zip(range(1, 10), means, strict=True))
    assert sorted(script.finished) == [2, 3]


@pytest.mark.parametrize("name", ["classifier", "gradient boosting"])
def test_a_stopped_run_ends_at_once_on_all_folds_and_its_finished_rungs_stay(name: str) -> None:
    case = CASES[name]
    whole = outcomes_of(case, None, lockstep=False)
    longest = 2 if name == "classifier" else 1
    short, stop = case.grid["n_estimators"][0], 5  # type: ignore[call-overload]
    script = Script(stop_after={longest: stop})
    outcomes = outcomes_of(case, script)
    reported = {step: value for run, step, value in script.told if run == longest}
    assert max(reported) == stop
    for fold in range(case.cv):
        assert outcomes[0, fold].test_scores == whole[0, fold].test_scores
        assert (outcomes[0, fold].status, outcomes[0, fold].rounds_trained) == ("ok", short)
        stopped = outcomes[longest, fold]
        assert (stopped.status, stopped.stopped_after) == ("stopped", stop)
        assert stopped.rounds_trained == stop - short
        assert not stopped.final_scores
    mean = math.fsum(outcomes[longest, fold].test_scores["score"] for fold in range(case.cv)) / case.cv
    assert mean == reported[stop]


def test_a_stop_between_two_reports_takes_effect_within_two_rounds() -> None:
    case = Case(XGBRegressor(**SAMPLED), {"n_estimators": [40]}, *numbers_table(), cv=3)
    rounds: list[int] = []

    class Impatient(Script):
        def stops(self, run: int) -> bool:
            rounds.append(len(self.told))
            if len(rounds) == 4:  # told by somebody else, after the first report
                self.stopped.add(run)
            return super().stops(run)

    outcomes = outcomes_of(case, Impatient(every=10))
    first = outcomes[0, 0]
    assert {each.status for each in outcomes.values()} == {"stopped"}
    assert first.rounds_trained <= 4 + 2
    assert all(each.rounds_trained <= 11 for each in outcomes.values())


def test_a_stop_with_the_last_round_leaves_the_run_whole() -> None:
    case = Case(XGBRegressor(**SAMPLED), {"n_estimators": [6]}, *numbers_table(), cv=3)
    outcomes = outcomes_of(case, Script(stop_after={0: 6}))
    assert scores(outcomes) == scores(outcomes_of(case, None, lockstep=False))


def test_folds_share_their_matrices_with_the_next_candidate() -> None:
    case = replace(CASES["regressor"], grid={"n_estimators": [3], "max_depth": [2, 3, 4]})
    WORKER_CACHE.clear()
    outcomes = outcomes_of(case, Script())
    assert sum(each.matrices_built for each in outcomes.values()) == case.cv
    WORKER_CACHE.clear()


def test_no_thread_is_left() -> None:
    before = threading.active_count()
    outcomes_of(CASES["classifier"], Script(stop_after={2: 1, 3: 2}))
    assert threading.active_count() == before


@pytest.mark.filterwarnings("ignore")  # scikit-learn tells of the label
def test_a_fold_that_fails_makes_the_mean_no_number() -> None:
    X, y = numbers_table()
    case = Case(XGBRegressor(**SAMPLED), {"n_estimators": [5]}, X, y.copy(), cv=3)
    case.y[case.folds[1][0][0]] = np.nan  # a training row of folds 1 and 2, a scored one of fold 0
    script = Script()
    outcomes = outcomes_of(case, script)
    assert {each.status for each in outcomes.values()} == {"failed", "ok"}
    assert all(math.isnan(value) for _, _, value in script.told)


def test_a_fold_that_stops_early_by_itself_counts_on_with_its_last_score() -> None:
    case = Case(
        XGBClassifier(early_stopping_rounds=2, eval_metric="logloss", **SAMPLED),
        {"n_estimators": [60]},
        *classes_table(rows=200),
        cv=3,
    )
    early, script = EarlyStopping(rounds=2, validation_fraction=0.3), Script()
    outcomes = outcomes_of(case, script, early_stopping=early)
    apart = outcomes_of(case, None, lockstep=False, early_stopping=early)
    assert scores(outcomes) == scores(apart)
    rounds = [outcomes[0, fold].rounds_trained for fold in range(3)]
    assert len(set(rounds)) > 1
    assert [step for _, step, _ in script.told] == list(range(1, max(rounds) + 1))
    assert not any(math.isnan(value) for _, _, value in script.told)


def test_many_metrics_are_scored_and_one_is_reported() -> None:
    case = CASES["regressor"]
    scorer = check_scoring(case.estimator, scoring=["r2", "neg_mean_absolute_error"])
    script = Script(stop_after={0: 3})
    candidates = [{"n_estimators": 6}]
    (task,) = make_plan(case.estimator, candidates, case.cv, {}, lockstep=True).tasks
    data = replace(
        evaluation(case, run_id=uuid.uuid4().hex),
        scorer=scorer,
        metric="neg_mean_absolute_error",
        reports=script,
    )
    outcomes = evaluate(data, task)
    assert all(each.test_scores.keys() == {"r2", "neg_mean_absolute_error"} for each in outcomes)
    mean = math.fsum(each.test_scores["neg_mean_absolute_error"] for each in outcomes) / case.cv
    assert script.told[-1] == (0, 3, mean)


def test_partial_fit_goes_pass_by_pass() -> None:
    case = Case(
        SGDClassifier(loss="log_loss", random_state=0), {"max_iter": [6], "alpha": [0.1]}, *classes_table()
    )
    script = Script()
    outcomes = outcomes_of(case, script)
    assert [(run, step) for run, step, _ in script.told] == [(0, step) for step in range(1, 7)]
    model = SGDClassifier(loss="log_loss", random_state=0, alpha=0.1)
    train, test = case.folds[0]
    for _ in range(6):
        model.partial_fit(case.X[train], case.y[train], classes=[0, 1])
    assert outcomes[0, 0].test_scores == {"score": model.score(case.X[test], case.y[test])}
    assert outcomes[0, 0].rounds_trained == 6
    stopped = outcomes_of(case, Script(stop_after={0: 2}))
    assert {(each.status, each.rounds_trained) for each in stopped.values()} == {("stopped", 2)}


def test_what_has_no_rounds_is_fitted_to_its_end() -> None:
    case = Case(LogisticRegression(), {"C": [0.1]}, *classes_table())
    script = Script(stop_after={0: 1})
    assert scores(outcomes_of(case, script)) == scores(outcomes_of(case, None, lockstep=False))
    assert not script.told
