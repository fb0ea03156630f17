"""The feature matrix: what every sweep learns from, and its cache on disk.

A cached dataset is a directory of plain ``.npy`` arrays beside one ``meta.json`` that names their sizes and
sha256 sums, with its own sum beside it. Nothing in it is pickled, arrays open as memory maps, and the
directory appears under its final name only when it is whole.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from hptune.errors import OutputError
from hptune.records import Reject

__all__ = ["Dataset", "FeatureMatrix", "cached_dataset", "file_sha256", "read_dataset", "write_dataset"]

Array: TypeAlias = npt.NDArray[Any]

_LAYOUT = 2  # raised whenever the files below change their meaning
_META = "meta.json"
_META_SUM = "meta.json.sha256"
_OPTIONAL = ("y", "row_ids", "weights", "groups")
_CSR = ("data", "indices", "indptr")
_CACHE_BYTES = 20 << 30
_ABANDONED_SECONDS = 24 * 3600.0  # no dataset takes that long to write
_STORED = re.compile("[0-9a-f]{32}")  # nothing else is removed from a directory that a user may have named
_SCRATCH = re.compile(r"\.[0-9a-f]{32}\..{8}")


@dataclass(frozen=True)
class FeatureMatrix:
    """Rows to learn from or to predict, in file order.

    Parameters
    ----------
    X : scipy.sparse.csr_array or numpy.ndarray of shape (n_rows, n_columns)
        The features. Dtype and layout are kept as they are.
    columns : tuple of str, length n_columns
        Names of the columns, unique.
    y : ndarray of shape (n_rows,), optional
        Class codes 0..n_classes-1 where `classes` is given, else the numeric target. Absent for test rows.
    classes : tuple of str, optional
        Label of each class code.
    row_ids : ndarray of shape (n_rows,), optional
        The rows' identifiers, int64 or fixed-width unicode.
    weights, groups : ndarray of shape (n_rows,), optional
        Sample weights, and groups for group-wise cross-validation.
    categories : mapping of str to tuple of str
        For each column of category codes the label of each code; `X` holds the codes as numbers, NaN where
        the category is missing. Columns that are not named hold plain numbers.

    Examples
    --------
    >>> m = FeatureMatrix(X=np.eye(2, dtype=np.float32), columns=("a", "b"), y=np.array([0, 1]))
    >>> m.shape
    (2, 2)
    """

    X: Any
    columns: tuple[str, ...]
    y: Array | None = None
    classes: tuple[str, ...] | None = None
    row_ids: Array | None = None
    weights: Array | None = None
    groups: Array | None = None
    categories: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        rows, width = self.X.shape
        if len(self.columns) != width:
            raise ValueError(
                f"columns must name each of the {width} columns but has {len(self.columns)} names"
            )
        for name in _OPTIONAL:
            value = getattr(self, name)
            if value is not None and len(value) != rows:
                raise ValueError(
                    f"{name} must have one entry for each of the {rows} rows but has {len(value)}"
                )

    @property
    def shape(self) -> tuple[int, int]:
        """``(n_rows, n_columns)``."""
        rows, width = self.X.shape
        return int(rows), int(width)

    @property
    def feature_types(self) -> tuple[str, ...] | None:
        """XGBoost's type of each column, "c" for category codes and "q" for numbers; None without categories."""
        if not self.categories:
            return None
        return tuple("c" if name in self.categories else "q" for name in self.columns)

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays together."""
        return sum(array.nbytes for _, array in _arrays(self))

    def column_with_missing(self) -> str | None:
        """The first column that holds NaN, or None."""
        X = sp.csc_array(self.X) if sp.issparse(self.X) else self.X
        for at, name in enumerate(self.columns):
            cells = X.data[X.indptr[at] : X.indptr[at + 1]] if sp.issparse(X) else X[:, at]
            if np.isnan(cells).any():
                return name
        return None

    @cached_property
    def fingerprint(self) -> str:
        """sha256 over every array, the names of columns, classes, categories: equal where the content is."""
        names = [list(self.columns), self.classes, dict(self.categories)]
        digest = hashlib.sha256(json.dumps(names).encode())
        for name, array in _arrays(self):
            digest.update(f"{name}:{array.dtype.str}:{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).data.cast("B") if array.size else b"")
        return digest.hexdigest()


@dataclass(frozen=True)
class Dataset:
    """Training rows, test rows in the same column space (or None), and what the reader should be told.

    `notes` holds one sentence for each thing left out, repaired or ignored while the data was read, `rejects` the
    rows that were left out by lenient reading.
    """

    train: FeatureMatrix
    test: FeatureMatrix | None = None
    notes: tuple[str, ...] = ()
    rejects: tuple[Reject, ...] = ()


def file_sha256(path: Path) -> str:
    """Hex sha256 of a file's bytes, read in bounded memory."""
    with path.open("rb") as stream:
        digest = hashlib.sha256()
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def cached_dataset(
    cache: Path, key: str, build: Callable[[], Dataset], *, limit: int = _CACHE_BYTES
) -> tuple[Dataset, bool]:
    """The dataset stored under `key` in `cache`, built and stored first where it is not.

    A stored dataset that is damaged counts as absent and is replaced.

    Parameters
    ----------
    cache : Path
        Made where it does not exist.
    key : str
        A hash, in hex, of everything that `build` depends on.
    build : callable
        Makes the dataset.
    limit : int, default 20 GiB
        Bytes of all stored datasets beyond which those that were not used for longest are removed.

    Returns
    -------
    dataset : Dataset
        Memory-mapped from the cache in both cases.
    reused : bool
        Whether it was there already.

    Raises
    ------
    OutputError
        `cache` cannot be written.
    """
    directory = cache / key[:32]
    stored = read_dataset(directory)
    if stored is not None:
        with suppress(OSError):  # a cache that others keep may be read-only
            os.utime(directory)
        return stored, True
    built = build()
    try:
        write_dataset(directory, built)
    except OSError as error:
        if (rival := read_dataset(directory)) is None:
            raise _cannot_keep(cache, (error.strerror or str(error)).lower()) from error
        return rival, True  # another process built the same meanwhile
    written = read_dataset(directory)
    if written is None:
        raise _cannot_keep(cache, f"what was just written to {directory} does not read back")
    with suppress(OSError):  # others tidy up at the same time
        _make_room(cache, directory, limit)
    return written, False


def _cannot_keep(cache: Path, reason: str) -> OutputError:
    return OutputError(f"cannot keep feature matrices in {cache} ({reason})", "choose another with --cache")


def write_dataset(directory: Path, dataset: Dataset) -> None:
    """Write `dataset` so that `directory` either holds all of it or does not change.

    A whole one that is there already stays, as it may be in use, and is an `OSError`.
    """
    directory.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    scratch = Path(tempfile.mkdtemp(prefix=f".{directory.name}.", dir=directory.parent))
    try:
        parts = {"train": dataset.train} | ({"test": dataset.test} if dataset.test is not None else {})
        meta = {
            "layout": _LAYOUT,
            "notes": list(dataset.notes),
            "rejects": [list(vars(reject).values()) for reject in dataset.rejects],
            "parts": {name: _write_part(scratch / name, matrix) for name, matrix in parts.items()},
        }
        description = json.dumps(meta, ensure_ascii=False, indent=1).encode()
        _write_synced(scratch / _META, description)
        _write_synced(scratch / _META_SUM, hashlib.sha256(description).hexdigest().encode())
        _publish(scratch, directory)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _publish(scratch: Path, directory: Path) -> None:
    try:
        scratch.rename(directory)
    except OSError:
        if not os.path.lexists(directory) or read_dataset(directory) is not None:
            raise
        _remove(directory)
        scratch.rename(directory)


def read_dataset(directory: Path) -> Dataset | None:
    """The dataset in `directory`, memory-mapped and verified; None where it is absent, damaged or too old."""
    try:
        description = (directory / _META).read_bytes()
        if hashlib.sha256(description).hexdigest() != (directory / _META_SUM).read_text():
            return None
        meta = json.loads(description)
        if meta["layout"] != _LAYOUT:
            return None
        parts = {name: _read_part(directory / name, part) for name, part in meta["parts"].items()}
        rejects = tuple(Reject(*fields) for fields in meta.get("rejects", []))
        return Dataset(parts["train"], parts.get("test"), tuple(meta["notes"]), rejects)
    except (
        OSError,
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        EOFError,
        ArithmeticError,
        RecursionError,
    ):
        return None  # whatever is wrong with a cache, building it again mends it


def _make_room(cache: Path, used: Path, limit: int) -> None:
    """Remove what killed processes left, and beyond `limit` bytes datasets, oldest use first; never `used`.

    To a process that works on one of them it stays readable: its arrays are mapped.
    """
    entries = sorted((_last_use(path), path) for path in cache.iterdir())
    for last_use, path in entries:
        if _SCRATCH.fullmatch(path.name) and time.time() - last_use > _ABANDONED_SECONDS:
            shutil.rmtree(path, ignore_errors=True)
    stored = [path for _, path in entries if _STORED.fullmatch(path.name) and (path / _META).is_file()]
    sizes = {path: sum(file.stat().st_size for file in path.glob("*/*.npy")) for path in stored}
    for path in stored:
        if sum(sizes.values()) <= limit:
            return
        if path != used:
            shutil.rmtree(path, ignore_errors=True)
            del sizes[path]


def _last_use(path: Path) -> float:
    with suppress(OSError):
        return path.stat().st_mtime
    return 0.0


def _arrays(matrix: FeatureMatrix) -> Iterator[tuple[str, Array]]:
    if sp.issparse(matrix.X):
        yield from ((name, getattr(matrix.X, name)) for name in _CSR)
    else:
        yield "X", matrix.X
    yield from ((name, value) for name in _OPTIONAL if (value := getattr(matrix, name)) is not None)


def _write_part(directory: Path, matrix: FeatureMatrix) -> dict[str, Any]:
    directory.mkdir()
    sums = {}
    for name, array in _arrays(matrix):
        path = directory / f"{name}.npy"
        with path.open("wb") as stream:
            np.save(stream, array, allow_pickle=False)
            stream.flush()
            os.fsync(stream.fileno())
        sums[name] = file_sha256(path)
    return {
        "shape": list(matrix.shape),
        "sparse": bool(sp.issparse(matrix.X)),
        "columns": list(matrix.columns),
        "classes": None if matrix.classes is None else list(matrix.classes),
        "categories": {name: list(labels) for name, labels in matrix.categories.items()},
        "sha256": sums,
        "fingerprint": matrix.fingerprint,
    }


def _read_part(directory: Path, part: dict[str, Any]) -> FeatureMatrix:
    arrays = dict(_verified(directory, part["sha256"]))
    if part["sparse"]:
        X: Any = sp.csr_array(
            tuple(arrays.pop(name) for name in _CSR), shape=tuple(part["shape"]), copy=False
        )
    else:
        X = arrays.pop("X")
    classes = part["classes"]
    matrix = FeatureMatrix(
        X=X,
        columns=tuple(part["columns"]),
        classes=None if classes is None else tuple(classes),
        categories={name: tuple(labels) for name, labels in part["categories"].items()},
        **arrays,
    )
    matrix.__dict__["fingerprint"] = part["fingerprint"]  # known since it was written; the sums vouch for it
    return matrix


def _verified(directory: Path, sums: dict[str, str]) -> Iterable[tuple[str, Array]]:
    for name, expected in sums.items():
        path = directory / f"{name}.npy"
        if file_sha256(path) != expected:
            raise ValueError(f"{path} is damaged")
        yield name, _load(path)


def _load(path: Path) -> Array:
    array: Array = np.load(path, mmap_mode="r", allow_pickle=False)
    return np.asarray(array) if array.size else np.load(path, allow_pickle=False)


def _remove(path: Path) -> None:
    if path.is_symlink() or path.is_file():
        path.unlink()
    else:
        shutil.rmtree(path, ignore_errors=True)


def _write_synced(path: Path, content: bytes) -> None:
    with path.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
