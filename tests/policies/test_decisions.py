"""Scripted curves whose right decisions are worked out by hand from Azure's documentation, in any order of arrival."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hptune.policies import (
    BY_NAME,
    BanditPolicy,
    History,
    MedianStoppingPolicy,
    Policy,
    RacingPolicy,
    Report,
    SuccessiveHalvingPolicy,
    TruncationSelectionPolicy,
)

Curves = Mapping[int, Sequence[float]]
NAN = math.nan


@dataclass(frozen=True)
class Script:
    """Curves as they are logged, and by interval the runs that must stop there."""

    policy: Policy
    curves: Curves
    stopped: Mapping[int, set[int]]
    minimize: bool = False
    finished: set[int] = field(default_factory=set)


def decided(script: Script, order: random.Random) -> dict[int, set[int]]:
    """By interval what the policy decides once all runs that still run have reported there, in a random order."""
    history, sign = History(), -1 if script.minimize else 1
    stopped: dict[int, set[int]] = {}
    for step in range(1, 1 + max(map(len, script.curves.values()))):
        runs = [run for run, curve in script.curves.items() if len(curve) >= step and history.is_running(run)]
        order.shuffle(runs)
        decision: Iterable[int] = ()
        for run in runs:
            report = Report(run, step, sign * script.curves[run][step - 1])
            history.add(report)
            if run in script.finished and step == len(script.curves[run]):
                history.finish(run)
            decision = script.policy.decide(report, history)
        if decision:
            stopped[step] = set(decision)
        for run in decision:
            history.stop(run)
    return stopped


SCRIPTS = {
    # "Any jobs whose best metric at interval 10 is less than 0.66 (0.8 / (1 + slack_factor)) will be terminated";
    # here at interval 2. 1 is worse there, but was better before. 0 has the best value, 3 is above the threshold.
    "bandit, Azure's example": Script(
        BanditPolicy(slack_factor=0.2, evaluation_interval=2),
        {0: [0.5, 0.8], 1: [0.7, 0.1], 2: [0.6, 0.66], 3: [0.67, 0.67]},
        {2: {2}},
    ),
    # A loss of 0.5 is the best: 0.6 = 0.5 * 1.2 is the limit.
    "bandit of a loss": Script(
        BanditPolicy(slack_factor=0.2), {0: [0.5], 1: [0.61], 2: [0.59], 3: [9.0]}, {1: {1, 3}}, minimize=True
    ),
    # Values below zero that are maximised are the same case as losses.
    "bandit of a negated loss": Script(
        BanditPolicy(slack_factor=0.2), {0: [-0.5], 1: [-0.61], 2: [-0.59], 3: [-9.0]}, {1: {1, 3}}
    ),
    # slack_amount=0.25, delay_evaluation=3: nothing at 1 and 2; at 3 the limit is 1 - 0.25; at 4 1.5 - 0.25.
    "bandit with an amount and a delay": Script(
        BanditPolicy(slack_amount=0.25, delay_evaluation=3),
        {0: [0.1, 0.2, 1.0, 1.5], 1: [0.0, 0.0, 0.5, 9.0], 2: [0.8, 0.1, 0.1, 0.2], 3: [0, 0, 0.75, 1.25]},
        {3: {1}, 4: {2}},
    ),
    # evaluation_interval=2, delay_evaluation=3: first applied at 4, then at 6.
    "bandit at every second interval from three on": Script(
        BanditPolicy(slack_amount=0.5, evaluation_interval=2, delay_evaluation=3),
        {0: [1.0] * 6, 1: [0.0] * 6, 2: [0.0] * 4 + [2.0] * 2, 3: [0.6] * 6},
        {4: {1, 2}},
    ),
    "bandit that ends a run when a better one passes it": Script(
        BanditPolicy(slack_amount=0.5), {0: [0.1, 0.9, 0.9], 1: [0.2, 0.3, 0.9], 2: [0.2, 0.5, 0.5]}, {2: {1}}
    ),
    # Averages up to interval 3: 2, 2, 0.83, 5, 0.63; their median is 2. The bests are 3, 2, 1.5, 5, 1.9.
    "median": Script(
        MedianStoppingPolicy(evaluation_interval=3),
        {0: [1, 2, 3], 1: [2, 2, 2], 2: [0, 1, 1.5], 3: [5, 5, 5], 4: [0, 0, 1.9]},
        {3: {2, 4}},
    ),
    # The same as a loss, turned around: the best is the least.
    "median of a loss": Script(
        MedianStoppingPolicy(evaluation_interval=3),
        {0: [-1, -2, -3], 1: [-2, -2, -2], 2: [0, -1, -1.5], 3: [-5, -5, -5], 4: [0, 0, -1.9]},
        {3: {2, 4}},
        minimize=True,
    ),
    # Of four averages 1, 2, 4, 8 the median is 3; the second run once was better.
    "median of an even number": Script(
        MedianStoppingPolicy(delay_evaluation=2),
        {0: [1, 1], 1: [3.5, 0.5], 2: [4, 4], 3: [8, 8]},
        {2: {0}},
    ),
    # "A job terminates at interval 5 if its performance at interval 5 is in the lowest 20 % of all jobs at interval
    # 5": of ten two. At 6 there are eight left: floor(1.6) is one.
    "truncation, Azure's example": Script(
        TruncationSelectionPolicy(truncation_percentage=20, delay_evaluation=5),
        {run: [9 - run, 0, 0, 0, run, -run] for run in range(10)},
        {5: {0, 1}, 6: {9}},
    ),
    "truncation of a loss": Script(
        TruncationSelectionPolicy(truncation_percentage=50),
        {0: [0.1], 1: [0.2], 2: [0.3], 3: [0.4], 4: [0.5]},
        {1: {3, 4}},
        minimize=True,
    ),
    "truncation of too few": Script(
        TruncationSelectionPolicy(truncation_percentage=20), {run: [run] for run in range(4)}, {}
    ),
    "truncation of equal runs": Script(
        TruncationSelectionPolicy(truncation_percentage=50), {run: [1.0] for run in range(4)}, {1: {2, 3}}
    ),
    # The finished run 0 is the lowest of four. Counted, it is the one of floor(4 * 0.25) that goes, and is over anyway.
    "truncation with finished runs": Script(
        TruncationSelectionPolicy(truncation_percentage=25, delay_evaluation=2),
        {0: [0, 0], 1: [1, 1], 2: [2, 2], 3: [3, 3]},
        {},
        finished={0},
    ),
    # Left out, it makes room: floor(3 * 0.34) is one of the other three.
    "truncation without finished runs": Script(
        TruncationSelectionPolicy(truncation_percentage=34, delay_evaluation=2, exclude_finished=True),
        {0: [0, 0], 1: [1, 1], 2: [2, 2], 3: [3, 3]},
        {2: {1}},
        finished={0},
    ),
    "NaN is worse than every number": Script(
        BanditPolicy(slack_amount=5),
        {0: [1.0], 1: [NAN], 2: [-3.0], 3: [math.inf], 4: [-math.inf]},
        {1: {1, 3, 4}},
    ),
    # Averages of what is finite: 2, 4; run 2 has none. The median is 3; run 0 was at 3 once.
    "NaN is left out of averages": Script(
        MedianStoppingPolicy(evaluation_interval=3),
        {0: [1, NAN, 3], 1: [4, 4, NAN], 2: [NAN, NAN, NAN]},
        {3: {2}},
    ),
    "NaN is truncated first": Script(
        TruncationSelectionPolicy(truncation_percentage=34), {0: [NAN], 1: [-1e300], 2: [5.0]}, {1: {0}}
    ),
    "nothing but NaN stops nobody": Script(BanditPolicy(slack_factor=0.1), {0: [NAN], 1: [NAN]}, {}),
    "races": Script(
        # Fold by fold 0 leads by about 1 with a small spread: 1 goes when two folds have shown it (t = 1 / 0.05).
        # 2 is behind by 0.1 and -0.1 in turn, 3 failed on the second fold.
        RacingPolicy(),
        {0: [3.0, 3.2, 3.1], 1: [1.95, 2.25, 2.0], 2: [2.9, 3.3, 3.0], 3: [3.0, NAN, 3.0]},
        {2: {1, 3}},
    ),
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_decisions_are_those_worked_out_by_hand_in_any_order_of_arrival(name: str) -> None:
    for seed in range(20):
        assert decided(SCRIPTS[name], random.Random(seed)) == SCRIPTS[name].stopped  # noqa: S311


POLICIES: list[Policy] = [
    BanditPolicy(slack_factor=0.0),
    BanditPolicy(slack_amount=0.0),
    MedianStoppingPolicy(),
    TruncationSelectionPolicy(truncation_percentage=99),
    SuccessiveHalvingPolicy(),
    RacingPolicy(alpha=0.5),
]
VALUES = st.one_of(st.floats(-1e100, 1e100), st.sampled_from([0.1, 0.2, NAN, math.inf, -math.inf]))


def test_the_laws_are_tried_on_every_policy() -> None:
    assert {type(policy) for policy in POLICIES} == set(BY_NAME.values())


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: type(policy).__name__)
@given(curve=st.lists(VALUES, min_size=1, max_size=30))
def test_a_sole_run_is_never_stopped(policy: Policy, curve: list[float]) -> None:
    for sign in (1, -1):
        assert decided(Script(policy, {7: curve}, {}, minimize=sign < 0), random.Random(0)) == {}  # noqa: S311


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: type(policy).__name__)
@given(
    curves=st.lists(st.lists(VALUES, min_size=4, max_size=4), min_size=2, max_size=6),
    step=st.integers(1, 4),
)
def test_a_best_run_goes_on_and_a_reason_is_needed(
    policy: Policy, curves: list[list[float]], step: int
) -> None:
    history = History()
    for run, curve in enumerate(curves):
        for number, value in enumerate(curve[:step], 1):
            history.add(Report(run, number, value))
    last = Report(len(curves) - 1, step, curves[-1][step - 1])
    stopped = policy.decide(last, history)
    assert stopped <= set(range(len(curves)))
    assert len(stopped) < len(curves)


@given(
    curves=st.lists(st.lists(st.floats(0.001, 1e6), min_size=3, max_size=3), min_size=2, max_size=6),
    factor=st.floats(0, 3),
)
def test_a_minimised_loss_and_its_maximised_negation_are_decided_alike(
    curves: list[list[float]], factor: float
) -> None:
    policy = BanditPolicy(slack_factor=factor)
    loss = Script(policy, dict(enumerate(curves)), {}, minimize=True)
    negated = Script(policy, {run: [-value for value in curve] for run, curve in enumerate(curves)}, {})
    assert decided(loss, random.Random(1)) == decided(negated, random.Random(2))  # noqa: S311


def reported(policy: Policy, history: History, run: int, *values: float) -> frozenset[int]:
    decision: frozenset[int] = frozenset()
    for value in values:
        report = Report(run, history.steps(run) + 1, value)
        history.add(report)
        decision = policy.decide(report, history)
    return decision


def test_a_run_that_came_farther_is_judged_where_it_is() -> None:
    policy, history = BanditPolicy(slack_amount=0.1), History()
    assert reported(policy, history, 0, 0.1, 0.9) == frozenset()
    assert reported(policy, history, 1, 0.5) == frozenset()  # 0 was far behind there, and is not any more
    assert reported(policy, history, 1, 0.6) == {1}


def test_a_late_run_shows_that_an_earlier_one_cannot_keep_up() -> None:
    policy, history = BanditPolicy(slack_amount=0.1), History()
    assert reported(policy, history, 0, 0.5) == frozenset()
    assert reported(policy, history, 1, 0.9) == {0}
    history.stop(0)
    assert reported(policy, history, 2, 0.9) == frozenset()  # nobody is stopped twice


def test_a_stopped_run_still_counts_at_the_intervals_it_reached() -> None:
    policy, history = TruncationSelectionPolicy(truncation_percentage=50), History()
    assert reported(policy, history, 0, 0.0) == frozenset()
    assert reported(policy, history, 1, 1.0) == {0}
    history.stop(0)
    assert reported(policy, history, 2, 2.0) == frozenset()  # floor(3 / 2) is 0, which is gone
    assert reported(policy, history, 3, 3.0) == {1}


def test_halving_lets_the_best_of_those_that_arrived_go_on() -> None:
    policy, history = SuccessiveHalvingPolicy(reduction_factor=3, min_resource=2), History()
    assert reported(policy, history, 0, 9.0, 0.5) == frozenset()  # the first to arrive at the rung
    assert reported(policy, history, 1, 9.0, 0.4) == {1}  # one of two may go on
    assert reported(policy, history, 2, 9.0, 0.6) == frozenset()
    assert reported(policy, history, 3, 0.0, 0.5) == {3}  # one of four
    for run in range(4, 7):
        reported(policy, history, run, 0.0, 0.1)
    assert reported(policy, history, 8, 0.0, 0.55) == frozenset()  # two of eight
    assert reported(policy, history, 0, 0.0, 0.0, 0.0) == frozenset()  # 3 to 5 are no rungs
    assert reported(policy, history, 0, 0.1) == frozenset()  # 6 is the next, where it is the first
    assert reported(policy, history, 2, 0.0, 0.0, 0.0, 0.05) == {2}


def test_rungs_are_put_off_to_the_next_interval_at_which_the_policy_is_applied() -> None:
    policy = SuccessiveHalvingPolicy(
        reduction_factor=3, min_resource=1, evaluation_interval=2, delay_evaluation=4
    )
    history = History()
    reported(policy, history, 0, *[1.0] * 20)
    steps = [step for step in range(1, 21) if reported(policy, history, 1, 0.0)]
    assert steps == [4, 10]  # for 3 and 9; that for 1 comes before the delay is over


@pytest.mark.parametrize("alpha", [0.01, 0.05, 0.2])
def test_the_level_of_a_race_is_the_share_of_equal_candidates_that_it_drops(alpha: float) -> None:
    draws = random.Random(0)  # noqa: S311
    policy, dropped, races = RacingPolicy(alpha=alpha), 0, 2000
    for _ in range(races):
        history = History()
        for run in (0, 1):
            for fold in range(1, 5):
                history.add(Report(run, fold, draws.gauss(0, 1)))
        dropped += len(policy.decide(Report(1, 4, history.value(1, 4)), history))
    assert dropped / races == pytest.approx(2 * alpha, rel=0.25)  # whichever of the two is behind
