"""A fold's quantised matrix is built once in a worker while it fits, and never outlives its run."""

from __future__ import annotations

import gc
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from xgboost import DMatrix, XGBClassifier

from hptune import GridSearchCV
from hptune.engine import Engine, ProcessesEngine, SerialEngine
from hptune.fitters import evaluate
from hptune.fitters._matrix_cache import WORKER_CACHE, MatrixCache
from hptune.observers import Observer
from hptune.plan import make_plan
from hptune.records import Outcome
from hptune.sweep import run
from tests.builders import Case, classes_table, evaluation, flat, sweep_of, swept

pytestmark = pytest.mark.shares_session

GRID = [{"max_depth": depth, "n_estimators": rounds} for depth in (1, 2, 3, 4) for rounds in (1, 2)]


def outcomes(engine: Engine, run_id: str, candidates: list[dict[str, Any]] = GRID) -> list[Outcome]:
    import functools

    case = Case(XGBClassifier(random_state=0), {}, *classes_table())
    plan = make_plan(case.estimator, candidates, 3, {})
    return flat(engine.run(plan.tasks, functools.partial(evaluate, evaluation(case, run_id=run_id)), "test"))


def built(found: list[Outcome]) -> Counter[tuple[int, int]]:
    """Matrices built, by process and fold."""
    counted: Counter[tuple[int, int]] = Counter()
    for outcome in found:
        counted[outcome.pid, outcome.fold] += outcome.matrices_built
    return counted


def test_serial_builds_each_folds_matrix_once() -> None:
    assert set(built(outcomes(SerialEngine(), "once")).values()) == {1}


def test_processes_build_each_folds_matrix_at_most_once() -> None:
    counted = built(outcomes(ProcessesEngine(2), "once in a process"))
    assert set(counted.values()) == {1}
    assert sum(counted.values()) < 12


@pytest.mark.spark
def test_spark_workers_build_each_folds_matrix_at_most_once(spark: Any) -> None:
    from hptune.engine._spark import SparkEngine

    counted = built(outcomes(SparkEngine(spark), "once in a worker"))
    assert set(counted.values()) == {1}
    assert sum(counted.values()) < 12


def test_another_run_builds_its_own_matrices() -> None:
    first = sum(built(outcomes(SerialEngine(), "a run")).values())
    again = sum(built(outcomes(SerialEngine(), "a run")).values())
    another = sum(built(outcomes(SerialEngine(), "another run")).values())
    assert (first, again, another) == (3, 0, 3)


def test_a_parameter_that_shapes_the_matrix_has_a_matrix_of_its_own() -> None:
    bins = [{"max_bin": bins, "n_estimators": 1} for bins in (8, 16)]
    assert set(built(outcomes(SerialEngine(), "bins", bins)).values()) == {2}


def test_matrices_beyond_the_budget_are_built_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(WORKER_CACHE, "budget", 1)
    assert set(built(outcomes(SerialEngine(), "no room")).values()) == {4}


def matrices_alive() -> int:
    gc.collect()
    return sum(isinstance(each, DMatrix) for each in gc.get_objects())


def test_no_matrix_outlives_a_serial_sweep_or_search_in_its_process() -> None:
    WORKER_CACHE.clear()  # of the tests before
    before = matrices_alive()
    case = Case(XGBClassifier(random_state=0), {"max_depth": [1, 2], "n_estimators": [2]}, *classes_table())
    result = swept(case, SerialEngine())
    search = GridSearchCV(case.estimator, {"max_depth": [1, 2]}, cv=3, spark="serial").fit(case.X, case.y)
    assert result.best_params["max_depth"] and search.best_params_["max_depth"]
    assert matrices_alive() == before


def test_no_matrix_outlives_a_search_that_is_given_up() -> None:
    WORKER_CACHE.clear()  # of the tests before
    before = matrices_alive()

    class Stopping(Observer):
        def on_outcome(self, outcome: Outcome) -> None:
            raise KeyboardInterrupt

    case = Case(XGBClassifier(random_state=0), {"n_estimators": [2]}, *classes_table())
    with pytest.raises(KeyboardInterrupt):
        run(sweep_of(case), SerialEngine(), observers=[Stopping()])
    assert matrices_alive() == before


@given(
    budget=st.integers(1, 40),
    asked=st.lists(st.tuples(st.integers(0, 5), st.integers(1, 20)), max_size=40),
)
def test_the_cache_keeps_the_least_recently_used_within_its_budget(
    budget: int, asked: list[tuple[int, int]]
) -> None:
    cache = MatrixCache(budget)
    size = {key: nbytes for key, nbytes in reversed(asked)}
    kept: list[int] = []
    for key, _ in asked:
        entry, fresh = cache.get("run", key, lambda key=key: f"matrix {key}", size[key])
        assert entry.matrix == f"matrix {key}"
        assert fresh == (key not in kept)
        kept = [other for other in kept if other != key]
        while fresh and kept and sum(size[other] for other in kept) + size[key] > budget:
            kept.pop(0)
        kept.append(key)


def test_another_runs_entries_are_dropped() -> None:
    cache = MatrixCache(1000)
    cache.get("one", "fold", lambda: "old", 10)
    assert cache.get("two", "fold", lambda: "new", 10)[0].matrix == "new"
    assert cache.get("one", "fold", lambda: "rebuilt", 10)[0].matrix == "rebuilt"


def test_a_build_that_raises_leaves_the_cache_as_it_was() -> None:
    cache = MatrixCache(1000)

    def broken() -> Any:
        raise ValueError("no matrix")

    with pytest.raises(ValueError, match="no matrix"):
        cache.get("run", "fold", broken, 10)
    assert cache.get("run", "fold", lambda: "mended", 10) == (cache.get("run", "fold", broken, 10)[0], True)
