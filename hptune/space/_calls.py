"""Expressions written as calls, ``uniform(0.5, 1)``: read by Python's parser, never evaluated."""

from __future__ import annotations

import ast
import inspect
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from hptune.errors import ConfigurationError, did_you_mean
from hptune.space import _expressions
from hptune.space._arguments import plain_value
from hptune.space._base import Expression
from hptune.space._choice import Choice
from hptune.space._distributions import Frozen

__all__ = ["BY_NAME", "called", "check_closed", "frozen", "is_expression", "looks_like_call", "parse_call"]

_SCIPY = "scipy.stats."
_CALL = re.compile(rf"\s*((?:{re.escape(_SCIPY)})?[A-Za-z_]\w*)\s*\(.*\)\s*", re.DOTALL)
_OPENING = re.compile(rf"\s*((?:{re.escape(_SCIPY)})?[A-Za-z_]\w*)\s*\(")
_YAML_WORDS = {"true": True, "false": False, "null": None, "none": None}


def _range(start: int, stop: int, step: int = 1) -> Choice:
    try:
        return _expressions.choice(range(start, stop, step))
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"range: {error}", "write range(1, 10)") from error


BY_NAME: dict[str, Callable[..., Expression]] = {
    "choice": _expressions.choice,
    "float": _expressions.float_,
    "int": _expressions.int_,
    "lognormal": _expressions.lognormal,
    "loguniform": _expressions.loguniform,
    "normal": _expressions.normal,
    "qlognormal": _expressions.qlognormal,
    "qloguniform": _expressions.qloguniform,
    "qnormal": _expressions.qnormal,
    "quniform": _expressions.quniform,
    "randint": _expressions.randint,
    "range": _range,
    "uniform": _expressions.uniform,
    "uniformint": _expressions.uniformint,
}


def looks_like_call(text: str) -> bool:
    """Whether a text has the form of a call; a dotted name has it only below ``scipy.stats``."""
    return _CALL.fullmatch(text) is not None


def check_closed(text: str) -> None:
    """Refuse a text that begins as an expression and lacks its last bracket, which would be a constant.

    Raises
    ------
    ConfigurationError
        It is such a text.
    """
    match = _OPENING.match(text)
    known = match is not None and (match[1] in BY_NAME or match[1].startswith(_SCIPY))
    if known and text.count("(") > text.count(")"):
        raise ConfigurationError(
            f"{text!r} lacks its closing bracket",
            'add it, with quotes around the whole call inside braces: {x: "uniform(0, 1)"}',
        )


def is_expression(text: str) -> bool:
    """Whether a text is a call of an expression that there is."""
    match = _CALL.fullmatch(text)
    return match is not None and (match[1] in BY_NAME or match[1].startswith(_SCIPY))


def parse_call(text: str) -> Expression:
    """The expression that a call gives. Its arguments are literals, lists, maps and further calls.

    Raises
    ------
    ConfigurationError
        The text is no such call, or the expression refuses its arguments.

    Examples
    --------
    >>> parse_call("float(0.01, 0.3, log=true)").extent
    '0.01 to 0.3, evenly in logarithms'
    """
    try:
        node = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ConfigurationError(f"{text!r} cannot be read", "write it as in uniform(0.5, 1)") from error
    if not isinstance(node, ast.Call):
        raise ConfigurationError(f"{text!r} is no call", "write it as in uniform(0.5, 1)")
    return _expression(node)


def called(name: str, arguments: Sequence[Any] = (), named: Mapping[str, Any] | None = None) -> Expression:
    """The expression of that name with these arguments."""
    if name.startswith(_SCIPY):
        return _from_scipy(name, arguments, named or {})
    if name not in BY_NAME:
        listed = (
            f"the expressions are {', '.join(BY_NAME)}; write a text that looks like one as choice('...')"
        )
        raise ConfigurationError(f"unknown expression {name!r}", did_you_mean(name, BY_NAME, listed))
    make = BY_NAME[name]
    signature = inspect.signature(make)
    try:
        bound = signature.bind(*arguments, **(named or {}))
    except TypeError as error:
        parameters = ", ".join(str(p).split(":")[0] for p in signature.parameters.values())
        raise ConfigurationError(f"{name}: {error}", f"write {name}({parameters})") from error
    return make(*bound.args, **bound.kwargs)


def frozen(distribution: Any) -> Frozen:
    """The expression of a frozen distribution of scipy's, or of anything else with its ``ppf`` and ``cdf``.

    Raises
    ------
    ConfigurationError
        Its parameters make no distribution, or several.
    """
    kind = getattr(distribution, "dist", None)
    arguments = [repr(value) for value in map(plain_value, getattr(distribution, "args", ()))]
    arguments += [
        f"{name}={plain_value(value)!r}" for name, value in getattr(distribution, "kwds", {}).items()
    ]
    spelling = f"{_SCIPY}{kind.name}({', '.join(arguments)})" if kind is not None else repr(distribution)
    middle = distribution.ppf(0.5)
    if np.ndim(middle) or not math.isfinite(middle):
        raise ConfigurationError(f"{spelling} is no distribution of numbers", "correct its arguments")
    return Frozen(spelling, distribution)


def _from_scipy(name: str, arguments: Sequence[Any], named: Mapping[str, Any]) -> Frozen:
    import scipy.stats  # takes most of a second

    kinds = (scipy.stats.rv_continuous, scipy.stats.rv_discrete)
    known = [key for key, value in vars(scipy.stats).items() if isinstance(value, kinds)]
    short = name.removeprefix(_SCIPY)
    if short not in known:
        raise ConfigurationError(
            f"unknown distribution {name!r}", did_you_mean(short, known, "see scipy.stats")
        )
    try:
        return frozen(getattr(scipy.stats, short)(*arguments, **named))
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"{name}: {error}", f"see the documentation of {name}") from error


def _expression(call: ast.Call) -> Expression:
    named = {keyword.arg: _value(keyword.value) for keyword in call.keywords if keyword.arg is not None}
    if len(named) < len(call.keywords):
        raise ConfigurationError(
            f"{ast.unparse(call)} names an argument twice or none", "write NAME=VALUE once"
        )
    return called(ast.unparse(call.func), [_value(argument) for argument in call.args], named)


def _value(node: ast.expr) -> Any:
    if isinstance(node, ast.Call):
        return _expression(node)
    if isinstance(node, ast.Name) and node.id.lower() in _YAML_WORDS:
        return _YAML_WORDS[node.id.lower()]
    if isinstance(node, (ast.List, ast.Tuple)):
        return [_value(item) for item in node.elts]
    if isinstance(node, ast.Dict) and None not in node.keys:
        return {_value(key): _value(item) for key, item in zip(node.keys, node.values, strict=True) if key}
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, RecursionError, MemoryError) as error:
        shown = ast.unparse(node)
        raise ConfigurationError(f"{shown} is no value", f"quote a text: {shown!r}") from error
