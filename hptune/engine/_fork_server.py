"""A process that has the libraries loaded, and forks those that fit: to load them takes two seconds, to fork none.

It runs no fit itself, so it hears at once when its parent ends, and then ends what it has forked: native code
that never comes back cannot outlive a parent that was killed.
"""

from __future__ import annotations

import gc
import importlib
import os
import pickle
import select
import signal
import socket
import sys
import traceback
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection

import numpy as np

from hptune.engine._child import die_with_parent, main

__all__ = ["SIZE_BYTES", "Order", "serve"]

SIZE_BYTES = 4  # before each order
_HANDLES = (
    3  # file descriptors that come with it: two for `main`, and one for the process's number and exit code
)
_IDLE_SECONDS = 300.0  # without any process, a server that nobody asks for longer ends


@dataclass(frozen=True)
class Order:
    """What a process is to be like.

    Parameters
    ----------
    modules : sequence of str
        What it is going to load. What cannot be loaded is left to the process, which tells why.
    path : sequence of str
        Its ``sys.path``.
    directory : str
        It runs there.
    environ : mapping of str
        Its environment variables.
    """

    modules: Sequence[str]
    path: Sequence[str]
    directory: str
    environ: Mapping[str, str]


def serve(handle: int, with_parent: bool) -> None:
    """Fork a process for each order until the parent ends, or asks for none for long.

    Parameters
    ----------
    handle : int
        File descriptor of a Unix socket that brings orders: a size, a pickled `Order`, and file descriptors.
    with_parent : bool
        Let the system end this process with the thread that started it.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group: the parent decides
    if with_parent:
        die_with_parent()
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)  # so that one which ends is written to `wake`
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    requests = socket.socket(fileno=handle)
    living: dict[int, Connection] = {}
    while True:
        ready, _, _ = select.select([handle, woken], [], [], _IDLE_SECONDS)
        if woken in ready:
            os.read(woken, 4096)
        _report_ended(living)
        if handle in ready:
            size, handles, _, _ = socket.recv_fds(requests, SIZE_BYTES, _HANDLES)
            if not size:
                break
            order = pickle.loads(requests.recv(int.from_bytes(size, "big"), socket.MSG_WAITALL))  # noqa: S301 - ours
            _load(order)
            _fork(order, handles, living, [handle, woken, wake])
        elif not ready and not living:
            break
    for pid in living:
        os.kill(pid, signal.SIGKILL)


def _load(order: Order) -> None:
    sys.path[:] = order.path
    for module in order.modules:
        with suppress(Exception):
            importlib.import_module(module)
    gc.freeze()  # no process writes to what it shares with the others by looking for garbage in it


def _fork(
    order: Order, handles: Sequence[int], living: dict[int, Connection], not_for_it: Iterable[int]
) -> None:
    connection, traces, status = handles
    server = os.getpid()
    pid = os.fork()
    if not pid:
        for descriptor in [*not_for_it, status, *(each.fileno() for each in living.values())]:
            os.close(descriptor)
        _become(order, server, connection, traces)
    os.close(connection)
    os.close(traces)
    living[pid] = Connection(status, readable=False)
    _tell(living[pid], pid)


def _become(order: Order, server: int, connection: int, traces: int) -> None:
    """What a process that was started alone would be; does not return."""
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        die_with_parent()
        if os.getppid() == server:  # else that has ended before
            os.chdir(order.directory)
            os.environ.clear()
            os.environ.update(order.environ)
            np.random.seed()  # the standard library does this for its own generator
            main(connection, traces, with_parent=False)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(1)


def _report_ended(living: dict[int, Connection]) -> None:
    for pid in [*living]:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            told = living.pop(pid)
            _tell(told, os.waitstatus_to_exitcode(status))
            told.close()


def _tell(connection: Connection, number: int) -> None:
    with suppress(OSError):  # nobody wants to know any more
        connection.send(number)
