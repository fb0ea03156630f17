"""``hptune.minimize``: a function's best parameters, wherever it is called."""

from __future__ import annotations

import math
import threading
from pathlib import Path
from typing import Any

import pytest

import hptune
from hptune.errors import AllTrialsFailedError, ConfigurationError
from tests.trials.functions import parabola

pytestmark = pytest.mark.shares_session

SPACE = {"x": "uniform(-3, 5)"}


@pytest.mark.slow
def test_a_closure_is_minimized_in_other_processes() -> None:
    middle = 2.0
    result = hptune.minimize(lambda params: (params["x"] - middle) ** 2, SPACE, max_evals=25)
    assert abs(result.best_params["x"] - middle) < 0.5
    best = result.best_run()
    assert best.metrics["loss"] == -result.best_score
    assert [child.number for child in result.children()] == list(range(25))
    scores = [child.score for child in result.children_sorted_by_primary_metric()]
    assert scores == sorted(scores, reverse=True)


@pytest.mark.spark
def test_a_closure_is_minimized_on_executors(spark: Any) -> None:
    result = hptune.minimize(lambda params: abs(params["x"] - 1), SPACE, max_evals=10, sampler="random")
    assert len(result.children()) == 10
    assert {child.status for child in result.children()} == {"ok"}
    rows = spark.createDataFrame([(1.0,), (3.0,)], ["x"])

    def distance(params: dict[str, Any]) -> dict[str, Any]:
        return {"loss": abs(rows.groupBy().avg("x").first()[0] - params["x"]), "rows": rows.count()}

    here = hptune.minimize(distance, SPACE, max_evals=3, place="driver", max_concurrent=2)
    assert {child.metrics["rows"] for child in here.children()} == {2.0}


def test_the_same_seed_tries_the_same() -> None:
    def tried(seed: int) -> list[float]:
        result = hptune.minimize(parabola, SPACE, max_evals=6, seed=seed, place="driver")
        return [child.params["x"] for child in result.children()]

    assert tried(1) == tried(1) != tried(2)


def test_a_search_in_a_directory_goes_on_where_it_was(tmp_path: Path) -> None:
    calls: list[float] = []

    def counted(params: dict[str, Any]) -> float:
        calls.append(params["x"])
        return parabola(params)

    out = tmp_path / "out"
    first = hptune.minimize(parabola, SPACE, max_evals=5, place="driver", out=out)
    again = hptune.minimize(parabola, SPACE, max_evals=5, place="driver", out=out)
    assert again.best_params == first.best_params
    assert not calls
    with pytest.raises(ConfigurationError, match="was started with"):
        hptune.minimize(counted, SPACE, max_evals=5, place="driver", out=out)
    loaded = hptune.load(out)
    assert loaded.best_params == first.best_params


@pytest.mark.parametrize("sampler", ["random", "sobol", "bayesian"])
def test_a_search_in_a_directory_can_have_more_evaluations(sampler: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = hptune.minimize(parabola, SPACE, max_evals=3, sampler=sampler, place="driver", out=out)
    more = hptune.minimize(parabola, SPACE, max_evals=5, sampler=sampler, place="driver", out=out)
    assert [child.params for child in more.children()[:3]] == [child.params for child in first.children()]
    assert [child.started for child in more.children()[:3]] == [child.started for child in first.children()]
    assert len(more.children()) == 5


def test_what_is_finished_when_the_time_is_over_is_the_result() -> None:
    may_return, returned = threading.Event(), threading.Event()

    def slow(params: dict[str, Any]) -> float:
        if params["n"] > 1:
            may_return.wait(60)
            returned.set()
        return float(params["n"])

    result = hptune.minimize(
        slow, {"n": [1, 2, 3]}, max_evals=3, sampler="grid", place="driver", max_concurrent=1, timeout=2
    )
    assert not returned.is_set()
    may_return.set()
    assert result.best_params == {"n": 1}
    assert [child.status for child in result.children()] == ["ok", "not run", "not run"]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"max_evals": 0}, "limits.max_total_trials must be a whole number from 1 but is 0"),
        ({"sampler": "bayes"}, "did you mean 'bayesian'"),
        ({"place": "moon"}, "trial.place must not be 'moon'"),
        ({"space": {"x": "unifrom(0, 1)"}}, "unknown expression 'unifrom'"),
        ({"sampler": "grid"}, "a grid needs listed values"),
    ],
)
def test_what_cannot_be_meant_is_told(wrong: dict[str, Any], message: str) -> None:
    given: dict[str, Any] = {"fn": parabola, "space": SPACE, "max_evals": 3, "place": "driver", **wrong}
    fn, space = given.pop("fn"), given.pop("space")
    with pytest.raises(ConfigurationError, match=message):
        hptune.minimize(fn, space, **given)


def test_when_every_call_fails_the_commonest_reason_is_told() -> None:
    with pytest.raises(AllTrialsFailedError, match="loss is nan"):
        hptune.minimize(lambda params: math.nan, SPACE, max_evals=3, place="driver")
