"""Strict, typed, streaming reading of one CSV file.

Rows are read by Arrow in blocks. Where it refuses something, or where the bytes look suspicious (an odd
number of quotes, NUL bytes, empty cells), a slow scan of the file finds the first malformed row and counts
them all: the scan is the judge, so that every error names file, line and column.
"""

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
from typing import IO, Any, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from hptune.csv_files._open import open_csv_bytes
from hptune.errors import InputDataError

__all__ = [
    "INTEGER",
    "LABEL",
    "TEXT",
    "TIME",
    "Columns",
    "Kind",
    "Record",
    "check_header",
    "line_of_row",
    "read_batches",
    "read_table",
]

_BLOCK_BYTES = 8 << 20  # also the longest row
_TIME_LENGTH = len("2016-05-01 23:59:59")
_INTEGER = re.compile(r"[ \t]*-?[0-9]{1,40}[ \t]*")
_TIME = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d", re.ASCII)
_NOT_TEXT = re.compile("[\ud800-\udfff]")  # what undecodable bytes turn into, and what NUL is turned into
_NUL_MARK = "\udc00"
_BLANK_LINES = (b"\n\n", b"\n\r\n", b"\r\r")  # Arrow makes rows of empty cells of them
_MEND = "mend or remove such rows"


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


def read_batches(path: Path, columns: Columns) -> Iterator[Any]:
    """The rows of `columns` in `path`, as `pyarrow.RecordBatch` es in file order.

    Raises
    ------
    InputDataError
        Where any row is malformed, naming the first and the count, or where there are no rows.
    """
    check_header(path, columns)
    rows = 0
    try:
        with open_csv_bytes(path) as stream:
            watched = _Watched(stream)
            for batch in _arrow_reader(watched, columns):
                rows += batch.num_rows
                yield _checked(batch, columns)
    except pa.ArrowInvalid as error:
        _raise_malformed(path, columns)
        raise InputDataError(f"{path} cannot be read as CSV", "check its quotes and line ends") from error
    if watched.suspicious:
        _raise_malformed(path, columns)
    if not rows:
        raise InputDataError(f"{path} has a header but no rows", "fetch the file again, or remove it")


def read_table(path: Path, columns: Columns) -> Any:
    """All rows of `columns` in `path` as one `pyarrow.Table`; raises as `read_batches` does."""
    return pa.Table.from_batches(list(read_batches(path, columns))).combine_chunks()


def line_of_row(path: Path, row: int) -> int:
    """The line on which data row `row` (0-based) of `path` begins."""
    with _open_records(path) as records:
        return next(islice(records, row + 1, None))[0]


def _arrow_reader(stream: _Watched, columns: Columns) -> Any:
    return pacsv.open_csv(
        pa.PythonFile(stream, mode="r"),
        read_options=pacsv.ReadOptions(block_size=_BLOCK_BYTES),
        parse_options=pacsv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False),
        convert_options=pacsv.ConvertOptions(
            column_types={
                name: pa.string() if kind is TIME else kind.arrow for name, kind in columns.items()
            },
            include_columns=list(columns),
            null_values=[""],
            strings_can_be_null=False,
        ),
    )


def _checked(batch: Any, columns: Columns) -> Any:
    """`batch`, held to what Arrow's reader lets pass: no empty ids, no blank labels, whole times."""
    arrays = [_checked_column(batch.column(name), kind) for name, kind in columns.items()]
    return pa.RecordBatch.from_arrays(arrays, names=list(columns))


def _checked_column(column: Any, kind: Kind) -> Any:
    if column.null_count:
        raise pa.ArrowInvalid("empty cells")
    if kind is LABEL and pc.any(pc.equal(pc.utf8_trim_whitespace(column), "")).as_py():
        raise pa.ArrowInvalid("blank cells")
    if kind is not TIME:
        return column
    # Arrow takes 30 February for 1 March by pattern; its ISO parser does not, but accepts a day alone.
    if not pc.all(pc.equal(pc.binary_length(column), _TIME_LENGTH)).as_py():
        raise pa.ArrowInvalid("times of another form")
    return column.cast(kind.arrow)


class _Watched(io.RawIOBase):
    """A stream that counts what Arrow does not mind but a sound file does not have."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._quotes = self._nuls = self._blank_lines = 0
        self._end = b"\n"  # so that a blank first line counts

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        block = self._stream.read(size)
        self._quotes += block.count(b'"')
        self._nuls += block.count(b"\0")
        joined = self._end[-2:] + block
        self._blank_lines += sum(joined.count(ends) for ends in _BLANK_LINES)
        self._end = joined[-2:] if block else self._end
        return block

    @property
    def suspicious(self) -> bool:
        return self._quotes % 2 == 1 or self._nuls > 0 or self._blank_lines > 0


def _raise_malformed(path: Path, columns: Columns) -> None:
    """Scan `path` and raise for its malformed rows; return if there are none."""
    with _open_records(path) as records:
        malformed = _malformed(records, columns)
        first = next(malformed, None)
        if first is None:
            return
        count = 1 + sum(1 for _ in malformed)
    line, column, problem = first
    rows = "1 malformed row" if count == 1 else f"{count:,} malformed rows"
    raise InputDataError(f"{path}:{line}:{column}: {problem} ({rows} in all)", _MEND)


def _malformed(records: Iterator[Record], columns: Columns) -> Iterator[tuple[int, int, str]]:
    """Line, column (both from 1) and problem of every malformed row."""
    header = next(records)[1]
    kinds = [(header.index(name), name, kind) for name, kind in columns.items()]
    try:
        for line, cells in records:
            found = _problem(cells, len(header), kinds)
            if found is not None:
                yield line, *found
    except _Unreadable as error:
        yield error.line, error.column, error.problem


def _problem(cells: list[str], width: int, kinds: list[tuple[int, str, Kind]]) -> tuple[int, str] | None:
    if not cells:
        return 1, "blank row"
    broken = next((i for i, cell in enumerate(cells) if _NOT_TEXT.search(cell)), None)
    if broken is not None:
        return broken + 1, "bytes that are not UTF-8 text"
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
            limit = csv.field_size_limit(_BLOCK_BYTES)  # of the whole process, hence given back below
            try:
                yield _records(text)
            finally:
                csv.field_size_limit(limit)
    except _Unreadable as error:
        raise InputDataError(f"{path}:{error.line}:{error.column}: {error.problem}", _MEND) from error


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
        line = self._text.readline(_BLOCK_BYTES)
        if not line:
            self.ended = True
            raise StopIteration
        self._count += 1
        if len(line) == _BLOCK_BYTES:
            raise _Unreadable(self._count, 1, f"line longer than {_BLOCK_BYTES >> 20} MiB")
        line = line.replace("\0", _NUL_MARK)
        self.record.append(line)
        return line
