"""Spark sessions for tests."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from tests import SHORT_LIVED_JVM

__all__ = ["end_shared_session", "shared_session", "spark_session"]

_shared = ExitStack()
_living: list[Any] = []  # the session that `_shared` stops


def shared_session() -> Any:
    """A session of two slots, left for whoever asks for it next: its start takes as long as most tests."""
    if not _living:
        _living.append(_shared.enter_context(spark_session("local[2,4]")))
    return _living[0]


def end_shared_session() -> None:
    """Stop the session that was left, if there is one."""
    _living.clear()
    _shared.close()


@contextmanager
def spark_session(master: str, **settings: str) -> Iterator[Any]:
    """A session that is listened to on loopback only, stopped at the end."""
    from pyspark.sql import SparkSession

    end_shared_session()
    os.environ["PYSPARK_PYTHON"] = sys.executable
    os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
    os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
    builder = SparkSession.builder.master(master).appName("hptune tests")
    fixed = {
        "spark.driver.memory": "1g",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.log.level": "OFF",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.executor.extraJavaOptions": SHORT_LIVED_JVM,
        "spark.executorEnv.OMP_WAIT_POLICY": "PASSIVE",
    }
    if master.startswith("local["):  # where Python workers start in this directory
        settings["spark.python.daemon.module"] = "tests.loaded_daemon"
    for key, value in (fixed | settings).items():
        builder = builder.config(key, value)
    session = builder.getOrCreate()
    system = session.sparkContext._jvm.java.lang.System
    try:
        yield session
    finally:
        session.stop()
        for key in settings:  # with those of its first session the Java process would begin the next ones too
            system.clearProperty(key)
