"""Zipped CSV files with repeatable bytes."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import csv

__all__ = ["write_zipped_csv"]

# The pieces of a file are small: the whole app events file is more than a gigabyte.
_OPTIONS = {"include_header": False, "quoting_style": "none", "batch_size": 65_536}


def write_zipped_csv(path: Path, columns: tuple[str, ...], chunks: Iterable[tuple[Any, ...]]) -> None:
    """Write `path`, a zip archive of one CSV; each chunk holds one array for each of `columns`."""
    member = zipfile.ZipInfo(path.name.removesuffix(".zip"), date_time=(2016, 7, 11, 0, 0, 0))
    member.compress_type = zipfile.ZIP_DEFLATED
    member.external_attr = 0o644 << 16
    with zipfile.ZipFile(path, "x") as archive, archive.open(member, "w", force_zip64=True) as stream:
        stream.write((",".join(columns) + "\n").encode())
        for chunk in chunks:
            stream.write(_as_csv(columns, chunk))


def _as_csv(columns: tuple[str, ...], arrays: tuple[Any, ...]) -> memoryview:
    buffer = pa.BufferOutputStream()
    csv.write_csv(pa.table(list(arrays), names=list(columns)), buffer, csv.WriteOptions(**_OPTIONS))
    return memoryview(buffer.getvalue())
