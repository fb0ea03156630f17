"""Finding and opening files of text: plain, gzipped, or one CSV inside a zip; archives are not trusted."""

from __future__ import annotations

import errno
import gzip
import io
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO, Any

from hptune.errors import InputDataError

__all__ = ["SUFFIXES", "check_member_sizes", "find_file", "open_csv_bytes", "open_text_bytes"]

SUFFIXES = (".csv.zip", ".csv")

_MAX_RATIO = 200
_MAX_BYTES = 16 << 30
_RATIO_MATTERS_FROM = 16 << 20  # small files of few distinct rows may well shrink more than 200 times
_SYMLINK = 0o120000
_ENCRYPTED = 0x1


def find_file(directory: Path, name: str) -> Path | None:
    """The raw file `name` of `directory`, zipped or not (zipped first); None where there is neither."""
    candidates = (directory / f"{name}{suffix}" for suffix in SUFFIXES)
    return next((path for path in candidates if path.is_file()), None)


@contextmanager
def open_csv_bytes(path: Path) -> Iterator[IO[bytes]]:
    """The bytes of the CSV in `path`; whatever is wrong with file or archive is an `InputDataError`."""
    if path.suffix != ".zip":
        with open_text_bytes(path) as stream:
            yield stream
        return
    with _told(path), zipfile.ZipFile(path) as archive, archive.open(_only_csv(archive, path)) as member:
        yield member


@contextmanager
def open_text_bytes(path: Path) -> Iterator[IO[bytes]]:
    """The bytes of a file of text, unpacked within limits where its name ends in ``.gz``.

    Raises
    ------
    InputDataError
        The file cannot be read, is damaged, or would unpack to far more than its size.
    """
    with _told(path), path.open("rb") as stream:
        if path.suffix != ".gz":
            yield stream
            return
        with gzip.GzipFile(fileobj=stream) as unpacked:
            yield io.BufferedReader(_Bounded(unpacked, path), 1 << 20)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Whatever goes wrong with a file while it is open, as one error."""
    try:
        yield
    except (zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise InputDataError(f"{path} is not a sound {_kind(path)}", "fetch the file again") from error
    except OSError as error:
        if error.errno == errno.EINVAL:  # a damaged directory that points outside of the archive
            raise InputDataError(f"{path} is not a sound zip archive", "fetch the file again") from error
        raise InputDataError(
            f"{path} cannot be read ({error.strerror or 'damaged'})", "check the file and its permissions"
        ) from error


class _Bounded(io.RawIOBase):
    """Unpacked bytes up to the limits of an archive: gzip does not tell beforehand how many there are."""

    def __init__(self, unpacked: gzip.GzipFile, path: Path) -> None:
        self._unpacked = unpacked
        self._path = path
        self._limit = _limit(path.stat().st_size)
        self._read = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        block = self._unpacked.read(len(buffer))
        self._read += len(block)
        if self._read > self._limit:
            raise _too_large(self._path, self._read)
        buffer[: len(block)] = block
        return len(block)


def check_member_sizes(path: Path) -> None:
    """Refuse a zip of arrays that would unpack to far more than its size."""
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                _check_size(member, path)
    except zipfile.BadZipFile as error:
        raise InputDataError(f"{path} is not a sound {_kind(path)}", "fetch the file again") from error


def _kind(path: Path) -> str:
    return {".gz": "gzip file", ".zip": "zip archive"}.get(path.suffix, "archive")


def _limit(packed: int) -> int:
    """Bytes that an archive of `packed` bytes may hold."""
    return min(_MAX_BYTES, max(_RATIO_MATTERS_FROM, _MAX_RATIO * packed))


def _too_large(path: Path, size: int) -> InputDataError:
    return InputDataError(
        f"{path} would unpack to {size:,} bytes, more than {_MAX_RATIO} times its size "
        f"or {_MAX_BYTES >> 30} GiB",
        "check where the file comes from, or give the plain file",
    )


def _only_csv(archive: zipfile.ZipFile, path: Path) -> zipfile.ZipInfo:
    members = [member for member in archive.infolist() if not member.filename.endswith("/")]
    if any(_is_unsafe(member) for member in members):
        raise InputDataError(f"{path} holds a member with an unsafe name or a link", "pack the CSV anew")
    found = [member for member in members if _is_csv(member.filename)]
    if len(found) != 1:
        raise InputDataError(f"{path} must hold exactly one CSV file but holds {len(found)}", "pack it anew")
    _check_size(found[0], path)
    return found[0]


def _is_csv(name: str) -> bool:
    return name.lower().endswith(".csv") and not name.startswith("__MACOSX/")  # macOS adds shadow files there


def _is_unsafe(member: zipfile.ZipInfo) -> bool:
    name = member.filename
    paths = (PurePosixPath(name), PureWindowsPath(name))
    return (
        any(path.is_absolute() or path.drive or ".." in path.parts for path in paths)
        or (member.external_attr >> 16) & 0o170000 == _SYMLINK
    )


def _check_size(member: zipfile.ZipInfo, path: Path) -> None:
    """Refuse a bomb by its directory entry: reading never goes past the sizes that are stated there."""
    if member.flag_bits & _ENCRYPTED:
        raise InputDataError(f"{path} is encrypted", "pack it without a password")
    packed = max(1, min(member.compress_size, path.stat().st_size))
    if member.file_size > _limit(packed):
        raise _too_large(path, member.file_size)
