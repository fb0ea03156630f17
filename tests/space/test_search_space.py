"""Spaces as wholes: conditional ones, alternatives, constraints, and what makes their points."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hptune.errors import ConfigurationError
from hptune.space import choice, grid_candidates, parse_space, uniform

BOOSTERS = {
    "booster": [
        {"booster": "gbtree", "max_depth": [3, 4], "eta": "uniform(0.1, 0.5)"},
        {"booster": "gblinear", "alpha": [0, 1, 2]},
    ],
    "seed": 0,
}


def test_a_chosen_map_stands_in_the_place_of_the_choice() -> None:
    space = parse_space(BOOSTERS)
    assert space.candidate(lambda dimension: 0.0) == {
        "booster": "gbtree",
        "eta": 0.1,
        "max_depth": 3,
        "seed": 0,
    }
    assert space.candidate(lambda dimension: 0.99) == {"alpha": 2, "booster": "gblinear", "seed": 0}


def test_only_the_dimensions_of_the_chosen_map_are_asked_for() -> None:
    space = parse_space(BOOSTERS)
    asked: list[str] = []
    space.candidate(lambda dimension: asked.append(dimension.name) or 0.7)
    assert asked == ["booster", "booster[1].alpha"]
    assert [d.name for d in space.dimensions] == [
        "booster",
        "booster[0].eta",
        "booster[0].max_depth",
        "booster[1].alpha",
    ]
    assert [d.number for d in space.dimensions] == [0, 1, 2, 3]


def test_azures_spelling_of_a_conditional_space_is_taken() -> None:
    azure = {
        "model": {
            "type": "choice",
            "values": [
                {"name": "yolov5", "rate": {"type": "uniform", "min_value": 0.1, "max_value": 1}},
                {"name": {"type": "choice", "values": ["a", "b"]}},
            ],
        }
    }
    space = parse_space(azure)
    assert space == parse_space(
        {"model": [{"name": "yolov5", "rate": "uniform(0.1, 1)"}, {"name": choice("a", "b")}]}
    )
    assert space.candidate(lambda dimension: 0.9) == {"name": "b"}


@pytest.mark.parametrize(
    "space",
    [
        BOOSTERS,
        [{"a": [1, 2]}, {"b": "uniform(0, 1)", "c": 1}],
        {"m": choice({"a": choice({"b": [1, 2]}, {"c": "uniform(0, 1)"})}, {"d": 3})},
        {"w": [{"p": 1}, {"q": 2}], "d": {"p": 2}},
    ],
    ids=["choice of maps", "list of maps", "nested", "plain maps"],
)
def test_a_space_is_written_so_that_it_comes_back(space: Any) -> None:
    once = parse_space(space)
    assert parse_space(once.written()) == once


def test_maps_without_expressions_are_values() -> None:
    weights = [{"a": 1, "b": 2}, {"a": 2, "b": 1}, None]
    assert [c["w"] for c in grid_candidates({"w": weights})] == weights


def test_nested_choices_make_a_grid() -> None:
    nested = {"m": [{"k": ["a", "b"], "n": [1, 2]}, {"k": "c"}], "z": [True, False]}
    found = grid_candidates(nested)
    assert len(found) == parse_space(nested).size == 10
    assert found[:3] == [
        {"k": "a", "n": 1, "z": True},
        {"k": "a", "n": 1, "z": False},
        {"k": "a", "n": 2, "z": True},
    ]
    assert found[-1] == {"k": "c", "z": False}


def test_every_finite_expression_makes_a_grid() -> None:
    space = {
        "a": "randint(2)",
        "b": "quniform(0, 10, 5)",
        "c": "float(0.1, 0.2, step=0.1)",
        "d": "int(1, 2, log=true)",
    }
    assert len(grid_candidates(space)) == 2 * 3 * 2 * 2


@pytest.mark.parametrize("call", ["uniform(0, 1)", "qnormal(0, 1, 1)", "scipy.stats.norm(0, 1)"])
def test_a_grid_of_endless_values_is_refused_by_name(call: str) -> None:
    with pytest.raises(ConfigurationError, match=f"'b' is {call[:6]}.*use sampling_algorithm random"):
        grid_candidates({"a": [1, 2], "b": call})


@pytest.mark.parametrize("inner", ["a", "b"])
def test_a_parameter_stands_inside_or_beside_a_choice_of_maps(inner: str) -> None:
    with pytest.raises(ConfigurationError, match=f"'{inner}' stands inside a choice of maps and beside it"):
        parse_space({"m": [{"a": [1, 2], "b": 1}, {"c": 1}], inner: 3})


UNITS = st.floats(0, 1, exclude_max=True)


@given(units=st.lists(UNITS, min_size=4, max_size=4))
def test_a_point_always_gives_the_same_candidate(units: list[float]) -> None:
    first, second = (parse_space(BOOSTERS).candidate(lambda d: units[d.number]) for _ in range(2))
    assert first == second


def test_the_alternatives_of_a_list_are_equally_likely() -> None:
    space = parse_space([{"a": [1, 2, 3]}, {"b": uniform(0, 1)}])
    rng = np.random.default_rng(0)
    drawn = [space.candidate(lambda _: float(rng.random())) for _ in range(2000)]
    assert 900 < sum("a" in candidate for candidate in drawn) < 1100


def rising(params: dict[str, Any]) -> bool:
    return bool(params["a"] < params["b"])


def broken(params: dict[str, Any]) -> bool:
    return bool(params["absent"])


def test_a_grid_keeps_to_its_constraints() -> None:
    from dataclasses import replace

    space = replace(parse_space({"a": [1, 2], "b": [1, 2]}), constraints=(rising,))
    assert list(space.grid()) == [{"a": 1, "b": 2}]


def test_a_constraint_that_raises_is_named() -> None:
    from dataclasses import replace

    space = replace(parse_space({"a": [1, 2]}), constraints=(broken,))
    with pytest.raises(
        ConfigurationError, match="constraint broken raised KeyError.*for {'a': 1}: correct the"
    ):
        list(space.grid())


def test_an_option_of_a_long_grid_is_reached_without_listing_it() -> None:
    space = parse_space({name: "randint(1000000)" for name in "abcdef"})
    assert space.size == 10**36
    assert next(space.grid()) == dict.fromkeys("abcdef", 0)


@pytest.mark.parametrize(
    "space",
    [
        BOOSTERS,
        [{"a": [1, 2]}, {"b": "uniform(0, 1)", "c": 1}, {"a": "int(1, 9)"}],
        {
            "m": choice(
                {"a": choice({"b": [1, 2]}, {"b": "uniform(0, 1)"})}, {"d": 3, "e": [1, "normal(5, 1)"]}
            )
        },
    ],
    ids=["choice of maps", "list of maps", "nested"],
)
@given(units=st.lists(UNITS, min_size=12, max_size=12))
def test_a_candidates_place_gives_it_again(space: Any, units: list[float]) -> None:
    parsed = parse_space(space)
    candidate = parsed.candidate(lambda dimension: units[dimension.number])
    place = parsed.units_of(candidate)
    assert place is not None
    at = {dimension.name: unit for dimension, unit in place}
    again = parsed.candidate(lambda dimension: at[dimension.name])
    assert again == {
        name: pytest.approx(value, abs=1e-9) if isinstance(value, float) else value
        for name, value in candidate.items()
    }
