"""What a column holds: numbers, booleans, text, dates or nothing, found out from its cells."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from hptune.csv_files import line_of_row
from hptune.errors import InputDataError

__all__ = ["BadRows", "Column", "RawTable", "as_text", "infer", "large_wholes", "printable"]

# pandas' words for a missing value, so that a table means the same here and there.
_MISSING = pa.array(
    ["", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>"]
    + ["N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"]
)
_NUMBER = r"(?i)^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$|^[+-]?inf(inity)?$"
_BOOLEAN = r"(?i)^(true|false)$"
_DATE = r"^\d{4}[-/]\d{1,2}[-/]\d{1,2}([ T].*)?$|^\d{1,2}[./-]\d{1,2}[./-]\d{4}([ T].*)?$|^\d{1,2}:\d\d(:\d\d.*)?$"
_TYPO_SHARE = 0.1  # up to this share of other cells, a column of numbers holds typing errors, else it is text
_SHOWN = 60
_EXACT_UP_TO = 2**53  # whole numbers that a float tells apart


@dataclass(frozen=True)
class RawTable:
    """A file's columns as they stand there.

    Parameters
    ----------
    path : Path
        Where they were read.
    columns : mapping of str to pyarrow.ChunkedArray
        In file order; text where the file has no types.
    typed : bool
        Whether the file states types (Parquet), so that cells are taken as they are.
    lines : int64 array of shape (n_rows,), optional
        Where each row begins, if rows are left out of the file or it has no lines; else the file tells.
    """

    path: Path
    columns: Mapping[str, Any]
    typed: bool
    lines: npt.NDArray[np.int64] | None = None

    @property
    def n_rows(self) -> int:
        """Rows of every column."""
        return len(next(iter(self.columns.values()), ()))

    def place(self, name: str, row: int) -> str:
        """Where a reader finds the cell: ``file:line:column``, or the row's number where there are no lines."""
        line = line_of_row(self.path, row) if self.lines is None else self.lines[row]
        if self.typed:
            return f"{self.path}: row {line}: {printable(name)}"
        return f"{self.path}:{line}:{self.number(name)}: {printable(name)}"

    def number(self, name: str) -> int:
        """The column's place in the file, from 1."""
        return list(self.columns).index(name) + 1

    def without(self, wrong: npt.NDArray[np.bool_]) -> RawTable:
        """The other rows; `lines` must be known."""
        kept = pa.array(~wrong)
        columns = {name: column.filter(kept) for name, column in self.columns.items()}
        return replace(self, columns=columns, lines=None if self.lines is None else self.lines[~wrong])


@dataclass(frozen=True)
class Column:
    """A column with its kind.

    Parameters
    ----------
    name : str
        From the header.
    kind : {"number", "boolean", "text", "date", "empty"}
        "empty" where every cell is missing.
    values : float64 array of shape (n_rows,)
        NaN where missing; 0 and 1 for booleans, codes into `words` for text, all NaN for dates.
    words : tuple of str
        The different texts, sorted.
    numbers : int
        Cells of a text column that look like numbers.
    wholes : int64 array of shape (n_rows,), optional
        The values of a column of whole numbers so large that floats do not tell them apart; 0 where missing.
    """

    name: str
    kind: str
    values: npt.NDArray[np.float64] = field(repr=False)
    words: tuple[str, ...] = field(default=(), repr=False)
    numbers: int = 0
    wholes: npt.NDArray[np.int64] | None = field(default=None, repr=False)

    @property
    def exact(self) -> npt.NDArray[Any]:
        """The values, as whole numbers where floats do not tell them apart: what names classes and groups."""
        return self.values if self.wholes is None else self.wholes

    @property
    def missing(self) -> int:
        """How many cells are missing; for dates, which are not read, 0."""
        return 0 if self.kind == "date" else int(np.isnan(self.values).sum())


def infer(table: RawTable, name: str) -> Column:
    """The column with the kind that its cells have in common.

    Raises
    ------
    InputDataError
        Nearly all cells are numbers but not all, or the type is none that a feature can have.
    """
    return _stated(table, name) if table.typed else _inferred(table, name)


def as_text(table: RawTable, name: str) -> Column:
    """The column as text, whatever its cells look like."""
    words, codes = _encoded(table.columns[name].cast(pa.string()))
    return _text(name, words, codes, np.asarray(pc.is_null(words)) if table.typed else _is_missing(words))


class BadRows(InputDataError):
    """Rows that cannot be used.

    Parameters
    ----------
    table : RawTable
        Where they are.
    name : str
        The column that is wrong.
    wrong : bool array of shape (n_rows,)
        Which rows.
    problem, mend : str
        What is wrong with them, and how to mend it.
    """

    def __init__(
        self, table: RawTable, name: str, wrong: npt.NDArray[np.bool_], problem: str, mend: str
    ) -> None:
        place = table.place(name, int(np.argmax(wrong)))
        super().__init__(f"{place} {problem} ({int(wrong.sum()):,} in all)", mend)
        self.name, self.wrong, self.problem = name, wrong, problem


def printable(name: str) -> str:
    """A name for an error or a terminal: one line, no control characters, not too long."""
    shown = "".join(character if character.isprintable() else "?" for character in name[: _SHOWN + 1])
    return repr(shown if len(shown) <= _SHOWN else shown[:_SHOWN] + "...")


def _inferred(table: RawTable, name: str) -> Column:
    words, codes = _encoded(table.columns[name])
    trimmed = pc.utf8_trim_whitespace(words)
    missing = _is_missing(words)
    counts = np.bincount(codes, minlength=len(words))
    present = int(counts[~missing].sum())
    if not present:
        return Column(name, "empty", _unknown(codes))
    number, boolean, date = (_matches(trimmed, pattern, missing) for pattern in (_NUMBER, _BOOLEAN, _DATE))
    numbers = int(counts[number].sum())
    if numbers == present:
        values = _spread(trimmed, number, codes)
        cells = pc.if_else(pa.array(number), trimmed, None)
        wholes = large_wholes(values, lambda: cells.take(pa.array(codes)))
        return Column(name, "number", values, wholes=wholes)
    if int(counts[boolean].sum()) == present:
        truth = pc.equal(pc.utf8_lower(trimmed), "true").to_numpy(zero_copy_only=False).astype(float)
        return Column(name, "boolean", np.where(missing, np.nan, truth)[codes])
    if int(counts[date].sum()) >= (1 - _TYPO_SHARE) * present:
        return Column(name, "date", _unknown(codes))
    if numbers >= 2 and present - numbers <= max(1, _TYPO_SHARE * present):
        _refuse_mixture(table, name, (~number & ~missing)[codes], numbers)
    return _text(name, words, codes, missing, numbers)


def _refuse_mixture(table: RawTable, name: str, odd: npt.NDArray[np.bool_], numbers: int) -> None:
    mend = "mend or empty the cell; more than one cell in ten must be text for a column to count as text"
    raise BadRows(table, name, odd, f"holds {numbers:,} numbers but none here", mend)


def _stated(table: RawTable, name: str) -> Column:
    cells = table.columns[name]
    if pa.types.is_dictionary(cells.type):
        cells = cells.cast(cells.type.value_type)
    kind = cells.type
    if pa.types.is_null(kind):
        return Column(name, "empty", _unknown(cells))
    if pa.types.is_temporal(kind):
        return Column(name, "date", _unknown(cells))
    if pa.types.is_boolean(kind):
        return _numeric(name, "boolean", cells.cast(pa.int8()))
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return _numeric(name, "number", cells)
    if str(kind) in ("string", "large_string", "string_view"):
        words, codes = _encoded(cells)
        missing = np.asarray(pc.is_null(words))
        dates = _matches(words, _DATE, missing).sum() >= (1 - _TYPO_SHARE) * max(1, (~missing).sum())
        return Column(name, "date", _unknown(cells)) if dates else _text(name, words, codes, missing)
    raise InputDataError(
        f"{table.path}: column {printable(name)} is of type {kind}",
        "turn it into numbers, text or booleans, or leave it out",
    )


def _numeric(name: str, kind: str, cells: Any) -> Column:
    values = np.array(cells.cast(pa.float64(), safe=False).to_numpy(), dtype=np.float64)
    wholes = large_wholes(values, lambda: cells)
    return Column(name, "empty" if np.isnan(values).all() else kind, values, wholes=wholes)


def large_wholes(values: npt.NDArray[np.float64], cells: Callable[[], Any]) -> npt.NDArray[np.int64] | None:
    """The cells as whole numbers, where some are so large that `values`, the same as floats, may be others."""
    if not (np.abs(values) > _EXACT_UP_TO).any():
        return None
    try:
        return np.asarray(cells().cast(pa.int64()).fill_null(0))
    except pa.ArrowInvalid:  # fractions, exponents, or beyond 64 bits
        return None


def _encoded(cells: Any) -> tuple[Any, npt.NDArray[Any]]:
    """The different cells, missing ones included, and the number of each row's."""
    encoded = cells.dictionary_encode(null_encoding="encode").unify_dictionaries()
    codes = [chunk.indices.to_numpy() for chunk in encoded.chunks]
    return encoded.chunk(0).dictionary, np.concatenate(codes).astype(np.intp)


def _text(
    name: str, words: Any, codes: npt.NDArray[Any], missing: npt.NDArray[np.bool_], numbers: int = 0
) -> Column:
    given = words.to_pylist()
    kept = sorted(word for word, absent in zip(given, missing, strict=True) if not absent)
    rank = {word: float(at) for at, word in enumerate(kept)}
    values = np.array([rank.get(word, np.nan) for word in given], dtype=np.float64)
    return Column(name, "text" if kept else "empty", values[codes], tuple(kept), numbers)


def _unknown(cells: Any) -> npt.NDArray[np.float64]:
    return np.full(len(cells), np.nan)


def _is_missing(words: Any) -> npt.NDArray[np.bool_]:
    return np.asarray(pc.is_in(pc.utf8_trim_whitespace(words), value_set=_MISSING))


def _matches(words: Any, pattern: str, missing: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    found = pc.match_substring_regex(words, pattern).fill_null(False)
    return np.asarray(found) & ~missing


def _spread(words: Any, wanted: npt.NDArray[np.bool_], codes: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    values = np.full(len(words), np.nan)
    values[wanted] = words.filter(pa.array(wanted)).cast(pa.float64()).to_numpy()
    spread: npt.NDArray[np.float64] = values[codes]
    return spread
