"""Processes that a fork server starts for this one: the other end of `hptune.engine._fork_server`."""

from __future__ import annotations

import atexit
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from multiprocessing import Pipe
from typing import Any, Protocol

from hptune.engine._fork_server import SIZE_BYTES, Order

__all__ = ["FORKS", "Process", "start"]

FORKS = sys.platform == "linux"  # elsewhere the systems' own libraries do not expect it

_SERVER = (
    "import sys; sys.path[:] = {path}; "
    "from hptune.engine._child import main; from hptune.engine._fork_server import serve; "
    "serve({handle}, {with_parent}, main)"
)
_ONE_THREAD = {
    "JE_ARROW_MALLOC_CONF": "background_thread:false"
}  # else the allocator that pandas loads has one
_ALONE = "import sys; sys.path[:] = {path}; from hptune.engine._child import main; main{handles}"


class Process(Protocol):
    """What `subprocess.Popen` has of it."""

    @property
    def pid(self) -> int: ...

    @property
    def returncode(self) -> int | Any:
        """Exit code, minus the number of the signal that ended it; None where it is not known to have ended."""

    def poll(self) -> int | None:
        """The exit code, None where it lives."""

    def wait(self) -> int:
        """The exit code, once it has ended."""

    def kill(self) -> None:
        """End it now."""


def start(modules: Sequence[str], environment: Mapping[str, str], handles: tuple[int, int]) -> Process:
    """Start `hptune.engine._child.main` in a process of its own.

    Parameters
    ----------
    modules : sequence of str
        What it is going to load.
    environment : mapping of str
        Variables that it has beside those of this process; those that libraries read when they load among them.
    handles : tuple of two int
        File descriptors, for `main`.
    """
    environ = {**os.environ, **environment}
    if not FORKS:
        return subprocess.Popen(  # noqa: S603 - ourselves
            [sys.executable, "-c", _ALONE.format(path=sys.path, handles=handles)],
            pass_fds=handles,
            stdin=subprocess.DEVNULL,
            env=environ,
        )
    return _server(environment).start(Order(modules, [*sys.path], os.getcwd(), environ), handles)


class _Forked:
    """A process that the server has forked, or is about to."""

    def __init__(self, told: Any, server: _ForkServer) -> None:
        self._told = told
        self._server = server
        self._pid: int | None = None
        self.returncode: int | None = None

    @property
    def pid(self) -> int:
        if self._pid is None and self.returncode is None:
            self._hear()
        return self._server.pid if self._pid is None else self._pid

    def poll(self) -> int | None:
        while self.returncode is None and self._told.poll():
            self._hear()
        return self.returncode

    def wait(self) -> int:
        while self.returncode is None:
            self._hear()
        return self.returncode

    def kill(self) -> None:
        """End it now; where the server has not come to it yet, nothing is there to be ended, nor will be for long."""
        if self.poll() is None and self._pid is not None:
            with suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)
        elif self.returncode is None:
            self.returncode = -signal.SIGKILL

    def _hear(self) -> None:
        try:
            number = self._told.recv()
        except EOFError:  # the server has ended, and all its processes with it
            self.returncode = self._server.wait()
        else:
            if self._pid is None:
                self._pid = number
            else:
                self.returncode = number
        if self.returncode is not None:
            self._told.close()


class _ForkServer:
    """Ends when nothing refers to it any more, neither processes nor `_SERVERS`."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._socket, theirs = socket.socketpair()
        self._sending = threading.Lock()
        # The system takes the thread that starts a process for its parent; only the main one is sure to last.
        lasts = threading.current_thread() is threading.main_thread()
        program = _SERVER.format(path=sys.path, handle=theirs.fileno(), with_parent=lasts)
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - ourselves
                [sys.executable, "-c", program],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                env={**os.environ, **environment, **_ONE_THREAD},
            )
        self.pid = self._process.pid

    @property
    def lives(self) -> bool:
        return self._process.poll() is None

    def start(self, order: Order, handles: tuple[int, int]) -> _Forked:
        told, tell = Pipe(duplex=False)
        message = pickle.dumps(order)
        message = len(message).to_bytes(SIZE_BYTES, "big") + message
        with (
            tell,
            self._sending,
            suppress(OSError),
        ):  # it has just ended, as the process will be found to have
            sent = socket.send_fds(self._socket, [message], [*handles, tell.fileno()])
            self._socket.sendall(message[sent:])
        return _Forked(told, self)

    def wait(self) -> int:
        return self._process.wait()

    def end(self) -> None:
        self._socket.close()
        self._process.wait()


_SERVERS: dict[tuple[Any, ...], _ForkServer] = {}


def _server(environment: Mapping[str, str]) -> _ForkServer:
    key = (os.getpid(), *sorted(environment.items()))  # a fork of this process has servers of its own
    server = _SERVERS.get(key)
    if server is None or not server.lives:
        server = _SERVERS[key] = _ForkServer(environment)
    return server


@atexit.register
def _end_servers() -> None:
    for (owner, *_), server in _SERVERS.items():
        if owner == os.getpid():
            server.end()
