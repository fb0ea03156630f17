"""Feature columns as one matrix: test rows in the columns of the training rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from hptune.errors import InputDataError
from hptune.matrix import FeatureMatrix
from hptune.tables._columns import BadRows, Column, RawTable, as_text, infer, printable

__all__ = ["check_features", "feature_matrix", "like_training"]

_MAX_BYTES = 8 << 30  # of a one-hot matrix


def check_features(table: RawTable, columns: Sequence[Column]) -> None:
    """Refuse what no estimator can learn from: dates and infinite numbers."""
    for column in columns:
        if column.kind == "date":
            raise InputDataError(
                f"{table.path}: column {printable(column.name)} holds dates or times",
                "turn them into numbers first, such as year, month, weekday or days since a day, or leave the"
                " column out",
            )
        wrong = np.isinf(column.values)
        if wrong.any():
            mend = "mend it, or empty the cell if it is unknown"
            raise BadRows(table, column.name, wrong, "is infinite", mend)


def like_training(table: RawTable, train: Column) -> tuple[Column, str | None]:
    """The column of a test table with the kind and the words of the training column, and a note or None.

    A text that no training row has counts as missing.
    """
    if train.name not in table.columns:
        what = f"{table.path} has no column {printable(train.name)}, which the training file has"
        raise InputDataError(what, "add it; an empty column will do if its values are unknown")
    if train.kind == "text":
        return _recoded(as_text(table, train.name), train)
    found = infer(table, train.name)
    if train.kind == "empty":
        note = f"test column {printable(train.name)} is not used: it is missing in every training row"
        values = np.full(table.n_rows, np.nan)
        return Column(train.name, "empty", values), None if found.kind == "empty" else note
    if found.kind not in (train.kind, "empty"):
        what = f"{table.path}: column {printable(train.name)} holds {_plural(found)}"
        raise InputDataError(f"{what} but {_plural(train)} in the training file", "give both the same kind")
    return Column(train.name, train.kind, found.values), None


def feature_matrix(columns: Sequence[Column], *, native: bool, **others: Any) -> FeatureMatrix:
    """The columns as a matrix, missing values as NaN.

    Parameters
    ----------
    columns : sequence of Column
        Numbers, booleans, text; at least one.
    native : bool
        Whether text columns stay one column of category codes, in a float32 matrix as XGBoost holds it; else
        they become a column of 0 and 1 for each text, 0 in all where missing, in a float64 matrix.
    **others
        The further fields of the matrix.
    """
    if native:
        X = np.column_stack([column.values.astype(np.float32) for column in columns])
        categories = {column.name: column.words for column in columns if column.kind == "text"}
        names = tuple(column.name for column in columns)
        return FeatureMatrix(X=X, columns=names, categories=categories, **others)
    _check_size(columns)
    parts = [part for column in columns for part in _indicators(column)]
    names = tuple(name for name, _ in parts)
    clash = next((name for name in names if names.count(name) > 1), None) if _clashes(names) else None
    if clash is not None:
        raise InputDataError(
            f"two one-hot columns are called {printable(clash)}", "rename one of the columns"
        )
    return FeatureMatrix(X=np.column_stack([values for _, values in parts]), columns=names, **others)


def _recoded(found: Column, train: Column) -> tuple[Column, str | None]:
    known = {word: float(code) for code, word in enumerate(train.words)}
    codes = np.array([known.get(word, np.nan) for word in found.words] or [np.nan])
    given = ~np.isnan(found.values)
    values = np.full(len(found.values), np.nan)
    values[given] = codes[found.values[given].astype(np.intp)]
    unseen = int((given & np.isnan(values)).sum())
    note = f"{unseen:,} test rows have a {printable(train.name)} that no training row has: taken as missing"
    return Column(train.name, "text", values, train.words), note if unseen else None


def _plural(column: Column) -> str:
    return {"number": "numbers", "boolean": "booleans", "text": "text", "date": "dates"}.get(
        column.kind, "nothing"
    )


def _check_size(columns: Sequence[Column]) -> None:
    rows = len(columns[0].values)
    width = sum(len(column.words) if column.kind == "text" else 1 for column in columns)
    if rows * width * 8 > _MAX_BYTES:
        widest = max(columns, key=lambda column: len(column.words))
        raise InputDataError(
            f"one-hot categories make {width:,} columns, {rows * width * 8 >> 30} GiB; the most,"
            f" {len(widest.words):,}, come from {printable(widest.name)}",
            "use XGBoost with data.categories: native, name the column as data.id or leave it out",
        )


def _indicators(column: Column) -> Iterator[tuple[str, npt.NDArray[np.float64]]]:
    if column.kind != "text":
        yield column.name, column.values
        return
    for code, word in enumerate(column.words):
        yield f"{column.name}={word}", (column.values == code).astype(np.float64)


def _clashes(names: Sequence[str]) -> bool:
    return len(set(names)) < len(names)
