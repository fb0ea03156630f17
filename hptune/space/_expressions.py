"""The expressions as people write them, in Python and in sweep files: the same words, the same arguments."""

from __future__ import annotations

import math
import warnings
from decimal import Decimal
from typing import Any

import numpy as np

from hptune.errors import ConfigurationError
from hptune.space._arguments import (
    check_flag,
    check_numbers,
    check_order,
    check_positive,
    check_whole,
    plain_numbers,
)
from hptune.space._choice import Choice
from hptune.space._distributions import Continuous, Normal, Number, Quantised, Steps, Uniform

__all__ = [
    "choice",
    "float_",
    "int_",
    "lognormal",
    "loguniform",
    "normal",
    "qlognormal",
    "qloguniform",
    "qnormal",
    "quniform",
    "randint",
    "uniform",
    "uniformint",
]

_LARGEST_LOGARITHM = 700.0  # exp of it is 1e304, short of what a float can hold
_MOST_OPTIONS = 1_000_000
_TAILS = 9.0  # standard deviations: no random number lies farther out


def choice(*options: Any, values: Any = None) -> Choice:
    """One of some options, all equally likely.

    Parameters
    ----------
    *options : object
        The options; or one list, tuple, range or array that holds them. A map of parameter names to expressions
        is a conditional space: where it is chosen, its parameters stand in the place of the choice.
    values : sequence, optional
        The options, as Azure's sweep files name them.

    Examples
    --------
    >>> print(choice(16, 32, 64))
    choice(16, 32, 64)
    >>> choice(range(1, 10)).size
    9
    """
    if values is not None and options:
        raise ConfigurationError("choice takes options or values, not both", "write choice(1, 2, 3)")
    if values is not None:
        options = (values,)
    if len(options) == 1 and isinstance(options[0], (list, tuple, range, np.ndarray)):
        listed = options[0]
        if len(listed) > _MOST_OPTIONS:
            raise ConfigurationError(
                f"choice of {len(listed):,} values", "write int(low, high) for a long range"
            )
        options = tuple(listed)
    elif len(options) == 1 and isinstance(options[0], Choice):
        options = options[0].options
    if not options:
        raise ConfigurationError("choice() has no values", "give it at least one")
    return Choice(options)


@plain_numbers
def randint(upper: int) -> Steps:
    """Whole numbers from 0 to `upper` - 1, all equally likely.

    Examples
    --------
    >>> randint(3).extent
    '0 to 2'
    """
    spelling = f"randint({upper!r})"
    check_whole(spelling, upper=upper)
    if upper < 1:
        raise ConfigurationError(
            f"upper must be at least 1 but got {spelling}", "upper itself is never drawn"
        )
    return Steps(spelling, 0, 1, upper)


@plain_numbers
def uniformint(low: int, high: int) -> Steps:
    """Whole numbers from `low` to `high`, both included, all equally likely."""
    spelling = f"uniformint({low!r}, {high!r})"
    check_whole(spelling, low=low, high=high)
    check_order(spelling, low, high, may_be_equal=True)
    return Steps(spelling, low, 1, high - low + 1)


@plain_numbers
def uniform(min_value: float, max_value: float) -> Continuous:
    """Numbers from `min_value` to `max_value`, all equally likely.

    Examples
    --------
    >>> uniform(0.5, 1).from_unit(0.25)
    0.625
    """
    spelling = f"uniform({min_value!r}, {max_value!r})"
    return _uniform(spelling, min_value, max_value, log=False)


@plain_numbers
def quniform(min_value: float, max_value: float, q: float) -> Quantised:
    """Numbers ``round(uniform(min_value, max_value) / q) * q``."""
    spelling = f"quniform({min_value!r}, {max_value!r}, {q!r})"
    return _quantised(_uniform(spelling, min_value, max_value, log=False), q)


@plain_numbers
def loguniform(min_value: float, max_value: float) -> Continuous:
    """Numbers ``exp(uniform(min_value, max_value))``: the bounds are logarithms.

    `float_` with ``log=True`` takes the bounds themselves.

    Examples
    --------
    >>> print(loguniform(-7, 2).extent)
    0.000911882 to 7.38906, evenly in logarithms
    """
    spelling = f"loguniform({min_value!r}, {max_value!r})"
    return _uniform(spelling, min_value, max_value, log=True)


@plain_numbers
def qloguniform(min_value: float, max_value: float, q: float) -> Quantised:
    """Numbers ``round(exp(uniform(min_value, max_value)) / q) * q``: the bounds are logarithms."""
    spelling = f"qloguniform({min_value!r}, {max_value!r}, {q!r})"
    return _quantised(_uniform(spelling, min_value, max_value, log=True), q)


@plain_numbers
def normal(mu: float, sigma: float) -> Continuous:
    """Normally distributed numbers of mean `mu` and standard deviation `sigma`."""
    return _normal(f"normal({mu!r}, {sigma!r})", mu, sigma, log=False)


@plain_numbers
def qnormal(mu: float, sigma: float, q: float) -> Quantised:
    """Numbers ``round(normal(mu, sigma) / q) * q``."""
    return _quantised(_normal(f"qnormal({mu!r}, {sigma!r}, {q!r})", mu, sigma, log=False), q)


@plain_numbers
def lognormal(mu: float, sigma: float) -> Continuous:
    """Numbers ``exp(normal(mu, sigma))``: mean and standard deviation are those of the logarithms."""
    return _normal(f"lognormal({mu!r}, {sigma!r})", mu, sigma, log=True)


@plain_numbers
def qlognormal(mu: float, sigma: float, q: float) -> Quantised:
    """Numbers ``round(exp(normal(mu, sigma)) / q) * q``."""
    return _quantised(_normal(f"qlognormal({mu!r}, {sigma!r}, {q!r})", mu, sigma, log=True), q)


@plain_numbers
def float_(low: float, high: float, log: bool = False, step: float | None = None) -> Continuous | Steps:
    """Numbers from `low` to `high`; ``float`` in sweep files.

    Parameters
    ----------
    low, high : float
        The bounds themselves, with `log` too.
    log : bool, default False
        Whether the logarithms are evenly distributed.
    step : float, optional
        Draw only `low`, `low` + `step` and so on up to `high`.

    Examples
    --------
    >>> round(float_(0.01, 1, log=True).from_unit(0.5), 12)
    0.1
    >>> [float_(0.1, 0.3, step=0.1).value_at(index) for index in range(3)]
    [0.1, 0.2, 0.3]
    """
    spelling = f"float({_arguments(low, high, log, step)})"
    check_flag(spelling, log=log)
    check_numbers(spelling, low=low, high=high)
    check_order(spelling, low, high)
    if step is not None:
        return _steps(spelling, float(low), float(high), step, log=log)
    if not log:
        return Continuous(spelling, Uniform(low, high), bounds=(low, high))
    check_positive(spelling, "low", low)
    return Continuous(spelling, Uniform(math.log(low), math.log(high)), log=True, bounds=(low, high))


@plain_numbers
def int_(low: int, high: int, log: bool = False, step: int = 1) -> Steps | Quantised:
    """Whole numbers from `low` to `high`, both included; ``int`` in sweep files.

    Parameters
    ----------
    low, high : int
        The bounds themselves, with `log` too.
    log : bool, default False
        Whether the logarithms are evenly distributed.
    step : int, default 1
        Draw only `low`, `low` + `step` and so on up to `high`.
    """
    spelling = f"int({_arguments(low, high, log, None if step == 1 else step)})"
    check_flag(spelling, log=log)
    check_whole(spelling, low=low, high=high, step=step)
    check_order(spelling, low, high, may_be_equal=True)
    if not log:
        return _steps(spelling, low, high, step, log=False)
    if step != 1:
        raise _log_with_step(spelling)
    check_positive(spelling, "low", low)
    ends = (low - 0.5, high + 0.5)
    logarithms = Uniform(math.log(ends[0]), math.log(ends[1]))
    return Quantised(spelling, Continuous(spelling, logarithms, log=True, bounds=ends), 1, (low, high))


def _uniform(spelling: str, low: float, high: float, *, log: bool) -> Continuous:
    check_numbers(spelling, min_value=low, max_value=high)
    check_order(spelling, low, high)
    if not log:
        return Continuous(spelling, Uniform(low, high), bounds=(low, high))
    natural = f"float({low!r}, {high!r}, log=true)"
    if high > _LARGEST_LOGARITHM:
        what = f"the bounds of {spelling} are logarithms, and exp({high!r}) is too large"
        raise ConfigurationError(what, f"write {natural} for {low:g} to {high:g}")
    bounds = (math.exp(low), math.exp(high))
    if low > 0 and high <= 1:
        warnings.warn(
            f"{spelling} draws from {bounds[0]:.4g} to {bounds[1]:.4g}, because its bounds are logarithms:"
            f" write {natural} for {low:g} to {high:g}",
            stacklevel=3,
        )
    return Continuous(spelling, Uniform(low, high), log=True, bounds=bounds)


def _normal(spelling: str, mu: float, sigma: float, *, log: bool) -> Continuous:
    check_numbers(spelling, mu=mu, sigma=sigma)
    check_positive(spelling, "sigma", sigma)
    if log and mu + _TAILS * sigma > _LARGEST_LOGARITHM:
        what = f"mu and sigma of {spelling} are those of logarithms, and exp({mu!r} + {_TAILS:g} * {sigma!r})"
        raise ConfigurationError(f"{what} is too large", "give smaller ones")
    return Continuous(spelling, Normal(mu, sigma), log=log)


def _quantised(values: Continuous, q: float) -> Quantised:
    check_numbers(values.spelling, q=q)
    check_positive(values.spelling, "q", q)
    if values.bounds is None:
        return Quantised(values.spelling, values, q)
    low, high = (bound / q for bound in values.bounds)
    ends = (
        math.floor(low - 0.5) + 1,
        math.ceil(high + 0.5) - 1,
    )  # whose half of the lattice's cell is inside
    return Quantised(values.spelling, values, q, ends)


def _steps(spelling: str, low: Number, high: Number, step: Number, *, log: bool) -> Steps:
    check_numbers(spelling, step=step)
    check_positive(spelling, "step", step)
    if log:
        raise _log_with_step(spelling)
    count = int((Decimal(repr(high)) - Decimal(repr(low))) / Decimal(repr(step))) + 1
    return Steps(spelling, low, step, count)


def _log_with_step(spelling: str) -> ConfigurationError:
    return ConfigurationError(f"log and step do not go together in {spelling}", "take one of them out")


def _arguments(low: Any, high: Any, log: bool, step: Any) -> str:
    given = [
        repr(low),
        repr(high),
        *(["log=true"] if log else []),
        *([] if step is None else [f"step={step!r}"]),
    ]
    return ", ".join(given)
