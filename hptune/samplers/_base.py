"""The samplers' seam."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from hptune.space import Params, SearchSpace, Uncanonical, canonical

__all__ = ["Sampler", "Scored", "Tried"]


@dataclass(frozen=True)
class Scored:
    """What came of a candidate.

    Parameters
    ----------
    candidate : int
        Its number in the order in which the sampler was asked, from 0.
    score : float
        Larger is better; NaN where it failed.
    """

    candidate: int
    score: float


class Tried:
    """Candidates that were met, each known by the content of its values."""

    def __init__(self) -> None:
        self._keys: set[tuple[Any, ...]] = set()

    def __len__(self) -> int:
        return len(self._keys)

    def add(self, params: Mapping[str, Any]) -> bool:
        """Note a candidate; whether it is a new one."""
        before = len(self)
        self._keys.add(tuple((name, _known_by(value)) for name, value in params.items()))
        return len(self) > before


class Sampler(ABC):
    """Chooses which candidates are tried.

    Parameters
    ----------
    space : SearchSpace
        What candidates are drawn from.
    seed : int
        The same seed draws the same candidates, after the same scores.

    Attributes
    ----------
    adaptive : bool
        Whether scores decide what is tried next, so that not all candidates are known beforehand.
    """

    adaptive: ClassVar[bool] = False

    def __init__(self, space: SearchSpace, seed: int = 0) -> None:
        self.space = space
        self.seed = seed

    @abstractmethod
    def ask(self, n: int) -> list[Params]:
        """The next `n` candidates, none of them asked for before; fewer where there are no more.

        How many are asked for at a time does not change which ones they are.
        """

    def tell(self, results: Iterable[Scored]) -> None:  # noqa: B027 - a hook: most samplers do not listen
        """Learn what came of candidates."""

    def learn(self, found: Iterable[tuple[Mapping[str, Any], float]]) -> int:
        """Learn what candidates of an earlier sweep scored; how many of them belong to the space."""
        return 0


def _known_by(value: Any) -> str | int:
    try:
        return canonical(value)
    except Uncanonical:
        return id(value)  # an option of a choice, which lives as long as the space
