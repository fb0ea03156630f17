"""How many cores a task gets: on a cluster through Spark's stage-level scheduling, which keeps them free."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pyspark import RDD, SparkContext
from pyspark.resource import ResourceProfileBuilder, TaskResourceRequests

__all__ = ["Cores", "cores_of", "with_cores"]

# Task profiles that need no executors of their own: standalone since Spark 3.4, YARN and Kubernetes since
# 3.5.1. A local-cluster counts as standalone; plain local mode has none.
_FIRST_VERSION = (3, 5, 1)


@dataclass(frozen=True)
class Cores:
    """The cores of a cluster.

    Parameters
    ----------
    total : int
        All of them.
    task : int
        ``spark.task.cpus``.
    executor : int, optional
        Those of each executor; None where they are unknown or tasks cannot be given more than `task`.

    Examples
    --------
    >>> Cores(total=12, task=1, executor=4).each(n_tasks=4)
    2
    >>> Cores(total=12, task=1, executor=4).each(n_tasks=40)
    1
    """

    total: int
    task: int
    executor: int | None = None

    def each(self, n_tasks: int) -> int:
        """Cores for each of `n_tasks` tasks: the most with which all of them still run at once."""
        if self.executor is None:
            return self.task
        executors = max(1, self.total // self.executor)
        wider = range(self.executor, self.task, -1)
        return next((n for n in wider if executors * (self.executor // n) >= n_tasks), self.task)


def cores_of(sc: SparkContext) -> Cores:
    """The cores that `sc` has now.

    With dynamic allocation a wider task would wait for executors of its own, so tasks stay as they are.
    """
    conf = sc.getConf()
    total, task = sc.defaultParallelism, int(conf.get("spark.task.cpus", "1") or 1)
    dynamic = str(conf.get("spark.dynamicAllocation.enabled", "false")).lower() == "true"
    if dynamic or _version(sc.version) < _FIRST_VERSION:
        return Cores(total, task)
    return Cores(total, task, _executor_cores(str(sc.master), conf.get("spark.executor.cores")))


def with_cores(rdd: RDD[Any], cpus: int) -> RDD[Any]:
    """`rdd` with tasks that hold `cpus` cores each, on the executors that are there."""
    profile = ResourceProfileBuilder().require(TaskResourceRequests().cpus(cpus)).build
    return rdd.withResources(profile)


def _executor_cores(master: str, configured: str | None) -> int | None:
    if master.startswith("local-cluster["):
        return int(master.split(",")[1])
    on_cluster = not master.startswith("local")
    return int(configured) if on_cluster and configured else None


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("-")[0].split(".")[:3] if part.isdigit())
