"""A Spark session whose accumulator channel breaks, and stays so: no outcome of this sweep or a later one is lost."""

from __future__ import annotations

import functools
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pyspark import TaskContext

from hptune.engine._stream import Channel, Update
from hptune.records import FitTask, Outcome
from tests.builders import flat, scored, tasks
from tests.sessions import spark_session

pytestmark = pytest.mark.spark


@pytest.fixture(params=[pytest.param("local[2]", marks=pytest.mark.slow), "local[2,4]"])
def engine(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Of a session that no other test gets."""
    from hptune.engine._spark import SparkEngine

    with spark_session(request.param) as session:
        yield SparkEngine(session)


def traced(task: FitTask, *, directory: str) -> list[Outcome]:
    """Leaves a trace of its own each time; says that it is long, so that it is not packed."""
    Path(directory, f"{task.id}-{uuid.uuid4().hex}").touch()
    return [replace(outcome, work_time=60.0) for outcome in scored(task)]


def test_a_poisoned_update_on_the_driver_costs_no_outcome(
    engine: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    update = Channel.addInPlace
    raised: list[bool] = []

    def poisoned(self: Channel, value1: list[Update], value2: list[Update]) -> list[Update]:
        if TaskContext.get() is None and not raised:
            raised.append(True)
            raise RuntimeError("poison")
        return update(self, value1, value2)

    monkeypatch.setattr(Channel, "addInPlace", poisoned)
    outcomes = flat(engine.run(tasks(8, rungs=2), scored, "test"))
    assert sorted(outcome.candidate for outcome in outcomes) == list(range(16))
    assert {outcome.status for outcome in outcomes} == {"ok"}
    assert raised

    # Spark's channel stays broken for later sweeps of the session, which fit nothing twice and tell each fit's end
    stream = engine.run(tasks(20, rungs=2), functools.partial(traced, directory=str(tmp_path)), "test")
    first = next(stream)
    begun = len(list(tmp_path.iterdir()))
    outcomes = flat([first, *stream])
    assert begun < 20 == len(list(tmp_path.iterdir()))
    assert sorted(outcome.candidate for outcome in outcomes) == list(range(40))
    assert {outcome.status for outcome in outcomes} == {"ok"}
