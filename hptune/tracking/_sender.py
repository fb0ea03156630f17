"""Sends what MLflow lacks of a sweep."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from hptune.observers import MlflowRuns
from hptune.records import FitTask
from hptune.space import content_text
from hptune.tracking._ledger import Ledger, key_of, run_name

__all__ = ["Sender"]

_log = logging.getLogger(__name__)

_FIRST_RUN = 10.0  # seconds that a trial in this process waits for the sweep's run


class Sender:
    """Sends what the server lacks of the sweep in a directory, step by step.

    A failure forgets what was read and what the server had: both are looked up again, in the journal and by tags.
    """

    def __init__(self, directory: Path, runs: MlflowRuns) -> None:
        self._directory = directory
        self._runs = runs
        self._ledger: Ledger | None = None
        self._open = threading.Event()
        self._running: set[str] = set()
        self._silent = False  # the server, when it was asked last: the next trials do not wait for it
        self.sent = 0

    def steps(self, last: bool) -> Iterator[None]:
        """Send what is new; with `last` the end too. The journal has the sweep's first record already."""
        ledger, self._ledger = self._ledger, None  # until all went well
        if ledger is None:
            ledger = Ledger(self._directory)
            ledger.read()
            self._runs.open(ledger.sweep)
            self._open.set()
            yield
        else:
            ledger.read()
        for child in ledger.finished():
            self.sent += child.key not in self._runs.known
            self._runs.send(child)
            yield
        if last:
            self._runs.close(ledger.ending)
            yield
        self._ledger, self._silent = ledger, False

    @contextmanager
    def active(self, task: FitTask) -> Iterator[None]:
        """The child run of a trial as this thread's active one; nothing where the server does not answer."""
        with ExitStack() as stack:
            with self._only_noted():
                self._enter(task, stack)
            yield
            with self._only_noted():
                stack.close()

    def _enter(self, task: FitTask, stack: ExitStack) -> None:
        if self._silent or not self._open.wait(_FIRST_RUN):
            self._silent = True
            return
        key = key_of(content_text(task.params), 1)
        if key in self._running:  # the same parameters twice: the second has no run of its own yet
            return
        self._running.add(key)
        stack.callback(self._running.discard, key)
        run_id = self._runs.begin(key, run_name(task.rungs[0].candidate))
        if run_id is not None:
            stack.enter_context(self._runs.active(run_id))

    @contextmanager
    def _only_noted(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # of the client, of whatever it uses
            self._silent = True
            _log.warning("MLflow has no run for a trial: %s", type(error).__name__)
