"""Laws of the plan and of packing."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import BaseEstimator
from sklearn.linear_model import Ridge
from xgboost import XGBClassifier

from hptune.plan import BUNDLE_SECONDS, make_plan, pack
from hptune.records import FitTask, Rung

CANDIDATES = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "n_estimators": st.sampled_from([1, 2, 3, None, 2.5]),
            "max_depth": st.sampled_from([2, 3]),
            "booster": st.sampled_from(["gbtree", "dart"]),
        },
    ),
    min_size=1,
    max_size=8,
)


def costs(values: list[float]) -> list[FitTask]:
    ordered = sorted(values, reverse=True)
    return [FitTask(number, 0, {}, (Rung(number),), cost=cost) for number, cost in enumerate(ordered)]


@given(candidates=CANDIDATES, folds=st.integers(1, 4))
def test_every_candidate_is_planned_once_on_every_fold(candidates: list[dict[str, Any]], folds: int) -> None:
    plan = make_plan(XGBClassifier(), candidates, folds, {})
    cells = Counter((rung.candidate, task.fold) for task in plan.tasks for rung in task.rungs)
    assert cells == {(number, fold): 1 for number in range(len(candidates)) for fold in range(folds)}
    assert plan.n_cells == len(cells)
    assert [task.id for task in plan.tasks] == list(range(len(plan.tasks)))


@given(candidates=CANDIDATES)
def test_longest_fits_come_first_and_ties_go_by_fold(candidates: list[dict[str, Any]]) -> None:
    tasks = make_plan(XGBClassifier(), candidates, 3, {}).tasks
    order = [(-task.cost, task.fold) for task in tasks]
    assert order == sorted(order)


@given(candidates=CANDIDATES)
def test_rungs_of_a_fit_differ_in_nothing_but_their_rounds(candidates: list[dict[str, Any]]) -> None:
    for task in make_plan(XGBClassifier(), candidates, 1, {}).tasks:
        members = [candidates[rung.candidate] for rung in task.rungs]
        rest = [{key: value for key, value in c.items() if key != "n_estimators"} for c in members]
        assert all(other == rest[0] for other in rest)
        rounds = [rung.rounds or 0 for rung in task.rungs]
        assert rounds == sorted(rounds)
        if len(task.rungs) > 1:
            assert task.params["n_estimators"] == rounds[-1]


def test_values_that_compare_equal_but_are_not_the_same_are_fitted_apart() -> None:
    candidates = [{"max_depth": 2, "n_estimators": 2}, {"max_depth": 2.0, "n_estimators": 2}]
    assert len(make_plan(XGBClassifier(), candidates, 1, {}).tasks) == 2


def test_values_without_a_canonical_form_are_fitted_apart() -> None:
    candidates = [{"eval_metric": lambda y, p: 0.0, "n_estimators": rounds} for rounds in (1, 2)]
    assert len(make_plan(XGBClassifier(), candidates, 1, {}).tasks) == 2


def test_duplicates_of_an_estimator_without_shared_work_are_fitted_apart() -> None:
    assert len(make_plan(Ridge(), [{"alpha": 1.0}, {"alpha": 1.0}], 2, {}).tasks) == 4


class Picky(BaseEstimator):
    """Raises what nobody expects of set_params."""

    def __init__(self, depth: int = 1) -> None:
        self.depth = depth

    def set_params(self, **params: Any) -> Picky:
        if params.get("depth", 1) < 0:
            raise RuntimeError("depth below zero")
        return super().set_params(**params)  # type: ignore[no-any-return]


def test_a_setting_that_cannot_be_set_is_planned_all_the_same() -> None:
    assert len(make_plan(Picky(), [{"depth": 1}, {"depth": -1}], 2, {}).tasks) == 4


@given(
    seconds=st.lists(st.floats(0, 20), max_size=60),
    slots=st.integers(1, 16),
)
def test_packing_keeps_every_task_once_and_in_order(seconds: list[float], slots: int) -> None:
    tasks = costs(seconds)
    bundles = pack(tasks, 1.0, slots)
    assert [task for bundle in bundles for task in bundle] == tasks
    assert all(bundles)


@given(seconds=st.lists(st.floats(0.01, 20), min_size=1, max_size=60), slots=st.integers(1, 16))
def test_a_bundle_of_several_fits_is_short(seconds: list[float], slots: int) -> None:
    for bundle in pack(costs(seconds), 1.0, slots):
        assert len(bundle) == 1 or sum(task.cost for task in bundle) <= BUNDLE_SECONDS * 1.001


@given(count=st.integers(1, 50), slots=st.integers(1, 8))
def test_long_fits_stay_alone(count: int, slots: int) -> None:
    assert [len(bundle) for bundle in pack(costs([BUNDLE_SECONDS + 1] * count), 1.0, slots)] == [1] * count


def test_short_fits_share_bundles() -> None:
    assert len(pack(costs([0.05] * 400), 1.0, 2)) < 60


@pytest.mark.parametrize("slots", [1, 4])
def test_nothing_packs_to_nothing(slots: int) -> None:
    assert pack([], 1.0, slots) == []


@pytest.mark.parametrize("slots", [1, 2, 8])
def test_fits_of_unknown_length_are_spread_over_the_slots(slots: int) -> None:
    bundles = pack(costs([1.0] * 100), 0.0, slots)
    assert len(bundles[0]) <= 100 / slots / 2 + 1
    assert len(bundles) >= 2 * slots
