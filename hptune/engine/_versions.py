"""Fits only where the libraries are those of the driver: other versions give other scores."""

from __future__ import annotations

import functools
import socket
from collections.abc import Mapping

from hptune.engine._base import Work
from hptune.errors import ClusterError
from hptune.records import FitTask, Outcome

__all__ = ["other_versions", "with_same_versions"]


def with_same_versions(work: Work) -> Work:
    """`work` that raises `ClusterError` in a process whose libraries differ from those of this one."""
    from hptune.fitters import loaded_versions  # loads the libraries, which not every process needs

    return functools.partial(_checked, dict(loaded_versions()), work)


def other_versions(host: str, difference: str) -> ClusterError:
    """The error for a host whose libraries differ."""
    return ClusterError(
        f"the executor on {host} has {difference}",
        "give all hosts the driver's versions of Python's libraries",
    )


def _checked(ours: Mapping[str, str], work: Work, task: FitTask) -> list[Outcome]:
    from hptune.fitters import difference, loaded_versions

    if other := difference(loaded_versions(), ours):
        raise other_versions(socket.gethostname(), other)
    return work(task)
