"""The engines' seam."""

from __future__ import annotations

import base64
import os
import pickle
import socket
import traceback
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol, TypeAlias

import cloudpickle

from hptune.live import Place
from hptune.memory import memory_limit
from hptune.records import ERROR_BYTES, FitTask, Outcome, Status, clipped

__all__ = [
    "CRASHED",
    "Engine",
    "Feed",
    "FitLimits",
    "Host",
    "Work",
    "failed",
    "feed_of",
    "guarded",
    "original_exception",
    "this_host",
    "under_spark_submit",
]

CRASHED = "the fit ended its worker process each time it was tried, and the executor with it"

_EXCEPTION_BYTES = 16 << 10  # of a pickled exception; a class from a notebook travels by value

_ERROR_BYTES_BESIDE_EXCEPTION = 1024  # with the pickled exception an outcome stays within 4 KiB

Work: TypeAlias = Callable[[FitTask], list[Outcome]]
Feed: TypeAlias = Callable[[int], Sequence[FitTask]]


def feed_of(tasks: Sequence[FitTask]) -> Feed:
    """Gives tasks that are known beforehand, in their order."""
    left = iter(tasks)
    return lambda free: list(islice(left, free))


@dataclass(frozen=True)
class FitLimits:
    """What an engine must not exceed: tasks at once, and seconds that a fit may take. None: no limit."""

    max_tasks: int | None = None
    trial_timeout: float | None = None


@dataclass(frozen=True)
class Host:
    """Where some of the fits run.

    Parameters
    ----------
    name : str
        Of a host, or of what bounds the memory there.
    slots : int
        Fits that run there at once.
    memory : int
        Bytes that all of them may use together.
    shared_from : int, default 0
        Bytes of data from which on all of them map one copy; of less each has its own.
    """

    name: str
    slots: int
    memory: int
    shared_from: int = 0


class Engine(Protocol):
    """Runs independent tasks and hands back what came of them, as it comes.

    Attributes
    ----------
    name : str
        As in a configuration file.
    slots : int
        Tasks that run at once.
    is_local : bool
        Whether tasks run on this machine, where they see the files that this process sees.
    in_process : bool
        Whether fits run in the calling process itself.
    """

    name: str
    slots: int
    is_local: bool
    in_process: bool

    def threads(self, n_tasks: int) -> int:
        """Native threads that each of `n_tasks` tasks may use, at least 1."""

    def run(
        self, tasks: Sequence[FitTask], work: Work, description: str
    ) -> Generator[list[Outcome], None, None]:
        """Outcomes of `work` on every task, in the order in which they end, those together that arrive together.

        Every cell of every task gets exactly one outcome, whatever happens to the process that works on it.
        Closing the generator stops the tasks that have not ended.
        """

    def run_fed(self, feed: Feed, work: Work, description: str) -> Generator[list[Outcome], None, None]:
        """Outcomes of `work` on tasks that are not known beforehand.

        Whenever there is room, `feed` is asked for that many tasks, after everything that ended before has been
        yielded and taken in. It may give fewer. The run ends when nothing runs and `feed` gives nothing. The rest
        is as in `run`.
        """

    def live_place(self) -> Place | None:
        """Where a live channel must listen so that fits can reach it; None where what they say must be encrypted."""

    def hosts(self) -> list[Host]:
        """Where fits will run, as the workers themselves tell it.

        Raises
        ------
        ClusterError
            No worker is there within Spark's waiting time, or they cannot run Python.
        """

    def close(self) -> None:
        """Give back what the engine itself started."""


def this_host(slots: int) -> Host:
    """The one of this process, for engines that need no other."""
    return Host(socket.gethostname(), slots, memory_limit())


def under_spark_submit() -> bool:
    """Whether spark-submit started this process: its JVM is the parent, and has the settings."""
    return "PYSPARK_GATEWAY_PORT" in os.environ


def guarded(work: Work, task: FitTask) -> list[Outcome]:
    """The work's outcomes; where it raises, a failed outcome for each cell."""
    try:
        return work(task)
    except (
        Exception,
        SystemExit,
    ) as error:  # a failing fit is a value; only what kills the process may leave
        return failed(task, traceback.format_exc(), error)


def failed(
    task: FitTask, text: str, error: BaseException | None = None, *, status: Status = "failed"
) -> list[Outcome]:
    """An outcome without scores for each cell of the task."""
    raised = None if error is None else _portable(error)
    text = clipped(text, ERROR_BYTES if raised is None else _ERROR_BYTES_BESIDE_EXCEPTION)
    return [
        Outcome(candidate, fold, status, {}, fit_id=task.id, error=text, raised=raised)
        for candidate, fold in task.cells
    ]


def original_exception(outcome: Outcome) -> BaseException | None:
    """The exception that left the fit of `outcome`, where one did."""
    if outcome.raised is None:
        return None
    error: BaseException = pickle.loads(base64.b64decode(outcome.raised))  # noqa: S301 - from our own executors
    return error


def _portable(error: BaseException) -> str:
    """The exception as base64 of its pickle, of its own type wherever that can be loaded."""
    text = clipped(f"{type(error).__name__}: {error}", ERROR_BYTES // 2)
    parts = (error, _Parts(error, error.args, vars(error)), _Parts(error, (text,), {}), RuntimeError(text))
    return next(base64.b64encode(pickled).decode() for part in parts if (pickled := _pickled(part)))


class _Parts:
    """An exception whose class does not take its own ``args`` back: it is made again without ``__init__``."""

    def __init__(self, error: BaseException, args: tuple[Any, ...], state: Mapping[str, Any]) -> None:
        self.parts = (type(error), args, dict(state))

    def __reduce__(self) -> tuple[Any, ...]:
        return _put_together, self.parts


def _put_together(
    kind: type[BaseException], args: tuple[Any, ...], state: Mapping[str, Any]
) -> BaseException:
    error = kind.__new__(kind, *args)
    error.__dict__.update(state)
    return error


def _pickled(value: Any) -> bytes:
    """The pickle of `value`; nothing where it is too large or cannot be loaded again."""
    try:
        pickled = cloudpickle.dumps(value)
        pickle.loads(pickled)  # noqa: S301 - what was pickled just now
    except Exception:  # exceptions may hold anything
        return b""
    return pickled if len(pickled) <= _EXCEPTION_BYTES else b""
