"""What no job can run after: the end of a Spark session, a full disk."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

from pyspark import SparkContext

from hptune.errors import ClusterError

__all__ = ["fatal", "has_ended", "session_ended", "unless_ended"]

_FULL = tuple(os.strerror(code) for code in (errno.ENOSPC, errno.EDQUOT))  # Java tells it in the same words


def has_ended(sc: SparkContext) -> bool:
    """Whether the context was stopped, or its JVM is gone."""
    try:
        sc.defaultParallelism  # noqa: B018 - asks the JVM, which refuses where the context is stopped
    except Exception:  # py4j's, Java's, the socket's, or an AttributeError of pyspark's, by how it ended
        return True
    return False


def session_ended() -> ClusterError:
    """The error for a session that does not live any more."""
    return ClusterError("the Spark session ended", "Spark's own log tells why; run again in a new session")


def fatal(sc: SparkContext, error: BaseException) -> ClusterError | None:
    """What to raise where a job that failed with `error` need not be tried again; None where it may be."""
    if has_ended(sc):
        return session_ended()
    full = next((words for words in _FULL if words in str(error)), None)
    if full is None:
        return None
    return ClusterError(
        f"there is no room for Spark's files ({full})",
        "free the disks under spark.local.dir and the temporary directory, or set others",
    )


@contextmanager
def unless_ended(sc: SparkContext) -> Iterator[None]:
    """For calls that a session which has ended does not need any more: there their errors are none."""
    try:
        yield
    except Exception:
        if not has_ended(sc):
            raise
