"""What a worker process keeps from one fit to the next: quantised matrices and outputs of pipeline steps."""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from hptune.memory import memory_limit

__all__ = ["WORKER_CACHE", "BuiltMatrix", "MatrixCache", "nbytes_of", "nothing_kept"]


@dataclass(frozen=True)
class BuiltMatrix:
    """A matrix with the seconds it took to build and its estimated size in bytes."""

    matrix: Any
    seconds: float
    nbytes: int


class MatrixCache(threading.local):
    """Least recently used matrices of one run, up to a budget of bytes; each thread has its own.

    Searches in several threads of one process are several runs, which must not see each other's matrices.

    Parameters
    ----------
    budget : int
        Bytes. The newest matrix is always kept, however large.

    Examples
    --------
    >>> cache = MatrixCache(budget=100)
    >>> built, fresh = cache.get("run", "fold 0", lambda: "matrix", nbytes=60)
    >>> cache.get("run", "fold 0", lambda: "another", nbytes=60)[0] is built
    True
    """

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self._run: Hashable = None
        self._entries: OrderedDict[Hashable, BuiltMatrix] = OrderedDict()

    def get(
        self, run: Hashable, key: Hashable, build: Callable[[], Any], nbytes: int | Callable[[Any], int]
    ) -> tuple[BuiltMatrix, bool]:
        """The matrix under `key`, and whether it had to be built; another run's matrices are dropped.

        `nbytes` is a size known beforehand, for which room is made first, or a function of what was built.
        """
        if run != self._run:
            self._entries.clear()
            self._run = run
        if key in self._entries:
            self._entries.move_to_end(key)
            return self._entries[key], False
        if not callable(nbytes):
            self._make_room(nbytes)
        start = time.perf_counter()
        matrix = build()
        seconds = time.perf_counter() - start
        built = BuiltMatrix(matrix, seconds, nbytes(matrix) if callable(nbytes) else nbytes)
        self._make_room(built.nbytes)
        self._entries[key] = built
        return built, True

    def lent(self, run: Hashable) -> Callable[[], None]:
        """To be called in a thread that works for this one, while this one waits: both have one cache from then on."""
        if run != self._run:
            self._entries.clear()
            self._run = run
        entries = self._entries

        def borrow() -> None:
            self._run, self._entries = run, entries

        return borrow

    def clear(self) -> None:
        """Keep nothing of this thread's run."""
        self._run = None
        self._entries.clear()

    def _make_room(self, nbytes: int) -> None:
        while self._entries and self._size() + nbytes > self.budget:
            self._entries.popitem(last=False)

    def _size(self) -> int:
        return sum(entry.nbytes for entry in self._entries.values())


def nbytes_of(X: Any) -> int:
    """Bytes of an array, a sparse matrix or a data frame; 0 for what does not tell."""
    if hasattr(X, "indptr"):
        return int(X.data.nbytes + X.indices.nbytes + X.indptr.nbytes)
    if hasattr(X, "memory_usage"):
        return int(X.memory_usage(deep=True).sum())
    return int(getattr(X, "nbytes", 0))


@contextmanager
def nothing_kept() -> Iterator[None]:
    """At the end, what fits in this thread keep for each other is dropped: the process may live on for long."""
    try:
        yield
    finally:
        WORKER_CACHE.clear()


def _worker_budget() -> int:
    """A quarter of the memory that there is, shared by as many workers as the host has cores."""
    return memory_limit() // 4 // (os.cpu_count() or 1)


WORKER_CACHE = MatrixCache(_worker_budget())
