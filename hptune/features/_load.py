"""From a directory of raw files to the dataset, through the cache."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

from hptune.errors import ConfigurationError, InputDataError, did_you_mean
from hptune.features._blocks import BLOCKS, BY_NAME, Block
from hptune.features._tables import FILES, RawTables, find_files, lookup, read_tables
from hptune.matrix import Dataset, FeatureMatrix, cached_dataset, file_sha256
from hptune.records import Reject

__all__ = ["ENCODINGS", "SETS", "check_talkingdata", "load_talkingdata"]

_VERSION = 1  # raised whenever the same files and options would give another dataset

_SMALL = ("brand", "model", "weekday", "hour", "weekday_hour")
SETS: Mapping[str, tuple[str, ...]] = {"all": tuple(BY_NAME), "small": _SMALL}
ENCODINGS = ("fraction", "indicator")


def check_talkingdata(directory: Path) -> None:
    """Quick checks before anything costly starts: files are there, zips are sound, headers are right.

    Parameters
    ----------
    directory : Path
        Where the raw files are.

    Raises
    ------
    InputDataError
        Naming the first thing that is wrong.

    Examples
    --------
    >>> check_talkingdata(Path("nowhere"))
    Traceback (most recent call last):
    hptune.errors.InputDataError: no directory nowhere: name the directory that holds gender_age_train.csv.zip
    """
    find_files(directory)


def load_talkingdata(
    directory: Path,
    *,
    features: str | Sequence[str] = "all",
    encoding: str = "fraction",
    cache: Path | None = None,
    strict: bool = True,
    progress: Callable[[str], None] | None = None,
) -> Dataset:
    """The TalkingData raw files as a dataset: sparse features, groups as classes, test rows alike.

    Parameters
    ----------
    directory : Path
        Holds ``gender_age_train`` and ``phone_brand_device_model``, and any of ``gender_age_test``,
        ``events``, ``app_events``, ``app_labels``, ``label_categories``, each as ``<name>.csv.zip`` or
        ``<name>.csv`` (the zip is taken where both are there).
    features : str or sequence of str, default="all"
        "all", "small" (brand, model and the time blocks), or names of blocks. Where the files of a block
        are absent, it is left out with a note if a set names it, and an error if it is named itself.
    encoding : {"fraction", "indicator"}, default="fraction"
        Shares of the device's events, or 1 for every non-zero entry.
    cache : Path, optional
        Directory of cached datasets. An unchanged input is read from there, a changed one is built and kept.
    strict : bool, default True
        Whether a malformed or repeated row is an error. Else it is left out and one of the dataset's `rejects`.
    progress : callable, optional
        Called with a line of text before each step.

    Returns
    -------
    Dataset
        float32 `scipy.sparse.csr_array` s with one row a device in file order; `row_ids` are the device ids.

    Raises
    ------
    ConfigurationError
        For an unknown block or encoding.
    InputDataError
        For files that are missing, malformed, or do not belong together.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as scratch:
    ...     _ = Path(scratch, "gender_age_train.csv").write_text("device_id,group\\n-7,M22-\\n8,F23-\\n")
    ...     _ = Path(scratch, "phone_brand_device_model.csv").write_text(
    ...         "device_id,phone_brand,device_model\\n-7,HTC,One\\n"
    ...     )
    ...     dataset = load_talkingdata(Path(scratch))
    >>> dataset.train.columns, dataset.train.classes, dataset.train.X.toarray().tolist()
    (('brand=HTC', 'model=One'), ('F23-', 'M22-'), [[1.0, 1.0], [0.0, 0.0]])
    """
    if encoding not in ENCODINGS:
        raise ConfigurationError(
            f"unknown encoding {encoding!r}",
            did_you_mean(encoding, ENCODINGS, "use 'fraction' or 'indicator'"),
        )
    named, wanted = _chosen(features)
    found = find_files(directory)
    blocks = _available(wanted, named, found, directory)
    notes = _left_out(wanted, blocks, found)
    say = progress or (lambda line: None)

    def build() -> Dataset:
        needed = {"gender_age_train", "gender_age_test", "phone_brand_device_model"}
        needed.update(name for block in blocks for name in block.needs)
        raw = read_tables({name: path for name, path in found.items() if name in needed}, say, strict=strict)
        return _assemble(raw, blocks, encoding, notes, say)

    if cache is None:
        return build()
    say("comparing the raw files with the cache")
    dataset, reused = cached_dataset(cache, _cache_key(found, blocks, encoding, notes, strict=strict), build)
    say("features reused from the cache" if reused else "features written to the cache")
    return dataset


def _chosen(features: str | Sequence[str]) -> tuple[frozenset[str], tuple[Block, ...]]:
    """The blocks named one by one, and all blocks that are wanted, in column order."""
    names = [features] if isinstance(features, str) else list(features)
    known = (*SETS, *BY_NAME)
    if not names:
        raise ConfigurationError("features names no block", f"choose from {', '.join(known)}")
    for name in names:
        if name not in known:
            mend = did_you_mean(name, known, f"choose from {', '.join(known)}")
            raise ConfigurationError(f"unknown feature block {name!r}", mend)
    wanted = {block for name in names for block in SETS.get(name, (name,))}
    named = frozenset(name for name in names if name in BY_NAME)
    return named, tuple(block for block in BLOCKS if block.name in wanted)


def _available(
    wanted: tuple[Block, ...], named: Collection[str], found: Collection[str], directory: Path
) -> tuple[Block, ...]:
    for block in wanted:
        absent = _absent(block, found)
        if absent and block.name in named:
            raise InputDataError(
                f"feature block {block.name!r} needs {' and '.join(absent)}, which {directory} does not hold",
                "add the file or leave the block out",
            )
    return tuple(block for block in wanted if not _absent(block, found))


def _absent(block: Block, found: Collection[str]) -> list[str]:
    return [name for name in block.needs if name not in found]


def _left_out(wanted: Sequence[Block], blocks: Sequence[Block], found: Collection[str]) -> tuple[str, ...]:
    left = [block for block in wanted if block not in blocks]
    if not left:
        return ()
    absent = {name for block in left for name in _absent(block, found)}
    files = ", ".join(name for name in FILES if name in absent)
    return (f"left out {', '.join(block.name for block in left)}: no {files}",)


def _cache_key(
    found: Mapping[str, Path], blocks: Sequence[Block], encoding: str, notes: Sequence[str], *, strict: bool
) -> str:
    ingredients = {
        "version": _VERSION,
        "files": {name: file_sha256(path) for name, path in found.items()},
        "blocks": [block.name for block in blocks],
        "encoding": encoding,
        "notes": list(notes),
        **({} if strict else {"strict": False}),
    }
    return hashlib.sha256(json.dumps(ingredients, sort_keys=True).encode()).hexdigest()


def _assemble(
    raw: RawTables,
    blocks: Sequence[Block],
    encoding: str,
    notes: tuple[str, ...],
    say: Callable[[str], None],
) -> Dataset:
    names: list[str] = []
    matrices = []
    for block in blocks:
        say(f"computing {block.name}")
        computed = block.compute(raw)
        names.extend(map(block.column_name, computed.values))
        matrices.append(_encoded(computed.matrix, encoding))
    X = sp.hstack(matrices, format="csr", dtype=np.float32)
    X.sort_indices()
    classes = tuple(sorted(set(raw.groups)))
    code = {group: at for at, group in enumerate(classes)}
    train = FeatureMatrix(
        X=_rows(X, raw.devices, raw.train_ids),
        columns=tuple(names),
        y=np.array([code[group] for group in raw.groups], dtype=np.int32),
        classes=classes,
        row_ids=raw.train_ids,
    )
    test = None
    if raw.test_ids is not None:
        test = FeatureMatrix(
            X=_rows(X, raw.devices, raw.test_ids),
            columns=train.columns,
            classes=classes,
            row_ids=raw.test_ids,
        )
    return Dataset(train, test, (*notes, *raw.notes, *_left_out_rows(raw.rejects)), raw.rejects)


def _left_out_rows(rejects: Sequence[Reject]) -> Iterator[str]:
    for file, count in Counter(reject.file for reject in rejects).items():
        yield f"{count:,} rows of {file} are left out: rejects.csv says which and why"


def _encoded(shares: Any, encoding: str) -> Any:
    matrix = shares.astype(np.float32)
    if encoding == "indicator":
        matrix.data[:] = 1
    return matrix


def _rows(X: Any, devices: Any, ids: Any) -> Any:
    rows = X[lookup(devices, ids)]
    rows.sort_indices()
    if rows.nnz < 2**31:  # row selection leaves 64-bit indices, which double the matrix for nothing
        rows.indices, rows.indptr = rows.indices.astype(np.int32), rows.indptr.astype(np.int32)
    return rows
