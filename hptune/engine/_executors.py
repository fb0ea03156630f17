"""The executors of a session: how long to wait for them."""

from __future__ import annotations

import re

from pyspark import SparkConf

__all__ = ["DEFAULT_WAIT", "waiting_time"]

DEFAULT_WAIT = 30.0  # seconds
_WAIT = "spark.scheduler.maxRegisteredResourcesWaitingTime"
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0, "": 0.001}


def waiting_time(conf: SparkConf) -> float:
    """Seconds to wait for a cluster: Spark's own setting for the time until executors have registered.

    Examples
    --------
    >>> waiting_time(SparkConf(loadDefaults=False).set("spark.scheduler.maxRegisteredResourcesWaitingTime", "2min"))
    120.0
    """
    match = re.fullmatch(r"\s*(\d+)\s*(ms|s|m|min|h|d|)\s*", str(conf.get(_WAIT, "30s")))
    return float(match[1]) * _UNITS[match[2]] if match else DEFAULT_WAIT
