"""CSV and Parquet files as they stand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from hptune.csv_files import TEXT, read_header, read_sound_table, read_table
from hptune.errors import InputDataError, did_you_mean
from hptune.records import Reject
from hptune.tables._columns import RawTable, printable

__all__ = ["READERS", "check_named", "csv_columns", "parquet_columns"]

_OTHER_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}


def csv_columns(path: Path) -> list[str]:
    """The header's names; raises where they cannot name columns."""
    header = read_header(path)
    other = next((word for mark, word in _OTHER_SEPARATORS.items() if mark in header[0]), None)
    if len(header) == 1 and other is not None:
        raise InputDataError(f"{path}:1:1: the header is separated by {other}", "write the file with commas")
    _check_header(f"{path}:1", header, "give every column a name; pandas leaves its index out by index=False")
    return header


def parquet_columns(path: Path) -> list[str]:
    """The schema's names; raises where the file is no Parquet."""
    try:
        names: list[str] = pq.read_schema(path).names
    except (pa.ArrowException, OSError) as error:
        raise InputDataError(f"{path} is not a sound Parquet file", "write it again") from error
    _check_header(str(path), names, "give every column a name")
    return names


def read_csv(path: Path, rejects: list[Reject] | None) -> RawTable:
    """All cells as text; rows that are malformed are added to `rejects`, where it is given."""
    names = csv_columns(path)
    columns, lines = dict.fromkeys(names, TEXT), None
    if rejects is None:
        table = read_table(path, columns)
    else:
        table, lines = read_sound_table(path, columns, rejects)
    return RawTable(path, dict(zip(names, table.columns, strict=True)), typed=False, lines=lines)


def read_parquet(path: Path, rejects: list[Reject] | None) -> RawTable:
    """All columns with the types that the file states; no row of such a file is malformed."""
    names = parquet_columns(path)
    try:
        table = pq.ParquetFile(path).read()
    except (pa.ArrowException, OSError) as error:
        raise InputDataError(f"{path} is not a sound Parquet file", "write it again") from error
    if not table.num_rows:
        raise InputDataError(f"{path} has columns but no rows", "write it again")
    lines = np.arange(1, table.num_rows + 1)
    return RawTable(path, dict(zip(names, table.columns, strict=True)), typed=True, lines=lines)


READERS = {"csv": (csv_columns, read_csv), "parquet": (parquet_columns, read_parquet)}


def check_named(path: Path, names: Sequence[str], wanted: Sequence[str]) -> None:
    """Raise unless `path` has the columns that the configuration names, each in one role."""
    for name in wanted:
        if name not in names:
            listed = f"its columns are {', '.join(map(printable, names[:20]))}"
            raise InputDataError(f"{path} has no column {printable(name)}", did_you_mean(name, names, listed))
        if list(wanted).count(name) > 1:
            raise InputDataError(f"column {printable(name)} is named for two things", "name it for one")


def _check_header(where: str, names: Sequence[str], mend: str) -> None:
    for at, name in enumerate(names, start=1):
        if not name.strip():
            raise InputDataError(f"{where}:{at}: the column has no name", mend)
        if names.index(name) < at - 1:
            raise InputDataError(
                f"{where}:{at}: the column name {printable(name)} is used before", "rename one of them"
            )
