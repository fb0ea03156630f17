"""Lenient reading of one CSV file: what is no sound row is left out and listed, and nothing is lost silently."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from hptune.csv_files._scan import (
    INTEGER,
    MEND,
    TIME,
    Columns,
    Judged,
    Kind,
    check_header,
    judged_rows,
    read_header,
)
from hptune.errors import InputDataError
from hptune.records import Reject

__all__ = ["read_sound_batches", "read_sound_table"]

_BATCH_ROWS = 1 << 16

Lines: TypeAlias = npt.NDArray[np.int64]


def read_sound_batches(path: Path, columns: Columns, rejects: list[Reject]) -> Iterator[tuple[Any, Lines]]:
    """The sound rows of `columns` in `path` as `pyarrow.RecordBatch` es, and the line where each begins.

    The other rows are added to `rejects`. Sound rows are read as `read_batches` reads them, but more slowly.

    Raises
    ------
    InputDataError
        The file does not open, its header is wrong, or no row is sound.
    """
    check_header(path, columns)
    header, kept, of_others = read_header(path), 0, len(rejects)
    with judged_rows(path, columns) as rows:
        sound = _sound(rows, path.name, rejects)
        while some := list(islice(sound, _BATCH_ROWS)):
            kept += len(some)
            yield _batch(some, header, columns), np.array([row.line for row in some], dtype=np.int64)
    if not kept:
        raise InputDataError(
            f"{path} has no sound row (all {len(rejects) - of_others:,} are malformed)", MEND
        )


def read_sound_table(path: Path, columns: Columns, rejects: list[Reject]) -> tuple[Any, Lines]:
    """All sound rows as one `pyarrow.Table`, and the line of each; as `read_sound_batches`."""
    batches, lines = zip(*read_sound_batches(path, columns, rejects), strict=True)
    return pa.Table.from_batches(batches).combine_chunks(), np.concatenate(lines)


def _sound(rows: Iterator[Judged], file: str, rejects: list[Reject]) -> Iterator[Judged]:
    for row in rows:
        if row.problem is None:
            yield row
        else:
            rejects.append(Reject(file, row.line, row.column, row.problem))


def _batch(rows: Sequence[Judged], header: Sequence[str], columns: Columns) -> Any:
    at = {name: header.index(name) for name in columns}
    arrays = [_array([row.cells[at[name]] for row in rows], kind) for name, kind in columns.items()]
    return pa.RecordBatch.from_arrays(arrays, names=list(columns))


def _array(cells: list[str], kind: Kind) -> Any:
    if kind is INTEGER:
        return pa.array([int(cell) for cell in cells], kind.arrow)
    return pa.array(cells, pa.string()).cast(kind.arrow) if kind is TIME else pa.array(cells, kind.arrow)
