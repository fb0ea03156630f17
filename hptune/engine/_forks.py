"""Processes for fits: forked by a server, `hptune.engine._fork_server`, or started alone."""

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

__all__ = ["CAN_FORK", "Process", "forked", "started"]

CAN_FORK = sys.platform == "linux"  # elsewhere the systems' own libraries do not expect it
_SERVER = "from hptune.engine._fork_server import serve; serve{arguments}"
_ALONE = "from hptune.engine._child import main; main{arguments}"
# The allocator that comes with pandas has a thread of its own; what is forked must be of one only.
_ONE_THREAD = {"JE_ARROW_MALLOC_CONF": "background_thread:false"}


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


def started(environment: Mapping[str, str], handles: tuple[int, int]) -> Process:
    """`hptune.engine._child.main` in a process that loads all libraries itself.

    Parameters
    ----------
    environment : mapping of str
        Variables that it has beside those of this process.
    handles : tuple of two int
        File descriptors, for `main`.
    """
    return _python(_ALONE, environment, handles)


def forked(environment: Mapping[str, str], handles: tuple[int, int], modules: Sequence[str]) -> Process:
    """The same in a process that is forked from one which has `modules` loaded and the same `environment`."""
    environ = {**os.environ, **environment}
    return _server(environment).fork(Order(modules, [*sys.path], os.getcwd(), environ), handles)


def _python(
    program: str, environment: Mapping[str, str], handles: tuple[int, ...]
) -> subprocess.Popen[bytes]:
    # The system takes the thread that starts a process for its parent; only the main one is sure to last.
    lasts = threading.current_thread() is threading.main_thread()
    words = f"import sys; sys.path[:] = {sys.path}; {program.format(arguments=(*handles, lasts))}"
    return subprocess.Popen(  # noqa: S603 - ourselves
        [sys.executable, "-c", words],
        pass_fds=handles,
        stdin=subprocess.DEVNULL,
        env={**os.environ, **environment},
    )


class _Forked:
    """A process that the server has forked, or is about to."""

    def __init__(self, told: Any, server: subprocess.Popen[bytes]) -> None:
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
        """End it now; what the server has not come to yet ends by itself, as nobody is there to talk to."""
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


class _Server:
    """The end of its socket, and of this process, is its end."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._socket, theirs = socket.socketpair()
        self._sending = threading.Lock()
        with theirs:
            self._process = _python(_SERVER, {**environment, **_ONE_THREAD}, (theirs.fileno(),))

    @property
    def lives(self) -> bool:
        return self._process.poll() is None

    def fork(self, order: Order, handles: tuple[int, int]) -> _Forked:
        told, tell = Pipe(duplex=False)
        body = pickle.dumps(order)
        message = len(body).to_bytes(SIZE_BYTES, "big") + body
        # Where the server has just ended, `told` has an end at once.
        with tell, self._sending, suppress(OSError):
            sent = socket.send_fds(self._socket, [message], [*handles, tell.fileno()])
            self._socket.sendall(message[sent:])
        return _Forked(told, self._process)

    def end(self) -> None:
        self._socket.close()
        self._process.wait()


_SERVERS: dict[tuple[Any, ...], _Server] = {}


def _server(environment: Mapping[str, str]) -> _Server:
    key = (os.getpid(), *sorted(environment.items()))  # a fork of this process has servers of its own
    server = _SERVERS.get(key)
    if server is None or not server.lives:
        server = _SERVERS[key] = _Server(environment)
    return server


@atexit.register
def _end_servers() -> None:
    for (owner, *_), server in _SERVERS.items():
        if owner == os.getpid():
            server.end()
