"""A search space: what may be drawn together, reached by index or by uniform numbers."""

from __future__ import annotations

import math
from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from typing import Any, TypeAlias

from hptune.errors import ConfigurationError
from hptune.space._base import Expression
from hptune.space._canonical import same_value
from hptune.space._choice import Choice, Group
from hptune.space._parse import parse_group, plain, written

__all__ = ["Constraint", "Dimension", "Params", "SearchSpace", "Space", "grid_candidates", "parse_space"]

Space: TypeAlias = Mapping[str, Any] | Sequence[Mapping[str, Any]]
Params: TypeAlias = dict[str, Any]
Constraint: TypeAlias = Callable[[Params], bool]


@dataclass(frozen=True)
class Dimension:
    """One of the uniform numbers that candidates are made of.

    Parameters
    ----------
    number : int
        Its place among all dimensions of the space.
    name : str
        The path to the parameter: ``model[1].eta`` is `eta` in the second map of the choice `model`, and the
        choice between several maps at the top has an empty name.
    expression : Expression
        What makes a value of the number.
    """

    number: int
    name: str
    expression: Expression


@dataclass(frozen=True)
class SearchSpace:
    """Parameters with their constants and expressions; several groups of them are alternatives.

    Parameters
    ----------
    groups : tuple of Group
        At least one.
    constraints : tuple of callable
        Each gets a candidate's parameters and says whether it may be tried.

    Examples
    --------
    >>> space = parse_space({"eta": "uniform(0.5, 1)", "depth": [3, 4], "seed": 0})
    >>> space.candidate(lambda dimension: 0.5)
    {'depth': 4, 'eta': 0.75, 'seed': 0}
    """

    groups: tuple[Group, ...]
    constraints: tuple[Constraint, ...] = ()

    @cached_property
    def dimensions(self) -> tuple[Dimension, ...]:
        """Every uniform number that some candidate is made of, always in the same order."""
        return tuple(Dimension(number, *found) for number, found in enumerate(_dimensions(self._root)))

    @property
    def endless(self) -> Dimension | None:
        """The first dimension with infinitely many values."""
        return next((dimension for dimension in self.dimensions if dimension.expression.size is None), None)

    @property
    def size(self) -> int | None:
        """How many candidates there are, constraints aside; None where they are infinitely many."""
        return None if self.endless is not None else _count(self._root)

    def checked_size(self) -> int:
        """The `size` of a space that makes a grid.

        Raises
        ------
        ConfigurationError
            A parameter has infinitely many values.
        """
        if self.endless is not None:
            what = f"a grid needs listed values, but {self.endless.name!r} is {self.endless.expression}"
            raise ConfigurationError(what, "use sampling_algorithm random, sobol or bayesian")
        return _count(self._root)

    def candidate(self, unit_of: Callable[[Dimension], float]) -> Params:
        """The candidate at some point of the unit cube.

        Parameters
        ----------
        unit_of : callable
            Gets each dimension that this candidate has, and returns a number from 0 and below 1.
        """
        return dict(sorted(_drawn("", self._root, "", lambda name: unit_of(self._by_name[name]))))

    def units_of(self, params: Mapping[str, Any]) -> list[tuple[Dimension, float]] | None:
        """A point of the unit cube whose candidate these parameters are; None where they are outside the space."""
        for units in _placed("", self._root, "", params):
            if dict(_drawn("", self._root, "", units.__getitem__)).keys() == params.keys():
                return [(self._by_name[name], unit) for name, unit in units.items()]
        return None

    def grid(self) -> Iterator[Params]:
        """All candidates that the constraints allow, in the order of scikit-learn's ParameterGrid.

        Raises
        ------
        ConfigurationError
            A parameter has infinitely many values.
        """
        size = self.checked_size()
        numbered = (dict(sorted(_picked("", self._root, index))) for index in range(size))
        return filter(self.allows, numbered)

    def allows(self, params: Params) -> bool:
        """Whether every constraint accepts the parameters.

        Raises
        ------
        ConfigurationError
            A constraint raises.
        """
        for constraint in self.constraints:
            try:
                if not constraint(dict(params)):
                    return False
            except Exception as error:  # whatever a function of the user's raises
                name = getattr(constraint, "__qualname__", repr(constraint))
                what = f"constraint {name} raised {type(error).__name__} ({error}) for {params}"
                raise ConfigurationError(what, "correct the function") from error
        return True

    def written(self) -> Any:
        """The content of a sweep file's ``search_space`` that gives this space again, constraints aside."""
        groups = [written(group) for group in self.groups]
        return groups[0] if len(groups) == 1 else groups

    def plain(self) -> SearchSpace:
        """The same as a sweep file would have it: with Python's numbers and texts for numpy's."""
        return replace(self, groups=tuple(map(plain, self.groups)))

    @property
    def _root(self) -> Group | Choice:
        return self.groups[0] if len(self.groups) == 1 else Choice(self.groups)

    @cached_property
    def _by_name(self) -> dict[str, Dimension]:
        return {dimension.name: dimension for dimension in self.dimensions}


def parse_space(space: Space) -> SearchSpace:
    """A search space from its content in a sweep file, or from the same with Python's expressions in it.

    Parameters
    ----------
    space : mapping, or sequence of mappings
        Lists (and tuples, ranges, one-dimensional arrays) are choices, a text like ``uniform(0.5, 1)`` and a map
        with a ``type`` are expressions, everything else is a constant that is shown in every candidate. Several
        mappings are alternatives.

    Raises
    ------
    ConfigurationError
        The space is empty, or a parameter cannot be meant.
    """
    grids = [space] if isinstance(space, Mapping) else list(space)
    if not any(grids):
        raise ConfigurationError("search_space is empty", "give at least one parameter with its values")
    try:
        return SearchSpace(tuple(map(parse_group, grids)))
    except ConfigurationError as error:
        raise ConfigurationError(f"search_space: {error.what}", error.mend) from error


def grid_candidates(space: Space) -> list[Params]:
    """All parameter settings of a grid, in scikit-learn's order.

    Examples
    --------
    >>> grid_candidates({"max_depth": [3, 4], "eta": 0.1})
    [{'eta': 0.1, 'max_depth': 3}, {'eta': 0.1, 'max_depth': 4}]
    """
    return list(parse_space(space).grid())


def _dimensions(node: Any, path: str = "") -> Iterator[tuple[str, Expression]]:
    """Every expression at or below `node`, with the path to it."""
    if isinstance(node, Group):
        for name in sorted(node.parameters):
            yield from _dimensions(node.parameters[name], _below(path, name))
    elif isinstance(node, Expression):
        yield path, node
        options = node.options if isinstance(node, Choice) and not node.of_values else ()
        for index, option in enumerate(options):
            yield from _dimensions(option, f"{path}[{index}]")


def _drawn(name: str, node: Any, path: str, unit_of: Callable[[str], float]) -> Iterator[tuple[str, Any]]:
    """Names and values of what is drawn at `node`, which stands for the parameter `name`."""
    if isinstance(node, Group):
        for inner, value in node.parameters.items():
            yield from _drawn(inner, value, _below(path, inner), unit_of)
    elif isinstance(node, Choice):
        index = node.index(unit_of(path))
        yield from _drawn(name, node.options[index], f"{path}[{index}]", unit_of)
    else:
        yield name, node.from_unit(unit_of(path)) if isinstance(node, Expression) else node


def _count(node: Any) -> int:
    """How many settings there are at or below `node`, all of whose expressions are finite."""
    if isinstance(node, Group):
        return math.prod(map(_count, node.parameters.values()))
    if isinstance(node, Choice) and not node.of_values:
        return sum(map(_count, node.options))
    return (node.size or 0) if isinstance(node, Expression) else 1


def _picked(name: str, node: Any, index: int) -> Iterator[tuple[str, Any]]:
    """Names and values of the setting of that number; the last name in order turns fastest."""
    if isinstance(node, Group):
        for inner in sorted(node.parameters, reverse=True):
            index, digit = divmod(index, _count(node.parameters[inner]))
            yield from _picked(inner, node.parameters[inner], digit)
    elif isinstance(node, Choice) and not node.of_values:
        for option in node.options:
            if index < _count(option):
                yield from _picked(name, option, index)
                return
            index -= _count(option)
    else:
        yield name, node.value_at(index) if isinstance(node, Expression) else node


def _placed(name: str, node: Any, path: str, params: Mapping[str, Any]) -> Iterator[dict[str, float]]:
    """Every way in which `node` can give the values that `params` has: units by the paths to their expressions."""
    if isinstance(node, Group):
        ways = [
            list(_placed(inner, value, _below(path, inner), params))
            for inner, value in node.parameters.items()
        ]
        yield from (dict(ChainMap(*way)) for way in product(*ways))
    elif isinstance(node, Choice):
        for index, option in enumerate(node.options):
            middle = {path: (index + 0.5) / len(node.options)}
            yield from (middle | way for way in _placed(name, option, f"{path}[{index}]", params))
    elif name not in params:
        return
    elif isinstance(node, Expression):
        if (unit := node.to_unit(params[name])) is not None:
            yield {path: unit}
    elif same_value(node, params[name]):
        yield {}


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
