"""Grids in scikit-learn's order, and the law of canonical forms: equal exactly where a fit sees the same."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import yaml
from hypothesis import given
from hypothesis import strategies as st
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import ParameterGrid
from sklearn.pipeline import Pipeline

from hptune.errors import ConfigurationError
from hptune.space import Uncanonical, canonical, grid_candidates

VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(allow_nan=False),
        st.text(max_size=5),
        st.binary(max_size=3),
        st.sampled_from([np.int64(1), np.float32(1), np.float64(1), np.bool_(True)]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.tuples(inner, inner),
        st.dictionaries(st.text(max_size=3), inner, max_size=3),
    ),
    max_leaves=6,
)


def same(left: Any, right: Any) -> bool:
    """Whether a fit cannot tell two values apart: equal, and of equal types all the way down."""
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, (list, tuple)):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, float):
        return left == right and math.copysign(1, left) == math.copysign(1, right)
    return bool(left == right)


@given(left=VALUES, right=VALUES)
def test_canonical_forms_are_equal_exactly_where_the_values_are(left: Any, right: Any) -> None:
    assert (canonical(left) == canonical(right)) == same(left, right)


@given(value=VALUES)
def test_a_canonical_form_does_not_change(value: Any) -> None:
    assert canonical(value) == canonical(value)


def test_numbers_of_different_types_differ() -> None:
    ones = [1, 1.0, True, "1", np.int64(1), np.int32(1), np.float32(1), np.float64(1), np.bool_(True)]
    assert len({canonical(one) for one in ones}) == len(ones)


def test_arrays_are_known_by_dtype_shape_and_content() -> None:
    base = np.arange(6.0)
    others = [base + 1, base.astype(np.float32), base.reshape(2, 3), base[:5], base.tolist()]
    assert len({canonical(value) for value in [base, *others]}) == 6
    assert canonical(base) == canonical(np.arange(6.0))
    assert canonical(np.asfortranarray(base.reshape(2, 3))) == canonical(base.reshape(2, 3))


def test_sparse_arrays_are_known_by_shape_too() -> None:
    narrow, wide = sp.csr_array((2, 3)), sp.csr_array((2, 4))
    assert canonical(narrow) != canonical(wide)
    assert canonical(narrow) == canonical(sp.csr_array((2, 3)))


def test_estimators_are_known_by_class_and_parameters() -> None:
    assert canonical(Ridge(alpha=2.0)) == canonical(Ridge(alpha=2.0))
    assert canonical(Ridge(alpha=2.0)) != canonical(Ridge(alpha=3.0))
    assert canonical(Ridge()) != canonical(LogisticRegression())
    assert canonical(Pipeline([("a", Ridge(alpha=1.0))])) != canonical(Pipeline([("a", Ridge(alpha=2.0))]))


def test_functions_and_classes_are_known_by_their_names() -> None:
    assert canonical(math.sqrt) != canonical(math.log)
    assert canonical(np.log1p) == canonical(np.log1p)
    assert canonical(Ridge) != canonical(Ridge())


class Scale:
    def __init__(self, factor: float) -> None:
        self.factor = factor

    def by(self, value: float) -> float:
        return value * self.factor


@pytest.mark.parametrize(
    "value",
    [
        lambda x: x,
        np.random.RandomState(0),
        np.random.default_rng(0),
        functools.partial(math.pow, 2),
        Scale(2).by,
        [].append,
        object(),
        {1: lambda: 2},
        np.array([object()]),
        np.ma.masked_array([1, 2], [True, False]),
        FrozenEstimator(Ridge()),
        [1, [2, lambda: 3]],
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_cannot_be_compared_by_content_has_no_canonical_form(value: Any) -> None:
    with pytest.raises(Uncanonical):
        canonical(value)


def test_a_function_that_was_defined_anew_has_no_canonical_form() -> None:
    def helper() -> None: ...

    helper.__qualname__, helper.__module__ = "sqrt", "math"
    with pytest.raises(Uncanonical):
        canonical(helper)


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from("abcd"), st.lists(st.integers(0, 3), min_size=1, max_size=3), min_size=1
        ),
        min_size=1,
        max_size=3,
    )
)
def test_candidates_come_in_scikit_learns_order(grids: list[dict[str, list[int]]]) -> None:
    assert grid_candidates(grids) == list(ParameterGrid(grids))


def test_constants_are_shown_in_every_candidate() -> None:
    grid = {"a": (1, 2), "b": "text", "c": None, "d": {"k": [1]}, "e": range(2), "f": np.array([5])}
    found = grid_candidates(grid)
    assert len(found) == 4
    assert all(c["b"] == "text" and c["c"] is None and c["d"] == {"k": [1]} for c in found)
    assert all(type(c["f"]) is np.int64 for c in found)


@pytest.mark.parametrize(
    "space", [{}, [], [{}], [{}, {}], {"a": []}, [{"a": [1]}, {"b": []}], {"a": range(0)}]
)
def test_empty_spaces_are_refused(space: Any) -> None:
    with pytest.raises(ConfigurationError, match="is empty|has no values"):
        grid_candidates(space)


def test_parameter_names_must_be_text() -> None:
    with pytest.raises(ConfigurationError, match="must be text but got 1"):
        grid_candidates({1: [2]})  # type: ignore[dict-item]


def test_a_call_that_a_brace_took_apart_is_told_to_need_quotes() -> None:
    torn = yaml.safe_load("{x: quniform(1, 10, 2)}")
    with pytest.raises(ConfigurationError, match="x.: .quniform.1. lacks .* quotes around the whole call"):
        grid_candidates(torn)


def test_mappings_with_keys_of_any_type_are_known_by_content() -> None:
    assert canonical({0: 1, 1: 5}) == canonical({1: 5, 0: 1})
    assert len({canonical({0: 1}), canonical({0: 2}), canonical({"0": 1}), canonical({False: 1})}) == 4
