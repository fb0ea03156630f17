"""The numeric expressions: continuous ones, their quantised forms, evenly spaced and scipy's distributions."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Protocol, TypeAlias

from scipy.special import ndtr, ndtri

from hptune.space._base import Expression

__all__ = ["Continuous", "Frozen", "Normal", "Number", "Quantised", "Steps", "Uniform"]

Number: TypeAlias = int | float

_INNER = 2.0**-53  # the spacing of random numbers below 1: where a tail is infinite, its end is not drawn


class Base(Protocol):
    """A distribution on the real line."""

    def quantile(self, unit: float) -> float:
        """The number below which a share of `unit` lies."""

    def share(self, number: float) -> float:
        """The share that lies below `number`."""


@dataclass(frozen=True)
class Uniform:
    """Numbers from `low` to `high`, all equally likely."""

    low: float
    high: float

    def quantile(self, unit: float) -> float:
        """The number below which a share of `unit` lies."""
        return min(self.low + unit * (self.high - self.low), self.high)

    def share(self, number: float) -> float:
        """The share that lies below `number`."""
        return min(max((number - self.low) / (self.high - self.low), 0.0), 1.0)


@dataclass(frozen=True)
class Normal:
    """Normally distributed numbers."""

    mu: float
    sigma: float

    def quantile(self, unit: float) -> float:
        """The number below which a share of `unit` lies."""
        return float(self.mu + self.sigma * ndtri(_inside(unit)))

    def share(self, number: float) -> float:
        """The share that lies below `number`."""
        return float(ndtr((number - self.mu) / self.sigma))


@dataclass(frozen=True)
class Continuous(Expression):
    """Numbers of a distribution, or the exponential function of them.

    Parameters
    ----------
    spelling : str
        The call that gives this expression.
    base : Base
        The numbers' distribution, or that of their logarithms.
    log : bool
        Whether `base` is the distribution of logarithms.
    bounds : pair of float, optional
        The least and the greatest value; None where there are none. What rounding puts outside is put on them.
    """

    spelling: str
    base: Base
    log: bool = False
    bounds: tuple[float, float] | None = None

    def from_unit(self, unit: float) -> float:
        """The value at `unit`."""
        number = self.base.quantile(unit)
        value = math.exp(number) if self.log else number
        return float(value if self.bounds is None else min(max(value, self.bounds[0]), self.bounds[1]))

    def to_unit(self, value: Any) -> float | None:
        """The share of values below `value`."""
        low, high = self.bounds or (0.0 if self.log else -math.inf, math.inf)
        if not _is_number(value) or not low <= value <= high:
            return None
        return _inside(self.share(value))

    def share(self, value: float) -> float:
        """The share of values below `value`, which may be any number."""
        if not self.log:
            return self.base.share(value)
        return self.base.share(math.log(value)) if value > 0 else 0.0

    @property
    def extent(self) -> str:
        """The least and the greatest value, or those between which most lie."""
        return f"{_between(self)}{', evenly in logarithms' if self.log and self.bounds else ''}"


@dataclass(frozen=True)
class Quantised(Expression):
    """Multiples of `q`: the ones nearest to the values of another expression. A whole `q` gives ints.

    Parameters
    ----------
    spelling : str
        The call that gives this expression.
    values : Continuous
        What is rounded.
    q : float
        Greater than 0.
    ends : pair of int, optional
        The least and the greatest multiple; None where there are none.
    """

    spelling: str
    values: Continuous
    q: Number
    ends: tuple[int, int] | None = None

    @property
    def size(self) -> int | None:
        """How many multiples there are between the ends."""
        return None if self.ends is None else self.ends[1] - self.ends[0] + 1

    def from_unit(self, unit: float) -> Number:
        """The value at `unit`."""
        multiple = round(self.values.from_unit(unit) / self.q)
        return self._value(multiple if self.ends is None else min(max(multiple, self.ends[0]), self.ends[1]))

    def to_unit(self, value: Any) -> float | None:
        """The middle of the numbers that give `value`."""
        if not _is_number(value):
            return None
        middle = round(value / self.q) * self.q
        unit = (self.values.share(middle - self.q / 2) + self.values.share(middle + self.q / 2)) / 2
        return unit if unit < 1 and self.from_unit(unit) == value else None

    def value_at(self, index: int) -> Number:
        """The value of that number, the least first."""
        return super().value_at(index) if self.ends is None else self._value(self.ends[0] + index)

    @property
    def extent(self) -> str:
        """The least and the greatest value, or those between which most lie."""
        return f"{_between(self)}, multiples of {self.q:g}"

    def _value(self, multiple: int) -> Number:
        return multiple * (int(self.q) if float(self.q).is_integer() else self.q)


@dataclass(frozen=True)
class Steps(Expression):
    """`count` evenly spaced numbers from `low` on, all equally likely.

    Decimal fractions stay what they are on paper: 0.1 and twice a step of 0.1 are 0.3.
    """

    spelling: str
    low: Number
    step: Number
    count: int

    @property
    def size(self) -> int:
        """How many numbers there are."""
        return self.count

    def from_unit(self, unit: float) -> Number:
        """The value at `unit`."""
        return self.value_at(min(int(unit * self.count), self.count - 1))

    def to_unit(self, value: Any) -> float | None:
        """The middle of the numbers that give `value`."""
        if not _is_number(value):
            return None
        index = round((value - self.low) / self.step)
        return (
            (index + 0.5) / self.count if 0 <= index < self.count and self.value_at(index) == value else None
        )

    def value_at(self, index: int) -> Number:
        """The value of that number, the least first."""
        if isinstance(self.low, int) and isinstance(self.step, int):
            return self.low + index * self.step
        return float(Decimal(repr(self.low)) + index * Decimal(repr(self.step)))

    @property
    def extent(self) -> str:
        """The least and the greatest value, and the steps between them."""
        steps = "" if self.step == 1 else f", steps of {self.step:g}"
        return f"{self.low:g} to {self.value_at(self.count - 1):g}{steps}"


@dataclass(frozen=True)
class Frozen(Expression):
    """The values of one of scipy's distributions whose parameters are fixed; equal to another by spelling."""

    spelling: str
    distribution: Any = field(compare=False)

    @property
    def size(self) -> int | None:
        """How many whole numbers a discrete distribution has, if they are finitely many."""
        low, high = self.distribution.support()
        return int(high - low) + 1 if self._discrete and math.isfinite(high - low) else None

    def from_unit(self, unit: float) -> Number:
        """The value at `unit`."""
        value = self.distribution.ppf(_inside(unit))
        return int(value) if self._discrete else float(value)

    def to_unit(self, value: Any) -> float | None:
        """The middle of the numbers that give `value`."""
        if not _is_number(value):
            return None
        below = self.distribution.cdf(value - 1 if self._discrete else value)
        unit = _inside(float(below + self.distribution.cdf(value)) / 2)
        low, high = self.distribution.support()
        return (
            unit if low <= value <= high and (not self._discrete or self.from_unit(unit) == value) else None
        )

    def value_at(self, index: int) -> Number:
        """The value of that number, the least first."""
        return super().value_at(index) if self.size is None else int(self.distribution.support()[0]) + index

    @property
    def extent(self) -> str:
        """The values between which most lie."""
        return _between(self)

    @property
    def _discrete(self) -> bool:
        return hasattr(getattr(self.distribution, "dist", self.distribution), "pmf")


def _inside(unit: float) -> float:
    return min(max(unit, _INNER / 2), 1 - _INNER)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _between(expression: Expression) -> str:
    bounded = expression.size is not None or getattr(expression, "bounds", None) is not None
    low, high = (expression.from_unit(unit) for unit in ((0.0, 1 - _INNER) if bounded else (0.025, 0.975)))
    return f"{low:.6g} to {high:.6g}" if bounded else f"95 % lie between {low:.6g} and {high:.6g}"
