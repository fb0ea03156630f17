"""Lenient reading of a table: rows that cannot be used are left out and listed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np

from hptune.records import Reject
from hptune.tables._columns import BadRows, RawTable, printable

__all__ = ["sifted"]

_T = TypeVar("_T")


def sifted(table: RawTable, load: Callable[[RawTable], _T], rejects: list[Reject] | None) -> _T:
    """What `load` makes of the table; where `rejects` is given, without the rows that it refuses, which are added.

    Raises
    ------
    BadRows
        `rejects` is not given, or no row would be left.
    """
    while True:
        try:
            return load(table)
        except BadRows as error:
            if rejects is None or table.lines is None or error.wrong.all():
                raise
            column, problem = table.number(error.name), f"{printable(error.name)} {error.problem}"
            lines = table.lines[np.flatnonzero(error.wrong)].tolist()
            rejects += [Reject(table.path.name, line, column, problem) for line in lines]
            table = table.without(error.wrong)
