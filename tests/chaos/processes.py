"""The processes of a sweep: found by a mark in their environment, so that no orphan hides; ended one by one."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TypeVar

import psutil

__all__ = ["MARK", "Descendants", "Processes", "is_pyspark", "send", "wait_until"]

MARK = "HPTUNE_TEST_RUN"  # inherited by whatever a marked process starts
_DAEMONS = {"pyspark.daemon", "tests.loaded_daemon"}  # the second is what sessions in tests have
_ENDED = (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess)

Found = TypeVar("Found")


def wait_until(look: Callable[[], Found], seconds: float = 900, what: str = "it") -> Found:
    """What `look` returns as soon as that is true; after `seconds` the test fails."""
    end = time.monotonic() + seconds
    while not (found := look()):
        if time.monotonic() > end:
            raise AssertionError(f"{what} did not happen within {seconds:g} s")
        time.sleep(0.1)  # to look through all processes takes a while
    return found


class Processes:
    """Every living process with a mark.

    Parameters
    ----------
    mark : str
        The value of the environment variable `MARK`.
    """

    def __init__(self, mark: str) -> None:
        self.mark = mark

    def all(self) -> list[psutil.Process]:
        return list(self._living())

    def drivers(self) -> list[psutil.Process]:
        """Python processes that run a sweep."""
        return [p for p in self._living() if any("hptune" in w or "jobs/" in w for w in _words(p)[1:4])]

    def jvms(self) -> list[psutil.Process]:
        """Spark's drivers in Java."""
        return self._java("org.apache.spark.deploy.SparkSubmit")

    def executors(self) -> list[psutil.Process]:
        """Executors that are processes of their own."""
        return self._java("CoarseGrainedExecutorBackend")

    def node(self, host: str) -> list[psutil.Process]:
        """The standalone cluster's worker of a host, the executors on it and all that they started."""
        workers = [p for p in self._java("org.apache.spark.deploy.worker.Worker") if host in _words(p)]
        return [each for worker in workers for each in (worker, *_children(worker))]

    def daemons(self) -> list[psutil.Process]:
        """The processes from which Spark forks Python workers."""
        return self._pyspark(forked=False)

    def workers(self) -> list[psutil.Process]:
        """Python workers, in which fits run."""
        return self._pyspark(forked=True)

    def assert_gone(self, seconds: float = 60) -> float:
        """Wait until no process is left; returns the seconds that it took."""
        start = time.monotonic()
        try:
            wait_until(lambda: not self.all(), seconds, "the end of every process")
        except AssertionError:
            left = [f"{p.pid}: {' '.join(_words(p))[-200:]}" for p in self.all()]
            self.kill()
            raise AssertionError(f"left behind after {seconds:g} s: {left}") from None
        return time.monotonic() - start

    def kill(self) -> None:
        """End every process that is left."""
        while living := self.all():
            for process in living:
                send(process, signal.SIGKILL)
            psutil.wait_procs(living, timeout=10)

    def _living(self) -> Iterator[psutil.Process]:
        for process in psutil.process_iter():
            with suppress(*_ENDED):
                if process.pid != os.getpid() and process.environ().get(MARK) == self.mark:
                    yield process

    def _java(self, main: str) -> list[psutil.Process]:
        return [process for process in self._living() if main in " ".join(_words(process))]

    def _pyspark(self, *, forked: bool) -> list[psutil.Process]:
        found = []
        for process in self._living():
            with suppress(*_ENDED):
                if is_pyspark(process) and is_pyspark(process.parent()) is forked:
                    found.append(process)
        return found


class Descendants(Processes):
    """Every living process that descends from this one, which has no mark."""

    def __init__(self) -> None:
        super().__init__("")

    def _living(self) -> Iterator[psutil.Process]:
        yield from _children(psutil.Process())


def send(process: psutil.Process, number: int) -> None:
    """A signal, unless the process has ended or its number is another's by now."""
    with suppress(*_ENDED):
        process.send_signal(number)


def _words(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except _ENDED:
        return []


def is_pyspark(process: psutil.Process | None) -> bool:
    """Whether it is a Python worker of Spark, or the daemon that forks them."""
    return process is not None and not _DAEMONS.isdisjoint(_words(process))


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return list(process.children(recursive=True))
    except _ENDED:
        return []
