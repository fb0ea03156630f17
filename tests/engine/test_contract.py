"""What every engine promises, run over all of them."""

from __future__ import annotations

import asyncio
import functools
import importlib
import os
import signal
import sys
import time
from collections import Counter
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hptune.engine import BY_NAME, DriverEngine, Engine, ProcessesEngine, SerialEngine
from hptune.interrupts import Stopped, stoppable
from hptune.records import ERROR_BYTES, FitTask, Outcome
from tests.builders import Signalled, files_after_others, flat, scored, tasks

pytestmark = pytest.mark.shares_session

ENGINES = ("serial", "driver", "processes", "spark")


@pytest.fixture(
    params=[pytest.param(name, marks=[pytest.mark.spark] * (name == "spark")) for name in ENGINES]
)
def engine(request: pytest.FixtureRequest) -> Engine:
    if request.param == "spark":
        from hptune.engine._spark import SparkEngine

        return SparkEngine(request.getfixturevalue("spark"))
    made: dict[str, Engine] = {
        "serial": SerialEngine(),
        "driver": DriverEngine(2),
        "processes": ProcessesEngine(2),
    }
    return made[request.param]


def raising(task: FitTask) -> list[Outcome]:
    if task.id % 3 == 0:
        raise RuntimeError(f"no luck with {task.id}")
    return scored(task)


def exiting(task: FitTask) -> list[Outcome]:
    if task.id == 4:
        sys.exit(3)
    return scored(task)


def hostile(task: FitTask) -> list[Outcome]:
    class Unpicklable(Exception):
        def __reduce__(self) -> Any:
            raise TypeError("no")

    raise Unpicklable("🙂\udcff" * 1_000_000)


def killing(task: FitTask, *, driver: int) -> list[Outcome]:
    if task.id == 1 and os.getpid() != driver:
        os.kill(os.getpid(), signal.SIGKILL)
    return scored(task)


def dropping(task: FitTask) -> list[Outcome]:
    Signalled()
    return scored(task)


def noted(task: FitTask, *, directory: str) -> list[Outcome]:
    (Path(directory) / str(task.id)).touch()
    time.sleep(0.02)
    # There must be something left to stop: fits take a while, and those that say they are long are not packed.
    return [replace(outcome, work_time=60.0) for outcome in scored(task)]


def test_the_contract_covers_every_engine() -> None:
    assert set(ENGINES) == {*BY_NAME, DriverEngine.name}


@pytest.mark.parametrize("count", [0, 1, 9])
def test_every_cell_gets_exactly_one_outcome(engine: Engine, count: int) -> None:
    outcomes = flat(engine.run(tasks(count, rungs=3), scored, "test"))
    assert sorted(outcome.candidate for outcome in outcomes) == list(range(3 * count))


def test_the_rungs_of_a_fit_arrive_together(engine: Engine) -> None:
    for arrived in engine.run(tasks(6, rungs=3), scored, "test"):
        assert {rungs for rungs in Counter(outcome.fit_id for outcome in arrived).values()} == {3}


def test_scores_arrive_to_the_last_bit(engine: Engine) -> None:
    for outcome in flat(engine.run(tasks(9), scored, "test")):
        assert outcome.test_scores == {"score": outcome.candidate / 3}


def test_work_that_raises_is_a_failed_outcome_for_each_rung(engine: Engine) -> None:
    outcomes = {
        outcome.candidate: outcome for outcome in flat(engine.run(tasks(6, rungs=2), raising, "test"))
    }
    failed = {candidate for candidate, outcome in outcomes.items() if outcome.status == "failed"}
    assert failed == {0, 1, 6, 7}
    assert "RuntimeError: no luck with 3" in str(outcomes[6].error)
    assert outcomes[2].error is None


class Unloadable:
    """Work that needs something which the workers do not have."""

    def __call__(self, task: FitTask) -> list[Outcome]:
        return scored(task)

    def __reduce__(self) -> Any:
        return importlib.import_module, ("only_on_the_driver",)


def test_work_that_cannot_be_loaded_is_told_like_a_failing_fit(engine: Engine) -> None:
    if engine.in_process:
        pytest.skip("there the work does not travel")
    outcomes = flat(engine.run(tasks(3, rungs=2), Unloadable(), "test"))
    assert [outcome.status for outcome in outcomes] == ["failed"] * 6
    assert all("No module named 'only_on_the_driver'" in str(outcome.error) for outcome in outcomes)


def test_a_fit_that_exits_is_a_failed_outcome(engine: Engine) -> None:
    outcomes = {outcome.candidate: outcome for outcome in flat(engine.run(tasks(8), exiting, "test"))}
    assert sorted(outcomes) == list(range(8))
    assert [number for number, outcome in outcomes.items() if outcome.status == "failed"] == [4]
    assert "SystemExit: 3" in str(outcomes[4].error)


def cancelled(task: FitTask) -> list[Outcome]:
    raise asyncio.CancelledError  # which is no Exception


def test_whatever_leaves_a_thread_of_the_driver_is_a_failed_outcome() -> None:
    outcomes = flat(DriverEngine(2).run(tasks(3, rungs=2), cancelled, "test"))
    assert [outcome.status for outcome in outcomes] == ["failed"] * 6
    assert all("CancelledError" in str(outcome.error) for outcome in outcomes)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_stop_that_a_fit_of_this_process_drops_ends_the_run() -> None:
    with pytest.raises(Stopped), stoppable():
        flat(SerialEngine().run(tasks(2), dropping, "test"))


def test_an_error_that_cannot_be_pickled_is_kept_short(engine: Engine) -> None:
    (outcome,) = flat(engine.run(tasks(1), hostile, "test"))
    assert outcome.status == "failed"
    assert 0 < len(str(outcome.error).encode("utf-8")) <= ERROR_BYTES
    assert len(outcome.to_json().encode("utf-8")) <= 4096


@pytest.mark.filterwarnings("ignore:A worker stopped:UserWarning")
def test_a_fit_that_kills_its_worker_is_a_crashed_outcome_and_harms_neither_the_others_nor_the_next_run(
    engine: Engine,
) -> None:
    if engine.in_process:
        pytest.skip("there the worker is this process")
    work = functools.partial(killing, driver=os.getpid())
    outcomes = {outcome.candidate: outcome for outcome in flat(engine.run(tasks(6), work, "test"))}
    assert sorted(outcomes) == list(range(6))
    assert {number for number, outcome in outcomes.items() if outcome.status == "crashed"} == {1}
    assert "ended its worker process" in str(outcomes[1].error)
    again = flat(engine.run(tasks(5), scored, "test"))
    assert [outcome.status for outcome in again] == ["ok"] * 5


def test_closing_the_iterator_stops_the_tasks_that_have_not_ended(engine: Engine, tmp_path: Path) -> None:
    work = functools.partial(noted, directory=str(tmp_path))
    with closing(engine.run(tasks(300), work, "test")) as stream:
        next(stream)
        next(stream)  # by now Spark has been given all of them
    ran = files_after_others(engine, tmp_path)
    assert 2 <= ran < 300
    assert files_after_others(engine, tmp_path) == ran


class Feeder:
    """Gives tasks when it is asked, and keeps what it knows of the outcomes then."""

    def __init__(self, count: int, *, batch: int | None = None) -> None:
        self.left = tasks(count)
        self.batch = batch
        self.given = 0
        self.seen: list[Outcome] = []

    def __call__(self, free: int) -> list[FitTask]:
        if self.batch is not None:
            if len(self.seen) < self.given:
                return []
            free = self.batch
        now, self.left = self.left[:free], self.left[free:]
        self.given += len(now)
        return now


@pytest.mark.parametrize("batch", [None, 3])
def test_tasks_may_be_given_while_others_run(engine: Engine, batch: int | None) -> None:
    feeder = Feeder(8, batch=batch)
    for arrived in engine.run_fed(feeder, scored, "test"):
        if batch is None:
            assert feeder.given - len(feeder.seen) <= engine.slots
        feeder.seen += arrived
    assert sorted(outcome.candidate for outcome in feeder.seen) == list(range(8))


@pytest.mark.slow
def test_what_kills_its_worker_does_not_stop_the_feed(engine: Engine) -> None:
    feeder = Feeder(5, batch=2)
    for arrived in engine.run_fed(feeder, functools.partial(killing, driver=os.getpid()), "test"):
        feeder.seen += arrived
    status = {outcome.candidate: outcome.status == "ok" for outcome in feeder.seen}
    assert status == {number: number != 1 or engine.in_process for number in range(5)}


def test_closing_a_fed_iterator_ends_it(engine: Engine, tmp_path: Path) -> None:
    feeder = Feeder(50)
    with closing(engine.run_fed(feeder, functools.partial(noted, directory=str(tmp_path)), "test")) as stream:
        next(stream)
    given = feeder.given
    assert given <= 2 * engine.slots
    ran = files_after_others(engine, tmp_path)
    assert 1 <= ran <= given
    assert files_after_others(engine, tmp_path) == ran
    assert feeder.given == given


def test_a_fit_has_at_least_one_thread_and_no_more_than_the_cores(engine: Engine) -> None:
    cores = max(os.cpu_count() or 1, 2)
    for count in (0, 1, 2, 100):
        assert 1 <= engine.threads(count) <= cores


def test_parallel_fits_do_not_ask_for_more_threads_than_cores(engine: Engine) -> None:
    assert engine.slots >= 1
    if engine.slots > 1:
        assert engine.threads(100) * engine.slots <= max(os.cpu_count() or 1, engine.slots)


def test_workers_are_other_processes_than_the_driver(engine: Engine) -> None:
    pids = {outcome.pid for outcome in flat(engine.run(tasks(6), scored, "test"))}
    assert (pids == {os.getpid()}) == engine.in_process
