"""Work that goes on beside a sweep, in a thread of its own, and can neither slow nor hurt it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from hptune.observers._progress import Observer
from hptune.records import Outcome, clipped

if TYPE_CHECKING:
    from hptune.plan import Plan

__all__ = ["Background"]

_log = logging.getLogger(__name__)

_GATHERING = 0.5  # seconds: outcomes that end together are looked at together
_PAUSES = (1.0, 2.0, 5.0, 10.0, 30.0)  # after failures, one after the other; then the last again and again
_REASON_BYTES = 300


class Background(Observer):
    """Does its work whenever there are new outcomes, and once more at the end.

    Parameters
    ----------
    work : callable
        ``work(last)`` does what there is to do now, step by step. It reads from disk what is new: outcomes are
        there before an observer sees them. What it raises is logged, and the work tried again later.

    Attributes
    ----------
    failure : str or None
        Why the last try did not come to its end.
    finished : bool
        Whether the work was done once more after the sweep's end.
    """

    def __init__(self, work: Callable[[bool], Iterator[None]]) -> None:
        self._work = work
        self._thread = threading.Thread(target=self._run, name="hptune tracking", daemon=True)
        self._news = threading.Event()
        self._ended = threading.Event()
        self._given_up = threading.Event()
        self._stepped = 0.0
        self.failure: str | None = None
        self.finished = False

    def on_start(self, plan: Plan) -> None:
        self._news.set()
        self._thread.start()

    def on_outcome(self, outcome: Outcome) -> None:
        self._news.set()

    def close(self, *, patience: float, longest: float) -> None:
        """Wait for the work after the sweep's end: `patience` seconds for a step, `longest` for all of them.

        What takes longer is given up: after the step that it is at, no more is done, for somebody else may do it now.
        """
        if not self._thread.ident:
            return
        begun = self._stepped = time.monotonic()
        self._ended.set()
        self._news.set()
        while self._thread.is_alive():
            self._thread.join(0.05)
            now = time.monotonic()
            if now - self._stepped > patience or now - begun > longest:
                self.failure = self.failure or "it takes too long"
                self._given_up.set()
                return

    def _run(self) -> None:
        failures = 0
        while not (self.finished or self._given_up.is_set()):
            self._news.wait()
            self._ended.wait(_GATHERING)
            self._news.clear()
            last = self._ended.is_set()
            if self._worked(last):
                failures, self.finished = 0, last
                continue
            if last:
                return
            self._ended.wait(_PAUSES[min(failures, len(_PAUSES) - 1)])
            failures += 1
            self._news.set()

    def _worked(self, last: bool) -> bool:
        try:
            for _ in self._work(last):
                self._stepped = time.monotonic()
                if self._given_up.is_set():
                    return False
        except Exception as error:  # whatever it is, the sweep goes on
            self.failure = clipped(f"{type(error).__name__}: {error}".splitlines()[0], _REASON_BYTES)
            _log.warning("tracking failed: %s", self.failure)
            _log.debug("where it failed", exc_info=True)
            return False
        self.failure = None
        return True
