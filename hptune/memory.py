"""How much memory there is: the host's, or as much of it as a control group leaves."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

__all__ = ["memory_limit"]

_GROUPS = Path("sys/fs/cgroup")


def memory_limit(root: Path = Path("/")) -> int:
    """Bytes that this process may use: the host's memory, or less where a container or a service says so.

    Reads control groups of version 2 (``memory.max``) and 1 (``memory.limit_in_bytes``), this process's own and
    those above it.

    Parameters
    ----------
    root : Path, default "/"
        Where ``proc`` and ``sys`` are.
    """
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([physical, *_group_limits(root)])


def _group_limits(root: Path) -> Iterator[int]:
    for file in _limit_files(root):
        try:
            yield int(file.read_text())
        except (OSError, ValueError):  # no such group from in here, or "max"
            continue


def _limit_files(root: Path) -> Iterator[Path]:
    """The files that may hold a limit; in a container its own group stands where the host's root would."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        base, name = ("memory", "memory.limit_in_bytes") if controllers else ("", "memory.max")
        group = Path(path.lstrip("/"))
        yield from (root / _GROUPS / base / part / name for part in (group, *group.parents))
