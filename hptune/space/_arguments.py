"""What the expressions' arguments must be; each message names the expression as it was written."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import numpy as np

from hptune.errors import ConfigurationError
from hptune.space._distributions import Number

__all__ = [
    "check_flag",
    "check_numbers",
    "check_order",
    "check_positive",
    "check_whole",
    "plain_numbers",
    "plain_value",
]

_Given = ParamSpec("_Given")
_Made = TypeVar("_Made")


def plain_numbers(make: Callable[_Given, _Made]) -> Callable[_Given, _Made]:
    """`make`, which gets Python's numbers for numpy's, so that what is drawn are Python's too."""

    @functools.wraps(make)
    def made(*args: _Given.args, **kwargs: _Given.kwargs) -> _Made:
        return make(*map(plain_value, args), **{name: plain_value(value) for name, value in kwargs.items()})

    return made


def plain_value(value: Any) -> Any:
    """`value` with Python's numbers and texts for numpy's, in lists, tuples and maps too, as a file would have it.

    Examples
    --------
    >>> plain_value([np.float64(0.5), {"depth": (np.int64(3), None)}])
    [0.5, {'depth': (3, None)}]
    """
    if type(value) in (list, tuple):
        return type(value)(map(plain_value, value))
    if type(value) is dict:
        return {plain_value(key): plain_value(item) for key, item in value.items()}
    return value.item() if isinstance(value, np.generic) else value


def check_flag(spelling: str, **arguments: Any) -> None:
    """Refuse what is neither true nor false."""
    for name, value in arguments.items():
        if not isinstance(value, bool):
            raise ConfigurationError(
                f"{name} must be true or false but is {value!r} in {spelling}", f"correct {name}"
            )


def check_numbers(spelling: str, **arguments: Any) -> None:
    """Refuse what is no finite number."""
    for name, value in arguments.items():
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not is_number or not math.isfinite(value):
            raise ConfigurationError(
                f"{name} must be a number but is {value!r} in {spelling}", f"correct {name}"
            )


def check_whole(spelling: str, **arguments: Any) -> None:
    """Refuse what is no whole number."""
    for name, value in arguments.items():
        if not isinstance(value, int) or isinstance(value, bool):
            raise ConfigurationError(
                f"{name} must be a whole number but is {value!r} in {spelling}", f"correct {name}"
            )


def check_positive(spelling: str, name: str, value: Number) -> None:
    """Refuse zero and below."""
    if value <= 0:
        raise ConfigurationError(
            f"{name} must be greater than 0 but is {value!r} in {spelling}", f"correct {name}"
        )


def check_order(spelling: str, low: Number, high: Number, *, may_be_equal: bool = False) -> None:
    """Refuse bounds with nothing between them; `spelling` starts with them."""
    if low < high or (may_be_equal and low == high):
        return
    if low == high:
        raise ConfigurationError(f"there is nothing between the bounds of {spelling}", f"write {low!r} alone")
    turned = spelling.replace(f"({low!r}, {high!r}", f"({high!r}, {low!r}", 1)
    raise ConfigurationError(f"the lower bound must come first but got {spelling}", f"write {turned}")
