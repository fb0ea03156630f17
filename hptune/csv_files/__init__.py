"""CSV files that are not trusted: opened through archives, read strictly, every fault with its place."""

from __future__ import annotations

from hptune.csv_files._lenient import read_sound_batches, read_sound_table
from hptune.csv_files._open import SUFFIXES, check_member_sizes, find_file, open_csv_bytes, open_text_bytes
from hptune.csv_files._scan import (
    INTEGER,
    LABEL,
    TEXT,
    TIME,
    Columns,
    Kind,
    check_header,
    line_of_row,
    read_header,
)
from hptune.csv_files._strict import read_batches, read_table

__all__ = [
    "INTEGER",
    "LABEL",
    "SUFFIXES",
    "TEXT",
    "TIME",
    "Columns",
    "Kind",
    "check_header",
    "check_member_sizes",
    "find_file",
    "line_of_row",
    "open_csv_bytes",
    "open_text_bytes",
    "read_batches",
    "read_header",
    "read_sound_batches",
    "read_sound_table",
    "read_table",
]
