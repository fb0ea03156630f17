"""The columns that are no features: target, ids, weights and groups, checked before anything is fitted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from hptune.errors import InputDataError
from hptune.tables._columns import BadRows, Column, RawTable, printable

__all__ = ["Refusal", "Roles", "groups_of", "ids_of", "refusal_in", "target_of", "weights_of"]

Refusal: TypeAlias = Callable[[npt.NDArray[np.bool_], str, str], InputDataError]

_LONGEST_ID = 256  # characters


@dataclass(frozen=True)
class Roles:
    """Names of the columns that are no features."""

    target: str | None = None
    id: str | None = None
    weight: str | None = None
    group: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Those that are given."""
        return tuple(name for name in (self.target, self.id, self.weight, self.group) if name is not None)


def refusal_in(table: RawTable, name: str) -> Refusal:
    """Makes the error for wrong rows of a column: their mask, what is wrong with them, how to mend it."""

    def refusal(wrong: npt.NDArray[np.bool_], what: str, mend: str) -> InputDataError:
        return BadRows(table, name, wrong, what, mend)

    return refusal


def target_of(column: Column, refusal: Refusal, *, classifier: bool) -> tuple[Any, tuple[str, ...] | None]:
    """Class codes and labels for a classifier, else numbers and None."""
    if column.kind == "date":
        raise InputDataError(f"the target {printable(column.name)} holds dates", "turn them into numbers")
    if column.kind == "empty":
        raise InputDataError(f"the target {printable(column.name)} is missing in every row", "name another")
    wrong = np.isnan(column.values)
    if wrong.any():
        raise refusal(wrong, "is the target and missing", "remove such rows, or give them to --test")
    wrong = np.isinf(column.values)
    if wrong.any():
        raise refusal(wrong, "is the target and infinite", "mend or remove such rows")
    found, codes = np.unique(column.exact, return_inverse=True)
    if len(found) == 1:
        what = f"the target {printable(column.name)} is the same in all {len(codes):,} rows"
        raise InputDataError(what, "there is nothing to learn: name another, or add rows")
    if not classifier:
        return _numbers(column), None
    return codes.astype(np.int32), _labels(column, found, refusal)


def ids_of(table: RawTable, name: str, column: Column) -> Any:
    """The rows' ids: int64 where all are whole numbers as written, else text."""
    refusal = refusal_in(table, name)
    cells = table.columns[name]
    wrong = np.isnan(column.values)
    if wrong.any():
        raise refusal(wrong, "is the id and missing", "give every row an id, or leave data.id out")
    texts = np.asarray(cells.cast("string").to_pylist(), dtype=object)
    wrong = np.array([len(text) > _LONGEST_ID for text in texts])
    if wrong.any():
        raise refusal(wrong, f"is longer than {_LONGEST_ID} characters", "name another column as data.id")
    _, first = np.unique(texts, return_index=True)
    wrong = np.ones(len(texts), dtype=bool)
    wrong[first] = False
    if wrong.any():
        raise refusal(wrong, "is listed before", "ids must differ: name another column as data.id")
    try:
        whole = texts.astype(np.int64)
    except (ValueError, OverflowError):
        return texts.astype(np.str_)
    return whole if (whole.astype(np.str_) == texts).all() else texts.astype(np.str_)


def weights_of(column: Column, refusal: Refusal) -> npt.NDArray[np.float64]:
    """Finite weights, none negative."""
    if column.kind not in ("number", "boolean"):
        raise InputDataError(f"the weights {printable(column.name)} are no numbers", "name another column")
    for wrong, what in (
        (np.isnan(column.values), "is the weight and missing"),
        (np.isinf(column.values), "is the weight and infinite"),
        (column.values < 0, "is the weight and negative"),
    ):
        if wrong.any():
            raise refusal(wrong, what, "weights are finite numbers from 0 on")
    if not column.values.any():
        raise InputDataError(f"the weights {printable(column.name)} are all 0", "name another column")
    return column.values


def groups_of(column: Column, refusal: Refusal) -> npt.NDArray[np.int64]:
    """The number of each row's group among the sorted groups, which splits as the groups themselves do."""
    if column.kind in ("date", "empty"):
        what = "holds dates" if column.kind == "date" else "is missing in every row"
        raise InputDataError(f"the group {printable(column.name)} {what}", "write groups as numbers or text")
    wrong = np.isnan(column.values)
    if wrong.any():
        raise refusal(wrong, "is the group and missing", "give every row a group, or leave data.group out")
    return np.unique(column.exact, return_inverse=True)[1].astype(np.int64)


def _numbers(column: Column) -> npt.NDArray[np.float64]:
    if column.kind == "text":
        what = f"the target {printable(column.name)} holds text, and the estimator is no classifier"
        raise InputDataError(what, "use a classifier, or name a column of numbers")
    return column.values


def _labels(column: Column, found: npt.NDArray[Any], refusal: Refusal) -> tuple[str, ...]:
    if column.kind == "text":
        return tuple(column.words[int(code)] for code in found)
    if column.kind == "boolean":
        return tuple(str(bool(value)) for value in found)
    wrong = column.values != np.floor(column.values)
    if wrong.any():
        raise refusal(wrong, "is no class but a fraction", "use a regressor, or name a column of classes")
    return tuple(str(int(value)) for value in found)
