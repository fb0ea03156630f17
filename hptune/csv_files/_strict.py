"""Strict, typed, streaming reading of one CSV file.

Rows are read by Arrow in blocks. Where it refuses something, or where the bytes look suspicious (an odd
number of quotes, NUL bytes, empty cells), a slow scan of the file finds the first malformed row and counts
them all: the scan is the judge, so that every error names file, line and column.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from hptune.csv_files._open import open_csv_bytes
from hptune.csv_files._scan import BLOCK_BYTES, LABEL, MEND, TIME, Columns, Kind, check_header, judged_rows
from hptune.errors import InputDataError

__all__ = ["read_batches", "read_table"]

_TIME_LENGTH = len("2016-05-01 23:59:59")
_BLANK_LINES = (b"\n\n", b"\n\r\n", b"\r\r")  # Arrow makes rows of empty cells of them


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


def _arrow_reader(stream: _Watched, columns: Columns) -> Any:
    return pacsv.open_csv(
        pa.PythonFile(stream, mode="r"),
        read_options=pacsv.ReadOptions(block_size=BLOCK_BYTES),
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
    with judged_rows(path, columns) as rows:
        malformed = (row for row in rows if row.problem is not None)
        first = next(malformed, None)
        if first is None:
            return
        count = 1 + sum(1 for _ in malformed)
    many = "1 malformed row" if count == 1 else f"{count:,} malformed rows"
    raise InputDataError(f"{path}:{first.line}:{first.column}: {first.problem} ({many} in all)", MEND)
