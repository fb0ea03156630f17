"""Asking and telling while fits run: nothing twice, nothing forgotten, repeatable where it is asked for."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge
from xgboost import XGBRegressor

from hptune.adaptive import Exploration, expected_plan
from hptune.errors import ConfigurationError
from hptune.plan import make_plan
from hptune.records import FitTask, Outcome
from hptune.samplers import BayesianSampler, RandomSampler, Sampler, Scored
from hptune.space import Params, parse_space
from tests.builders import examples

SPACE = parse_space({"alpha": "float(0.001, 10, log=true)", "tol": "uniform(0, 1)"})
FOLDS = 3


class Listening(RandomSampler):
    """Draws at random, and keeps what it is told."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.heard: list[Scored] = []

    def tell(self, results: Any) -> None:
        self.heard += results


def exploration(sampler: Sampler, limit: int = 12, estimator: Any = None, **options: Any) -> Exploration:
    def plan_of(candidates: Sequence[Any]) -> Any:
        return make_plan(estimator or Ridge(), candidates, FOLDS, {})

    return Exploration(sampler, limit=limit, n_folds=FOLDS, metric="score", plan_of=plan_of, **options)


def score(params: Params, fold: int) -> float:
    return -abs(math.log10(params["alpha"]) + 1) - params["tol"] + 0.01 * fold


def outcomes_of(task: FitTask, explored: Exploration) -> list[Outcome]:
    return [
        Outcome(
            rung.candidate,
            task.fold,
            "ok",
            {"score": score(explored.candidates[rung.candidate], task.fold)},
            fit_id=task.id,
        )
        for rung in task.rungs
    ]


def explored_by(
    explored: Exploration, slots: int, order: random.Random, stop_after: int | None = None
) -> list[Outcome]:
    """Runs the fits on `slots` at once, which end in a random order."""
    explored.begin(slots)
    running: list[FitTask] = []
    seen: list[Outcome] = []
    while True:
        running += explored.feed(slots - len(running))
        if not running or (stop_after is not None and len(seen) >= stop_after):
            return seen
        for outcome in outcomes_of(running.pop(order.randrange(len(running))), explored):
            seen.append(outcome)
            explored.see([outcome])


@settings(max_examples=examples(2), deadline=None)
@given(
    limit=st.integers(1, 10),
    slots=st.integers(1, 7),
    deterministic=st.booleans(),
    seed=st.integers(0, 99),
)
def test_every_cell_is_fitted_once_and_every_candidate_told_once(
    limit: int, slots: int, deterministic: bool, seed: int
) -> None:
    sampler = Listening(SPACE, seed)
    explored = exploration(sampler, limit, deterministic=deterministic)
    outcomes = explored_by(explored, slots, random.Random(seed))  # noqa: S311
    cells = sorted((outcome.candidate, outcome.fold) for outcome in outcomes)
    assert cells == [(candidate, fold) for candidate in range(limit) for fold in range(FOLDS)]
    assert [outcome.fit_id for outcome in sorted(outcomes, key=lambda o: o.fit_id)] == list(
        range(limit * FOLDS)
    )
    explored.feed(1)
    assert sorted(told.candidate for told in sampler.heard) == list(range(limit))
    for told in sampler.heard:
        params = explored.candidates[told.candidate]
        assert told.score == pytest.approx(sum(score(dict(params), fold) for fold in range(FOLDS)) / FOLDS)
    assert (explored.plan.n_cells, len(explored.plan.tasks)) == (limit * FOLDS, limit * FOLDS)


def test_no_slot_waits_while_candidates_are_left() -> None:
    explored = exploration(Listening(SPACE, 0), limit=4)
    running = explored.feed(5)
    assert len(running) == 5
    assert [task.rungs[0].candidate for task in running] == [0, 0, 0, 1, 1]
    assert len(explored.feed(2)) == 2
    assert len(explored.feed(99)) == 12 - 7
    assert explored.feed(1) == []


def test_a_candidate_is_told_before_the_next_is_asked_for() -> None:
    sampler = Listening(SPACE, 0)
    explored = exploration(sampler, limit=3)
    for number in range(3):
        for task in explored.feed(1) + explored.feed(1) + explored.feed(1):
            for outcome in outcomes_of(task, explored):
                explored.see([outcome])
        assert len(sampler.heard) == number
    explored.feed(1)
    assert len(sampler.heard) == 3


@pytest.mark.parametrize("slots", [1, 2, 5])
def test_deterministic_sweeps_repeat_exactly_whatever_ends_first(slots: int) -> None:
    runs = []
    for seed in range(5):
        explored = exploration(BayesianSampler(SPACE, 1), limit=20, deterministic=True)
        explored_by(explored, slots, random.Random(seed))  # noqa: S311
        runs.append(explored.candidates)
    assert all(run == runs[0] for run in runs)


def test_a_batch_is_told_in_order_and_at_once() -> None:
    sampler = Listening(SPACE, 0)
    explored = exploration(sampler, limit=4, deterministic=True)
    explored.begin(slots=4)
    for task in reversed(explored.feed(99)):
        assert not sampler.heard and not explored.feed(1)
        for outcome in outcomes_of(task, explored):
            explored.see([outcome])
    explored.feed(1)
    assert [told.candidate for told in sampler.heard] == [0, 1, 2, 3]


def test_a_failed_fold_is_told_as_no_number() -> None:
    sampler = Listening(SPACE, 0)
    explored = exploration(sampler, limit=1)
    for task in explored.feed(3):
        failed = task.fold == 1
        explored.see([Outcome(0, task.fold, "failed" if failed else "ok", {} if failed else {"score": 1.0})])
    explored.feed(1)
    assert [math.isnan(told.score) for told in sampler.heard] == [True]


def test_candidates_of_a_batch_that_differ_in_rounds_share_a_fit() -> None:
    space = parse_space({"n_estimators": [2, 4], "max_depth": [1, 2]})
    explored = exploration(RandomSampler(space, 0), limit=9, estimator=XGBRegressor(), deterministic=True)
    explored.begin(slots=4)
    assert len(explored.feed(99)) == 2 * FOLDS
    assert explored.plan.n_candidates == 4 and explored.plan.rounds_asked == 12 * FOLDS


@pytest.mark.parametrize("deterministic", [False, True])
@pytest.mark.parametrize("stop_after", [0, 1, 7, 20, 31])
def test_what_was_stopped_goes_on_as_if_it_had_not_been(deterministic: bool, stop_after: int) -> None:
    slots = 4 if deterministic else 1

    def new() -> Exploration:
        return exploration(BayesianSampler(SPACE, 2), limit=14, deterministic=deterministic)

    undisturbed, stopped, resumed = new(), new(), new()
    explored_by(undisturbed, slots, random.Random(0))  # noqa: S311
    outcomes = explored_by(stopped, slots, random.Random(0), stop_after)  # noqa: S311
    asked = stopped.questions()
    resumed.replay(asked, outcomes, first_fit=100)
    more = explored_by(resumed, slots, random.Random(0))  # noqa: S311
    assert resumed.candidates == undisturbed.candidates
    assert len(outcomes) + len(more) == 14 * FOLDS
    assert all(outcome.fit_id >= 100 for outcome in more)
    assert [question.candidate for question in asked + resumed.questions()] == list(range(14))


def test_a_sampler_that_answers_otherwise_than_before_is_refused() -> None:
    first = exploration(BayesianSampler(SPACE, 2))
    outcomes = explored_by(first, 1, random.Random(0))  # noqa: S311
    with pytest.raises(
        ConfigurationError, match="draws another candidate 0 than before: give the same search_space"
    ):
        exploration(BayesianSampler(SPACE, 3)).replay(first.questions(), outcomes)


def test_a_space_that_is_exhausted_ends_the_sweep() -> None:
    explored = exploration(RandomSampler(parse_space({"alpha": [1, 2], "tol": 0.1}), 0), limit=9)
    explored_by(explored, 2, random.Random(0))  # noqa: S311
    assert len(explored.candidates) == 2


def test_what_is_expected_has_a_cell_for_every_candidate_and_fold() -> None:
    plan = expected_plan(4, 3)
    assert plan.n_cells == len(plan.tasks) == 12
    assert {(task.rungs[0].candidate, task.fold) for task in plan.tasks} == {
        (candidate, fold) for candidate in range(4) for fold in range(3)
    }
