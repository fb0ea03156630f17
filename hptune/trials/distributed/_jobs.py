"""The Spark jobs of trials: known by their trial, and gone with it."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from pyspark import SparkContext

from hptune.records import FitTask

__all__ = ["TrialJobs"]

_AGAIN_SECONDS = 0.2


class TrialJobs:
    """The jobs that trials run, each in a thread of its own.

    Parameters
    ----------
    context : SparkContext
        Runs them.
    """

    def __init__(self, context: SparkContext) -> None:
        self._context = context
        self._name = f"hptune-{uuid.uuid4().hex}"
        self._running: dict[int, threading.Event] = {}  # set when the trial has ended

    @contextmanager
    def of(self, task: FitTask) -> Iterator[None]:
        """While open, the jobs of this thread are the trial's."""
        self._running[task.id] = ended = threading.Event()
        about = f"hptune trial {task.rungs[0].candidate}, fold {task.fold}"
        self._context.setJobGroup(self._group(task.id), about, interruptOnCancel=True)
        try:
            yield
        finally:
            ended.set()
            self._running.pop(task.id, None)

    def cancel(self, task: FitTask) -> None:
        """Cancel the jobs of a trial that runs, without waiting for its end."""
        self._cancel(task.id)

    def close(self) -> None:
        """Cancel the jobs of all trials that still run."""
        for number in list(self._running):
            self._cancel(number)

    def _cancel(self, number: int) -> None:
        ended = self._running.get(number)
        if ended is not None:
            about = (self._group(number), ended)
            threading.Thread(
                target=self._cancelling, args=about, name=f"cancel-{number}", daemon=True
            ).start()

    def _cancelling(self, group: str, ended: threading.Event) -> None:
        """Cancel what runs until the trial has noticed: one that is between two jobs begins the next."""
        with suppress(Exception):  # of a session that has ended
            self._context.cancelJobGroup(group)
            while not ended.wait(_AGAIN_SECONDS):
                self._context.cancelJobGroup(group)

    def _group(self, number: int) -> str:
        return f"{self._name}-{number}"
