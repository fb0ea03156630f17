"""Samplers whose candidates stand at points of the unit cube, known before anything is tried."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

import numpy as np

from hptune.samplers._base import Sampler, Tried
from hptune.space import Dimension, Params, SearchSpace

__all__ = ["RandomSampler", "SobolSampler"]

_MISSES = 10_000  # draws in a row that gave nothing new: what is left of a finite space is listed instead
_LISTED = 1_000_000  # the largest space of which that is done
_SOBOL_CHUNK = 64


class PointSampler(Sampler):
    """Candidates at points of the unit cube; none that the constraints refuse, and none a second time.

    Attributes
    ----------
    tried : Tried
        What was asked for or refused; what others put there is not drawn.
    """

    def __init__(self, space: SearchSpace, seed: int = 0) -> None:
        super().__init__(space, seed)
        self._rng = np.random.default_rng(seed)
        self.tried = Tried()
        self._left = self._candidates()

    def ask(self, n: int) -> list[Params]:
        """The candidates of the next points."""
        return list(islice(self._left, n))

    @abstractmethod
    def _points(self) -> Iterator[Sequence[float]]:
        """Points of the unit cube without end, each with a number for every dimension of the space."""

    def _candidates(self) -> Iterator[Params]:
        misses = 0
        for point in self._points():
            params = self.space.candidate(_coordinate(point))
            if self.tried.add(params) and self.space.allows(params):
                misses = 0
                yield params
            elif (misses := misses + 1) >= _MISSES or len(self.tried) == self.space.size:
                break
        yield from self._rest()

    def _rest(self) -> Iterator[Params]:
        """What the draws did not meet, in random order; nothing where that cannot be listed."""
        if self.space.size is None or self.space.size > _LISTED:
            return
        rest = [params for params in self.space.grid() if self.tried.add(params)]
        yield from (rest[index] for index in self._rng.permutation(len(rest)))


class RandomSampler(PointSampler):
    """Points drawn independently of each other."""

    def _points(self) -> Iterator[Sequence[float]]:
        while True:
            yield self._rng.random(len(self.space.dimensions)).tolist()


class SobolSampler(PointSampler):
    """Points of a scrambled Sobol sequence, which fill the space more evenly than random ones."""

    def _points(self) -> Iterator[Sequence[float]]:
        from scipy.stats import qmc  # takes most of a second

        sequence = qmc.Sobol(max(1, len(self.space.dimensions)), scramble=True, seed=self._rng)
        while True:
            yield from sequence.random(_SOBOL_CHUNK).tolist()


def _coordinate(point: Sequence[float]) -> Callable[[Dimension], float]:
    return lambda dimension: point[dimension.number]
