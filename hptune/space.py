"""Search spaces, and the canonical form in which two parameter values are the same."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.base import BaseEstimator
from sklearn.model_selection import ParameterGrid

from hptune.errors import ConfigurationError

__all__ = ["Uncanonical", "canonical", "grid_candidates"]

Space = Mapping[str, Any] | Sequence[Mapping[str, Any]]


class Uncanonical(TypeError):
    """A value that cannot be compared by content: what holds it is neither shared nor resumed."""


def grid_candidates(space: Space) -> list[dict[str, Any]]:
    """All parameter settings of a grid, in scikit-learn's order.

    Parameters
    ----------
    space : mapping, or sequence of mappings
        Lists (and tuples, ranges, one-dimensional arrays) are choices, everything else is a constant that is
        shown in every candidate. Several mappings are several grids, one after the other.

    Raises
    ------
    ConfigurationError
        The space is empty, or a parameter has no values.

    Examples
    --------
    >>> grid_candidates({"max_depth": [3, 4], "eta": 0.1})
    [{'eta': 0.1, 'max_depth': 3}, {'eta': 0.1, 'max_depth': 4}]
    """
    grids = [space] if isinstance(space, Mapping) else list(space)
    if not grids or not any(grids):
        raise ConfigurationError("search_space is empty", "give at least one parameter with its values")
    return list(ParameterGrid([_choices(grid) for grid in grids]))


def canonical(value: Any) -> str:
    """A text that is equal for two values exactly when a fit cannot tell them apart.

    Numbers keep their type (1, 1.0 and True differ), arrays are known by dtype, shape and sha256, estimators
    by class and parameters, functions and classes by module and name.

    Raises
    ------
    Uncanonical
        For anything else: lambdas, random number generators, open files.

    Examples
    --------
    >>> canonical({"b": 1, "a": [0.5, None]})
    '{"a":["list",["float","0.5"],["NoneType","None"]],"b":["int","1"]}'
    """
    return json.dumps(_canonical(value), sort_keys=True, separators=(",", ":"))


def _choices(grid: Mapping[str, Any]) -> dict[str, list[Any]]:
    choices = {}
    for name, value in grid.items():
        if not isinstance(name, str):
            raise ConfigurationError(
                f"search_space: a parameter's name must be text but got {name!r}", "quote or correct it"
            )
        is_choice = isinstance(value, (list, tuple, range, np.ndarray))
        values = list(value) if is_choice else [value]
        if not values:
            raise ConfigurationError(
                f"search_space: {name!r} has no values", "give it at least one, or take it out"
            )
        choices[name] = values
    return choices


def _canonical(value: Any) -> Any:
    if value is None or isinstance(value, (bool, int, float, complex, str, bytes, np.generic)):
        return [type(value).__name__, repr(value)]
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {key: _canonical(item) for key, item in value.items()}
    if type(value) is dict:  # as in class_weight: {0: 1, 1: 5}
        return [
            "dict",
            *sorted(([_canonical(key), _canonical(item)] for key, item in value.items()), key=json.dumps),
        ]
    if isinstance(value, (list, tuple)):
        return [type(value).__name__, *map(_canonical, value)]
    if type(value) is np.ndarray and not value.dtype.hasobject:
        digest = hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()
        return ["ndarray", repr(value.dtype), list(value.shape), digest]
    if sp.issparse(value):
        compressed = sp.csr_array(value)
        parts = (_canonical(getattr(compressed, part)) for part in ("data", "indices", "indptr"))
        return [type(value).__name__, list(value.shape), *parts]
    if isinstance(value, BaseEstimator) and _cloned_by_parameters(value):
        output = vars(value).get("_sklearn_output_config")
        set_output = [_canonical(output)] if output else []
        return [_import_name(type(value)), _canonical(value.get_params(deep=False)), *set_output]
    if isinstance(value, type) or callable(value):
        return ["name", _import_name(value)]
    raise Uncanonical(f"{type(value).__name__} has no canonical form")


def _cloned_by_parameters(estimator: BaseEstimator) -> bool:
    """Whether a clone is class, parameters and what ``set_output`` set.

    A frozen estimator's clones keep what it learned; metadata requests and callbacks are carried along too.
    """
    carries_more = not vars(estimator).keys().isdisjoint({"_metadata_request", "_skl_callbacks"})
    return type(estimator).__sklearn_clone__ is BaseEstimator.__sklearn_clone__ and not carries_more


def _import_name(value: Any) -> str:
    """``module:qualname`` where that names this very object, so no bound method and nothing redefined."""
    module, name = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    found = sys.modules.get(module or "")
    for part in (name or "").split("."):
        found = getattr(found, part, None)
    if found is None or found is not value:
        raise Uncanonical(f"{type(value).__name__} {name} cannot be imported by name")
    return f"{module}:{name}"
