"""From a CSV or Parquet file to a dataset."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from hptune.errors import InputDataError
from hptune.matrix import Dataset, FeatureMatrix
from hptune.records import Reject
from hptune.tables._columns import Column, RawTable, as_text, infer, printable
from hptune.tables._describe import described
from hptune.tables._encode import check_features, feature_matrix, like_training
from hptune.tables._read import READERS, check_named
from hptune.tables._roles import Roles, groups_of, ids_of, refusal_in, target_of, weights_of
from hptune.tables._sift import sifted

__all__ = ["check_table", "load_table"]


def check_table(path: Path, roles: Roles, *, test: Path | None = None, format: str = "csv") -> None:
    """Quick checks before anything costly starts: files are there and have the columns that are named.

    Raises
    ------
    InputDataError
        Naming the first thing that is wrong.

    Examples
    --------
    >>> check_table(Path("nowhere.csv"), Roles(target="price"))
    Traceback (most recent call last):
    hptune.errors.InputDataError: no file nowhere.csv: name the table that holds the training rows
    """
    columns_of, _ = READERS[format]
    for file, wanted in ((path, roles.names), (test, (roles.id,) if roles.id else ())):
        if file is None:
            continue
        if not file.is_file():
            rows = "training" if file is path else "test"
            raise InputDataError(f"no file {file}", f"name the table that holds the {rows} rows")
        check_named(file, columns_of(file), wanted)


def load_table(
    path: Path,
    roles: Roles,
    *,
    test: Path | None = None,
    format: str = "csv",
    classifier: bool = False,
    native: bool = False,
    strict: bool = True,
    progress: Callable[[str], None] | None = None,
) -> Dataset:
    """A table as a dataset: types inferred, test rows in the columns of the training rows.

    Parameters
    ----------
    path : Path
        The training rows: CSV (gzipped or zipped too) with a header, or Parquet.
    roles : Roles
        The target, which is required, and the other columns that are no features.
    test : Path, optional
        Rows to predict, of the same format. It may lack the target; columns of its own are not used.
    format : {"csv", "parquet"}, default "csv"
    classifier : bool, default False
        Whether the target's values are classes.
    native : bool, default False
        Text stays one column of category codes (for XGBoost); else one column of 0 and 1 for each text.
    strict : bool, default True
        Whether a row that cannot be used is an error. Else it is left out and one of the dataset's `rejects`; what
        is wrong with a whole file or column is an error still.
    progress : callable, optional
        Called with a table of the columns and what they hold.

    Raises
    ------
    InputDataError
        Naming file, line and column of what is wrong.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as scratch:
    ...     table = Path(scratch, "homes.csv")
    ...     _ = table.write_text("rooms,coast,price\\n3,near,9.5\\n,far,4\\n")
    ...     train = load_table(table, Roles(target="price")).train
    >>> train.columns, train.X.tolist(), train.y.tolist()
    (('rooms', 'coast=far', 'coast=near'), [[3.0, 0.0, 1.0], [nan, 1.0, 0.0]], [9.5, 4.0])
    """
    check_table(path, roles, test=test, format=format)
    _, read = READERS[format]
    rejects: list[Reject] | None = None if strict else []

    def load(table: RawTable) -> tuple[FeatureMatrix, dict[str, Column]]:
        return _training_rows(table, roles, classifier=classifier, native=native)

    table = read(path, rejects)
    train, columns = sifted(table, load, rejects)
    features = [column for name, column in columns.items() if name not in roles.names]
    (progress or _silent)(described(columns, roles, train.shape[0], classifier=classifier))
    notes = _notes(features, train.shape[0]) + _left_out(path, train, rejects)
    if test is None:
        return Dataset(train, None, tuple(notes), tuple(rejects or ()))
    of_test: list[Reject] | None = None if strict else []

    def load_test(table: RawTable) -> tuple[FeatureMatrix, list[str]]:
        return _test_rows(table, features, roles, train.classes, native=native)

    matrix, test_notes = sifted(read(test, of_test), load_test, of_test)
    notes += test_notes + _left_out(test, matrix, of_test)
    return Dataset(train, matrix, tuple(notes), (*(rejects or ()), *(of_test or ())))


def _silent(text: str) -> None:
    return None


def _column(table: RawTable, name: str, roles: Roles) -> Column:
    return as_text(table, name) if name == roles.id else infer(table, name)


def _training_rows(
    table: RawTable, roles: Roles, *, classifier: bool, native: bool
) -> tuple[FeatureMatrix, dict[str, Column]]:
    """The matrix, and all columns of the file."""
    columns = {name: _column(table, name, roles) for name in table.columns}
    features = [column for name, column in columns.items() if name not in roles.names]
    if not features:
        raise InputDataError(
            f"{table.path} has no columns to learn from", "add columns beside those that are named"
        )
    check_features(table, features)
    target = str(roles.target)
    y, classes = target_of(columns[target], refusal_in(table, target), classifier=classifier)
    others = {}
    if roles.id is not None:
        others["row_ids"] = ids_of(table, roles.id, columns[roles.id])
    if roles.weight is not None:
        others["weights"] = weights_of(columns[roles.weight], refusal_in(table, roles.weight))
    if roles.group is not None:
        others["groups"] = groups_of(columns[roles.group], refusal_in(table, roles.group))
    return feature_matrix(features, native=native, y=y, classes=classes, **others), columns


def _test_rows(
    table: RawTable, features: list[Column], roles: Roles, classes: tuple[str, ...] | None, *, native: bool
) -> tuple[FeatureMatrix, list[str]]:
    read = [like_training(table, column) for column in features]
    notes = [note for _, note in read if note is not None]
    known = {column.name for column in features} | {roles.id}
    unused = [printable(name) for name in table.columns if name not in known]
    if unused:
        notes.append(f"columns of {table.path} that are not used: {', '.join(unused[:20])}")
    columns = [column for column, _ in read]
    check_features(table, columns)
    ids = None if roles.id is None else ids_of(table, roles.id, as_text(table, roles.id))
    return feature_matrix(columns, native=native, classes=classes, row_ids=ids), notes


def _left_out(path: Path, matrix: FeatureMatrix, rejects: Sequence[Reject] | None) -> list[str]:
    if not rejects:
        return []
    total = matrix.shape[0] + len(rejects)
    return [f"{len(rejects):,} of {total:,} rows of {path.name} are left out: rejects.csv says which and why"]


def _notes(features: list[Column], rows: int) -> list[str]:
    notes = []
    for column in features:
        name = printable(column.name)
        if column.kind == "empty":
            notes.append(f"column {name} is missing in every row: kept, but nothing can be learned from it")
        if column.numbers:
            notes.append(f"column {name} is taken as text: {column.numbers:,} of its cells look like numbers")
        if column.kind == "text" and rows > 2 and len(column.words) == rows:
            notes.append(f"column {name} has another text in every row: if it is an id, name it as data.id")
    return notes
