"""The journal: one checksummed record a line, on disk before what it tells counts.

The first record is a header, which tells what the sweep is. Outcomes follow as they come, candidates where
they are found while the sweep runs, and curves where a policy decides by them. Each later session
begins with a "resumed" record, and a session that could say so ends with "finished" or "stopped".
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import IO, Any, NoReturn

from hptune.errors import ConfigurationError, OutputError
from hptune.interrupts import undisturbed
from hptune.records import Outcome
from hptune.storage import sync_directory

__all__ = [
    "FORMAT",
    "KEY_DIGITS",
    "Journal",
    "Kept",
    "Session",
    "decode_outcome",
    "encode_outcome",
    "encode_record",
    "find_journal",
    "key_of",
    "read_journal",
]

KEY_DIGITS = 32  # hex digits of a cell's key
FORMAT = 1  # raised when records change their meaning

_LINE_BYTES = 256 << 20  # a grid that would make a longer record is refused before it is written
_SEAL = b',"crc32":"%08x"}\n'
_SEAL_BYTES = len(_SEAL % 0)
_KEYED = b'{"record":"outcome","key":"'
_OUTCOME = b'{"record":"outcome",'
_NO_FIELDS = {"record", "key", "crc32"}


class Journal:
    """Appends records to a file; what is appended is on disk when the call returns.

    Parameters
    ----------
    path : Path
        The file. It must not exist, unless `keep` says how much of it is kept.
    first : mapping
        The record that begins: a header, or what tells of a resumption. JSON values.
    keep : int, optional
        Bytes of an existing journal that hold whole records; what follows them is dropped.

    Raises
    ------
    ConfigurationError
        The first record lists so many candidates that it could not be read again; nothing is written.
    OutputError
        The file cannot be created or written.
    """

    def __init__(self, path: Path, first: Mapping[str, Any], *, keep: int | None = None) -> None:
        line = _first_line(first)
        self._path = path
        self._whole = True
        flags = os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW
        try:
            self._file = os.open(path, flags | (os.O_CREAT | os.O_EXCL if keep is None else 0), 0o600)
            self._end = keep or 0
            os.ftruncate(self._file, self._end)
            sync_directory(path.parent)
        except OSError as error:
            raise self._failed(error) from error
        self._append(line)

    def record(self, record: Mapping[str, Any]) -> None:
        """Write a record that is no outcome."""
        self._append(encode_record(record))

    def append(self, outcomes: Iterable[tuple[str | None, Outcome]]) -> None:
        """Write outcomes, each with its cell's key if it has one, and wait once until all are on disk."""
        lines = b"".join(encode_outcome(outcome, key) for key, outcome in outcomes)
        if lines:
            self._append(lines)

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

    def _append(self, lines: bytes) -> None:
        with undisturbed():
            try:
                if not self._whole:
                    raise OSError("an earlier record could not be written")
                self._whole = False
                if os.write(self._file, lines) != len(lines):
                    os.ftruncate(self._file, self._end)  # a later record must not follow half of one
                    raise OSError("no space left for a whole record")
                os.fsync(self._file)
            except OSError as error:
                raise self._failed(error) from error
            self._end += len(lines)
            self._whole = True

    def _failed(self, error: OSError) -> OutputError:
        reason = (error.strerror or str(error)).lower()
        return OutputError(
            f"cannot write the journal {self._path} ({reason})", "make room or choose another --out"
        )


@dataclass(frozen=True)
class Session:
    """What one run of a sweep left in its journal.

    Parameters
    ----------
    first : mapping
        The header, or the record that tells of a resumption.
    candidates : list of mapping
        The records of candidates that were found while the sweep ran.
    curves : list of mapping
        What fits reported while they ran: the key of a cell of theirs where it has one, ``[[step, value], ...]``,
        and for fits on folds as "rungs" the candidates that share the fit, each with its rounds.
    outcomes : list of bytes
        Verified lines, for `decode_outcome` and `key_of`.
    endings : list of mapping
        The record that ended it; empty where it was interrupted, or still runs.
    """

    first: Mapping[str, Any]
    candidates: list[Mapping[str, Any]] = field(default_factory=list)
    curves: list[Mapping[str, Any]] = field(default_factory=list)
    outcomes: list[bytes] = field(default_factory=list)
    endings: list[Mapping[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Kept:
    """What a journal holds.

    Parameters
    ----------
    sessions : list of Session
        In order, the header's first; empty where not even the header is whole.
    end : int
        Bytes that hold whole records.
    torn : bool
        Whether something follows them: the record that was being written when the journal was read, or when
        its writer was killed.
    written : float
        When it was last written to, in seconds since the epoch.
    """

    sessions: list[Session]
    end: int
    torn: bool
    written: float = 0.0

    @property
    def grid(self) -> list[str]:
        """The canonical texts of all candidates: those that were listed, and those that were found meanwhile."""
        listed = next(session.first["grid"] for session in reversed(self.sessions) if "grid" in session.first)
        return [*listed, *(record["params"] for session in self.sessions for record in session.candidates)]


def read_journal(path: Path, after: Kept | None = None) -> Kept:
    """Verify and read a journal; it may be written to meanwhile.

    Parameters
    ----------
    path : Path
        The file.
    after : Kept, optional
        What was read of it before: only what came since is read, and added to its sessions.

    Raises
    ------
    OutputError
        It is not there, it cannot be read, or a record other than the last one is damaged.
    """
    kept = find_journal(path, after)
    if kept is None:
        raise OutputError(f"there is no journal {path}", "check the path")
    return kept


def find_journal(path: Path, after: Kept | None = None) -> Kept | None:
    """As `read_journal`; None where no sweep has begun, or another one takes its place this moment.

    Raises
    ------
    OutputError
        It cannot be read, or a record other than the last one is damaged.
    """
    sessions, end = ([], 0) if after is None else (after.sessions, after.end)
    torn = False
    try:
        with open(path, "rb", opener=_no_link) as stream:
            written = path.stat().st_mtime
            stream.seek(end)
            for number, line in _lines(stream, path, sum(map(_records, sessions))):
                torn = not _is_sealed(line)
                if not torn:
                    _take(line, sessions, number, path)
                    end += len(line)
    except FileNotFoundError:
        return None
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise OutputError(f"cannot read the journal {path} ({reason})", "check the path") from error
    return Kept(sessions, end, torn, written)


def encode_record(record: Mapping[str, Any]) -> bytes:
    """One line of strict JSON whose last key, ``crc32``, is the checksum of everything before it.

    Examples
    --------
    >>> encode_record({"fold": 1})
    b'{"fold":1,"crc32":"99505e08"}\\n'
    """
    text = json.dumps(record, allow_nan=False, separators=(",", ":"), ensure_ascii=False)
    return _sealed(text.encode()[:-1])


def encode_outcome(outcome: Outcome, key: str | None) -> bytes:
    """The record of an outcome. Without a key, no other session knows the cell again."""
    begin = _OUTCOME if key is None else _KEYED + key.encode() + b'",'
    return _sealed(begin + replace(outcome, raised=None).to_json().encode()[1:-1])


def decode_outcome(line: bytes) -> Outcome:
    """The outcome in a verified line.

    Raises
    ------
    OutputError
        Another version of hptune wrote it.
    """
    try:
        told = _decode(line.decode())
        outcome = Outcome.from_fields({name: told[name] for name in told.keys() - _NO_FIELDS})
        whole = outcome.candidate, outcome.fold, outcome.fit_id
        numbers = outcome.fit_time, outcome.score_time, outcome.work_time, *outcome.test_scores.values()
        if all(type(value) is int for value in whole) and all(isinstance(n, (int, float)) for n in numbers):
            return outcome
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        pass  # told below
    raise _of_another_version("a record of the journal")


def key_of(line: bytes) -> str | None:
    """The key in a verified line.

    Examples
    --------
    >>> key_of(encode_outcome(Outcome(0, 0, "ok", {"score": 0.5}), "0" * KEY_DIGITS))
    '00000000000000000000000000000000'
    """
    if not line.startswith(_KEYED):
        return None
    return line[len(_KEYED) : len(_KEYED) + KEY_DIGITS].decode("ascii", "replace")


def _first_line(record: Mapping[str, Any]) -> bytes:
    line = encode_record(record)
    if len(line) > _LINE_BYTES:
        listed = f"{len(record.get('grid', ())):,} candidates need a record of {len(line):,} bytes"
        raise ConfigurationError(
            f"{listed}, and the journal takes {_LINE_BYTES:,}",
            "give fewer values, or sampling_algorithm random with fewer trials",
        )
    return line


def _sealed(body: bytes) -> bytes:
    return body + _SEAL % zlib.crc32(body)


def _is_sealed(line: bytes) -> bool:
    return line.endswith(_SEAL % zlib.crc32(line[:-_SEAL_BYTES]))


def _records(session: Session) -> int:
    told = len(session.candidates) + len(session.curves) + len(session.outcomes)
    return 1 + told + len(session.endings)


def _lines(stream: IO[bytes], path: Path, before: int) -> Iterator[tuple[int, bytes]]:
    """Every line with its number. Only the last one may be damaged: nothing was written after it."""
    number, line = before + 1, stream.readline(_LINE_BYTES)
    while line:
        # A line without an end was being written when it was read: what follows came later, and is not read.
        following = stream.readline(_LINE_BYTES) if line.endswith(b"\n") or len(line) == _LINE_BYTES else b""
        if following and not _is_sealed(line):
            raise OutputError(
                f"{path}:{number}: the record is damaged",
                "restore the file from a copy, or start again with --overwrite",
            )
        yield number, line
        number, line = number + 1, following


def _take(line: bytes, sessions: list[Session], number: int, path: Path) -> None:
    if line.startswith(_OUTCOME) and sessions:
        sessions[-1].outcomes.append(line)
        return
    try:
        record = _decode(line.decode())
        kind = record["record"]
    except (ValueError, TypeError, LookupError, RecursionError):
        raise _of_another_version(f"{path}:{number}") from None
    begins = record.get("format") == FORMAT if kind == "header" else kind == "resumed"
    if begins and bool(sessions) == (kind == "resumed"):
        sessions.append(Session(record))
    elif kind == "candidate" and sessions and _is_candidate(record):
        sessions[-1].candidates.append(record)
    elif kind == "curve" and sessions and _is_curve(record):
        sessions[-1].curves.append(record)
    elif kind in ("finished", "stopped") and sessions:
        sessions[-1].endings.append(record)
    else:
        raise _of_another_version(f"{path}:{number}")


def _is_candidate(record: Mapping[str, Any]) -> bool:
    told = record.get("told")
    return (
        isinstance(record.get("params"), str) and isinstance(told, list) and all(type(n) is int for n in told)
    )


def _is_curve(record: Mapping[str, Any]) -> bool:
    pairs = record.get("values"), record.get("rungs", [])
    return isinstance(record.get("key", ""), str) and all(
        isinstance(told, list)
        and all(isinstance(pair, list) and len(pair) == 2 and type(pair[0]) is int for pair in told)
        for told in pairs
    )


def _of_another_version(what: str) -> OutputError:
    return OutputError(
        f"{what} was not written by this version of hptune", "use the version that wrote it, or --overwrite"
    )


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


_decode = json.JSONDecoder(parse_constant=_refuse).decode


def _no_link(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)  # a pipe does not hold the reader up
