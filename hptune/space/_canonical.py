"""The canonical form in which two parameter values are the same."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np

from hptune.space._code import code_text

__all__ = ["Uncanonical", "canonical", "content_text", "same_value"]


class Uncanonical(TypeError):
    """A value that cannot be compared by content: what holds it is neither shared nor resumed."""


def canonical(value: Any) -> str:
    """A text that is equal for two values exactly when a fit cannot tell them apart.

    Numbers keep their type (1, 1.0 and True differ), arrays are known by dtype, shape and sha256, estimators
    by class and parameters, functions and classes by module and name, and by their code where they are yours.

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


def content_text(value: Any) -> str:
    """The canonical form of `value`; where there is none, a text that tells what differs by its type only.

    Examples
    --------
    >>> content_text({"alpha": 0.5, "link": lambda x: x})
    '{"alpha":["float","0.5"],"link":["uncanonical","function"]}'
    """
    try:
        return canonical(value)
    except Uncanonical:
        if not isinstance(value, Mapping):
            return json.dumps(["uncanonical", type(value).__name__], separators=(",", ":"))
        texts = {str(name): json.loads(content_text(item)) for name, item in value.items()}
        return json.dumps(texts, sort_keys=True, separators=(",", ":"))


def same_value(left: Any, right: Any) -> bool:
    """Whether a fit cannot tell two values apart; False where that cannot be known by content."""
    try:
        return left is right or canonical(left) == canonical(right)
    except Uncanonical:
        return False


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
    return _canonical_object(value)


def _canonical_object(value: Any) -> Any:
    """The form of what only Python code can give. Its libraries take seconds to import: sweep files do without."""
    import scipy.sparse as sp
    from sklearn.base import BaseEstimator

    if sp.issparse(value):
        compressed = sp.csr_array(value)
        parts = (_canonical(getattr(compressed, part)) for part in ("data", "indices", "indptr"))
        return [type(value).__name__, list(value.shape), *parts]
    if isinstance(value, BaseEstimator) and _cloned_by_parameters(value):
        from hptune._sklearn_compat import output_config

        output = output_config(value)
        set_output = [_canonical(output)] if output else []
        params = _canonical(value.get_params(deep=False))
        return [_import_name(type(value)), params, *set_output, *_code(type(value))]
    if isinstance(value, type) or callable(value):
        return ["name", _import_name(value), *_code(value)]
    raise Uncanonical(f"{type(value).__name__} has no canonical form")


def _code(value: Any) -> list[str]:
    text = code_text(value)
    return [] if text is None else [text]


def _cloned_by_parameters(estimator: Any) -> bool:
    """Whether a clone is class, parameters and what ``set_output`` set.

    A frozen estimator's clones keep what it learned; metadata requests and callbacks are carried along too.
    """
    from sklearn.base import BaseEstimator

    from hptune._sklearn_compat import carries_requests_or_callbacks

    by_parameters = type(estimator).__sklearn_clone__ is BaseEstimator.__sklearn_clone__
    return by_parameters and not carries_requests_or_callbacks(estimator)


def _import_name(value: Any) -> str:
    """``module:qualname`` where that names this very object, so no bound method and nothing redefined."""
    module, name = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    found = sys.modules.get(module or "")
    for part in (name or "").split("."):
        found = getattr(found, part, None)
    if found is None or found is not value:
        raise Uncanonical(f"{type(value).__name__} {name} cannot be imported by name")
    return f"{module}:{name}"
