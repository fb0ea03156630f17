"""The journal: one checksummed record a line, on disk before what it tells counts."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

from hptune.errors import OutputError
from hptune.records import Outcome

__all__ = ["Journal", "encode_record"]


class Journal:
    """Appends a header and outcomes to a file.

    Parameters
    ----------
    path : Path
        The file, which must not exist.
    header : mapping
        What makes the run what it is; JSON values.

    Raises
    ------
    OutputError
        The file cannot be created or written.
    """

    def __init__(self, path: Path, header: Mapping[str, Any]) -> None:
        self._path = path
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_NOFOLLOW
            self._file = os.open(path, flags, 0o600)
        except OSError as error:
            raise self._failed(error) from error
        self._append(encode_record({"record": "header", **header}))

    def append(self, outcome: Outcome) -> None:
        """Write one outcome and wait until it is on disk."""
        self._append(
            encode_record({"record": "outcome", **json.loads(replace(outcome, raised=None).to_json())})
        )

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _append(self, line: bytes) -> None:
        try:
            if os.write(self._file, line) != len(line):
                raise OSError("only part of a record was written")
            os.fsync(self._file)
        except OSError as error:
            raise self._failed(error) from error

    def _failed(self, error: OSError) -> OutputError:
        reason = (error.strerror or str(error)).lower()
        return OutputError(
            f"cannot write the journal {self._path} ({reason})", "make room or choose another --out"
        )


def encode_record(record: Mapping[str, Any]) -> bytes:
    """One line of strict JSON whose last key, ``crc32``, is the checksum of everything before it.

    Examples
    --------
    >>> encode_record({"fold": 1})
    b'{"fold":1,"crc32":"99505e08"}\\n'
    """
    body = json.dumps(record, allow_nan=False, separators=(",", ":"), ensure_ascii=False).encode()[:-1]
    return body + b',"crc32":"%08x"}\n' % zlib.crc32(body)
