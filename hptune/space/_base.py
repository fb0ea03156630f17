"""The expressions' seam."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

__all__ = ["Expression"]


class Expression(ABC):
    """A parameter's possible values, reached from uniform numbers by the inverse distribution function.

    Every sampler draws numbers from [0, 1) and lets the expression make values of them, so each expression works
    with each sampler. ``str(expression)`` is the call that gives it again.
    """

    spelling: str

    @property
    def size(self) -> int | None:
        """How many different values there are; None where that is no finite number."""
        return None

    @property
    def categorical(self) -> bool:
        """Whether the values have no order, so that near numbers do not mean similar values."""
        return False

    @abstractmethod
    def from_unit(self, unit: float) -> Any:
        """The value at `unit`, at least 0 and less than 1."""

    @abstractmethod
    def to_unit(self, value: Any) -> float | None:
        """A number that gives `value` again, in the middle of those that do; None where `value` cannot be drawn."""

    def value_at(self, index: int) -> Any:
        """The value of that number, counted from 0 to `size` - 1. Only where `size` is finite."""
        raise NotImplementedError(f"{self} has infinitely many values")

    @property
    @abstractmethod
    def extent(self) -> str:
        """The values in people's words, as in "0.5 to 1"."""

    def __str__(self) -> str:
        return self.spelling
