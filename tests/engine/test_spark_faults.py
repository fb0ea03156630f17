"""What may happen to a Spark sweep from outside, and costs no outcome."""

from __future__ import annotations

import functools
import os
import signal
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyspark import SparkContext, TaskContext
from sklearn.base import BaseEstimator, ClassifierMixin

from hptune.engine import SerialEngine, active_session, engine_of
from hptune.records import FitTask, Outcome
from tests.builders import Case, classes_table, flat, scored, swept, tasks
from tests.engine.test_contract import killing
from tests.sessions import spark_session

pytestmark = pytest.mark.spark


class Dying(ClassifierMixin, BaseEstimator):
    """Ends its process where it is told to."""

    def __init__(self, deadly: bool = False, constant: int = 0) -> None:
        self.deadly = deadly
        self.constant = constant

    def fit(self, X: Any, y: Any) -> Dying:
        if self.deadly:
            os._exit(1)
        self.classes_ = np.unique(y)
        return self

    def predict(self, X: Any) -> Any:
        return np.full(len(X), self.constant)


@pytest.fixture(scope="module", params=[pytest.param("local[2]", marks=pytest.mark.slow), "local[2,4]"])
def engine(request: pytest.FixtureRequest) -> Iterator[Any]:
    from hptune.engine._spark import SparkEngine

    with spark_session(request.param) as session:
        yield SparkEngine(session)


@pytest.mark.slow
def test_a_fit_that_ends_its_process_is_a_crashed_row_and_the_others_are_equal(engine: Any) -> None:
    grid = [{"constant": [0, 1]}, {"deadly": [True]}, {"constant": [0]}]
    case = Case(Dying(), grid, *classes_table(40), cv=2)
    result = swept(case, engine)
    assert result.table.sort_values("candidate")["status"].tolist() == ["ok", "ok", "crashed", "ok"]
    means = result.cv_results_["mean_test_score"]
    undisturbed = swept(Case(Dying(), {"constant": [0, 1]}, case.X, case.y, cv=2), SerialEngine())
    assert means[[0, 1]].tolist() == undisturbed.cv_results_["mean_test_score"].tolist()
    assert means[3] == means[0]


@pytest.mark.slow
def test_a_killed_worker_costs_no_other_outcome_of_its_bundle(engine: Any) -> None:
    work = functools.partial(killing, driver=os.getpid())
    outcomes = {outcome.candidate: outcome.status for outcome in flat(engine.run(tasks(12), work, "test"))}
    assert outcomes == {number: "crashed" if number == 1 else "ok" for number in range(12)}


def killing_its_parent(task: FitTask, *, directory: str, times: int) -> list[Outcome]:
    """One task ends Spark's workers, and where it is fitted apart their processes first."""
    if task.id == 1:
        if TaskContext.get() is not None:
            os._exit(1)
        if len(os.listdir(directory)) < times:
            Path(directory, uuid.uuid4().hex).touch()
            os.kill(os.getppid(), signal.SIGKILL)
            signal.pause()  # until the end of this process, which follows
    return scored(task)


@pytest.mark.slow
def test_a_suspect_whose_spark_worker_is_lost_is_tried_again(engine: Any, tmp_path: Path) -> None:
    work = functools.partial(killing_its_parent, directory=str(tmp_path), times=5)
    outcomes = flat(engine.run(tasks(2), work, "test"))
    assert [(outcome.candidate, outcome.status) for outcome in outcomes] == [(0, "ok"), (1, "ok")]
    assert len(list(tmp_path.iterdir())) == 5


def killing_first(task: FitTask, *, directory: str) -> list[Outcome]:
    """Every slot's first task ends its process; the others leave a trace."""
    if task.id < 2:
        os._exit(1)
    Path(directory, str(task.id)).touch()
    return scored(task)


@pytest.mark.slow
def test_if_the_first_fits_all_crash_the_others_stream_and_the_callers_job_group_stays(
    engine: Any, tmp_path: Path
) -> None:
    sc: Any = SparkContext.getOrCreate()
    mine = {
        "spark.jobGroup.id": "mine",
        "spark.job.description": "my jobs",
        "spark.scheduler.pool": "my pool",
    }
    for name, value in mine.items():
        sc.setLocalProperty(name, value)
    stream = engine.run(tasks(200), functools.partial(killing_first, directory=str(tmp_path)), "test")
    first = next(stream)
    begun = len(list(tmp_path.iterdir()))
    status = {outcome.candidate: outcome.status for outcome in flat([first, *stream])}
    assert 1 <= begun < 198
    assert [status[number] == "ok" for number in range(200)] == [False, False, *[True] * 198]
    assert {name: sc.getLocalProperty(name) for name in mine} == mine
    for name in mine:
        sc.setLocalProperty(name, None)


def killing_sixth(task: FitTask, *, directory: str) -> list[Outcome]:
    """Leaves a trace of its own each time; says that it is long, so that it is not packed."""
    if task.id == 5:
        os._exit(1)
    Path(directory, f"{task.id}-{uuid.uuid4().hex}").touch()
    return [replace(outcome, work_time=60.0) for outcome in scored(task)]


@pytest.mark.slow
def test_where_tasks_are_bounded_a_crash_costs_no_other_fit(engine: Any, tmp_path: Path) -> None:
    bounded = engine_of(active_session(), max_tasks=1)
    work = functools.partial(killing_sixth, directory=str(tmp_path))
    outcomes = {outcome.candidate: outcome.status for outcome in flat(bounded.run(tasks(12), work, "test"))}
    assert [number for number in range(12) if outcomes[number] != "ok"] == [5]
    assert len(list(tmp_path.iterdir())) == 11
