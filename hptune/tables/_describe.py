"""What was found in a table, for a terminal."""

from __future__ import annotations

import io
from collections.abc import Mapping

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from hptune.tables._columns import Column, printable
from hptune.tables._roles import Roles

__all__ = ["described"]

_SHOWN = 40  # columns


def described(columns: Mapping[str, Column], roles: Roles, rows: int, *, classifier: bool) -> str:
    """Column, kind and missing values of each column, a line each."""
    grid = Table(title=f"columns of {rows:,} rows", title_justify="left", box=box.SIMPLE_HEAD)
    grid.add_column("column")
    grid.add_column("kind")
    grid.add_column("missing", justify="right")
    for name, column in list(columns.items())[:_SHOWN]:
        grid.add_row(Text(printable(name)[1:-1]), _kind(column, roles, classifier), f"{column.missing:,}")
    stream = io.StringIO()
    Console(file=stream, width=100).print(grid)
    text = "\n".join(line.rstrip() for line in stream.getvalue().strip("\n").splitlines())
    left = len(columns) - _SHOWN
    return text + (f"\n  and {left:,} more columns" if left > 0 else "")


def _kind(column: Column, roles: Roles, classifier: bool) -> str:
    kind = f"category, {len(column.words):,} values" if column.kind == "text" else column.kind
    if column.name == roles.id:
        return "id"
    if column.name == roles.target:
        return "target, classes" if classifier else f"target, {kind}"
    if column.name == roles.weight:
        return "weight"
    if column.name == roles.group:
        return "group"
    return kind
