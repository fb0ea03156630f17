"""Fits that take too long or end their process, on the engines whose fits run in other processes."""

from __future__ import annotations

import ctypes
import faulthandler
import functools
import os
import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from xgboost import XGBClassifier

from hptune.engine import Engine, ProcessesEngine, SerialEngine
from hptune.records import FitTask, Outcome
from tests.builders import Case, assert_same_results, classes_table, flat, scored, swept, tasks

pytestmark = pytest.mark.shares_session

ENGINES = ("processes", pytest.param("spark", marks=pytest.mark.spark))


def engine_with(name: str, request: pytest.FixtureRequest, trial_timeout: float | None) -> Engine:
    if name == "processes":
        return ProcessesEngine(2, trial_timeout=trial_timeout)
    from hptune.engine._spark import SparkEngine

    return SparkEngine(request.getfixturevalue("spark"), trial_timeout=trial_timeout)


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Engine:
    return engine_with(request.param, request, None)


@pytest.fixture(params=ENGINES)
def limited(request: pytest.FixtureRequest) -> Engine:
    return engine_with(request.param, request, 3.0)


def outcomes_of(engine: Engine, work: Any, asked: list[FitTask]) -> dict[int, Outcome]:
    outcomes = flat(engine.run(asked, work, "test"))
    assert len(outcomes) == sum(len(task.rungs) for task in asked)
    return {outcome.candidate: outcome for outcome in outcomes}


def hanging(task: FitTask) -> list[Outcome]:
    if task.id == 1:
        ctypes.CDLL(None).sleep(600)  # native code that has let go of the interpreter
    if task.id == 2:
        ctypes.PyDLL(None).sleep(600)  # native code that holds it
    return scored(task)


@pytest.mark.parametrize(
    "limited",
    [pytest.param("processes", marks=pytest.mark.slow), pytest.param("spark", marks=pytest.mark.spark)],
    indirect=True,
)
def test_a_fit_that_hangs_is_a_timeout_and_says_where(limited: Engine) -> None:
    outcomes = outcomes_of(limited, hanging, tasks(8))
    late = {number: outcome for number, outcome in outcomes.items() if outcome.status != "ok"}
    assert {number: outcome.status for number, outcome in late.items()} == {1: "timeout", 2: "timeout"}
    for outcome in late.values():
        assert outcome.attempts == 1
        assert outcome.work_time >= 3
        assert "in hanging" in str(outcome.error)
        assert str(outcome.error).endswith("the fit took longer than 3 s")


def long_ladder(task: FitTask) -> list[Outcome]:
    if (task.rungs[-1].rounds or 0) > 2:
        time.sleep(600)
    return scored(task)


@pytest.mark.slow
@pytest.mark.parametrize(
    "limited", ["processes", pytest.param("spark", marks=pytest.mark.spark)], indirect=True
)
def test_a_shared_fit_that_takes_too_long_costs_only_the_rungs_that_do(limited: Engine) -> None:
    (ladder,) = tasks(1, rungs=4)
    ladder = replace(ladder, rung_parameter="rounds", params={"rounds": 4})
    outcomes = outcomes_of(limited, long_ladder, [ladder])
    assert [outcomes[number].status for number in range(4)] == ["ok", "ok", "timeout", "timeout"]


def dying(task: FitTask, *, how: dict[int, str]) -> list[Outcome]:
    match how.get(task.id):
        case "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        case "exit":
            os._exit(3)
        case "segfault":
            faulthandler._sigsegv()  # type: ignore[attr-defined]
    return scored(task)


@pytest.mark.slow
def test_what_ended_a_process_is_told_and_tries_are_bounded(engine: Engine) -> None:
    how = {1: "killed", 3: "exit", 5: "segfault"}
    outcomes = outcomes_of(engine, functools.partial(dying, how=how), tasks(6))
    assert {n for n, outcome in outcomes.items() if outcome.status == "crashed"} == set(how)
    assert {outcomes[number].attempts for number in how} == {4}
    said = {number: str(outcomes[number].error).splitlines() for number in how}
    assert said[1][-1].startswith("the fit ended its worker process: Killed (SIGKILL)")
    assert said[3][-1] == "the fit ended its worker process: exit code 3"
    assert said[5][-1] == "the fit ended its worker process: Segmentation fault (SIGSEGV)"
    assert any("in dying" in line for line in said[5])


def dying_once(task: FitTask, *, directory: str) -> list[Outcome]:
    mark = Path(directory) / str(task.id)
    if task.id == 1 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return scored(task)


def test_a_process_that_was_killed_once_costs_a_second_attempt(engine: Engine, tmp_path: Path) -> None:
    work = functools.partial(dying_once, directory=str(tmp_path))
    outcomes = outcomes_of(engine, work, tasks(6))
    assert {outcome.status for outcome in outcomes.values()} == {"ok"}
    assert outcomes[1].attempts == 2


class Unloadable:
    def __reduce__(self) -> Any:
        return getattr, (os, "no_such_name")


def test_a_task_that_cannot_be_loaded_is_told_like_a_failing_fit() -> None:
    asked = [replace(task, params={"x": Unloadable()} if task.id == 1 else {}) for task in tasks(3)]
    outcomes = outcomes_of(ProcessesEngine(2), scored, asked)
    assert [outcomes[number].status for number in range(3)] == ["ok", "failed", "ok"]
    assert "no_such_name" in str(outcomes[1].error)


@pytest.mark.parametrize(
    "case",
    [
        Case(XGBClassifier(random_state=0, subsample=0.5), {"n_estimators": [9, 3]}, *classes_table(), cv=2),
        Case(RandomForestClassifier(random_state=0), {"n_estimators": [5]}, *classes_table(), cv=2),
        Case(LogisticRegression(), {"C": [0.1, 1.0]}, *classes_table(200, 8, 3), scoring="neg_log_loss"),
    ],
    ids=["xgboost", "forest", "logistic regression"],
)
def test_a_limit_changes_no_bit_of_a_score(case: Case, limited: Engine) -> None:
    limited.trial_timeout = 600.0  # type: ignore[attr-defined]
    assert_same_results(swept(case, limited).cv_results_, swept(case, SerialEngine()).cv_results_)


def test_processes_are_used_again() -> None:
    pids = {
        outcome.pid for _ in range(2) for outcome in flat(ProcessesEngine(1).run(tasks(3), scored, "test"))
    }
    assert len(pids) == 1
