"""Processor time while a contender runs, its own and other programs' (Linux; elsewhere unknown)."""

from __future__ import annotations

import os
import time
from pathlib import Path

__all__ = ["Load"]

_PROC = Path("/proc")


class Load:
    """Measures from its creation on. Every process of this login session counts as ours.

    Attributes
    ----------
    seconds : float
        Wall time between the creation and `stop`.
    own : float
        Processor seconds of our processes, Java's included.
    others : float
        Cores that other programs held, in the mean; nan where that cannot be told.
    """

    def __init__(self) -> None:
        self._ticks = _ticks()
        self._start = time.perf_counter()

    def stop(self) -> Load:
        """Read the clocks again."""
        self.seconds = time.perf_counter() - self._start
        (own, total), (own_before, total_before) = _ticks(), self._ticks
        tick = 1 / os.sysconf("SC_CLK_TCK")
        self.own = (own - own_before) * tick
        self.others = max(0.0, (total - total_before) * tick - self.own) / self.seconds
        return self


def _ticks() -> tuple[float, float]:
    try:
        user, nice, system = map(int, (_PROC / "stat").read_text().split(maxsplit=4)[1:4])
    except OSError:
        return float("nan"), float("nan")
    return sum(map(_own_ticks, _PROC.glob("[0-9]*/stat"))), user + nice + system


def _own_ticks(stat: Path) -> int:
    """Ticks of a process of our session and of its children that have ended; 0 for any other's."""
    try:
        fields = stat.read_text().rpartition(")")[2].split()
    except OSError:  # it ended just now
        return 0
    return sum(map(int, fields[11:15])) if int(fields[3]) == os.getsid(0) else 0
