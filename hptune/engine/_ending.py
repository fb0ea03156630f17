"""Whether a Spark session still lives, and what is said where it does not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pyspark import SparkContext

from hptune.errors import ClusterError

__all__ = ["has_ended", "session_ended", "unless_ended"]


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


@contextmanager
def unless_ended(sc: SparkContext) -> Iterator[None]:
    """For calls that a session which has ended does not need any more: there their errors are none."""
    try:
        yield
    except Exception:
        if not has_ended(sc):
            raise
