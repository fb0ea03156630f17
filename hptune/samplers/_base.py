"""The samplers' seam."""

from __future__ import annotations

from abc import ABC, abstractmethod

from hptune.space import Params, SearchSpace

__all__ = ["Sampler"]


class Sampler(ABC):
    """Chooses which candidates are tried.

    Parameters
    ----------
    space : SearchSpace
        What candidates are drawn from.
    seed : int
        The same seed draws the same candidates.
    """

    def __init__(self, space: SearchSpace, seed: int = 0) -> None:
        self.space = space
        self.seed = seed

    @abstractmethod
    def ask(self, n: int) -> list[Params]:
        """The next `n` candidates, none of them asked for before; fewer where there are no more.

        How many are asked for at a time does not change which ones they are.
        """
