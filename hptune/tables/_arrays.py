"""Files that hold arrays: libsvm text and numpy's npz, neither of which can run code here."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import scipy.sparse as sp

from hptune.csv_files import check_member_sizes, open_text_bytes
from hptune.errors import InputDataError
from hptune.matrix import Dataset, FeatureMatrix
from hptune.tables._columns import Column, large_wholes, printable
from hptune.tables._roles import Refusal, Roles, groups_of, target_of, weights_of

__all__ = ["check_libsvm", "check_npz", "load_libsvm", "load_npz"]

_CSR = ("data", "indices", "indptr", "shape")


def check_libsvm(path: Path, test: Path | None = None) -> None:
    """Raise unless the files are there."""
    for file in (path, test):
        if file is not None and not file.is_file():
            raise InputDataError(f"no file {file}", "name a libsvm file")


def load_libsvm(path: Path, *, test: Path | None = None, classifier: bool = False) -> Dataset:
    """A libsvm file (gzipped too) as a sparse dataset; query ids become groups.

    Parameters
    ----------
    path, test : Path
        Read by scikit-learn's ``load_svmlight_files``, so that both have the same columns.
    classifier : bool, default False
        Whether the first number of each line is a class.

    Raises
    ------
    InputDataError
        A line cannot be read, or the target or a feature is no finite number.
    """
    check_libsvm(path, test)
    files = [path] if test is None else [path, test]
    read = _libsvm_arrays(files)
    parts = [tuple(read[at : at + 3]) for at in range(0, len(read), 3)]
    for file, (X, _, _) in zip(files, parts, strict=True):
        _check_matrix(file, X)
    X, y, queries = parts[0]
    target = Column("target", "number", y)
    codes, classes = target_of(target, _refusal(path, "target"), classifier=classifier)
    columns = tuple(f"f{at}" for at in range(X.shape[1]))
    groups = queries if queries.any() else None
    train = FeatureMatrix(X=sp.csr_array(X), columns=columns, y=codes, classes=classes, groups=groups)
    if test is None:
        return Dataset(train)
    return Dataset(train, FeatureMatrix(X=sp.csr_array(parts[1][0]), columns=columns, classes=classes))


def check_npz(path: Path, roles: Roles, test: Path | None = None) -> None:
    """Raise unless the files are there and hold the arrays that are needed."""
    for file, wanted in ((path, _wanted(roles)), (test, ())):
        if file is None:
            continue
        if not file.is_file():
            raise InputDataError(f"no file {file}", "name an npz file")
        check_member_sizes(file)
        with zipfile.ZipFile(file) as archive:
            names = {Path(name).stem for name in archive.namelist() if name.endswith(".npy")}
        if "X" not in names and not names.issuperset(_CSR):
            what = f"{file} holds neither an array X nor a matrix as scipy.sparse.save_npz writes it"
            raise InputDataError(what, "save the features as X")
        for name in wanted:
            if name not in names:
                listed = ", ".join(map(printable, sorted(names)))
                raise InputDataError(f"{file} has no array {printable(name)}", f"its arrays are {listed}")


def load_npz(path: Path, roles: Roles, *, test: Path | None = None, classifier: bool = False) -> Dataset:
    """An npz file as a dataset, dense or sparse.

    Parameters
    ----------
    path, test : Path
        Features as the array ``X``, or as the arrays of `scipy.sparse.save_npz` in CSR layout; optionally
        ``columns``, their names. No array may need a pickle.
    roles : Roles
        Names of the arrays with target (default ``y``), ids, weights and groups.
    classifier : bool, default False
        Whether the target's values are classes.

    Raises
    ------
    InputDataError
        An array is missing, needs a pickle, or does not fit to the others.
    """
    check_npz(path, roles, test)
    arrays = _arrays(path)
    X, columns = _features(path, arrays)
    target = roles.target or "y"
    y, classes = target_of(_column(path, arrays, target, X), _refusal(path, target), classifier=classifier)
    others: dict[str, Any] = {}
    if roles.id is not None:
        others["row_ids"] = _ids(path, arrays, roles.id, X)
    if roles.weight is not None:
        weights = _column(path, arrays, roles.weight, X)
        others["weights"] = weights_of(weights, _refusal(path, roles.weight))
    if roles.group is not None:
        groups = _column(path, arrays, roles.group, X)
        others["groups"] = groups_of(groups, _refusal(path, roles.group))
    train = FeatureMatrix(X=X, columns=columns, y=y, classes=classes, **others)
    return Dataset(train, None if test is None else _test_rows(test, roles, train))


def _test_rows(path: Path, roles: Roles, train: FeatureMatrix) -> FeatureMatrix:
    arrays = _arrays(path)
    X, columns = _features(path, arrays)
    if columns != train.columns:
        what = f"{path} has {len(columns)} columns where the training file has {len(train.columns)}"
        same = len(columns) == len(train.columns)
        raise InputDataError(f"{path} has other column names" if same else what, "give both the same columns")
    ids = _ids(path, arrays, roles.id, X) if roles.id is not None and roles.id in arrays else None
    return FeatureMatrix(X=X, columns=columns, classes=train.classes, row_ids=ids)


def _wanted(roles: Roles) -> tuple[str, ...]:
    return (roles.target or "y", *(name for name in roles.names if name != roles.target))


def _arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            return dict(archive)
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error, KeyError) as error:
        what = f"{path} cannot be read, or an array in it needs a pickle"
        raise InputDataError(what, "save arrays of numbers or text, by numpy.savez") from error


def _features(path: Path, arrays: Mapping[str, npt.NDArray[Any]]) -> tuple[Any, tuple[str, ...]]:
    X = arrays["X"] if "X" in arrays else _sparse(path, arrays)
    if X.ndim != 2 or X.dtype.kind not in "biuf":
        raise InputDataError(f"{path}: the features are no matrix of numbers", "save a 2-d array of numbers")
    X = X.astype(np.float64) if X.dtype.kind != "f" else X
    _check_matrix(path, X)
    names = tuple(map(str, arrays["columns"].tolist())) if "columns" in arrays else _numbered(X.shape[1])
    if len(set(names)) != X.shape[1]:
        raise InputDataError(f"{path}: columns does not name each of the {X.shape[1]} columns", "correct it")
    return X, names


def _sparse(path: Path, arrays: Mapping[str, npt.NDArray[Any]]) -> Any:
    layout = arrays.get("format")
    if layout is not None and layout.item() not in (b"csr", "csr"):
        raise InputDataError(f"{path} holds a matrix in another layout", "save it as .tocsr()")
    try:
        parts = (arrays["data"], arrays["indices"], arrays["indptr"])
        X = sp.csr_array(parts, shape=tuple(int(n) for n in arrays["shape"]))
        X.check_format(full_check=True)
    except (ValueError, TypeError, IndexError) as error:
        raise InputDataError(f"{path}: the sparse arrays do not fit together", "save it again") from error
    return X


def _check_matrix(path: Path, X: Any) -> None:
    if not X.shape[0] or not X.shape[1]:
        raise InputDataError(f"{path} has {X.shape[0]} rows and {X.shape[1]} columns", "check the file")
    entries = X.data if sp.issparse(X) else X
    if np.isinf(entries).any():
        at = int(np.argmax(np.isinf(entries))) if sp.issparse(X) else 0
        row = int(np.searchsorted(X.indptr, at, side="right")) - 1 if sp.issparse(X) else _first(np.isinf(X))
        raise InputDataError(f"{path}: row {row + 1} holds an infinite number", "mend it, or use NaN")


def _first(wrong: npt.NDArray[np.bool_]) -> int:
    return int(np.argmax(wrong.any(axis=1)))


def _column(path: Path, arrays: Mapping[str, npt.NDArray[Any]], name: str, X: Any) -> Column:
    """A one-dimensional array as a column."""
    array = arrays[name]
    if array.shape != (X.shape[0],):
        what = f"{path}: array {printable(name)} has shape {array.shape} for {X.shape[0]} rows"
        raise InputDataError(what, "give it one entry a row")
    if array.dtype.kind == "b":
        return Column(name, "boolean", array.astype(np.float64))
    if array.dtype.kind in "iuf":
        values = array.astype(np.float64)
        return Column(name, "number", values, wholes=large_wholes(values, lambda: pa.array(array)))
    if array.dtype.kind != "U":
        raise InputDataError(
            f"{path}: array {printable(name)} is of type {array.dtype}", "use numbers or text"
        )
    words, codes = np.unique(array, return_inverse=True)
    values = np.where(np.char.strip(array) == "", np.nan, codes.astype(np.float64))
    return Column(name, "text", values, tuple(words.tolist()))


def _ids(path: Path, arrays: Mapping[str, npt.NDArray[Any]], name: str, X: Any) -> Any:
    array = arrays[name]
    if array.shape != (X.shape[0],) or array.dtype.kind not in "iuU":
        raise InputDataError(f"{path}: array {printable(name)} is no id for each row", "use integers or text")
    if len(np.unique(array)) < len(array):
        raise InputDataError(f"{path}: ids in {printable(name)} are listed twice", "ids must differ")
    return array


def _numbered(width: int) -> tuple[str, ...]:
    return tuple(f"f{at}" for at in range(width))


def _refusal(path: Path, name: str) -> Refusal:
    def refusal(wrong: npt.NDArray[np.bool_], what: str, mend: str) -> InputDataError:
        place = f"{path}: row {int(np.argmax(wrong)) + 1}: {printable(name)}"
        return InputDataError(f"{place} {what} ({int(wrong.sum()):,} in all)", mend)

    return refusal


def _libsvm_arrays(files: list[Path]) -> list[Any]:
    """Features, target and query ids of each file in turn."""
    from sklearn.datasets import load_svmlight_files  # scikit-learn takes seconds to import

    with ExitStack() as stack:
        streams = [stack.enter_context(open_text_bytes(file)) for file in files]
        try:
            return list(load_svmlight_files(streams, query_id=True))
        except (ValueError, OverflowError) as error:
            raise _unreadable(files) from error


def _unreadable(files: list[Path]) -> InputDataError:
    """The error that names the first line which cannot be read alone."""
    for file in files:
        with open_text_bytes(file) as lines:
            number = next((n for n, line in enumerate(lines, start=1) if not _is_libsvm(line)), None)
        if number is not None:
            what = f"{file}:{number}: the line is not like '1 qid:1 3:0.5 7:2'"
            return InputDataError(what, "write the target, then index:value pairs with rising indices")
    return InputDataError(f"{files[0]} holds no rows", "check the file")


def _is_libsvm(line: bytes) -> bool:
    from sklearn.datasets import load_svmlight_file

    try:
        load_svmlight_file(io.BytesIO(line), query_id=True)
    except (ValueError, OverflowError):
        return False
    return True
