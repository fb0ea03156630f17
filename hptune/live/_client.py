"""The executors' end of the live channel."""

from __future__ import annotations

import functools
import hmac
import logging
import math
import os
import socket
import threading
import time
from contextlib import suppress
from typing import Any

from hptune.live._protocol import (
    HANDSHAKE_SECONDS,
    LINE_BYTES,
    Address,
    Value,
    batches,
    decode,
    encode,
    new_challenge,
    proof,
)

__all__ = ["Reporter", "reporter_to"]

_log = logging.getLogger(__name__)

_PAUSE_SECONDS = 0.5  # between messages, in the long run
_HURRIED = 5  # messages that may come at once after a while without any
_ANSWER_SECONDS = 2.0
_FIRST_PAUSE = 5.0  # seconds until the next attempt after one that failed; doubled each time
_LONGEST_PAUSE = 60.0
_MOST_WAITING = 20_000  # values of a run that cannot be sent


class _Run:
    """What is known of one run here: values that were not sent yet, and when the last messages were."""

    def __init__(self) -> None:
        self.waiting: list[Value] = []
        self.allowed = float(_HURRIED)  # messages; it grows with time
        self.counted = time.monotonic()  # when it grew last
        self.asked = -math.inf  # when the last message was sent
        self.stops = False
        self.lost = 0

    def may_send(self, now: float, *, hurry: bool) -> bool:
        """Whether a message may be sent, of which there are at most 7 in any second, and two in the long run."""
        self.allowed = min(_HURRIED, self.allowed + (now - self.counted) / _PAUSE_SECONDS)
        self.counted = now
        return self.allowed >= 1 and (hurry or now - self.asked >= _PAUSE_SECONDS)

    def note_message(self, now: float) -> None:
        """A message is sent."""
        self.asked = now
        self.allowed -= 1


class Reporter:
    """Reports values to a `LiveServer`; it never fails and never waits for long, whatever becomes of the server.

    A run sends at most seven messages in a second, and two a second in the long run. Values that come faster go
    together with the next one, and none is left out. Where the server cannot be reached, runs go on as if nobody
    wanted them to stop.

    Parameters
    ----------
    address : Address
        The server's.
    """

    def __init__(self, address: Address) -> None:
        self._address = address
        self._runs: dict[str, _Run] = {}
        self._connection: _Connection | None = None
        self._pause = _FIRST_PAUSE
        self._again = 0.0
        self._lock = threading.Lock()

    def report(self, key: str, step: int, value: float, name: str = "", *, hurry: bool = False) -> bool:
        """Report a value of the run `key`.

        Parameters
        ----------
        key : str
            Names the run in the sweep; up to 200 characters.
        step : int
            Its interval, from 1. Each step of a name is reported once, in order.
        value : float
            Larger is better.
        name : str, default ""
            Of the metric; empty for the one that decides.
        hurry : bool, default False
            Do not wait for half a second since the last message, because something is decided by this value.

        Returns
        -------
        bool
            Whether the run should stop, as far as it is known here.
        """
        with self._lock:
            run = self._runs.setdefault(key, _Run())
            run.waiting.append(Value(step, value, name))
            now = time.monotonic()
            if now >= self._again and run.may_send(now, hurry=hurry):
                self._send(key, run)
            elif len(run.waiting) > _MOST_WAITING:
                run.lost += len(run.waiting)
                run.waiting.clear()
            return run.stops

    def stops(self, key: str) -> bool:
        """Whether the run should stop; the server is asked now and then, if there is nothing to report."""
        with self._lock:
            run = self._runs.setdefault(key, _Run())
            now = time.monotonic()
            if run.asked == -math.inf:
                run.asked = now  # it has only just begun
            if not run.stops and now >= max(self._again, run.asked + _PAUSE_SECONDS):
                self._send(key, run)
            return run.stops

    def finish(self, key: str) -> int:
        """Send what still waits, at the end of a run; returns how many of its values did not reach the server."""
        with self._lock:
            run = self._runs.pop(key, _Run())
            if run.waiting and time.monotonic() >= self._again:
                self._send(key, run)
            return run.lost + len(run.waiting)

    def close(self) -> None:
        """End the connection."""
        with self._lock:
            self._hang_up()

    def _send(self, key: str, run: _Run) -> None:
        run.note_message(time.monotonic())
        try:
            self._connection = self._connection or _Connection(self._address)
            for line, count in batches(key, run.waiting[:]):
                run.stops = self._connection.ask(line).get("stop") is True
                del run.waiting[:count]
            self._pause = _FIRST_PAUSE
        except (OSError, ValueError) as error:
            _log.warning("the driver's live channel does not answer: %s", error)
            self._hang_up()
            self._again = time.monotonic() + self._pause
            self._pause = min(2 * self._pause, _LONGEST_PAUSE)

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None


class _Connection:
    """A connection whose other end has proved that it knows the token, as this one has."""

    def __init__(self, address: Address) -> None:
        self._socket = socket.create_connection((address.host, address.port), timeout=_ANSWER_SECONDS)
        self._stream = self._socket.makefile("rb")
        try:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket.settimeout(HANDSHAKE_SECONDS)
            theirs, ours = decode(self._stream.readline(LINE_BYTES)), new_challenge()
            answer = proof(address.token, "client", str(theirs.get("challenge")))
            told = self.ask(encode({"answer": answer, "challenge": ours})).get("answer")
            if not hmac.compare_digest(proof(address.token, "server", ours).encode(), str(told).encode()):
                raise ValueError("it does not know the token")
            self._socket.settimeout(_ANSWER_SECONDS)
        except BaseException:
            self.close()
            raise

    def ask(self, line: bytes) -> dict[str, Any]:
        """The answer to a line."""
        self._socket.sendall(line)
        return decode(self._stream.readline(LINE_BYTES))

    def close(self) -> None:
        """Hang up."""
        with suppress(OSError):
            self._stream.close()
        self._socket.close()


def reporter_to(address: Address) -> Reporter:
    """This process's reporter to a server, whose connection all of its runs share."""
    return _reporter_of_process(address, os.getpid())


@functools.lru_cache(maxsize=4)
def _reporter_of_process(address: Address, pid: int) -> Reporter:
    return Reporter(address)
