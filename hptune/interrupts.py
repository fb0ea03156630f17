"""What stops a sweep from outside: signals and the deadline. Both arrive as one exception in the main thread."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["Stopped", "stoppable", "undisturbed"]

_PARTIAL = 9  # exit code of a sweep that was stopped by its own limits


class Stopped(BaseException):
    """The work must end now; everything that is open is closed on the way out.

    Not an `Exception`, so that nothing which deals with failing fits takes it for one.

    Parameters
    ----------
    reason : str
        As people read it: ``"the deadline of 20 s has passed"``.
    exit_code : int, default 9
        128 + n for signal n.

    Examples
    --------
    >>> Stopped("10 trials failed").exit_code
    9
    """

    def __init__(self, reason: str, exit_code: int = _PARTIAL) -> None:
        super().__init__(reason)
        self.reason = reason
        self.exit_code = exit_code


class _State:
    """How many sections must not be disturbed just now, and what waits for their end."""

    depth = 0
    waiting: Stopped | None = None
    signals = 0


@contextmanager
def stoppable(deadline: float | None = None) -> Iterator[None]:
    """While open, SIGINT, SIGTERM and the deadline raise `Stopped` in the main thread.

    A second signal ends the process at once. Elsewhere than in the main thread, where Python runs no signal
    handlers, nothing changes.

    Parameters
    ----------
    deadline : float, optional
        Seconds from now.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)

    def on_signal(number: int, frame: FrameType | None) -> None:
        if number == signal.SIGALRM:
            _raise(Stopped(f"the deadline of {deadline:g} s has passed"))
            return
        _State.signals += 1
        if _State.signals > 1:
            os._exit(128 + number)
        _raise(Stopped(f"stopped by {signal.Signals(number).name}", 128 + number))

    before = {number: signal.signal(number, on_signal) for number in numbers}
    _State.signals = 0
    if deadline is not None:
        signal.setitimer(signal.ITIMER_REAL, deadline)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def undisturbed() -> Iterator[None]:
    """What stops the work waits until this block has ended: a record or a file is written whole."""
    _State.depth += 1
    try:
        yield
    finally:
        _State.depth -= 1
        if not _State.depth and _State.waiting is not None:
            waiting, _State.waiting = _State.waiting, None
            raise waiting


def _raise(stopped: Stopped) -> None:
    if _State.depth:
        _State.waiting = stopped
    else:
        raise stopped
