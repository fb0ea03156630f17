"""Sweep after sweep in one Spark session: nothing piles up."""

from __future__ import annotations

import functools
import gc
import os
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyspark.accumulators import Accumulator

from hptune.records import FitTask, Outcome
from tests.builders import flat, scored, tasks
from tests.sessions import spark_session

pytestmark = pytest.mark.spark


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """An engine whose temporary files, and those of Spark, all lie in `tmp_path`."""
    from hptune.engine._spark import SparkEngine

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with spark_session("local[2,4]", **{"spark.local.dir": str(tmp_path)}) as session:
        yield SparkEngine(session)


def held(rows: Any, task: FitTask) -> list[Outcome]:
    """Scores of work with data of its own, large enough to be mapped."""
    return scored(task) if rows.shape else []


def left(directory: Path) -> Counter[str]:
    """What a run could leave on the driver."""
    gc.collect()
    return Counter(
        files=sum(path.is_file() for path in directory.rglob("*")),
        handles=len(os.listdir("/proc/self/fd")),
        threads=threading.active_count(),
        accumulators=sum(isinstance(each, Accumulator) for each in gc.get_objects()),
    )


@pytest.mark.slow
def test_fifty_sweeps_leave_no_file_handle_thread_or_accumulator(place: Any, tmp_path: Path) -> None:
    def sweep() -> None:
        work = functools.partial(held, np.zeros(20_000))
        assert len(flat(place.run(tasks(6), work, "test"))) == 6

    for _ in range(5):
        sweep()
    before = left(tmp_path)
    for _ in range(45):
        sweep()
    after = left(tmp_path)
    assert after["files"] <= before["files"]
    assert after["accumulators"] == before["accumulators"]
    assert after["threads"] <= before["threads"] + 1  # py4j's pool of connections may vary by one
    assert after["handles"] <= before["handles"] + 2
