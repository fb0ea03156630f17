"""Where fits run: this process, this machine's processes, or a Spark cluster, behind one seam."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

from hptune.engine._base import (
    Engine,
    Feed,
    FitLimits,
    Host,
    Work,
    failed,
    original_exception,
    under_spark_submit,
)
from hptune.engine._driver import DriverEngine
from hptune.engine._parallel import parallel
from hptune.engine._processes import ProcessesEngine
from hptune.engine._serial import SerialEngine
from hptune.errors import ClusterError
from hptune.storage import Opener, Store

__all__ = [
    "BY_NAME",
    "DriverEngine",
    "Engine",
    "Feed",
    "FitLimits",
    "Host",
    "ProcessesEngine",
    "SerialEngine",
    "Work",
    "active_session",
    "engine_of",
    "failed",
    "hadoop_opener",
    "original_exception",
    "parallel",
    "pickle_by_reference",
    "under_spark_submit",
]

_NO_LIMITS = FitLimits()


def engine_of(session: Any, max_tasks: int | None = None) -> Engine:
    """An engine on a given Spark session, with at most `max_tasks` tasks at once; the session stays open.

    Raises
    ------
    ClusterError
        The session is a Spark Connect one, or has ended; or its executors cannot fit, which is asked once.
    """
    from hptune.engine._session import check_session
    from hptune.engine._spark import SparkEngine

    check_session(session)
    engine = SparkEngine(session, max_tasks=max_tasks)
    engine.check_executors()
    return engine


def active_session() -> Any:
    """The active Spark session; None where there is none, where pyspark is not loaded, and on executors.

    Raises
    ------
    ClusterError
        The session that there was has ended by itself.
    """
    if "pyspark.sql" not in sys.modules:
        return None  # nobody can have made a session
    from pyspark import TaskContext
    from pyspark.sql import SparkSession

    from hptune.engine._ending import session_ended

    if TaskContext.get() is not None:
        return None
    try:
        return SparkSession.getActiveSession()
    except OSError as error:  # the Java process of the one that there was does not answer any more
        raise session_ended() from error


def pickle_by_reference(session: Any) -> None:
    """Let Spark sessions be copied, hashed and pickled: each as a reference to itself, valid in this process only."""
    from hptune.engine._reference import register

    register(type(session))


def _serial(options: Mapping[str, str], name: str, limits: FitLimits = _NO_LIMITS) -> Engine:
    return SerialEngine()


def _processes(options: Mapping[str, str], name: str, limits: FitLimits = _NO_LIMITS) -> Engine:
    return ProcessesEngine(max_tasks=limits.max_tasks, trial_timeout=limits.trial_timeout)


def _spark(options: Mapping[str, str], name: str, limits: FitLimits = _NO_LIMITS) -> Engine:
    try:
        from hptune.engine._session import open_spark_engine  # pyspark is wanted by this engine only
    except ModuleNotFoundError as error:
        raise ClusterError("pyspark is not installed", "pip install 'hptune[spark]'") from error
    return open_spark_engine(options, name, limits)


def hadoop_opener(options: Mapping[str, str]) -> Opener:
    """Opens Hadoop's URIs through the active Spark session, or one that it starts at the first use.

    Parameters
    ----------
    options : mapping
        ``master`` and any ``spark.*`` setting; used for a new session only.
    """

    def opened(uri: str) -> Store:
        try:
            from hptune.engine._session import hadoop_store
        except ModuleNotFoundError as error:
            raise ClusterError("pyspark is not installed", "pip install 'hptune[spark]'") from error
        return hadoop_store(options, uri)

    return opened


BY_NAME: dict[str, Callable[..., Engine]] = {
    "spark": _spark,
    "processes": _processes,
    "serial": _serial,
}
"""Each is called with Spark's options, a name for the application and, where there are any, limits."""
