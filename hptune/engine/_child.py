"""A process that works on one task at a time for whoever started it: the other end of `hptune.engine._children`."""

from __future__ import annotations

import ctypes
import faulthandler
import os
import pickle
import queue
import signal
import sys
import threading
import traceback
from multiprocessing.connection import Connection
from typing import Any

from hptune.engine._base import guarded
from hptune.engine._payload import Payload

__all__ = ["BEGUN", "die_with_parent", "main"]

BEGUN = "begun"  # said once everything is loaded, just before the fit
_IDLE_SECONDS = 300.0  # a process that nobody needs for longer ends
_PR_SET_PDEATHSIG = 1


def main(handle: int, traces: int, with_parent: bool) -> None:
    """Answer orders until the parent ends or needs this process no longer.

    Parameters
    ----------
    handle : int
        File descriptor of a `multiprocessing.connection.Connection` that brings orders and takes outcomes.
    traces : int
        File descriptor for what a crash, or the signal SIGUSR1, tells about where the process is.
    with_parent : bool
        Let the system end this process with the thread that started it, even in native code.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group: the parent decides
    faulthandler.enable(traces, all_threads=False)
    faulthandler.register(signal.SIGUSR1, traces, all_threads=False)
    if with_parent:
        die_with_parent()
    connection = Connection(handle)
    orders: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    idle = threading.Event()
    threading.Thread(target=_listen, args=(connection, orders, idle), daemon=True).start()
    payload: Any = None
    while True:
        idle.set()
        order = orders.get()
        idle.clear()
        other, task = pickle.loads(order)  # noqa: S301 - from the parent
        payload = other or payload
        answer = _answer(connection, payload, task)
        sys.stdout.flush()
        sys.stderr.flush()
        connection.send(answer)


def _listen(connection: Connection, orders: queue.SimpleQueue[bytes], idle: threading.Event) -> None:
    """Take orders while a fit runs, too: the connection's end is the parent's."""
    try:
        while connection.poll(_IDLE_SECONDS) or not idle.is_set():
            orders.put(connection.recv_bytes())
    finally:
        os._exit(0)


def _answer(connection: Connection, payload: Payload, pickled: bytes) -> list[str] | str:
    """Outcomes as JSON, or the text of what kept the task from being begun."""
    try:
        work, task = payload.load(), pickle.loads(pickled)  # noqa: S301 - from the parent
    except Exception:  # a module that is not there, whatever a class raises when it is unpickled
        return traceback.format_exc()
    connection.send(BEGUN)
    return [outcome.to_json() for outcome in guarded(work, task)]


def die_with_parent() -> None:
    """Let the system end this process when the thread that started it ends, where the system can."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
