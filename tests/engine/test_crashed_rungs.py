"""Shared fits that end their process: only the rungs that do so each time are crashed rows."""

from __future__ import annotations

import functools
import os
import signal
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier

from hptune.engine import Engine, SerialEngine
from hptune.records import FitTask, Outcome
from tests.builders import Case, classes_table, scored, swept, tasks
from tests.engine.test_limits import ENGINES, engine_with, outcomes_of

pytestmark = pytest.mark.shares_session


@pytest.fixture(params=["processes", pytest.param("spark", marks=[pytest.mark.spark, pytest.mark.slow])])
def engine(request: pytest.FixtureRequest) -> Engine:
    return engine_with(request.param, request, None)


@pytest.fixture
def ladder() -> FitTask:
    """Four rungs, of one to four rounds."""
    (task,) = tasks(1, rungs=4)
    return replace(task, rung_parameter="rounds", params={"rounds": 4}, cost=8.0)


def ending(task: FitTask, *, scored_at: int = 0, fitted_from: int = 99, traces: str = "") -> list[Outcome]:
    """Ends its process where a rung of so many rounds is scored, or where so many are fitted."""
    if traces:
        Path(traces, uuid.uuid4().hex).touch()
    rounds = [rung.rounds for rung in task.rungs]
    if scored_at in rounds or task.params.get("rounds", 0) >= fitted_from:
        os._exit(3)
    return scored(task)


def test_long_rungs_that_crash_cost_no_shorter_one(engine: Engine, ladder: FitTask) -> None:
    outcomes = outcomes_of(engine, functools.partial(ending, fitted_from=3), [ladder, *tasks(3, rungs=4)[1:]])
    status = [outcomes[number].status for number in range(12)]
    assert status == ["ok", "ok", "crashed", "crashed", *["ok"] * 8]
    assert [outcomes[number].attempts for number in range(4)] == [6, 6, 6, 5]
    assert str(outcomes[3].error).endswith("exit code 3")


@pytest.mark.parametrize("engine", ENGINES, indirect=True)
def test_a_score_that_crashes_costs_no_other_rung(engine: Engine, ladder: FitTask) -> None:
    outcomes = outcomes_of(engine, functools.partial(ending, scored_at=2), [ladder])
    assert [outcomes[number].status for number in range(4)] == ["ok", "crashed", "ok", "ok"]


def test_tries_are_bounded_where_every_rung_crashes(engine: Engine, ladder: FitTask, tmp_path: Path) -> None:
    work = functools.partial(ending, fitted_from=1, traces=str(tmp_path))
    outcomes = outcomes_of(engine, work, [ladder])
    assert {outcome.status for outcome in outcomes.values()} == {"crashed"}
    assert len(list(tmp_path.iterdir())) == 2 * 4 + 2


def ending_at(model: Any, X: Any, y: Any, *, trees: int) -> float:
    """The accuracy; a model of so many trees ends the process."""
    if len(model.estimators_) == trees:
        os._exit(1)
    return float(model.score(X, y))


@pytest.mark.parametrize("trees", [4, 9])
def test_other_rungs_have_the_scores_of_an_undisturbed_sweep(engine: Engine, trees: int) -> None:
    grid = {"n_estimators": [2, 4, 9], "max_depth": [2]}
    case = Case(RandomForestClassifier(random_state=0), grid, *classes_table(), cv=2)
    undisturbed = swept(case, SerialEngine()).cv_results_
    disturbed = swept(case, engine, scorer=functools.partial(ending_at, trees=trees)).cv_results_
    others = np.array([2, 4, 9]) != trees
    for name in ("split0_test_score", "split1_test_score", "mean_test_score"):
        assert np.array_equal(disturbed[name][others], undisturbed[name][others])
        assert np.isnan(disturbed[name][~others]).all()


def ending_its_parent(task: FitTask) -> list[Outcome]:
    """A long rung ends Spark's workers, also where it is fitted apart from them."""
    from pyspark import TaskContext

    if task.params["rounds"] >= 4:
        os.kill(os.getpid() if TaskContext.get() is not None else os.getppid(), signal.SIGKILL)
        signal.pause()  # until the end of this process, which follows
    return scored(task)


@pytest.mark.spark
@pytest.mark.slow
def test_a_rung_that_takes_sparks_worker_along_costs_no_other(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, ladder: FitTask
) -> None:
    engine = engine_with("spark", request, None)
    monkeypatch.setattr("hptune.engine._spark._ALONE_ATTEMPTS", 4)
    outcomes = outcomes_of(engine, ending_its_parent, [ladder])
    assert [outcomes[number].status for number in range(4)] == ["ok", "ok", "ok", "crashed"]


def test_the_parts_of_a_fit_are_as_much_work_as_they_have_rounds(ladder: FitTask) -> None:
    longest, shorter = ladder.parts()
    assert (longest.params, longest.cost) == ({"rounds": 4}, 8.0)
    assert (shorter.params, shorter.cost) == ({"rounds": 3}, 6.0)
    assert not longest.parts() and not tasks(1, rungs=2)[0].parts()
