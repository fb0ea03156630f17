"""Processes of our own for fits, so that none can harm more than itself.

A fit that ends its process, or does not end at all, costs nothing but its own row: its parent sees the exit code,
or ends the process at the limit, whatever native code it is in.
"""

from __future__ import annotations

import atexit
import os
import pickle
import signal
import socket
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import cloudpickle

from hptune.engine._base import Feed, failed, feed_of
from hptune.engine._child import BEGUN
from hptune.engine._forks import can_fork, forked, started
from hptune.engine._payload import Payload
from hptune.records import FitTask, Outcome, Rung, Status

__all__ = ["TRIES", "Pool", "fits_fed", "fits_in"]

TRIES = 3  # of a fit that ends its process, before it is tried once more when nothing else runs
_TRACE_SECONDS = 1.0  # for a process that hangs to tell where
_TRACE_LINES = 12  # the innermost frames


@dataclass(frozen=True)
class Ending:
    """What came of a task in a child; `outcomes` is complete, "crashed" and "timeout" ones too."""

    task: FitTask
    status: Status
    outcomes: Sequence[Outcome]


class Child:
    """A process that works on one task at a time."""

    def __init__(self, environment: Mapping[str, str], *, fork: bool) -> None:
        self.owner = os.getpid()
        self.kind = _kind(environment)
        self.connection, theirs = Pipe()
        self._traces = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the process
        self._begun: float | None = None
        self._oom_kills = 0
        self._token = ""
        with theirs:
            start = forked if fork else started
            self._process = start(environment, (theirs.fileno(), self._traces.fileno()))

    @property
    def lives(self) -> bool:
        """Whether it can take a task."""
        return self._process.poll() is None

    def begin(self, payload: Payload, task: FitTask) -> None:
        """Give it a task; it has none."""
        self._begun, self._oom_kills = None, _oom_kills()
        order = (payload if payload.token != self._token else None, cloudpickle.dumps(task))
        self._token = payload.token
        with suppress(OSError):  # it has just ended, as `ending` will tell
            self.connection.send_bytes(pickle.dumps(order))

    def seconds_left(self, limit: float | None) -> float | None:
        """Until its fit has had its time; None where it may take as long as it likes."""
        if limit is None or self._begun is None:
            return None
        return max(0.0, self._begun + limit - time.monotonic())

    def ending(self, task: FitTask) -> Ending | None:
        """What came of the task, once the connection has something to tell; None where that is not the end."""
        try:
            told = self.connection.recv()
        except (EOFError, OSError):
            self._process.wait()
            return self._without_scores(
                task, "crashed", f"the fit ended its worker process: {self._last_words()}"
            )
        if told == BEGUN:
            self._begun = time.monotonic()
            return None
        if isinstance(told, str):
            return Ending(task, "failed", failed(task, told))
        return Ending(task, "ok", [Outcome.from_json(line) for line in told])

    def give_up(self, task: FitTask, limit: float) -> Ending:
        """End the process, because its fit takes too long."""
        self._process.send_signal(signal.SIGUSR1)
        until = time.monotonic() + _TRACE_SECONDS
        while self.lives and not os.fstat(self._traces.fileno()).st_size and time.monotonic() < until:
            time.sleep(0.01)
        return self._without_scores(task, "timeout", f"the fit took longer than {limit:g} s")

    def kill(self) -> None:
        """End the process, whatever it does."""
        self._process.kill()
        self._process.wait()
        self.connection.close()
        self._traces.close()

    def _without_scores(self, task: FitTask, status: Status, reason: str) -> Ending:
        seconds = 0.0 if self._begun is None else time.monotonic() - self._begun
        self._traces.seek(0)
        trace, _, _ = self._traces.read().decode("utf-8", "replace").partition("\nExtension modules:")
        self.kill()
        host, pid = socket.gethostname(), self._process.pid
        outcomes = failed(task, "\n".join([*trace.splitlines()[:_TRACE_LINES], reason]), status=status)
        return Ending(
            task, status, [replace(each, work_time=seconds, host=host, pid=pid) for each in outcomes]
        )

    def _last_words(self) -> str:
        code = self._process.returncode
        if code >= 0:
            return f"exit code {code}"
        words = f"{signal.strsignal(-code)} ({signal.Signals(-code).name})"
        if code == -signal.SIGKILL and _oom_kills() > self._oom_kills:  # counted for the whole machine
            return f"{words}, while the system ran out of memory"
        return words


_IDLE: list[Child] = []  # of this process, for its next pool


@atexit.register
def _end_idle() -> None:
    for child in _IDLE:
        if child.owner == os.getpid():
            child.kill()


class Pool:
    """Children that take one task each.

    Parameters
    ----------
    slots : int
        How many.
    limit : float, optional
        Seconds that a task may take.
    environment : mapping, optional
        Variables that the children have beside those of this process.
    """

    def __init__(
        self, slots: int, limit: float | None = None, environment: Mapping[str, str] | None = None
    ) -> None:
        self._slots = slots
        self._limit = limit
        self._environment = environment or {}
        self._busy: dict[Connection[Any, Any], tuple[Child, FitTask]] = {}
        self._idle: list[Child] = []

    @property
    def busy(self) -> bool:
        """Whether any child has a task."""
        return bool(self._busy)

    @property
    def free(self) -> int:
        """How many children could begin a task."""
        return self._slots - len(self._busy)

    def begin(self, payload: Payload, task: FitTask) -> None:
        """Give a task to a child that has none."""
        child = _living(self._idle) or _living(_IDLE, _kind(self._environment)) or self._new()
        self._busy[child.connection] = child, task
        child.begin(payload, task)

    def _new(self) -> Child:
        """A single one starts alone: nobody shares the memory of the process from which it would be forked."""
        return Child(self._environment, fork=self._slots > 1 and can_fork())

    def endings(self) -> Iterator[Ending]:
        """Wait until a child has something to tell, or has had its time; then what has ended."""
        left = [child.seconds_left(self._limit_of(task)) for child, task in self._busy.values()]
        soonest = min((seconds for seconds in left if seconds is not None), default=None)
        told = wait([*self._busy], soonest)
        for connection, (child, task) in [*self._busy.items()]:
            ending = None
            if connection in told:
                ending = child.ending(task)
            elif self._limit is not None and child.seconds_left(self._limit_of(task)) == 0:
                ending = child.give_up(task, self._limit)
            if ending is not None:
                del self._busy[connection]
                if ending.status in ("ok", "failed"):
                    self._idle.append(child)
                yield ending

    def _limit_of(self, task: FitTask) -> float | None:
        """Seconds for a task: each of the folds that it fits has its time."""
        return None if self._limit is None else self._limit * len(task.all_folds)

    def close(self) -> None:
        """End the children that have a task; the others wait for the next pool, as long as they live."""
        for child, _ in self._busy.values():
            child.kill()
        self._busy.clear()
        _IDLE.extend(self._idle)
        self._idle.clear()
        _drop_ended()


def fits_in(
    pool: Pool, payload: Payload, tasks: Sequence[FitTask], tried: int = 0
) -> Iterator[list[Outcome]]:
    """One outcome for every cell of every task, each task's as they come: `fits_fed` with tasks known beforehand."""
    return fits_fed(pool, payload, feed_of(tasks), tried)


def fits_fed(pool: Pool, payload: Payload, feed: Feed, tried: int = 0) -> Iterator[list[Outcome]]:
    """One outcome for every cell of every task that `feed` gives, each task's as they come.

    What ends its process is tried again, the last time when nothing else runs: there is most memory then. Which of
    its rungs ended a shared fit's process is not known: its longest rung and the shorter ones then have one more try
    each, these again in parts if need be, so that n rungs end 2n + 2 processes at most. A shared fit that takes too
    long is given up for its longest rung only.

    Parameters
    ----------
    tried : int, default 0
        How often each task ended another process before.
    """
    waiting, suspects = deque[FitTask](), deque[FitTask]()
    deaths = dict[tuple[int, tuple[Rung, ...]], int]()
    while True:
        waiting.extend(feed(max(0, pool.free - len(waiting))))
        if not waiting and not pool.busy:
            if not suspects:
                return
            waiting.append(suspects.popleft())
        while waiting and pool.free:
            pool.begin(payload, waiting.popleft())
        for ending in pool.endings():
            task, outcomes = ending.task, ending.outcomes
            died = deaths.get(_known(task), tried)
            if ending.status == "crashed" and (again := (task,) if died < TRIES else task.parts()):
                deaths.update((_known(each), died + 1) for each in again)
                (waiting if died + 1 < TRIES else suspects).extend(again)
                continue
            if ending.status == "timeout" and (parts := task.parts()):
                longest, shorter = parts
                deaths[_known(shorter)] = died
                waiting.append(shorter)
                outcomes = [each for each in outcomes if (each.candidate, each.fold) in longest.cells]
            yield [replace(outcome, attempts=died + 1) for outcome in outcomes]


def _known(task: FitTask) -> tuple[int, tuple[Rung, ...]]:
    """The parts of a task have its number, too."""
    return task.id, task.rungs


def _living(children: list[Child], kind: tuple[Any, ...] | None = None) -> Child | None:
    """The last that lives, of a kind if one is given, taken out of the list with those that have ended."""
    for child in [each for each in reversed(children) if kind is None or each.kind == kind]:
        try:
            children.remove(child)
        except ValueError:  # another thread has taken it
            continue
        if child.lives:
            return child
        child.kill()
    return None


def _drop_ended() -> None:
    """Let go of idle children that have ended, of whatever kind: nobody may look for that one again."""
    for child in [each for each in _IDLE if each.owner == os.getpid()]:
        try:
            _IDLE.remove(child)  # two threads must not ask it at once
        except ValueError:  # another one has taken it
            continue
        if child.lives:
            _IDLE.append(child)
        else:
            child.kill()


def _kind(environment: Mapping[str, str]) -> tuple[Any, ...]:
    """What a child must have been started with to be of use here and now."""
    return os.getpid(), os.getcwd(), tuple(sys.path), tuple(sorted(environment.items()))


def _oom_kills() -> int:
    """Processes that the system has killed since its start because memory ran out; 0 where it does not tell."""
    with suppress(OSError):
        for line in Path("/proc/vmstat").read_text().splitlines():
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    return 0
