"""A process that has the libraries loaded, and forks those that fit: to load them takes two seconds, to fork none.

It runs no fit itself, so it hears when its parent ends, and then ends with all that it has forked: native code that
never comes back does not outlive a parent that was killed.
"""

from __future__ import annotations

import gc
import importlib
import os
import pickle
import signal
import socket
import sys
import time
import traceback
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait

import numpy as np

from hptune.engine._child import die_with_parent, main

__all__ = ["SIZE_BYTES", "Order", "serve"]

SIZE_BYTES = 4  # before each order
# File descriptors that come with it: `main`'s two, and one for the process's number and exit code.
_HANDLES = 3
_IDLE_SECONDS = 300.0  # without any process, a server that nobody asks for longer ends


@dataclass(frozen=True)
class Order:
    """What a process is to be like. Whatever else one has from its start is the server's: limits, streams, umask.

    Parameters
    ----------
    modules : sequence of str
        What it is going to load. What cannot be loaded is left to the process, which tells why.
    path : sequence of str
        Its ``sys.path``.
    directory : str
        It runs there.
    environ : mapping of str
        Its environment variables. What libraries read when they load was the server's.
    """

    modules: Sequence[str]
    path: Sequence[str]
    directory: str
    environ: Mapping[str, str]


@dataclass(frozen=True)
class _Living:
    pid: int
    status: Connection


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
    requests = socket.socket(fileno=handle)
    living: dict[int, _Living] = {}  # by file descriptors that tell of their ends
    while True:
        ready = wait([handle, *living], _IDLE_SECONDS)
        for ended in living.keys() & set(ready):
            _report(ended, living.pop(ended))
        if handle in ready:
            size, handles, _, _ = socket.recv_fds(requests, SIZE_BYTES, _HANDLES)
            if not size:
                return
            order = pickle.loads(requests.recv(int.from_bytes(size, "big"), socket.MSG_WAITALL))  # noqa: S301 - ours
            _load(order)
            _fork(order, handles, living, handle)
        elif not ready and not living:
            return


def _load(order: Order) -> None:
    sys.path[:] = order.path
    for module in order.modules:
        with suppress(Exception):
            importlib.import_module(module)
    gc.freeze()  # no process writes to what it shares with the others by looking for garbage in it
    sys.stdout.flush()  # else each process has it to write, too
    sys.stderr.flush()


def _fork(order: Order, handles: Sequence[int], living: dict[int, _Living], requests: int) -> None:
    connection, traces, status = handles
    told, server = Connection(status, readable=False), os.getpid()
    try:
        pid = os.fork()
    except OSError:  # too many processes, no memory: only this one is not there
        traceback.print_exc()
        pid = -1
    if not pid:
        not_for_it = [requests, status, *living, *(each.status.fileno() for each in living.values())]
        _become(order, server, connection, traces, not_for_it)
    os.close(connection)
    os.close(traces)
    _tell(told, pid)
    if pid < 0:  # there is no end to tell of
        told.close()
    else:
        living[os.pidfd_open(pid)] = _Living(pid, told)


def _become(order: Order, server: int, connection: int, traces: int, not_for_it: Iterable[int]) -> None:
    """What a process that was started alone would be; does not return."""
    try:
        for descriptor in not_for_it:
            os.close(descriptor)
        die_with_parent()
        if os.getppid() == server:  # else that has ended before
            os.chdir(order.directory)
            importlib.invalidate_caches()
            os.environ.clear()
            os.environ.update(order.environ)
            time.tzset()
            np.random.seed()  # the standard library does this for its own generator
            main(connection, traces, with_parent=False)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(1)


def _report(handle: int, ended: _Living) -> None:
    os.close(handle)
    _, status = os.waitpid(ended.pid, 0)
    _tell(ended.status, os.waitstatus_to_exitcode(status))
    ended.status.close()


def _tell(connection: Connection, number: int) -> None:
    with suppress(OSError):  # nobody wants to know any more
        connection.send(number)
