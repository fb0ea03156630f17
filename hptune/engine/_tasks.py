"""The executors' side of a Spark sweep: what becomes of the fits that a task brings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

from pyspark import SparkFiles, TaskContext

from hptune.engine._base import Work, guarded
from hptune.engine._children import Pool, fits_in
from hptune.engine._payload import Payload
from hptune.engine._worker import freeze_modules, keep_zip_indexes
from hptune.records import FitTask, Outcome

__all__ = ["Bundle", "Fitted", "Fitting", "fits_of"]

Bundle: TypeAlias = tuple[FitTask, ...]
Fitted: TypeAlias = Iterator[tuple[FitTask, Sequence[Outcome] | None]]


@dataclass(frozen=True)
class Fitting:
    """How the executors fit.

    Parameters
    ----------
    payload : pyspark.Broadcast
        Of a `Payload` that holds the work.
    max_failures : int
        Attempts that Spark gives a task.
    trial_timeout : float, optional
        Seconds that a fit may take.
    tried : int, optional
        How often what comes now has ended a worker before: it is fitted in a process apart.
    """

    payload: Any
    max_failures: int
    trial_timeout: float | None = None
    tried: int | None = None


def fits_of(fitting: Fitting) -> Callable[[Iterable[Bundle]], Fitted]:
    """What runs on the executors: each task with its outcomes, or with None on the last attempt that Spark allows.

    What killed the attempts before would end the whole job there, so the task is not tried but handed back. A
    process apart cannot kill anything else.
    """

    def fits(partition: Iterable[Bundle]) -> Fitted:
        keep_zip_indexes()
        freeze_modules()  # the first time before the payload is loaded, which must not stay
        attempt = _attempt()
        apart = fitting.tried is not None or fitting.trial_timeout is not None
        give_up = not apart and fitting.max_failures > 1 and attempt >= fitting.max_failures - 1
        for bundle in partition:
            for task in bundle:
                if give_up:
                    yield task, None
                elif apart:
                    yield task, _fitted_apart(fitting, task)
                else:
                    # What cannot be loaded here, such as a missing library, is told like a failing fit.
                    outcomes = guarded(lambda task: _loaded(fitting)(task), task)
                    yield task, [replace(outcome, attempts=attempt + 1) for outcome in outcomes]

    return fits


def _loaded(fitting: Fitting) -> Work:
    shared: Payload = fitting.payload.value
    work: Work = shared.load(_on_this_host)
    return work


def _fitted_apart(fitting: Fitting, task: FitTask) -> Sequence[Outcome]:
    shared: Payload = fitting.payload.value
    here = replace(shared, file=_on_this_host(shared.file))
    with closing(Pool(1, fitting.trial_timeout)) as pool:
        return list(fits_in(pool, here, [task], fitting.tried or 0))


def _on_this_host(file: str) -> str:
    return file if Path(file).exists() else SparkFiles.get(Path(file).name)


def _attempt() -> int:
    context = TaskContext.get()
    return context.attemptNumber() if context is not None else 0
