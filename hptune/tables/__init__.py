"""Anybody's table: CSV, Parquet, libsvm or npz as a dataset."""

from __future__ import annotations

from hptune.tables._arrays import check_libsvm, check_npz, load_libsvm, load_npz
from hptune.tables._detect import table_format
from hptune.tables._load import check_table, load_table
from hptune.tables._roles import Roles

__all__ = [
    "Roles",
    "check_libsvm",
    "check_npz",
    "check_table",
    "load_libsvm",
    "load_npz",
    "load_table",
    "table_format",
]
