"""All candidates in order."""

from __future__ import annotations

from itertools import islice

from hptune.samplers._base import Sampler
from hptune.space import Params, SearchSpace

__all__ = ["GridSampler"]


class GridSampler(Sampler):
    """Every combination of the listed values, in the order of scikit-learn's ParameterGrid; nothing is drawn."""

    def __init__(self, space: SearchSpace, seed: int = 0) -> None:
        super().__init__(space, seed)
        self._left = space.grid()

    def ask(self, n: int) -> list[Params]:
        """The next `n` of the grid."""
        return list(islice(self._left, n))
