"""Cores of a task where there are fewer tasks than cores."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hptune.engine._cores import Cores, _executor_cores

ROOT = Path(__file__).resolve().parents[2]

_SWEEP = """
import sys
from pyspark import TaskContext
from hptune.engine import FitLimits
from hptune.engine._session import open_spark_engine
from hptune.records import FitTask, Outcome, Rung

def held(task):
    return [Outcome(0, task.fold, "ok", {"score": float(TaskContext.get().cpus())}, fit_id=task.id)]

engine = open_spark_engine({"master": "local-cluster[1,2,1024]", "spark.executor.memory": "512m"}, "cores", FitLimits())
for n_tasks in (1, 3):
    tasks = [FitTask(number, number, {}, (Rung(0),)) for number in range(n_tasks)]
    outcomes = sum(engine.run(tasks, held, "cores"), [])
    print(engine.threads(n_tasks), sorted(outcome.test_scores["score"] for outcome in outcomes))
engine.close()
"""


@given(
    executors=st.integers(1, 20),
    executor=st.integers(1, 32),
    task=st.integers(1, 4),
    n_tasks=st.integers(1, 100),
)
def test_wider_tasks_still_all_run_at_once(executors: int, executor: int, task: int, n_tasks: int) -> None:
    each = Cores(executors * executor, task, executor).each(n_tasks)
    assert each >= task
    if each > task:
        assert executors * (executor // each) >= n_tasks


def test_few_tasks_share_all_cores_of_their_executors() -> None:
    assert Cores(total=8, task=1, executor=4).each(2) == 4
    assert Cores(total=8, task=1, executor=4).each(3) == 2
    assert Cores(total=12, task=1, executor=4).each(4) == 2  # of 3 cores each, only 3 would fit


def test_tasks_keep_their_cores_where_those_of_an_executor_are_unknown() -> None:
    assert Cores(total=8, task=2).each(1) == 2


@pytest.mark.parametrize(
    ("master", "configured", "expected"),
    [
        ("local[4]", "4", None),
        ("local-cluster[2,3,1024]", None, 3),
        ("spark://host:7077", "8", 8),
        ("spark://host:7077", None, None),
        ("yarn", "5", 5),
    ],
)
def test_cores_of_an_executor_come_from_the_settings(
    master: str, configured: str | None, expected: int | None
) -> None:
    assert _executor_cores(master, configured) == expected


@pytest.mark.slow
@pytest.mark.spark
def test_a_cluster_keeps_idle_cores_for_few_tasks(tmp_path: Path) -> None:
    script = tmp_path / "sweep.py"
    script.write_text(_SWEEP)
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "PYSPARK_PYTHON": sys.executable,
    }
    done = subprocess.run(
        [sys.executable, script], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.stdout.splitlines() == ["2 [2.0]", "1 [1.0, 1.0, 1.0]"], done.stderr
