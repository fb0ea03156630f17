"""What stands in a search space, in any of its spellings, as constants and expressions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from hptune.errors import ConfigurationError
from hptune.space._arguments import plain_value
from hptune.space._base import Expression
from hptune.space._calls import (
    BY_NAME,
    called,
    check_closed,
    frozen,
    is_expression,
    looks_like_call,
    parse_call,
)
from hptune.space._choice import Choice, Group

__all__ = ["parse_group", "plain", "written"]

_LISTS = (list, tuple, range, np.ndarray)


def parse_group(grid: Mapping[str, Any]) -> Group:
    """A map of parameter names to constants and expressions, in any spelling.

    Raises
    ------
    ConfigurationError
        A name is no text, or an expression cannot be meant. The parameter is named.
    """
    parameters = {}
    for name, value in grid.items():
        if not isinstance(name, str):
            raise ConfigurationError(
                f"a parameter's name must be text but got {name!r}", "quote or correct it"
            )
        if isinstance(value, _LISTS) and not len(value):
            raise ConfigurationError(f"{name!r} has no values", "give it at least one, or take it out")
        try:
            parameters[name] = _parsed(value)
        except ConfigurationError as error:
            raise ConfigurationError(f"{name!r}: {error.what}", error.mend) from error
    _check_names(parameters)
    return Group(parameters)


def written(value: Any) -> Any:
    """What a sweep file holds for a parsed value: parsed again, it is the same.

    Examples
    --------
    >>> group = parse_group({"eta": {"type": "uniform", "min_value": 0.5, "max_value": 1}, "depth": (3, 4)})
    >>> written(group)
    {'eta': 'uniform(0.5, 1)', 'depth': [3, 4]}
    """
    if isinstance(value, Group):
        return {name: written(item) for name, item in value.parameters.items()}
    if isinstance(value, Choice):
        return [str(o) if isinstance(o, Expression) else written(o) for o in value.options]
    if isinstance(value, Expression):
        return str(value)
    if isinstance(value, str) and looks_like_call(value):
        return str(Choice((value,)))
    return _plain(value)


def plain(value: Any) -> Any:
    """A parsed value with Python's numbers and texts for numpy's.

    Examples
    --------
    >>> plain(parse_group({"eta": np.arange(2), "seed": np.int64(0)}))
    Group(parameters={'eta': Choice(options=(0, 1)), 'seed': 0})
    """
    if isinstance(value, Group):
        return Group({name: plain(item) for name, item in value.parameters.items()})
    if isinstance(value, Choice):
        return Choice(tuple(map(plain, value.options)))
    return plain_value(value)


def _parsed(value: Any) -> Any:
    """An expression; or the value itself, which is a constant."""
    if isinstance(value, str):
        check_closed(value)
        return _parsed(parse_call(value)) if looks_like_call(value) else value
    if isinstance(value, Choice):
        return _choice(value.options, texts_are_plain=True)
    if isinstance(value, _LISTS):
        return _choice(value)
    if isinstance(value, Mapping) and isinstance(value.get("type"), str):
        return _from_map(value)
    return frozen(value) if hasattr(value, "ppf") else _constant(value)


def _from_map(value: Mapping[str, Any]) -> Any:
    """Azure's spelling: the expression's name as ``type``, its arguments beside it."""
    arguments = {str(name): item for name, item in value.items() if name != "type"}
    made = called(value["type"], (), arguments)
    return _choice(made.options) if isinstance(made, Choice) else made


def _choice(options: Iterable[Any], *, texts_are_plain: bool = False) -> Choice:
    """A choice whose maps are conditional spaces if any of them holds an expression, and else plain values."""
    given = list(options)
    parsed = [_option(option, texts_are_plain=texts_are_plain) for option in given]
    groups = [option for option in parsed if isinstance(option, Group)]
    if not any(isinstance(value, Expression) for group in groups for value in group.parameters.values()):
        plain = zip(given, parsed, strict=True)
        return Choice(tuple(raw if isinstance(option, Group) else option for raw, option in plain))
    if len(groups) < len(parsed):
        raise ConfigurationError(
            "some of the values are maps of parameters, and some are not", "write them all as maps"
        )
    return Choice(tuple(parsed))


def _option(option: Any, *, texts_are_plain: bool) -> Any:
    if isinstance(option, str):
        return option if texts_are_plain else _parsed(option)
    if isinstance(option, Expression) or hasattr(option, "ppf"):
        return _parsed(option)
    if not isinstance(option, Mapping):
        return option if isinstance(option, Group) else _constant(option)
    if isinstance(kind := option.get("type"), str) and kind in BY_NAME:
        return _from_map(option)
    return parse_group(option) if all(isinstance(name, str) for name in option) else _constant(option)


def _constant(value: Any) -> Any:
    """`value`, unless it hides an expression that would then be taken for a constant."""
    inner = (
        value.values() if isinstance(value, Mapping) else value if isinstance(value, (list, tuple)) else ()
    )
    for item in inner:
        _constant(item)
        if isinstance(item, Expression) or (isinstance(item, str) and is_expression(item)):
            raise ConfigurationError(f"{item} stands inside a value", "write it as a parameter of its own")
    return value


def _check_names(parameters: Mapping[str, Any]) -> None:
    """A parameter may stand in several maps of one choice, but not beside them too."""
    seen: set[str] = set()
    for name, value in parameters.items():
        names = _names(name, value)
        if twice := sorted(seen & names):
            raise ConfigurationError(
                f"{twice[0]!r} stands inside a choice of maps and beside it", "keep one of them"
            )
        seen |= names


def _names(name: str, value: Any) -> set[str]:
    groups = [option for option in getattr(value, "options", ()) if isinstance(option, Group)]
    inner = (_names(*item) for group in groups for item in group.parameters.items())
    return set().union(*inner) if groups else {name}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {_plain(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, range)):
        return [_plain(item) for item in value]
    return value.tolist() if isinstance(value, (np.generic, np.ndarray)) else value
