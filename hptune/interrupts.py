"""What stops a sweep from outside: signals and the deadline. Both arrive as one exception in the main thread."""

from __future__ import annotations

import os
import select
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import NoReturn

from hptune.errors import ConfigurationError

__all__ = ["Stopped", "deadline", "redelivered", "stoppable", "undisturbed"]

_PARTIAL = 9  # exit code of a sweep that was stopped by its own limits
_STOPPING = (signal.SIGINT, signal.SIGTERM)
_PATIENCE = 7.0  # seconds for closing everything after a stop
_LAST_PATIENCE = 1.0  # and after a second one
_SAME_SECONDS = 0.05  # `timeout` and a terminal may send one stop twice
_PARENT_SECONDS = 0.5  # between two looks at whether the parent still lives
_CLOSE = 0  # on the watchdog's pipe; no signal has this number


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
    >>> Stopped("10 candidates failed").exit_code
    9
    """

    def __init__(self, reason: str, exit_code: int = _PARTIAL) -> None:
        super().__init__(reason)
        self.reason = reason
        self.exit_code = exit_code


class _State:
    """Of this process: how many sections must not be disturbed just now, and what waits for their end."""

    depth = 0
    waiting: Stopped | None = None
    raised: Stopped | None = None
    stopped = False


@contextmanager
def stoppable(*, with_parent: bool = False) -> Iterator[None]:
    """While open, SIGINT and SIGTERM raise `Stopped` in the main thread.

    What the main thread has not closed 7 s later is ended the hard way, and 1 s after a second signal, with all
    processes that descend from this one. Python runs signal handlers in the main thread only: elsewhere
    nothing changes.

    Parameters
    ----------
    with_parent : bool, default False
        The end of the parent process counts as SIGTERM.
    """
    if not _is_main_thread():
        yield
        return
    _State.stopped = False
    before = {number: signal.signal(number, _on_signal) for number in _STOPPING}
    watchdog = _Watchdog(os.getppid() if with_parent else None)
    try:
        yield
    finally:
        watchdog.close()
        _State.raised = None
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def deadline(seconds: float | None) -> Iterator[None]:
    """While open, `Stopped` is raised in the main thread once `seconds` have passed (None: never).

    Raises
    ------
    ConfigurationError
        Not in the main thread, the only one that can be interrupted.

    Examples
    --------
    >>> with deadline(0.01):
    ...     time.sleep(5)
    Traceback (most recent call last):
    hptune.interrupts.Stopped: the deadline of 0.01 s has passed
    """
    if seconds is None:
        yield
        return
    if not _is_main_thread():
        raise ConfigurationError(
            "only the main thread can keep a deadline", "run the sweep there or take limits.timeout out"
        )

    def on_alarm(number: int, frame: FrameType | None) -> None:
        _stop(Stopped(f"the deadline of {seconds:g} s has passed"))

    _State.stopped = False
    before = signal.signal(signal.SIGALRM, on_alarm)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        _State.raised = None
        signal.signal(signal.SIGALRM, before)


@contextmanager
def undisturbed() -> Iterator[None]:
    """What stops the work waits until this block has ended: a record or a file is written whole."""
    if not _is_main_thread():
        yield  # nothing is ever raised here
        return
    _State.depth += 1
    try:
        yield
    finally:
        _State.depth -= 1
    if not _State.depth and _State.waiting is not None:
        waiting, _State.waiting = _State.waiting, None
        _raise(waiting)


@contextmanager
def redelivered() -> Iterator[None]:
    """`Stopped` that was raised in this block and did not leave it, or left as another error, is raised at its end.

    Python drops what is raised in ``__del__`` and in functions that native code calls, and a signal may come there.

    Examples
    --------
    >>> with stoppable(), redelivered():
    ...     try:
    ...         signal.raise_signal(signal.SIGTERM)
    ...     except BaseException:
    ...         pass
    Traceback (most recent call last):
    hptune.interrupts.Stopped: SIGTERM was received
    """
    try:
        yield
    finally:
        if _is_main_thread() and _State.raised is not None:
            raise _State.raised


def _is_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


def _on_signal(number: int, frame: FrameType | None) -> None:
    _stop(Stopped(f"{signal.Signals(number).name} was received", 128 + number))


def _stop(stopped: Stopped) -> None:
    """Raise, now or at the end of what must not be disturbed; what comes later is the watchdog's concern."""
    if _State.stopped:
        return
    _State.stopped = True
    if _State.depth:
        _State.waiting = stopped
    else:
        _raise(stopped)


def _raise(stopped: Stopped) -> NoReturn:
    _State.raised = stopped
    raise stopped


class _Watchdog:
    """A thread that ends the process where the main thread takes too long, or cannot hear a signal at all.

    Python tells it of every signal through a pipe, even while the main thread is in native code.
    """

    def __init__(self, parent: int | None) -> None:
        self._parent = parent
        self._read, self._write = os.pipe()
        os.set_blocking(self._write, False)
        self._before = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        self._thread = threading.Thread(target=self._watch, name="hptune-watchdog", daemon=True)
        self._thread.start()

    def close(self) -> None:
        signal.set_wakeup_fd(self._before)
        os.write(self._write, bytes([_CLOSE]))
        self._thread.join()
        os.close(self._read)
        os.close(self._write)

    def _watch(self) -> None:
        exit_code, first, limit = 0, None, None
        while True:
            number = self._next(limit)
            now = time.monotonic()
            if number == _CLOSE:
                return
            if number is None and limit is not None and now >= limit:
                _end(exit_code)
            if number in _STOPPING or number == signal.SIGALRM:
                if first is not None and now - first < _SAME_SECONDS:
                    continue
                exit_code = _PARTIAL if number == signal.SIGALRM else 128 + number
                limit = now + (_PATIENCE if first is None else _LAST_PATIENCE)
                first = now if first is None else first

    def _next(self, limit: float | None) -> int | None:
        """The next signal's number; None where it is time to look at the clock."""
        waits = [] if limit is None else [max(0.0, limit - time.monotonic())]
        if self._parent is not None:
            waits.append(_PARENT_SECONDS)
        ready, _, _ = select.select([self._read], [], [], min(waits, default=None))
        if ready:
            return os.read(self._read, 1)[0]
        if self._parent is not None and os.getppid() != self._parent:
            self._parent = None
            os.kill(os.getpid(), signal.SIGTERM)
        return None


def _end(exit_code: int) -> None:
    """End this process and its descendants, whatever they are doing."""
    for pid in _descendants(os.getpid()):
        with suppress(OSError):
            os.kill(pid, signal.SIGTERM)
    os._exit(exit_code)


def _descendants(pid: int) -> list[int]:
    """Children, their children and so on; none where the system has no /proc."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, ValueError):
            parent = int(path.read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(path.parent.name))
    found = [pid]
    for one in found:
        found += children.get(one, [])
    return found[1:]
