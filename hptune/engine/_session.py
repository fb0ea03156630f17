"""The Spark session of a sweep: the active one, spark-submit's, or one of our own."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping

from py4j.protocol import Py4JError
from pyspark import SparkConf, SparkContext
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from hptune.engine._base import FitLimits, under_spark_submit
from hptune.engine._bounded import bounded
from hptune.engine._ending import has_ended, session_ended
from hptune.engine._executors import (
    DEFAULT_WAIT,
    await_executors,
    await_more_executors,
    is_local,
    waiting_time,
)
from hptune.engine._hadoop import HadoopStore, open_hadoop
from hptune.engine._spark import SparkEngine
from hptune.errors import ClusterError

__all__ = ["check_session", "hadoop_store", "open_spark_engine"]

_START_SECONDS = 28.0  # a little less than Spark's waiting time, as some has gone by already
_LEAST_WAIT = 10.0  # seconds for executors, however long Spark's own start took
_LOOPBACK = "127.0.0.1"
_DEFAULTS = {
    "spark.driver.memory": "1g",
    "spark.executorEnv.OMP_WAIT_POLICY": "PASSIVE",  # waiting OpenMP threads must not spin: fits share cores
    "spark.locality.wait.node": "0s",  # a distributed trial's workers start together, wherever their rows lie
    "spark.log.level": "ERROR",
    "spark.python.worker.faulthandler.enabled": "true",
    "spark.ui.showConsoleProgress": "false",
}
_LOCAL = {"spark.driver.host": _LOOPBACK, "spark.driver.bindAddress": _LOOPBACK}


def open_spark_engine(options: Mapping[str, str], name: str, limits: FitLimits) -> SparkEngine:
    """An engine on the active session, else on spark-submit's, else on a new one.

    Parameters
    ----------
    options : mapping
        ``master`` and any ``spark.*`` setting; used for a new session only.
    name : str
        The application's name in Spark's UI.
    limits : FitLimits
        Tasks at once, and seconds that a fit may take.

    Raises
    ------
    ClusterError
        Spark cannot be started, or the session is a Spark Connect one.
    """
    active = SparkSession.getActiveSession()
    start = time.monotonic()
    session = active or _started(options, name)
    check_session(session)
    if active is None and not is_local(session.sparkContext):
        wait = waiting_time(session.sparkContext.getConf()) - (time.monotonic() - start)
        await_executors(session.sparkContext, max(wait, _LEAST_WAIT))
        await_more_executors(session.sparkContext)
    return SparkEngine(
        session, owned=active is None, max_tasks=limits.max_tasks, trial_timeout=limits.trial_timeout
    )


def check_session(session: SparkSession) -> None:
    """Refuse a session that cannot run jobs.

    Raises
    ------
    ClusterError
        It is a Spark Connect session, which has no RDDs, or has ended.
    """
    if "connect" in type(session).__module__:
        raise ClusterError("Spark Connect has no RDDs", "run with a classic session (spark.api.mode=classic)")
    if has_ended(session.sparkContext):
        raise session_ended()


def hadoop_store(options: Mapping[str, str], uri: str) -> HadoopStore:
    """A place of Hadoop's, through the active session, else through a new one."""
    return open_hadoop(SparkSession.getActiveSession() or _started(options, "storage"), uri)


def _started(options: Mapping[str, str], name: str) -> SparkSession:
    conf = SparkConf().setAppName(f"hptune {name}").setAll([*_settings(options).items()])
    try:
        _start_context(conf)
        return SparkSession.builder.getOrCreate()
    except TimeoutError as error:
        raise ClusterError(
            f"Spark does not start: {error}", "check that spark.master can be reached, and its secret"
        ) from error
    except (PySparkException, Py4JError, RuntimeError, OSError) as error:
        raise ClusterError(
            f"Spark does not start ({_reason(error)})",
            "check that Java 17 is installed and spark.master can be reached",
        ) from error


def _reason(error: Exception) -> str:
    """The line that says most: of an exception in the JVM its own message, which py4j puts second.

    Examples
    --------
    >>> _reason(RuntimeError("An error occurred while calling X.\\n: java.lang.Error: no room\\n\\tat x.y"))
    'java.lang.Error: no room'
    """
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return next((line.removeprefix(": ") for line in lines if line.startswith(": ")), lines[0])


def _start_context(conf: SparkConf) -> None:
    """Start Spark, in a thread of its own: there it does not put its handler of Ctrl-C in the place of ours.

    Raises
    ------
    TimeoutError
        A cluster does not answer; Spark itself would go on for a minute and more.
    """

    def start() -> SparkContext:
        return SparkContext.getOrCreate(conf)

    try:
        bounded(start, _START_SECONDS)
    except TimeoutError:
        if under_spark_submit():
            conf = SparkConf()  # what spark-submit was given is known by now
        if str(conf.get("spark.master")).startswith("local"):
            start()  # once more, which waits: the machine is only slow
        elif (wait := waiting_time(conf)) > DEFAULT_WAIT:
            bounded(start, wait - _START_SECONDS)
        else:
            raise


def _settings(options: Mapping[str, str]) -> dict[str, str]:
    """Settings for a new session; under spark-submit what it was given comes first and nothing is added."""
    if under_spark_submit():
        return {}
    settings = dict(options)
    master = settings.pop("master", "local[*,4]")
    if master.startswith("local"):
        os.environ.setdefault("SPARK_LOCAL_IP", _LOOPBACK)  # the UI's address, read when the JVM starts
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        settings = _LOCAL | settings
    return _DEFAULTS | settings | {"spark.master": master}
