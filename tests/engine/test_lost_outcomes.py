"""What had arrived when a Spark sweep goes wrong is handed over, and what was lost on its way runs again at once."""

from __future__ import annotations

import functools
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from pyspark import TaskContext

from hptune.engine import Engine
from hptune.engine._stream import Channel, Update
from hptune.errors import ClusterError
from hptune.records import FitTask, Outcome
from tests.builders import flat, scored, tasks
from tests.chaos.processes import wait_until
from tests.engine.test_broken_channel import traced
from tests.engine.test_contract import Feeder
from tests.sessions import spark_session

pytestmark = pytest.mark.spark

SLOTS = 3


@pytest.fixture
def session() -> Iterator[Any]:
    with spark_session(f"local[{SLOTS},4]") as session:
        yield session


def engine_on(session: Any, max_tasks: int | None = None) -> Engine:
    from hptune.engine._spark import SparkEngine

    return SparkEngine(session, max_tasks=max_tasks)


def stream(
    engine: Engine, work: Any, *, fed: bool, count: int = SLOTS
) -> Generator[list[Outcome], None, None]:
    return engine.run_fed(Feeder(count), work, "test") if fed else engine.run(tasks(count), work, "test")


def waiting(task: FitTask, *, directory: str, last: str) -> list[Outcome]:
    """The first task ends at once, the second when it may; what becomes of the last is told."""
    place = Path(directory)
    if task.id:
        wait_until((place / "go").exists, what="the word to go on")
    (place / f"{task.id}").touch()
    if task.id == SLOTS - 1 and last == "hangs":
        time.sleep(60)
    if task.id == SLOTS - 1 and last == "is unfit":
        raise ClusterError("this executor is fit for no fits", "replace it")
    return scored(task)


def go_on(directory: Path) -> None:
    """Until all outcomes that are still to come have arrived, with what comes beside them."""
    (directory / "go").touch()
    wait_until(lambda: len(list(directory.iterdir())) == SLOTS + 1, what="all fits")
    time.sleep(1.0)  # for outcomes to get here: whoever takes them looks only when this is over


@pytest.mark.parametrize("fed", [pytest.param(False, marks=pytest.mark.slow), True])
def test_what_had_arrived_when_the_session_ended_is_handed_over(
    session: Any, tmp_path: Path, fed: bool
) -> None:
    work = functools.partial(waiting, directory=str(tmp_path), last="hangs")
    outcomes = stream(engine_on(session), work, fed=fed)
    arrived = next(outcomes)
    go_on(tmp_path)
    session.stop()
    time.sleep(1.0)
    with pytest.raises(ClusterError, match="the Spark session ended"):
        for more in outcomes:
            arrived += more
    assert sorted(outcome.candidate for outcome in arrived) == [*range(SLOTS - 1)]


@pytest.mark.parametrize("fed", [pytest.param(False, marks=pytest.mark.slow), True])
def test_what_arrived_beside_an_unfit_executors_word_is_handed_over(
    session: Any, tmp_path: Path, fed: bool
) -> None:
    work = functools.partial(waiting, directory=str(tmp_path), last="is unfit")
    outcomes = stream(engine_on(session), work, fed=fed)
    arrived = next(outcomes)
    go_on(tmp_path)
    with pytest.raises(ClusterError, match="fit for no fits"):
        for more in outcomes:
            arrived += more
    assert sorted(outcome.candidate for outcome in arrived) == [*range(SLOTS - 1)]


def poison(monkeypatch: pytest.MonkeyPatch, *, after: int) -> None:
    """Let Spark's channel for outcomes break when so many have arrived."""
    update, arrived = Channel.addInPlace, list[Any]()

    def poisoned(self: Channel, value1: list[Update], value2: list[Update]) -> list[Update]:
        if TaskContext.get() is None:
            arrived.append(value2)
            if len(arrived) == after + 1:
                raise RuntimeError("poison")
        return update(self, value1, value2)

    monkeypatch.setattr(Channel, "addInPlace", poisoned)


def test_who_gives_tasks_hears_of_each_although_the_channel_breaks(
    session: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    poison(monkeypatch, after=0)
    feeder = Feeder(9)
    for arrived in engine_on(session).run_fed(
        feeder, functools.partial(traced, directory=str(tmp_path)), "test"
    ):
        assert feeder.given - len(feeder.seen) <= SLOTS
        feeder.seen += arrived
    assert sorted(outcome.candidate for outcome in feeder.seen) == [*range(9)]
    assert 9 < len(list(tmp_path.iterdir())) <= 9 + SLOTS


@pytest.mark.slow
def test_a_channel_that_breaks_costs_only_the_fits_that_were_under_way(
    session: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    poison(monkeypatch, after=3)
    work = functools.partial(traced, directory=str(tmp_path))
    outcomes = flat(engine_on(session, max_tasks=2).run(tasks(12), work, "test"))
    assert sorted(outcome.candidate for outcome in outcomes) == [*range(12)]
    assert 12 < len(list(tmp_path.iterdir())) <= 12 + 2


def nothing(task: FitTask) -> list[Outcome]:
    return scored(task) if task.id else []


@pytest.mark.slow
@pytest.mark.parametrize("fed", [False, True])
def test_work_without_an_outcome_does_not_run_for_ever(session: Any, fed: bool) -> None:
    outcomes = flat(stream(engine_on(session), nothing, fed=fed))
    assert {outcome.candidate: outcome.status for outcome in outcomes} == {0: "crashed", 1: "ok", 2: "ok"}
