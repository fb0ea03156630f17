"""What is told while a sweep runs and at its end."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console
from xgboost import XGBClassifier

from hptune.engine import ProcessesEngine, SerialEngine
from hptune.observers import Observer, ProgressBar, ProgressLines
from hptune.observers._progress import _Tracker
from hptune.plan import Plan
from hptune.records import FitTask, Outcome, Rung
from hptune.summary import closing_lines, ranking
from hptune.sweep import run
from tests.builders import Case, classes_table, outcome, sweep_of, swept

PLAN = Plan(tuple(FitTask(n, n % 2, {}, (Rung(n // 2),)) for n in range(4)), 2, 2, 0)


def outcomes(scores: Sequence[float]) -> list[Outcome]:
    return [outcome(n // 2, n % 2, score, fit_id=n) for n, score in enumerate(scores)]


def lines(scores: Sequence[float], seconds: float = 0.0) -> list[str]:
    stream = io.StringIO()
    observer = ProgressLines("score", stream, seconds)
    observer.on_start(PLAN)
    for each in outcomes(scores):
        observer.on_outcome(each)
    observer.on_finish()
    return stream.getvalue().splitlines()


def test_a_line_tells_what_is_done_and_what_is_best() -> None:
    shown = lines([-3.0, -1.0, -0.5, -1.5])
    assert [line.split(",")[0] for line in shown] == ["1/4 fits", "2/4 fits", "3/4 fits", "4/4 fits"]
    assert "no score yet" in shown[0]  # a candidate counts once all its folds are in
    assert "best -2.00000" in shown[1] and "best -2.00000" in shown[2] and "best -1.00000" in shown[3]
    assert shown[1].endswith(" left")


def seconds_left(arrivals: Sequence[tuple[float, float]], slots: int, fits: int) -> list[float | None]:
    """What is told at each arrival of (time, seconds of work), of fits of equal cost."""
    plan = Plan(tuple(FitTask(n, 0, {}, (Rung(n),)) for n in range(fits)), fits, 1, 0)
    now = [0.0]
    tracker = _Tracker(plan, "score", slots, lambda: now[0])
    told = []
    for number, (now[0], work) in enumerate(arrivals):
        told.append(tracker.see(outcome(number, fit_id=number, work_time=work)).seconds_left)
    return told


def test_the_first_fit_already_tells_when_the_last_will_end() -> None:
    # Two slots, workers that took 4 s to start, ten fits of 6 s each: 30 s of fitting, from 4 to 34.
    assert seconds_left([(10, 6), (10, 6), (16, 6)], slots=2, fits=10) == [24, 24, 18]


def test_fits_that_end_sooner_than_their_cost_says_bring_the_end_closer() -> None:
    first, second = seconds_left([(6, 6), (8, 2)], slots=1, fits=4)
    assert (first, second) == (18, 8)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_score_that_is_no_finite_number_is_never_best(bad: float) -> None:
    assert "no score yet" in lines([bad, 1.0])[1]


def test_the_last_outcome_always_has_a_line() -> None:
    assert [line.split(",")[0] for line in lines([1, 1, 1, 1], seconds=3600)] == ["1/4 fits", "4/4 fits"]


def test_a_bar_ends_full() -> None:
    stream = io.StringIO()
    bar = ProgressBar("score", Console(file=stream, force_terminal=True, width=100))
    bar.on_start(PLAN)
    for each in outcomes([-3.0, -1.0, -0.5, -1.5]):
        bar.on_outcome(each)
    bar.on_finish()
    assert "4/4" in stream.getvalue() and "best -1.00000" in stream.getvalue()


def test_an_observer_sees_every_outcome_and_the_end_even_of_a_sweep_that_breaks() -> None:
    seen: list[Any] = []

    class Watching(Observer):
        def on_start(self, plan: Plan) -> None:
            seen.append("start")

        def on_outcome(self, outcome: Outcome) -> None:
            seen.append(outcome.fold)
            if len(seen) == 3:
                raise KeyboardInterrupt

        def on_finish(self) -> None:
            seen.append("finish")

    case = Case(XGBClassifier(), {"n_estimators": [1]}, *classes_table(60), cv=3)
    with pytest.raises(KeyboardInterrupt):
        run(sweep_of(case), SerialEngine(), observers=[Watching()])
    assert seen == ["start", 0, 1, "finish"]


def test_the_ranking_shows_what_differs_and_the_closing_lines_what_was_shared() -> None:
    case = Case(XGBClassifier(), {"n_estimators": [1, 3], "max_depth": [2]}, *classes_table(60), cv=2)
    result = swept(case, SerialEngine())
    shown = ranking(replace(result, shown_metric="accuracy"))
    assert "accuracy, best first" in shown and "n_estimators" in shown and "max_depth" not in shown
    closing = closing_lines(result, ProcessesEngine(1))
    assert "2 fits instead of 4, 6 of 8 rounds" in closing
    assert "engine processes: 1 slot, " in closing
