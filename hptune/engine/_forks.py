"""Processes for fits: forked by a server, `hptune.engine._fork_server`, or started alone."""

from __future__ import annotations

import atexit
import functools
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from multiprocessing import Pipe
from typing import Any, Protocol

from hptune.engine._fork_server import SIZE_BYTES, Order

__all__ = ["Process", "can_fork", "forked", "started"]

_SERVER = "from hptune.engine._fork_server import serve; serve{arguments}"
_ALONE = "from hptune.engine._child import main; main{arguments}"
# What they load on Linux starts no threads, where BLAS is told to have one and Arrow's allocator to have none.
_LIBRARIES = ("hptune", "numpy", "pandas", "scipy", "sklearn", "xgboost")
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

    def send_signal(self, sig: int) -> None:
        """A signal for it, unless it has ended."""

    def kill(self) -> None:
        """End it now."""


@functools.cache
def can_fork() -> bool:
    """Whether the system tells a process of the ends of others (Linux 5.3). Libraries of others expect no forks."""
    if sys.platform != "linux" or not hasattr(os, "pidfd_open"):
        return False
    try:
        os.close(os.pidfd_open(os.getpid()))
    except OSError:
        return False
    return True


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


def forked(environment: Mapping[str, str], handles: tuple[int, int]) -> Process:
    """The same in a process that is forked from one which has the libraries and the same `environment`."""
    order = Order(_loaded(), _search_path(), os.getcwd(), {**os.environ, **environment})
    return _SERVERS.get(environment).fork(order, handles)


def _loaded() -> list[str]:
    """The libraries' modules that this process has, as far as their names are public and short."""
    return [
        name
        for name in [*sys.modules]
        if name.partition(".")[0] in _LIBRARIES and name.count(".") < 2 and "._" not in name
    ]


def _search_path() -> list[str]:
    """What Python heeds of ``sys.path``: it passes over entries that are no text, such as a `Path`."""
    return [str(place) for place in sys.path if isinstance(place, str)]


def _python(
    program: str, environment: Mapping[str, str], handles: tuple[int, ...]
) -> subprocess.Popen[bytes]:
    # The system takes the thread that starts a process for its parent; only the main one is sure to last.
    lasts = threading.current_thread() is threading.main_thread()
    words = f"import sys; sys.path[:] = {_search_path()}; {program.format(arguments=(*handles, lasts))}"
    return subprocess.Popen(  # noqa: S603 - ourselves
        [sys.executable, "-c", words],
        pass_fds=handles,
        stdin=subprocess.DEVNULL,
        env={**os.environ, **environment},
    )


class _Forked:
    """A process that the server has forked, or is about to."""

    def __init__(self, told: Any, server: _Server) -> None:
        self._told = told
        self._server = server  # which lives as long as this
        self._pid: int | None = None
        self.returncode: int | None = None

    @property
    def pid(self) -> int:
        """0 where the server has ended before."""
        if self._pid is None and self.returncode is None:
            self._hear()
        return self._pid or 0

    def poll(self) -> int | None:
        while self.returncode is None and self._told.poll():
            self._hear()
        return self.returncode

    def wait(self) -> int:
        while self.returncode is None:
            self._hear()
        return self.returncode

    def send_signal(self, sig: int) -> None:
        if self.poll() is None and self._pid is not None:
            with suppress(ProcessLookupError):
                os.kill(self._pid, sig)

    def kill(self) -> None:
        """End it now; what the server has not come to yet will find nobody to talk to, and end."""
        self.send_signal(signal.SIGKILL)
        if self._pid is None and self.returncode is None:
            self.returncode = -signal.SIGKILL

    def _hear(self) -> None:
        try:
            number = self._told.recv()
        except EOFError:  # the server has ended, and all its processes with it
            self.returncode = self._server.wait()
        else:
            if self._pid is not None:
                self.returncode = number
            elif number > 0:
                self._pid = number
            else:  # it could not be forked
                self.returncode = 1
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
        with tell, self._sending:
            try:
                sent = socket.send_fds(self._socket, [message], [*handles, tell.fileno()])
                self._socket.sendall(message[sent:])
            except OSError:
                self._process.kill()  # whatever it was: an end of `told` is to mean the server's
        return _Forked(told, self)

    def wait(self) -> int:
        return self._process.wait()

    def forget(self) -> None:
        """In a fork of this process: what holds the socket keeps the server alive."""
        self._socket.close()

    def end(self) -> None:
        self._socket.close()
        self._process.kill()  # all that it has forked ends with it
        self._process.wait()


class _Servers:
    """Of this process, by the variables that they have beside its own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[tuple[tuple[str, str], ...], _Server] = {}

    def get(self, environment: Mapping[str, str]) -> _Server:
        key = tuple(sorted(environment.items()))
        with self._lock:
            server = self._known.get(key)
            if server is None or not server.lives:
                server = self._known[key] = _Server(environment)
            return server

    def end(self) -> None:
        for server in [*self._known.values()]:
            server.end()

    def forget(self) -> None:
        """In a fork of this process, which has none of its own yet."""
        for server in self._known.values():
            server.forget()
        self._known.clear()
        self._lock = threading.Lock()  # another thread may have held it


_SERVERS = _Servers()
atexit.register(_SERVERS.end)
os.register_at_fork(after_in_child=_SERVERS.forget)
