"""Locks between processes: files that are held, and freed by the kernel when their holder ends."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from hptune.errors import OutputError

__all__ = ["held", "locked"]


@contextmanager
def locked(path: Path, *, shared: bool = False, say: Callable[[str], None] | None = None) -> Iterator[None]:
    """Hold the lock file `path`, made where it is absent; waits for whoever holds it, and tells so through `say`."""
    file = _lock(path, fcntl.LOCK_SH if shared else fcntl.LOCK_EX, say)
    try:
        yield
    finally:
        os.close(file)


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Hold the lock file `path`, made where it is absent, alone and at once.

    Raises
    ------
    BlockingIOError
        Another process holds it.
    """
    file = _open(path)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(file)


def _lock(path: Path, kind: int, say: Callable[[str], None] | None) -> int:
    """A locked file that still has its name: its holder may remove the file that others wait for."""
    while True:
        file = _open(path)
        try:
            try:
                fcntl.flock(file, kind | fcntl.LOCK_NB)
            except BlockingIOError:
                if say is not None:
                    say("another run fetches the same files; waiting for it")
                fcntl.flock(file, kind)
            if _names(path, file):
                return file
        except BaseException:
            os.close(file)
            raise
        os.close(file)


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise OutputError(
            f"cannot lock {path} ({reason})", "remove it or choose another directory"
        ) from error


def _names(path: Path, file: int) -> bool:
    with suppress(FileNotFoundError):
        return os.path.samestat(os.stat(path), os.fstat(file))
    return False
