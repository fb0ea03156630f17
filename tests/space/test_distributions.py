"""Every expression draws from the distribution that it is defined as; quantised values lie on the lattice."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from hptune.space import (
    Expression,
    choice,
    float_,
    int_,
    lognormal,
    loguniform,
    normal,
    parse_space,
    qlognormal,
    qloguniform,
    qnormal,
    quniform,
    randint,
    uniform,
    uniformint,
)

DRAWS = 10_000


def drawn(expression: Expression, seed: int = 0) -> list[Any]:
    return [expression.from_unit(unit) for unit in np.random.default_rng(seed).random(DRAWS)]


CONTINUOUS: list[tuple[Expression, Any]] = [
    (uniform(0.5, 1), scipy.stats.uniform(0.5, 0.5)),
    (uniform(-3, 4), scipy.stats.uniform(-3, 7)),
    (float_(-3, 4), scipy.stats.uniform(-3, 7)),
    (loguniform(-7, 2), scipy.stats.loguniform(math.exp(-7), math.exp(2))),
    (float_(0.01, 0.3, log=True), scipy.stats.loguniform(0.01, 0.3)),
    (normal(10, 3), scipy.stats.norm(10, 3)),
    (lognormal(1, 0.5), scipy.stats.lognorm(0.5, scale=math.e)),
]


@pytest.mark.parametrize(
    ("expression", "law"),
    CONTINUOUS,
    ids=lambda value: str(value) if isinstance(value, Expression) else "law",
)
def test_continuous_expressions_follow_their_law(expression: Expression, law: Any) -> None:
    assert scipy.stats.kstest(drawn(expression), law.cdf).pvalue > 0.01


# Azure's definitions, written down once more: round(x / q) * q of the expression without q.
DEFINITIONS: list[tuple[Expression, Callable[[np.random.Generator], Any]]] = [
    (quniform(0, 10, 3), lambda rng: np.round(rng.uniform(0, 10, DRAWS) / 3) * 3),
    (quniform(0.02, 0.97, 0.1), lambda rng: np.round(rng.uniform(0.02, 0.97, DRAWS) / 0.1) * 0.1),
    (quniform(5, 15, 10), lambda rng: np.round(rng.uniform(5, 15, DRAWS) / 10) * 10),
    (qloguniform(0, 5, 4), lambda rng: np.round(np.exp(rng.uniform(0, 5, DRAWS)) / 4) * 4),
    (qnormal(10, 3, 0.5), lambda rng: np.round(rng.normal(10, 3, DRAWS) / 0.5) * 0.5),
    (qlognormal(1, 0.5, 0.25), lambda rng: np.round(np.exp(rng.normal(1, 0.5, DRAWS)) / 0.25) * 0.25),
    (randint(7), lambda rng: rng.integers(0, 7, DRAWS)),
    (uniformint(3, 9), lambda rng: rng.integers(3, 9, DRAWS, endpoint=True)),
    (int_(3, 10), lambda rng: rng.integers(3, 10, DRAWS, endpoint=True)),
    (int_(0, 100, step=25), lambda rng: 25 * rng.integers(0, 5, DRAWS)),
    (
        int_(1, 64, log=True),
        lambda rng: np.round(np.exp(rng.uniform(np.log(0.5), np.log(64.5), DRAWS))),
    ),
    (float_(0, 1, step=0.25), lambda rng: 0.25 * rng.integers(0, 5, DRAWS)),
    (choice(16, 32, 64), lambda rng: rng.choice([16, 32, 64], DRAWS)),
]


@pytest.mark.parametrize(
    ("expression", "definition"),
    DEFINITIONS,
    ids=lambda value: str(value) if isinstance(value, Expression) else "law",
)
def test_discrete_expressions_follow_their_definition(
    expression: Expression, definition: Callable[[np.random.Generator], Any]
) -> None:
    expected = definition(np.random.default_rng(1))
    ours = drawn(expression)
    assert scipy.stats.ks_2samp(ours, expected, method="asymp").pvalue > 0.01
    values = sorted({*ours, *expected.tolist()})
    counts = [[Counter(draws)[value] for value in values] for draws in (ours, expected.tolist())]
    common = np.array(counts)[:, np.sum(counts, axis=0) >= 20]
    assert scipy.stats.chi2_contingency(common).pvalue > 0.001


LATTICES = [
    (quniform(0, 1, 0.1), 0.1),
    (quniform(-5, 5, 0.3), 0.3),
    (qloguniform(-3, 2, 0.05), 0.05),
    (qnormal(0, 4, 0.7), 0.7),
    (qlognormal(0, 1, 0.01), 0.01),
    (quniform(1, 500, 7), 7),
    (qnormal(0, 40, 5.0), 5),
]


@pytest.mark.parametrize(("expression", "q"), LATTICES, ids=str)
def test_quantised_values_lie_on_the_lattice_exactly(expression: Expression, q: float) -> None:
    values = drawn(expression)
    assert all(value == round(value / q) * q for value in values)
    assert {type(value) for value in values} == {int if float(q).is_integer() else float}


def test_steps_are_decimal_fractions() -> None:
    steps = float_(0.1, 0.9, step=0.1)
    assert [steps.value_at(index) for index in range(9)] == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
    assert steps.size == 9


@pytest.mark.parametrize(
    ("expression", "first", "last"),
    [
        (randint(5), 0, 4),
        (uniformint(3, 9), 3, 9),
        (uniformint(4, 4), 4, 4),
        (int_(1, 10, log=True), 1, 10),
        (int_(1, 10, step=4), 1, 9),
        (uniform(0.1, 0.7), 0.1, 0.7),
        (float_(1e-300, 1e300, log=True), 1e-300, 1e300),
        (loguniform(-2, 3), math.exp(-2), math.exp(3)),
        (quniform(0, 10, 3), 0, 9),
    ],
    ids=str,
)
def test_the_ends_are_reached_and_not_passed(expression: Expression, first: float, last: float) -> None:
    assert expression.from_unit(0.0) == pytest.approx(first, rel=1e-9)
    assert expression.from_unit(1 - 2**-53) == pytest.approx(last, rel=1e-9)
    assert all(first <= expression.from_unit(unit) <= last for unit in (0.0, 1 - 2**-53))


@pytest.mark.parametrize(
    "expression", [normal(0, 1), lognormal(0, 1), qnormal(0, 1, 0.1), qlognormal(0, 1, 1)]
)
def test_infinite_tails_give_finite_numbers(expression: Expression) -> None:
    assert all(math.isfinite(expression.from_unit(unit)) for unit in (0.0, 1 - 2**-53))


ALL = [pair[0] for pair in (*CONTINUOUS, *DEFINITIONS, *LATTICES)] + [
    parse_space({"x": "scipy.stats.gamma(2, scale=3)"}).groups[0].parameters["x"],
    parse_space({"x": scipy.stats.binom(9, 0.3)}).groups[0].parameters["x"],
    choice("a", None, 3, (1, 2)),
]


@given(unit=st.floats(0, 1, exclude_max=True))
@pytest.mark.parametrize("expression", ALL, ids=str)
def test_a_values_place_gives_it_again(expression: Expression, unit: float) -> None:
    value = expression.from_unit(unit)
    place = expression.to_unit(value)
    if place is None:  # where a tail's share is too small for a float
        assert expression.size is None and not 1e-6 < unit < 1 - 1e-6
        return
    assert place is not None and 0 <= place < 1
    again = expression.from_unit(place)
    assert again == (pytest.approx(value, rel=1e-6, abs=1e-9) if isinstance(value, float) else value)


@pytest.mark.parametrize("expression", ALL, ids=str)
def test_what_cannot_be_drawn_has_no_place(expression: Expression) -> None:
    assert [expression.to_unit(value) for value in ("b", True, float("nan"), [3])] == [None] * 4


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        (uniform(0, 1), 1.5),
        (quniform(0, 1, 0.1), 0.15),
        (randint(3), 3),
        (int_(0, 10, step=5), 4),
        (lognormal(0, 1), -1),
        (loguniform(0, 1), 0.5),
        (choice(1, 2), 1.0),
        (int_(1, 8, log=True), 9),
    ],
    ids=str,
)
def test_values_outside_have_no_place(expression: Expression, value: float) -> None:
    assert expression.to_unit(value) is None


FINITE = [expression for expression in ALL if expression.size is not None]


@pytest.mark.parametrize("expression", FINITE, ids=str)
def test_finite_expressions_draw_the_values_that_they_list(expression: Expression) -> None:
    listed = [expression.value_at(index) for index in range(expression.size or 0)]
    found = {expression.from_unit(unit) for unit in np.linspace(0, 1, 2000, endpoint=False)}
    assert len(set(listed)) == len(listed)
    assert found <= set(listed)
    assert found == set(listed) or len(listed) > 100 or str(expression).startswith("scipy")


def test_values_are_pythons_own_numbers() -> None:
    given = [
        uniform(np.float64(0), np.int64(2)),
        randint(np.int32(4)),
        normal(np.float32(0), 1),
        quniform(np.int64(0), 9, np.float64(2)),
        float_(np.float64(0.5), 1, step=np.float64(0.25)),
    ]
    assert {type(value) for e in given for value in (e.from_unit(0.3), e.from_unit(0.9))} == {int, float}
    assert "np." not in "".join(map(str, given))


def test_choices_of_rising_numbers_have_an_order() -> None:
    assert not choice(1, 2, 5).categorical
    assert not choice(0.3, 0.2, 0.1).categorical
    assert all(
        choice(*v).categorical for v in [(1, 3, 2), ("a", "b"), (True, False), (1, None), (1,), (1, 1)]
    )
