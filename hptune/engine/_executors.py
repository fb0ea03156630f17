"""The executors of a session: how long to wait for them, and what they tell of themselves."""

from __future__ import annotations

import math
import re
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, NamedTuple

from pyspark import SparkConf, SparkContext

from hptune.engine._base import Host
from hptune.engine._bounded import bounded
from hptune.engine._ending import fatal, unless_ended
from hptune.engine._shipping import ship_package
from hptune.engine._versions import other_versions
from hptune.errors import ClusterError

__all__ = [
    "DEFAULT_WAIT",
    "attempts_of",
    "await_executors",
    "await_more_executors",
    "hosts_of",
    "is_local",
    "waiting_time",
]

DEFAULT_WAIT = 30.0  # seconds
_WAIT = "spark.scheduler.maxRegisteredResourcesWaitingTime"
_TIMES = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0, "": 0.001}
_SIZES = {"b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40, "": 1 << 20}
_LEAST_OVERHEAD = 384 << 20
_ANSWER_SECONDS = 600.0  # for executors that are there; they load all libraries
_CAUSES = ("Python in worker has different version[^,\n]*", "Cannot run program [^\n]*", r"\w*Error: [^\n]+")
_CAUSE_CHARACTERS = 200
_SETTLED_SECONDS, _SETTLING_SECONDS = 1.0, 10.0
_MEND_PYTHON = (
    "let PYSPARK_PYTHON name the driver's version of Python, with hptune's requirements, on all hosts"
)
_MEND_LOCAL = "set the environment's PYSPARK_PYTHON to sys.executable before the session is started"


class _Answer(NamedTuple):
    """What a worker tells: its host, the memory there, versions, and what cannot be loaded."""

    host: str
    memory: int
    versions: dict[str, str]
    error: str


def is_local(sc: SparkContext) -> bool:
    """Whether everything runs on this machine and in the JVM of the driver."""
    return str(sc.master).split("[")[0] == "local"


def attempts_of(sc: SparkContext) -> int:
    """Attempts that a task has: local mode takes them from its master's second number, else 1."""
    if not is_local(sc):
        return int(sc.getConf().get("spark.task.maxFailures", "4") or 4)
    master = str(sc.master)
    return int(master.rstrip("]").split(",")[1]) if "," in master else 1


def waiting_time(conf: SparkConf) -> float:
    """Seconds to wait for a cluster: Spark's own setting for the time until executors have registered.

    Examples
    --------
    >>> conf = SparkConf(loadDefaults=False)
    >>> waiting_time(conf.set("spark.scheduler.maxRegisteredResourcesWaitingTime", "2min"))
    120.0
    """
    match = re.fullmatch(r"\s*(\d+)\s*(ms|s|m|min|h|d|)\s*", str(conf.get(_WAIT, "30s")))
    return float(match[1]) * _TIMES[match[2]] if match else DEFAULT_WAIT


def await_executors(sc: SparkContext, seconds: float) -> None:
    """Until an executor runs a task.

    Raises
    ------
    ClusterError
        None does within `seconds`, or it cannot run Python.
    """
    try:
        _collected(sc, lambda tasks: iter(()), 1, seconds)
    except TimeoutError as error:
        raise ClusterError(
            f"no executor has come within {seconds:.0f} s",
            f"check the cluster's free cores and memory and what an executor asks for, or raise {_WAIT}",
        ) from error


def await_more_executors(sc: SparkContext) -> None:
    """Until no further executor has come for a moment: they come one by one, and their cores are counted once."""
    cores, since, start = 0, time.monotonic(), time.monotonic()
    while time.monotonic() < min(since + _SETTLED_SECONDS, start + _SETTLING_SECONDS):
        if sc.defaultParallelism != cores:
            cores, since = sc.defaultParallelism, time.monotonic()
        time.sleep(0.1)


def hosts_of(sc: SparkContext, slots: int, broadcast_bytes: int) -> list[Host]:
    """Where `slots` fits at once will run, all with the driver's versions of everything.

    Up to `broadcast_bytes` of data are a copy in each worker.

    Raises
    ------
    ClusterError
        There are no executors, or one lacks libraries or has other versions.
    """
    from hptune.fitters import difference, loaded_versions  # loads the libraries, as the executors do

    conf, master = sc.getConf(), str(sc.master)
    if not is_local(sc):
        ship_package(sc)
        await_executors(sc, waiting_time(conf))
    answers = [_Answer(*told) for told in _collected(sc, _teller(), slots, _ANSWER_SECONDS)]
    for answer in answers:
        if answer.error:
            what = f"the executor on {answer.host} cannot fit ({answer.error})"
            raise ClusterError(what, _MEND_LOCAL if is_local(sc) else "install hptune's requirements there")
        if other := difference(answer.versions, loaded_versions()):
            raise other_versions(answer.host, other)
    if master.startswith(("yarn", "k8s")):
        return [replace(_container(conf, master, slots), shared_from=broadcast_bytes)]
    memory = {answer.host: answer.memory for answer in answers}
    heap = _size_of(conf, "spark.driver.memory" if is_local(sc) else "spark.executor.memory", 1 << 30)
    each, copied = math.ceil(slots / len(memory)), 0 if is_local(sc) else broadcast_bytes
    return [Host(name, each, there - heap, copied) for name, there in memory.items()]


def _teller() -> Callable[[Iterable[int]], Iterator[tuple[Any, ...]]]:
    """The function that tells; as a nested one it is sent itself, and runs where hptune cannot be loaded."""

    def tell(tasks: Iterable[int]) -> Iterator[tuple[Any, ...]]:
        import socket

        host = socket.gethostname()
        try:
            from hptune.fitters import loaded_versions
            from hptune.memory import memory_limit
        except Exception as error:  # a library that is missing, or broken
            yield host, 0, {}, f"{type(error).__name__}: {error}"
            return
        yield host, memory_limit(), dict(loaded_versions()), ""

    return tell


def _collected(
    sc: SparkContext, function: Callable[..., Iterator[Any]], tasks: int, seconds: float
) -> list[Any]:
    """What `function` tells in as many tasks.

    Raises
    ------
    ClusterError
        The tasks fail.
    TimeoutError
        They have not ended by then.
    """
    group = f"hptune-{uuid.uuid4().hex}"

    def run() -> list[Any]:
        sc.setJobGroup(group, "hptune: asking the executors", interruptOnCancel=True)
        return sc.parallelize(range(tasks), tasks).mapPartitions(function).collect()

    try:
        with _unlogged(sc):
            return list(bounded(run, seconds))
    except TimeoutError:
        sc.cancelJobGroup(group)
        raise
    except Exception as error:  # py4j's, with all that Spark has to say about it
        if (told := fatal(sc, error)) is not None:
            raise told from error
        raise ClusterError(f"the executors cannot run Python ({_cause(str(error))})", _MEND_PYTHON) from error


@contextmanager
def _unlogged(sc: SparkContext) -> Iterator[None]:
    """Spark's pages on a task that fails are kept from the terminal, where its level of logging is known."""
    level = sc.getConf().get("spark.log.level")
    if level is None:
        yield
        return
    sc.setLogLevel("OFF")
    try:
        yield
    finally:
        with unless_ended(sc):
            sc.setLogLevel(level)


def _cause(text: str) -> str:
    """What says most in a job's error, of which there are pages.

    Examples
    --------
    >>> _cause('Job aborted\\njava.io.IOException: Cannot run program "python9": error=2\\n\\tat java.lang')
    'Cannot run program "python9": error=2'
    """
    found = next((match for pattern in _CAUSES for match in re.findall(pattern, text)), text.strip())
    return str(found).splitlines()[0][:_CAUSE_CHARACTERS]


def _container(conf: SparkConf, master: str, slots: int) -> Host:
    """What each executor's container leaves for Python."""
    share = 0.4 if master.startswith("k8s") else 0.1
    heap = _size_of(conf, "spark.executor.memory", 1 << 30)
    overhead = _size_of(conf, "spark.executor.memoryOverhead", max(int(heap * share), _LEAST_OVERHEAD))
    python = _size_of(conf, "spark.executor.pyspark.memory", 0)
    each = int(conf.get("spark.executor.cores", "1") or 1) // int(conf.get("spark.task.cpus", "1") or 1)
    return Host("an executor (spark.executor.memoryOverhead)", max(1, min(each, slots)), overhead + python)


def _size_of(conf: SparkConf, key: str, default: int) -> int:
    """Bytes of a memory setting, which Spark takes for MiB where it has no unit.

    Examples
    --------
    >>> _size_of(SparkConf(loadDefaults=False).set("spark.executor.memory", "2g"), "spark.executor.memory", 0)
    2147483648
    """
    match = re.fullmatch(r"\s*(\d+)\s*([bkmgt]?)b?\s*", str(conf.get(key, "")).lower())
    return int(match[1]) * _SIZES[match[2]] if match else default
