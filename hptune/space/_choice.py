"""The expression of listed values, and the maps of parameters that it may choose between."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

from hptune.space._base import Expression
from hptune.space._canonical import same_value

__all__ = ["Choice", "Group"]


@dataclass(frozen=True)
class Group:
    """Parameters that are there together: names with constants, or with expressions."""

    parameters: Mapping[str, Any]


@dataclass(frozen=True)
class Choice(Expression):
    """One of some listed options, all equally likely.

    An option is a value, another expression, or a `Group`, whose parameters stand in the place of the choice.
    """

    options: tuple[Any, ...]

    @property
    def spelling(self) -> str:  # type: ignore[override]
        """The call that gives this expression."""
        return f"choice({', '.join(map(_spelt, self.options))})"

    @property
    def size(self) -> int:
        """How many options there are."""
        return len(self.options)

    @cached_property
    def of_values(self) -> bool:
        """Whether all options are plain values."""
        return not any(isinstance(option, (Expression, Group)) for option in self.options)

    @property
    def categorical(self) -> bool:
        """Whether the options are other things than rising or falling numbers."""
        if any(isinstance(option, bool) or not isinstance(option, (int, float)) for option in self.options):
            return True
        return len({(left < right) - (left > right) for left, right in pairwise(self.options)} - {0}) != 1

    def from_unit(self, unit: float) -> Any:
        """The option at `unit`."""
        return self.options[self.index(unit)]

    def index(self, unit: float) -> int:
        """The number of the option at `unit`."""
        return min(int(unit * len(self.options)), len(self.options) - 1)

    def to_unit(self, value: Any) -> float | None:
        """The middle of the numbers that give the option `value`."""
        for index, option in enumerate(self.options):
            if same_value(option, value):
                return (index + 0.5) / len(self.options)
        return None

    def value_at(self, index: int) -> Any:
        """The option of that number."""
        return self.options[index]

    @property
    def extent(self) -> str:
        """The options."""
        return ", ".join(map(_spelt, self.options))


def _spelt(option: Any) -> str:
    if isinstance(option, Group):
        return (
            "{" + ", ".join(f"{name!r}: {_spelt(value)}" for name, value in option.parameters.items()) + "}"
        )
    return str(option) if isinstance(option, Expression) else repr(option)
