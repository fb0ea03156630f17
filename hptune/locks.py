"""One writer for a directory: a lock that the kernel frees when its holder ends, however it ends."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from hptune.errors import ConfigurationError, OutputError, OutputInUseError
from hptune.storage import make_private_directory

__all__ = ["LOCK", "Holder", "held", "holder_of"]

LOCK = ".hptune.lock"

_PATIENCE = 0.3  # seconds: a look at the lock holds it for an instant, and a new holder writes its name
_PAUSE = 0.02


@dataclass(frozen=True)
class Holder:
    """Who holds a directory; `pid` is 0 where it did not say.

    Examples
    --------
    >>> print(Holder(71, "pc", "2026-01-31 09:00:00"))
    process 71 on pc since 2026-01-31 09:00:00
    """

    pid: int = 0
    host: str = ""
    since: str = ""

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host} since {self.since}" if self.pid else "another process"

    @property
    def is_stopped(self) -> bool:
        """Whether it is a process of this machine that was stopped, as by SIGSTOP or Ctrl-Z."""
        if self.host != socket.gethostname():
            return False
        with suppress(OSError, IndexError):
            status = Path(f"/proc/{self.pid}/stat").read_text(errors="replace")
            return status.rpartition(")")[2].split()[0] in ("T", "t")
        return False


@contextmanager
def held(directory: Path, shown: str) -> Iterator[None]:
    """Make a directory where there is none, and hold it for this process alone.

    One that was made and is empty in the end goes again.

    Parameters
    ----------
    directory : Path
        Made for its owner only.
    shown : str
        What the user calls it.

    Raises
    ------
    OutputInUseError
        Another process holds it.
    ConfigurationError
        It is a file.
    OutputError
        It cannot be made, written to or locked.
    """
    path = directory / LOCK
    try:
        was_there = directory.exists()
        if was_there and not directory.is_dir():
            raise ConfigurationError(f"{shown} is a file", "give a directory to --out")
        file = _taken(path, shown)
    except (OSError, ValueError) as error:  # a name too long, a NUL in it, a file system without locks
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        raise OutputError(
            f"cannot use the output directory {shown!r} ({reason})", "choose another with --out"
        ) from error
    _FILES.add(file)
    try:
        yield
    finally:
        if file in _FILES:  # a child of this process holds nothing
            _FILES.discard(file)
            path.unlink(missing_ok=True)
            if not was_there:
                with suppress(OSError):  # it holds something
                    directory.rmdir()
            os.close(file)


def holder_of(directory: Path) -> Holder | None:
    """Who holds a directory now; None where nobody does. Nothing is written, and nobody who takes it has to wait."""
    try:
        file = os.open(directory / LOCK, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read(file)
    except OSError:
        return None
    else:
        return None
    finally:
        os.close(file)


_FILES: set[int] = set()  # open lock files of this process


def _let_go_in_child() -> None:
    """A forked child shares the lock, and would keep it when this process has ended."""
    for file in _FILES:
        os.close(file)
    _FILES.clear()


os.register_at_fork(after_in_child=_let_go_in_child)


def _taken(path: Path, shown: str) -> int:
    """The locked file, which still has its name: who lets go removes it."""
    end = time.monotonic() + _PATIENCE
    while True:
        file = _opened(path)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _names(path, file):
                _write(file)
                return file
        except BlockingIOError:
            if time.monotonic() >= end:
                holder = _read(file)
                os.close(file)
                raise _in_use(holder, shown) from None
        except BaseException:
            os.close(file)
            raise
        os.close(file)
        time.sleep(_PAUSE)


def _opened(path: Path) -> int:
    while True:
        make_private_directory(path.parent)
        with suppress(FileNotFoundError):  # its holder removed the whole directory just now
            return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)


def _names(path: Path, file: int) -> bool:
    with suppress(FileNotFoundError):
        return os.path.samestat(os.stat(path), os.fstat(file))
    return False


def _write(file: int) -> None:
    now = time.strftime("%Y-%m-%d %H:%M:%S")
    holder = {"pid": os.getpid(), "host": socket.gethostname(), "since": now}
    os.ftruncate(file, 0)
    os.pwrite(file, json.dumps(holder).encode(), 0)


def _read(file: int) -> Holder:
    with suppress(OSError, ValueError, TypeError, RecursionError):
        return Holder(**json.loads(os.pread(file, 4096, 0)))
    return Holder()


def _in_use(holder: Holder, shown: str) -> OutputInUseError:
    if holder.is_stopped:
        return OutputInUseError(
            f"{shown} is in use by {holder}, which is stopped",
            f"continue it with kill -CONT {holder.pid}, end it with kill -KILL {holder.pid}, or choose another --out",
        )
    return OutputInUseError(f"{shown} is in use by {holder}", "wait for it or choose another --out")
