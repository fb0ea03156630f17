"""What every sampler keeps to, and what sets each apart."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from hptune.errors import ConfigurationError
from hptune.samplers import BY_NAME, RandomSampler, SobolSampler
from hptune.space import canonical, parse_space

FINITE = parse_space({"a": [1, 2, 3], "b": "quniform(0, 4, 1)", "c": ["x", None], "d": "constant"})
ENDLESS = parse_space({"a": "uniform(0, 1)", "b": "normal(10, 3)", "c": [1, 2], "n": "qlognormal(0, 1, 1)"})
CONDITIONAL = parse_space(
    {"m": [{"k": "a", "x": ["uniform(0, 1)", 5]}, {"k": "b", "y": "randint(4)"}], "z": [True, False]}
)
SPACES = {"finite": FINITE, "endless": ENDLESS, "conditional": CONDITIONAL}
DRAWING = sorted(set(BY_NAME) - {"grid"})
ASKED = [
    pytest.param(name, space, id=f"{kind}-{name}")
    for name in BY_NAME
    for kind, space in SPACES.items()
    if name in DRAWING or space.size is not None
]


def keys(candidates: list[dict[str, Any]]) -> list[str]:
    return [canonical(candidate) for candidate in candidates]


@pytest.mark.parametrize(("name", "space"), ASKED)
def test_how_many_are_asked_for_at_a_time_changes_nothing(name: str, space: Any) -> None:
    one, other = BY_NAME[name](space, 3), BY_NAME[name](space, 3)
    assert one.ask(20) == other.ask(3) + other.ask(0) + other.ask(17)


@pytest.mark.parametrize("name", BY_NAME)
def test_a_finite_space_is_exhausted_without_repeating_a_candidate(name: str) -> None:
    sampler = BY_NAME[name](FINITE, 0)
    candidates = sampler.ask(1000)
    assert len(candidates) == FINITE.size == 30
    assert set(keys(candidates)) == set(keys(list(FINITE.grid())))
    assert sampler.ask(1) == []


@pytest.mark.parametrize("name", DRAWING)
def test_a_seed_gives_its_own_candidates_always(name: str) -> None:
    draws = [keys(BY_NAME[name](ENDLESS, seed).ask(10)) for seed in (0, 0, 1)]
    assert draws[0] == draws[1] != draws[2]


@pytest.mark.parametrize("name", DRAWING)
def test_no_candidate_comes_twice(name: str) -> None:
    space = parse_space({"a": "qnormal(0, 3, 1)"})
    candidates = BY_NAME[name](space, 0).ask(12)
    assert len(candidates) == len(set(keys(candidates))) == 12


@pytest.mark.parametrize("name", BY_NAME)
def test_overlapping_alternatives_are_tried_once(name: str) -> None:
    space = parse_space([{"a": [1, 2]}, {"a": [2, 3]}])
    candidates = BY_NAME[name](space, 0).ask(10)
    assert sorted(c["a"] for c in candidates) == ([1, 2, 2, 3] if name == "grid" else [1, 2, 3])


def below(params: dict[str, Any]) -> bool:
    return bool(params["a"] < params["b"])


@pytest.mark.parametrize("name", BY_NAME)
def test_constraints_hold(name: str) -> None:
    space = replace(parse_space({"a": [1, 2, 3], "b": [1, 2, 3]}), constraints=(below,))
    assert {(c["a"], c["b"]) for c in BY_NAME[name](space, 0).ask(9)} == {(1, 2), (1, 3), (2, 3)}


@pytest.mark.parametrize("name", DRAWING)
def test_what_no_draw_meets_in_a_finite_space_is_tried_too(name: str) -> None:
    space = parse_space({"a": "qloguniform(0, 12, 1000)"})  # most of 163 values have a share below 1 %
    candidates = BY_NAME[name](space, 0).ask(1000)
    assert sorted(c["a"] for c in candidates) == [1000 * k for k in range(164)]


@pytest.mark.parametrize("name", DRAWING)
def test_a_constraint_that_allows_nothing_ends_the_draws(name: str) -> None:
    space = replace(ENDLESS, constraints=(lambda params: False,))
    assert BY_NAME[name](space, 0).ask(5) == []


def test_a_grid_of_a_continuous_space_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="grid needs listed values, but 'a' is uniform"):
        BY_NAME["grid"](ENDLESS)


def test_values_without_a_canonical_form_are_told_apart() -> None:
    functions = [lambda x, n=n: x + n for n in range(5)]
    models = [LogisticRegression(C=c) for c in (1.0, 2.0)]
    space = parse_space({"f": functions, "m": models})
    assert len(RandomSampler(space, 0).ask(100)) == 10


def test_random_draws_follow_the_expressions() -> None:
    values = [candidate["b"] for candidate in RandomSampler(ENDLESS, 0).ask(2000)]
    assert scipy.stats.kstest(values, scipy.stats.norm(10, 3).cdf).pvalue > 0.01


def test_sobol_fills_the_space_more_evenly_than_random() -> None:
    space = parse_space({"a": "uniform(0, 1)", "b": "uniform(0, 1)"})

    def unevenness(sampler: Any) -> float:
        points = np.array([[c["a"], c["b"]] for c in sampler.ask(64)])
        return float(scipy.stats.qmc.discrepancy(points))

    sobol = [unevenness(SobolSampler(space, seed)) for seed in range(5)]
    assert max(sobol) < min(unevenness(RandomSampler(space, seed)) for seed in range(5)) / 3


@settings(deadline=None)
@given(
    sizes=st.lists(st.integers(1, 4), min_size=1, max_size=3),
    n=st.integers(1, 80),
    name=st.sampled_from(sorted(BY_NAME)),
)
def test_a_finite_space_gives_as_many_as_it_has(sizes: list[int], n: int, name: str) -> None:
    space = parse_space({str(number): list(range(size)) for number, size in enumerate(sizes)})
    candidates = BY_NAME[name](space, n).ask(n)
    assert len(set(keys(candidates))) == len(candidates) == min(n, space.size or 0)
