"""TPE through ask and tell: better than random, repeatable, and taught by failures and earlier sweeps."""

from __future__ import annotations

import math
import statistics
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from hptune.errors import ConfigurationError
from hptune.samplers import BayesianSampler, RandomSampler, Sampler, Scored
from hptune.space import SearchSpace, parse_space

Params = dict[str, Any]
EVALUATIONS, SEEDS = 60, 20


def branin(params: Params) -> float:
    x, y = params["x"], params["y"]
    return (
        (y - 5.1 / (4 * math.pi**2) * x**2 + 5 / math.pi * x - 6) ** 2
        + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x)
        + 10
    )


_A = np.array(
    [
        [10, 3, 17, 3.5, 1.7, 8],
        [0.05, 10, 17, 0.1, 8, 14],
        [3, 3.5, 1.7, 10, 17, 8],
        [17, 8, 0.05, 10, 0.1, 14],
    ]
)
_P = 1e-4 * np.array(
    [
        [1312, 1696, 5569, 124, 8283, 5886],
        [2329, 4135, 8307, 3736, 1004, 9991],
        [2348, 1451, 3522, 2883, 3047, 6650],
        [4047, 8828, 8732, 5743, 1091, 381],
    ]
)


def hartmann_6(params: Params) -> float:
    x = np.array([params[f"x{number}"] for number in range(6)])
    return -float(np.array([1.0, 1.2, 3.0, 3.2]) @ np.exp(-np.sum(_A * (x - _P) ** 2, axis=1)))


def mixed(params: Params) -> float:
    """Continuous, whole-number, quantised and categorical parameters, half of them conditional."""
    base = (math.log10(params["rate"]) + 2) ** 2 + 0.1 * abs(params["depth"] - 6)
    if params["kind"] == "tree":
        return base + 4 * (params["sample"] - 0.7) ** 2 + 0.1 * abs(params["leaves"] - 32) / 32
    return base + 0.5 + abs(params["alpha"] - 1) / 3 + {"l1": 0.0, "l2": 0.3, "both": 0.1}[params["penalty"]]


FUNCTIONS: dict[str, tuple[Callable[[Params], float], SearchSpace]] = {
    "branin": (branin, parse_space({"x": "uniform(-5, 10)", "y": "uniform(0, 15)"})),
    "hartmann_6": (hartmann_6, parse_space({f"x{number}": "uniform(0, 1)" for number in range(6)})),
    "mixed": (
        mixed,
        parse_space(
            {
                "rate": "loguniform(-10, 0.5)",
                "depth": "int(1, 12)",
                "model": [
                    {"kind": "tree", "sample": "uniform(0.2, 1)", "leaves": "quniform(4, 128, 4)"},
                    {"kind": "linear", "alpha": "lognormal(0, 1)", "penalty": ["l1", "l2", "both"]},
                ],
            }
        ),
    ),
}


def tried(sampler: Sampler, score: Callable[[Params], float], n: int, at_once: int = 1) -> list[Params]:
    """Candidates in the order of asking, each batch told before the next is asked for."""
    candidates: list[Params] = []
    while len(candidates) < n:
        batch = sampler.ask(at_once)
        first = len(candidates)
        candidates += batch
        sampler.tell(Scored(first + number, score(params)) for number, params in enumerate(batch))
    return candidates


@pytest.mark.slow
@pytest.mark.parametrize("name", FUNCTIONS)
def test_tpe_beats_random(name: str) -> None:
    function, space = FUNCTIONS[name]

    def median_of_bests(kind: type[Sampler]) -> float:
        return statistics.median(
            min(map(function, tried(kind(space, seed), lambda params: -function(params), EVALUATIONS)))
            for seed in range(SEEDS)
        )

    assert median_of_bests(BayesianSampler) < median_of_bests(RandomSampler)


@pytest.mark.parametrize("at_once", [1, 4])
def test_the_same_seed_and_scores_give_the_same_candidates(at_once: int) -> None:
    function, space = FUNCTIONS["mixed"]

    def candidates(seed: int) -> list[Params]:
        return tried(BayesianSampler(space, seed), lambda params: -function(params), 24, at_once)

    assert candidates(1) == candidates(1) != candidates(2)


def test_what_is_asked_for_at_once_spreads_out() -> None:
    space = parse_space({"x": "uniform(0, 1)"})
    sampler = BayesianSampler(space, 0)
    tried(sampler, lambda params: -abs(params["x"] - 0.5), 20)
    batch = sorted(params["x"] for params in sampler.ask(8))
    assert min(right - left for left, right in zip(batch, batch[1:], strict=False)) > 1e-4


@pytest.mark.parametrize("failed", [math.nan, math.inf, -math.inf])
def test_a_region_where_fits_fail_is_left(failed: float) -> None:
    space = parse_space({"x": "uniform(0, 1)", "y": "uniform(0, 1)"})
    candidates = tried(
        BayesianSampler(space, 0), lambda params: failed if params["x"] > 0.4 else -abs(params["y"] - 0.5), 60
    )
    assert sum(params["x"] > 0.4 for params in candidates[-30:]) <= 10  # random would try 18


def test_a_region_that_the_constraints_refuse_is_not_asked_for() -> None:
    space = SearchSpace(FUNCTIONS["branin"][1].groups, (lambda params: params["x"] > 5,))
    candidates = tried(BayesianSampler(space, 0), lambda params: -branin(params), 40)
    assert all(params["x"] > 5 for params in candidates)


def test_scores_may_be_told_in_any_order() -> None:
    function, space = FUNCTIONS["branin"]
    sampler = BayesianSampler(space, 0)
    first = sampler.ask(20)
    sampler.tell(Scored(number, -function(first[number])) for number in reversed(range(20)))
    later = tried_after(sampler, 20, function)
    assert min(map(function, later)) < statistics.median(map(function, first))


def tried_after(sampler: Sampler, n: int, function: Callable[[Params], float]) -> list[Params]:
    candidates = []
    for number in range(n, 2 * n):
        candidates += sampler.ask(1)
        sampler.tell([Scored(number, -function(candidates[-1]))])
    return candidates


def test_an_earlier_sweep_is_learned_from() -> None:
    function, space = FUNCTIONS["branin"]
    found = [(params, -function(params)) for params in RandomSampler(space, 7).ask(60)]
    warm, cold = BayesianSampler(space, 0), BayesianSampler(space, 0)
    assert warm.learn(found) == 60
    first_ten = [
        statistics.median(map(function, tried(sampler, lambda p: -function(p), 10)))
        for sampler in (warm, cold)
    ]
    assert first_ten[0] < first_ten[1]


def test_what_lies_outside_the_space_is_not_learned() -> None:
    space = parse_space({"x": "uniform(0, 1)", "k": ["a", "b"], "c": 1})
    found = [
        ({"x": 0.5, "k": "a", "c": 1}, 1.0),
        ({"x": 0.5, "k": "c", "c": 1}, 1.0),
        ({"x": 2.0, "k": "a", "c": 1}, 1.0),
        ({"x": 0.5, "k": "a", "c": 2}, 1.0),
        ({"x": 0.5, "k": "a", "c": 1, "d": 1}, 1.0),
        ({"x": 0.5, "k": "a"}, 1.0),
    ]
    assert BayesianSampler(space, 0).learn(found) == 1


def test_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    tried(BayesianSampler(FUNCTIONS["mixed"][1], 0), lambda params: math.nan, 15)
    assert capfd.readouterr() == ("", "")


def test_optuna_is_asked_for_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ConfigurationError, match=r"needs optuna: pip install 'hptune\[bayesian\]'"):
        BayesianSampler(FUNCTIONS["branin"][1])
