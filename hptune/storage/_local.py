"""The local file system: atomic writing, and a directory as a place like any other."""

from __future__ import annotations

import errno
import glob
import os
import shutil
import tempfile
from collections.abc import Container, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from hptune.errors import OutputError, StorageError
from hptune.interrupts import undisturbed
from hptune.storage._base import (
    ChangedError,
    PassingError,
    Patience,
    RemoteFile,
    Retrier,
    checked_name,
    sorted_unique,
)
from hptune.storage._digests import digests

__all__ = [
    "LocalStore",
    "clear_scratch",
    "make_private_directory",
    "open_local",
    "sync_directory",
    "write_atomically",
]

_SCRATCH = ".tmp"


def make_private_directory(path: Path, *, option: str = "--out") -> None:
    """Make `path` and its parents, for the owner only; `option` is how the user can choose another.

    Raises
    ------
    OutputError
        It cannot be made, or cannot be written to.
    """
    try:
        for directory in reversed((path, *path.parents)):  # mkdir's mode does not reach the parents it makes
            if not directory.exists():
                directory.mkdir(exist_ok=True, mode=0o700)
        path.mkdir(exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise OutputError(
            f"cannot write to the directory {path} ({reason})", f"choose another with {option}"
        ) from error


def write_atomically(path: Path, content: bytes | str) -> None:
    """Replace `path` by `content` so that a reader, or a crash, sees the old file or the new one, never half.

    When the call returns, the new one is on disk.

    Raises
    ------
    OutputError
        The disk is full, or the file cannot be written.
    """
    raw = content.encode("utf-8") if isinstance(content, str) else content
    with undisturbed(), _replacing(path) as stream:
        stream.write(raw)


def sync_directory(path: Path) -> None:
    """Wait until the names in a directory are on disk, where its file system can tell."""
    file = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(file)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(file)


def clear_scratch(directory: Path, names: Iterable[str]) -> None:
    """Remove what killed processes left of files that they were about to replace."""
    for name in names:
        for scratch in directory.glob(f".{glob.escape(name)}.*{_SCRATCH}"):
            scratch.unlink(missing_ok=True)


@contextmanager
def _replacing(path: Path) -> Iterator[IO[bytes]]:
    """A private file beside `path`, which takes its name once it is on the disk."""
    scratch: Path | None = None
    try:
        file, name = tempfile.mkstemp(_SCRATCH, f".{path.name}.", path.parent)
        scratch = Path(name)
        with open(file, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(scratch, path)
        sync_directory(path.parent)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise OutputError(
            f"cannot write {path} ({reason})", "make room or choose another directory"
        ) from error
    finally:
        if scratch is not None:
            scratch.unlink(missing_ok=True)


def open_local(uri: str, patience: Patience) -> LocalStore:
    """The store behind a path or a ``file://`` URI."""
    return LocalStore(Path(uri.removeprefix("file://")), patience)


class LocalStore:
    """A directory, or a single file."""

    def __init__(self, path: Path, patience: Patience) -> None:
        self.uri = str(path)
        self.retrier = Retrier(self.uri, patience)
        self._path = path

    def files(self) -> list[RemoteFile]:
        """Regular files, without links and hidden ones."""
        if self._path.is_file():
            return [self._file(self._path, self._path.name)]
        if not self._path.is_dir():
            raise StorageError(f"there is no {self.uri}", "check the path")
        found = (path for path in self._path.rglob("*") if path.is_file() and not path.is_symlink())
        names = {path.relative_to(self._path).as_posix(): path for path in found}
        return sorted_unique(
            [
                self._file(path, checked_name(name, self.uri))
                for name, path in names.items()
                if not _is_hidden(name) and not _is_unfinished(name, names)
            ]
        )

    def copy_range(self, file: RemoteFile, offset: int, length: int, target: Path) -> None:
        """Copy within the machine."""
        source = self._path if self._path.is_file() else self._path / file.name
        with source.open("rb") as stream:
            stream.seek(offset)
            block = stream.read(length)
        if self._file(source, file.name).version != file.version:
            raise ChangedError(str(source))
        if len(block) != length:
            raise PassingError(f"{len(block)} of {length} bytes could be read", answered=True)
        out = os.open(target, os.O_WRONLY | os.O_NOFOLLOW)
        try:
            os.pwrite(out, block, offset)
        finally:
            os.close(out)

    def check_writable(self) -> None:
        """Make the directory, and a file without a name in it."""
        make_private_directory(self._path)

    def put(self, source: Path, name: str, sha256: str, md5: str) -> None:
        """Copy under a temporary name, then rename."""
        target = self._path / name
        if target.is_file() and not target.is_symlink() and digests(target)[0] == sha256:
            return
        make_private_directory(target.parent)
        with source.open("rb") as stream, _replacing(target) as out:
            shutil.copyfileobj(stream, out, 1 << 20)

    def remove(self, name: str) -> None:
        """Remove a file; one that is not there is no error."""
        (self._path / name).unlink(missing_ok=True)

    @staticmethod
    def _file(path: Path, name: str) -> RemoteFile:
        status = path.stat()
        return RemoteFile(name, status.st_size, f"{status.st_mtime_ns:x}-{status.st_size:x}")


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") for part in name.split("/"))


def _is_unfinished(name: str, names: Container[str]) -> bool:
    """Whether it is a file on its way, or the list of its ranges: they lie side by side."""
    part = name.removesuffix(".ranges")
    return part.endswith(".part") and part in names and f"{part}.ranges" in names
