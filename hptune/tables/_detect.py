"""What a file is, by its name, else by how it begins."""

from __future__ import annotations

import gzip
import re
import zlib
from pathlib import Path

__all__ = ["table_format"]

_BY_SUFFIX = {
    ".csv": "csv",
    ".csv.gz": "csv",
    ".csv.zip": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".libsvm": "libsvm",
    ".svm": "libsvm",
    ".svmlight": "libsvm",
    ".libsvm.gz": "libsvm",
    ".svm.gz": "libsvm",
    ".svmlight.gz": "libsvm",
    ".npz": "npz",
}
_BY_MAGIC = {b"PAR1": "parquet", b"PK\x03\x04": "npz"}
_LIBSVM_LINE = re.compile(rb"\s*[-+\d.eE]+(\s+qid:\d+)?(\s+\d+:\S+)+\s*(#.*)?")


def table_format(path: Path) -> str:
    """The name of the format of the file `path`: csv, parquet, libsvm or npz.

    Examples
    --------
    >>> table_format(Path("prices.CSV.gz"))
    'csv'
    """
    name = path.name.lower()
    for suffix, found in _BY_SUFFIX.items():
        if name.endswith(suffix):
            return found
    start = _start(path)
    if start[:4] in _BY_MAGIC:
        return _BY_MAGIC[start[:4]]
    return "libsvm" if _LIBSVM_LINE.fullmatch(start.partition(b"\n")[0]) else "csv"


def _start(path: Path) -> bytes:
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
            return stream.read(1 << 16)
    except (OSError, EOFError, zlib.error):
        return b""  # whoever reads the file for its rows says what is wrong with it
