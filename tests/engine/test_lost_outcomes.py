"""What had arrived when a Spark sweep goes wrong is handed over, and what was lost on its way runs again at once."""

from __future__ import annotations

import functools
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from hptune.engine import Engine
from hptune.errors import ClusterError
from hptune.records import FitTask, Outcome
from tests.builders import tasks
from tests.chaos.processes import wait_until
from tests.engine.test_contract import Feeder, scored
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
