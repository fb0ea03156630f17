"""The slow scan of a CSV file, which judges every row: what is wrong with it, and in which line and column."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import IO, Any, NamedTuple, TypeAlias

import pyarrow as pa

from hptune.csv_files._open import open_csv_bytes
from hptune.errors import InputDataError

__all__ = [
    "BLOCK_BYTES",
    "INTEGER",
    "LABEL",
    "MEND",
    "TEXT",
    "TIME",
    "Columns",
    "Judged",
    "Kind",
    "check_header",
    "judged_rows",
    "line_of_row",
    "read_header",
]

BLOCK_BYTES = 8 << 20  # the longest row
_INTEGER = re.compile(r"[ \t]*-?[0-9]{1,40}[ \t]*")
_TIME = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d", re.ASCII)
_NOT_TEXT = re.compile("[\ud800-\udfff]")  # what undecodable bytes turn into, and what NUL is turned into
_NUL_MARK = "\udc00"
MEND = "mend or remove such rows"


@dataclass(frozen=True)
class Kind:
    """What a column's cells must be: for Arrow, for the scan, and for the reader of an error."""

    arrow: Any
    accepts: Callable[[str], bool]
    wanted: str


def _is_int64(cell: str) -> bool:
    return _INTEGER.fullmatch(cell) is not None and -(2**63) <= int(cell) < 2**63


def _is_time(cell: str) -> bool:
    if _TIME.fullmatch(cell) is None:
        return False
    try:
        datetime.fromisoformat(cell)
    except ValueError:
        return False
    return True


INTEGER = Kind(pa.int64(), _is_int64, "a whole number of 64 bits")
TIME = Kind(pa.timestamp("s"), _is_time, "a time like 2016-05-01 23:59:59")
LABEL = Kind(pa.string(), lambda cell: bool(cell.strip()), "text that is not blank")
TEXT = Kind(pa.string(), lambda cell: True, "text")

Columns: TypeAlias = Mapping[str, Kind]
Record: TypeAlias = tuple[int, list[str]]  # first line, cells


def read_header(path: Path) -> list[str]:
    """The first row's cells; raises where there are none."""
    with _open_records(path) as records:
        header = next(records, (1, []))[1]
    if not header:
        raise InputDataError(f"{path} is empty", "fetch the file again")
    for number, name in enumerate(header, 1):
        if any("\ud800" <= character <= "\udfff" for character in name):  # as undecodable bytes are read
            raise InputDataError(f"{path}:1:{number}: the header is not UTF-8", "save the file as UTF-8")
    return header


def check_header(path: Path, columns: Columns) -> None:
    """Raise unless `path` opens and its first row names every one of `columns`, none twice."""
    header = read_header(path)
    for name in columns:
        if header.count(name) != 1:
            problem = "names no column" if name not in header else "names more than once the column"
            raise InputDataError(
                f"{path}:1: the header {problem} {name!r}", "check that it is the right file"
            )


def line_of_row(path: Path, row: int) -> int:
    """The line on which data row `row` (0-based) of `path` begins."""
    with _open_records(path) as records:
        return next(islice(records, row + 1, None))[0]


class Judged(NamedTuple):
    """A data row: the line where it begins, its cells, and what is wrong with it, in which column (from 1)."""

    line: int
    cells: list[str]
    column: int = 0
    problem: str | None = None


@contextmanager
def judged_rows(path: Path, columns: Columns) -> Iterator[Iterator[Judged]]:
    """Every data row of `path`, whose header names `columns`.

    Where nothing can be told apart any more, as after a quote that never ends, the rest is one bad row.
    """
    with _open_records(path) as records:
        yield _judged(records, columns)


def _judged(records: Iterator[Record], columns: Columns) -> Iterator[Judged]:
    header = next(records)[1]
    kinds = [(header.index(name), name, kind) for name, kind in columns.items() if kind is not TEXT]
    try:
        for line, cells in records:
            column, problem = _problem(cells, len(header), kinds) or (0, None)
            yield Judged(line, cells, column, problem)
    except _Unreadable as error:
        yield Judged(error.line, [], error.column, error.problem)


def _problem(cells: list[str], width: int, kinds: list[tuple[int, str, Kind]]) -> tuple[int, str] | None:
    if not cells:
        return 1, "blank row"
    if _NOT_TEXT.search("".join(cells)):
        broken = next(i for i, cell in enumerate(cells, start=1) if _NOT_TEXT.search(cell))
        return broken, "bytes that are not UTF-8 text"
    if len(cells) != width:
        return min(len(cells), width) + 1, f"{len(cells)} cells where the header has {width}"
    for at, name, kind in kinds:
        if not kind.accepts(cells[at]):
            return at + 1, f"{name} is not {kind.wanted}"
    return None


@dataclass(eq=False)
class _Unreadable(Exception):
    """The point after which nothing can be told apart any more."""

    line: int
    column: int
    problem: str


@contextmanager
def _open_records(path: Path) -> Iterator[Iterator[Record]]:
    try:
        with (
            open_csv_bytes(path) as stream,
            io.TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogateescape", newline="") as text,
        ):
            limit = csv.field_size_limit(BLOCK_BYTES)  # of the whole process, hence given back below
            try:
                yield _records(text)
            finally:
                csv.field_size_limit(limit)
    except _Unreadable as error:
        raise InputDataError(f"{path}:{error.line}:{error.column}: {error.problem}", MEND) from error


def _records(text: IO[str]) -> Iterator[Record]:
    """Every record, the header included."""
    lines = _Lines(text)
    reader = csv.reader(lines)
    while True:
        start = reader.line_num + 1
        lines.record.clear()
        try:
            cells = next(reader)
        except StopIteration:
            return
        except (
            csv.Error
        ) as error:  # a quoted cell beyond csv.field_size_limit: surely a quote that never ends
            raise _Unreadable(start, 1, "quoted cell that does not end") from error
        if lines.ended and _is_unterminated(lines.record):
            raise _Unreadable(start, len(cells), "quoted cell that does not end")
        yield start, cells


def _is_unterminated(record: Iterable[str]) -> bool:
    try:
        list(csv.reader(record, strict=True))
    except csv.Error as error:
        return "unexpected end of data" in str(error)
    return False


class _Lines:
    """Text lines for `csv.reader`, of bounded length, that remembers those of the current record."""

    def __init__(self, text: IO[str]) -> None:
        self._text = text
        self.record: list[str] = []
        self.ended = False
        self._count = 0

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = self._text.readline(BLOCK_BYTES)
        if not line:
            self.ended = True
            raise StopIteration
        self._count += 1
        if len(line) == BLOCK_BYTES:
            raise _Unreadable(self._count, 1, f"line longer than {BLOCK_BYTES >> 20} MiB")
        line = line.replace("\0", _NUL_MARK)
        self.record.append(line)
        return line
