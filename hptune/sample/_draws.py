"""Small helpers for random draws and shares."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["Array", "Rng", "draw", "quota", "random_ids", "standardised", "zipf"]

Array: TypeAlias = npt.NDArray[Any]
Rng: TypeAlias = np.random.Generator


def zipf(n: int, exponent: float, offset: float) -> Array:
    """Shares of `n` ranks by the Zipf-Mandelbrot law, falling, sum 1."""
    weights: Array = (np.arange(n) + 1.0 + offset) ** -exponent
    return np.asarray(weights / weights.sum())


def standardised(taste: Array, share: Array) -> Array:
    """Columns of mean 0 and variance 1 over `share`.

    A few popular phones or apps decide how much can be learned; so every seed teaches the same.
    """
    centred = taste - share @ taste
    return np.asarray(centred / np.sqrt(share @ centred**2))


def quota(shares: Array, total: int) -> Array:
    """Whole numbers that sum to `total` and follow `shares` as closely as they can (largest remainders).

    Examples
    --------
    >>> quota(np.array([0.5, 0.3, 0.2]), 4).tolist()
    [2, 1, 1]
    """
    exact = shares / shares.sum() * total
    counts: Array = np.floor(exact).astype(np.int64)
    rest = np.argsort(counts - exact, kind="stable")[: total - int(counts.sum())]
    counts[rest] += 1
    return counts


def draw(rng: Rng, probabilities: Array, size: int) -> Array:
    """`size` indices drawn with `probabilities`."""
    cumulated = np.cumsum(probabilities)
    found: Array = np.searchsorted(cumulated, rng.random(size) * cumulated[-1], side="right")
    return np.minimum(found, len(probabilities) - 1).astype(np.int32)


def random_ids(rng: Rng, n: int) -> Array:
    """`n` different signed 64-bit ids over the full range, in random order."""
    limits = np.iinfo(np.int64)
    ids = np.empty(0, dtype=np.int64)
    while len(ids) < n:
        more = rng.integers(limits.min, limits.max, size=n - len(ids), endpoint=True)
        ids = np.unique(np.concatenate([ids, more]))
    return rng.permutation(ids)
