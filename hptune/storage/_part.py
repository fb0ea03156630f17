"""A file on its way: its ranges arrive in any order, and those that are here survive a crash."""

from __future__ import annotations

import hashlib
import json
import os
import zlib
from collections.abc import Collection
from pathlib import Path

from hptune.storage._base import RemoteFile

__all__ = ["PartFile"]

_RANGE = 8 << 20
_CHECKED_RANGE = 4 << 20  # the most for which Azure computes a sum
_BLOCK = 1 << 20


class PartFile:
    """``<name>.part`` and its ledger, one line for each range that is in place.

    Parameters
    ----------
    target : Path
        The final name. Its directory exists.
    file : RemoteFile
        What is fetched. Ranges of another version that lie here are dropped.
    """

    def __init__(self, target: Path, file: RemoteFile) -> None:
        self.path = target.with_name(f"{target.name}.part")
        self._ledger = target.with_name(f"{target.name}.part.ranges")
        self._target = target
        self.size = file.size
        self._range = _RANGE if file.sha256 or file.md5 else _CHECKED_RANGE
        self.count = -(-file.size // self._range)
        self._header = json.dumps({"version": file.version, "size": file.size, "range": self._range})
        self.done = self._resumed()
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | (0 if self.done else os.O_TRUNC)
        self._file = os.open(self.path, flags, 0o600)
        os.ftruncate(self._file, self.size)
        self._lines = self._rewritten_ledger()

    def missing(self) -> list[int]:
        """Numbers of the ranges that are not here yet."""
        return [index for index in range(self.count) if index not in self.done]

    def span(self, index: int) -> tuple[int, int]:
        """Offset and length of a range."""
        offset = index * self._range
        return offset, min(self._range, self.size - offset)

    def arrived(self, index: int) -> None:
        """Note that a range is in place."""
        self.done[index] = self._sum(self._file, index)
        os.write(self._lines, f"{index} {self.done[index]:08x}\n".encode())

    def bytes_of(self, indexes: Collection[int]) -> int:
        """Bytes of some ranges together."""
        return sum(self.span(index)[1] for index in indexes)

    def feed(self, index: int, *hashes: hashlib._Hash) -> None:
        """Hash a range as it lies on the disk."""
        offset, length = self.span(index)
        for at in range(offset, offset + length, _BLOCK):
            block = os.pread(self._file, min(_BLOCK, offset + length - at), at)
            for running in hashes:
                running.update(block)

    def finish(self) -> None:
        """Give the file its final name, once all of it is on the disk."""
        os.fsync(self._file)
        self.close()
        os.replace(self.path, self._target)
        self._ledger.unlink(missing_ok=True)
        directory = os.open(self._target.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    def drop(self) -> None:
        """Forget all of it."""
        self.close()
        self.path.unlink(missing_ok=True)
        self._ledger.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the files; a second call does nothing."""
        for file in (self._file, self._lines):
            if file >= 0:
                os.close(file)
        self._file = self._lines = -1

    def _resumed(self) -> dict[int, int]:
        """The ranges that the ledger lists and that lie here as it says."""
        try:
            header, *lines = self._ledger.read_bytes().decode("ascii").split("\n")
            if header != self._header:
                return {}
            listed = dict(_entry(line) for line in lines[:-1])
            return self._sound({index: crc for index, crc in listed.items() if 0 <= index < self.count})
        except (OSError, ValueError):
            return {}

    def _sound(self, listed: dict[int, int]) -> dict[int, int]:
        file = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW)
        try:
            return {index: crc for index, crc in listed.items() if self._sum(file, index) == crc}
        finally:
            os.close(file)

    def _sum(self, file: int, index: int) -> int:
        offset, length = self.span(index)
        crc = 0
        for at in range(offset, offset + length, _BLOCK):
            crc = zlib.crc32(os.pread(file, min(_BLOCK, offset + length - at), at), crc)
        return crc

    def _rewritten_ledger(self) -> int:
        self._ledger.unlink(missing_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_NOFOLLOW
        lines = os.open(self._ledger, flags, 0o600)
        known = "".join(f"{index} {crc:08x}\n" for index, crc in self.done.items())
        os.write(lines, f"{self._header}\n{known}".encode())
        return lines


def _entry(line: str) -> tuple[int, int]:
    index, crc = line.split(" ")
    return int(index), int(crc, 16)
