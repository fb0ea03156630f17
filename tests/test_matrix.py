"""The feature matrix and its cache: what is written is what is read, and damage is never read."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from hptune.errors import OutputError
from hptune.matrix import Dataset, FeatureMatrix, cached_dataset, file_sha256, read_dataset, write_dataset
from tests.garbage import garbled

OPTIONAL = ("y", "row_ids", "weights", "groups")
DTYPES = st.sampled_from([np.float32, np.float64, np.int8, np.int64, np.uint16])
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


def csr(dense: Any, index: Any) -> sp.csr_array:
    X = sp.csr_array(dense)
    return sp.csr_array((X.data, X.indices.astype(index), X.indptr.astype(index)), shape=X.shape)


@st.composite
def matrices(draw: st.DrawFn, columns: tuple[str, ...] | None = None) -> FeatureMatrix:
    names = draw(st.lists(TEXT, max_size=5, unique=True)) if columns is None else columns
    shape = (draw(st.integers(0, 6)), len(names))
    X: Any = draw(hnp.arrays(draw(DTYPES), shape))
    layout = draw(st.sampled_from(["C", "F", "csr"]))
    if layout == "csr":
        X = csr(X, draw(st.sampled_from([np.int32, np.int64])))
    elif layout == "F":
        X = np.asfortranarray(X)
    vectors = {
        "y": hnp.arrays(st.sampled_from([np.int64, np.float32]), shape[0]),
        "row_ids": hnp.arrays(st.sampled_from([np.dtype(np.int64), np.dtype("<U8")]), shape[0]),
        "weights": hnp.arrays(np.float64, shape[0]),
        "groups": hnp.arrays(np.int32, shape[0]),
    }
    chosen = {name: draw(st.none() | arrays) for name, arrays in vectors.items()}
    classes = draw(st.none() | st.lists(TEXT, max_size=3).map(tuple))
    return FeatureMatrix(X=X, columns=tuple(names), classes=classes, **chosen)


@st.composite
def datasets(draw: st.DrawFn) -> Dataset:
    train = draw(matrices())
    test = draw(st.none() | matrices(train.columns))
    return Dataset(train, test, tuple(draw(st.lists(TEXT, max_size=2))))


def arrays_of(matrix: FeatureMatrix) -> dict[str, Any]:
    X = matrix.X
    parts = {"data": X.data, "indices": X.indices, "indptr": X.indptr} if sp.issparse(X) else {"X": X}
    return parts | {name: getattr(matrix, name) for name in OPTIONAL if getattr(matrix, name) is not None}


def assert_same(a: FeatureMatrix, b: FeatureMatrix) -> None:
    assert (a.shape, a.columns, a.classes, sp.issparse(a.X)) == (
        b.shape,
        b.columns,
        b.classes,
        sp.issparse(b.X),
    )
    left, right = arrays_of(a), arrays_of(b)
    assert left.keys() == right.keys()
    for name, array in left.items():
        assert array.dtype == right[name].dtype
        assert array.flags.f_contiguous == right[name].flags.f_contiguous
        assert array.tobytes() == right[name].tobytes()


@settings(deadline=None)  # the disk may be slow
@given(datasets())
def test_what_is_written_is_read(dataset: Dataset) -> None:
    with TemporaryDirectory() as folder:
        write_dataset(Path(folder, "d"), dataset)
        read = read_dataset(Path(folder, "d"))
        assert read is not None
        assert read.notes == dataset.notes
        assert_same(dataset.train, read.train)
        assert (read.test is None) == (dataset.test is None)
        if read.test is not None and dataset.test is not None:
            assert_same(dataset.test, read.test)


@settings(deadline=None)  # the disk may be slow
@given(datasets())
def test_a_fingerprint_survives_the_disk(dataset: Dataset) -> None:
    with TemporaryDirectory() as folder:
        write_dataset(Path(folder, "d"), dataset)
        read = read_dataset(Path(folder, "d"))
        assert read is not None
        # Computed again from what was read, not taken from the file.
        assert replace(read.train).fingerprint == read.train.fingerprint == dataset.train.fingerprint


@settings(deadline=None)  # the disk may be slow
@given(matrices(), st.data())
def test_a_fingerprint_changes_with_any_bit(matrix: FeatureMatrix, data: st.DataObject) -> None:
    full = {name: array for name, array in arrays_of(matrix).items() if array.size}
    assume(full)
    name = data.draw(st.sampled_from(sorted(full)))
    changed = full[name].copy(order="K")
    flat = changed.reshape(-1, order="A").view(np.uint8)
    byte = data.draw(st.integers(0, flat.size - 1))
    flat[byte] ^= 1 << data.draw(st.integers(0, 7))
    assert with_array(matrix, name, changed).fingerprint != matrix.fingerprint


def with_array(matrix: FeatureMatrix, name: str, array: Any) -> FeatureMatrix:
    if name in ("X", *OPTIONAL):
        return replace(matrix, **{name: array})
    X = matrix.X.copy()
    setattr(X, name, array)
    return replace(matrix, X=X)


SMALL = FeatureMatrix(
    X=sp.csr_array(np.eye(3, dtype=np.float32)),
    columns=("a", "b", "c"),
    y=np.array([0, 1, 1]),
    classes=("no", "yes"),
    row_ids=np.array([7, 8, 9]),
)
DENSE = replace(SMALL, X=np.arange(9, dtype=np.float32).reshape(3, 3))


@pytest.mark.parametrize(
    "changed",
    [
        replace(SMALL, columns=("a", "b", "d")),
        replace(SMALL, columns=("b", "a", "c")),
        replace(SMALL, classes=("yes", "no")),
        replace(SMALL, classes=None),
        replace(SMALL, y=None),
        replace(SMALL, y=SMALL.y.astype(np.int32)),  # type: ignore[union-attr]
        replace(SMALL, y=SMALL.row_ids, row_ids=SMALL.y),
        replace(SMALL, y=SMALL.y.view(np.uint64)),  # type: ignore[union-attr]
        replace(SMALL, X=csr(np.eye(3, dtype=np.float32), np.int64)),
        replace(SMALL, y=None, weights=SMALL.y),
        replace(SMALL, X=SMALL.X.astype(np.float64)),
        replace(SMALL, X=SMALL.X.toarray()),
        replace(SMALL, groups=np.zeros(3)),
        replace(SMALL, columns=("a", "b", "c", "d"), X=sp.csr_array(np.eye(3, 4, dtype=np.float32))),
    ],
)
def test_a_fingerprint_changes_with_any_part(changed: FeatureMatrix) -> None:
    assert changed.fingerprint != SMALL.fingerprint


def test_equal_content_has_an_equal_fingerprint_whatever_its_layout_in_memory() -> None:
    assert replace(DENSE, X=np.asfortranarray(DENSE.X)).fingerprint == DENSE.fingerprint


@pytest.mark.parametrize("matrix", [SMALL, DENSE])
def test_arrays_are_read_as_memory_maps(tmp_path: Path, matrix: FeatureMatrix) -> None:
    write_dataset(tmp_path / "d", Dataset(matrix))
    read = read_dataset(tmp_path / "d")
    assert read is not None
    for array in arrays_of(read.train).values():
        assert not array.flags.writeable
        assert any(isinstance(owner, np.memmap) for owner in owners(array))


def owners(array: Any) -> Iterator[Any]:
    while (array := getattr(array, "base", None)) is not None:
        yield array


def test_nbytes_counts_every_array() -> None:
    assert SMALL.nbytes == sum(array.nbytes for array in arrays_of(SMALL).values())


@pytest.mark.parametrize("wrong", [{"columns": ("a",)}, {"y": np.zeros(2)}, {"groups": np.zeros(4)}])
def test_parts_that_do_not_fit_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"\b(1|2|4)\b"):
        replace(SMALL, **wrong)


def test_nothing_pickled_is_written_or_read(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="allow_pickle"):
        write_dataset(tmp_path / "d", Dataset(replace(SMALL, y=np.array([None, "a", {}], dtype=object))))
    assert list(tmp_path.iterdir()) == []
    write_dataset(tmp_path / "d", Dataset(SMALL))
    path = tmp_path / "d/train/y.npy"
    np.save(path, np.array([None] * 3, dtype=object), allow_pickle=True)
    forge_sum(tmp_path / "d", "y", file_sha256(path))
    assert read_dataset(tmp_path / "d") is None


def forge_sum(directory: Path, array: str, digest: str) -> None:
    meta = json.loads((directory / "meta.json").read_text())
    meta["parts"]["train"]["sha256"][array] = digest
    describe(directory, json.dumps(meta))


def describe(directory: Path, text: str) -> None:
    """Write a cache's description as the package would, its sum included."""
    (directory / "meta.json").write_text(text)
    (directory / "meta.json.sha256").write_text(hashlib.sha256(text.encode()).hexdigest())


def test_a_failed_write_leaves_what_was_there(tmp_path: Path) -> None:
    write_dataset(tmp_path / "d", Dataset(SMALL))
    with pytest.raises(ValueError, match="allow_pickle"):
        write_dataset(tmp_path / "d", Dataset(replace(SMALL, y=np.array([None] * 3, dtype=object))))
    read = read_dataset(tmp_path / "d")
    assert read is not None
    assert_same(SMALL, read.train)
    assert [path.name for path in tmp_path.iterdir()] == ["d"]


def test_a_dataset_is_built_once(tmp_path: Path) -> None:
    built: list[int] = []

    def build() -> Dataset:
        built.append(1)
        return Dataset(SMALL)

    first, reused_first = cached_dataset(tmp_path, "k" * 64, build)
    second, reused_second = cached_dataset(tmp_path, "k" * 64, build)
    _, reused_other = cached_dataset(tmp_path, "l" * 64, build)
    assert (reused_first, reused_second, reused_other) == (False, True, False)
    assert len(built) == 2
    assert_same(first.train, second.train)


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("pristine") / ("k" * 32)
    write_dataset(directory, Dataset(SMALL, DENSE))
    return directory


@pytest.mark.parametrize("seed", range(200))
def test_a_damaged_cache_is_built_again(tmp_path: Path, pristine: Path, seed: int) -> None:
    rng = random.Random(seed)  # noqa: S311 (not a secret)
    stored = tmp_path / pristine.name
    shutil.copytree(pristine, stored)
    victim = rng.choice(sorted(path for path in stored.rglob("*") if path.is_file()))
    victim.write_bytes(garbled(victim.read_bytes(), rng))
    assert read_dataset(stored) is None
    dataset, reused = cached_dataset(tmp_path, "k" * 64, lambda: Dataset(SMALL, DENSE))
    assert not reused
    assert_same(SMALL, dataset.train)


@pytest.mark.parametrize("seed", range(200))
def test_a_well_signed_description_of_garbage_never_crashes(
    tmp_path: Path, pristine: Path, seed: int
) -> None:
    rng = random.Random(seed)  # noqa: S311 (not a secret)
    shutil.copytree(pristine, stored := tmp_path / "d")
    content = garbled((stored / "meta.json").read_bytes(), rng)
    describe(stored, content.decode("latin-1"))
    read = read_dataset(stored)
    assert read is None or isinstance(read, Dataset)


NONSENSE = [
    None,
    0,
    -1,
    10**30,
    1.5,
    "x",
    "",
    [],
    [0],
    [-1, -1],
    [10**12, 3],
    {},
    {"y": None},
    True,
    ["a", 1, None],
]


def paths_of(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where each value in a JSON document stands."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(deeper for key, item in items for deeper in paths_of(item, (*path, key)))]


def replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    changed = value.copy()
    changed[path[0]] = replaced(value[path[0]], path[1:], new)
    return changed


@pytest.mark.parametrize("nonsense", NONSENSE, ids=lambda value: repr(value)[:20])
def test_a_description_with_nonsense_anywhere_never_crashes(
    tmp_path: Path, pristine: Path, nonsense: Any
) -> None:
    shutil.copytree(pristine, stored := tmp_path / "d")
    meta = json.loads((stored / "meta.json").read_text())
    for path in paths_of(meta):
        describe(stored, json.dumps(replaced(meta, path, nonsense)))
        read = read_dataset(stored)
        assert read is None or isinstance(read, Dataset)


@pytest.mark.parametrize("lost", ["meta.json", "train/indptr.npy", "test/X.npy", "train", "."])
def test_a_cache_with_a_part_missing_is_absent(tmp_path: Path, pristine: Path, lost: str) -> None:
    shutil.copytree(pristine, stored := tmp_path / "d")
    victim = stored / lost
    victim.unlink() if victim.is_file() else shutil.rmtree(victim)
    assert read_dataset(stored) is None


@pytest.mark.parametrize("squatter", ["file", "link to nowhere", "empty directory"])
def test_whatever_stands_in_the_place_of_a_cache_is_replaced(tmp_path: Path, squatter: str) -> None:
    place = tmp_path / ("k" * 32)
    put: dict[str, Callable[[], object]] = {
        "file": lambda: place.write_text("x"),
        "link to nowhere": lambda: place.symlink_to(tmp_path / "nowhere"),
        "empty directory": place.mkdir,
    }
    put[squatter]()
    dataset, reused = cached_dataset(tmp_path, "k" * 64, lambda: Dataset(SMALL))
    assert not reused
    assert_same(SMALL, dataset.train)


def test_a_dataset_that_another_process_stored_meanwhile_is_used(tmp_path: Path, pristine: Path) -> None:
    theirs: list[int] = []

    def overtaken() -> Dataset:
        theirs.append(Path(shutil.copytree(pristine, tmp_path / pristine.name)).stat().st_ino)
        return Dataset(SMALL)

    dataset, reused = cached_dataset(tmp_path, "k" * 64, overtaken)
    assert reused
    assert_same(SMALL, dataset.train)
    assert [path.stat().st_ino for path in tmp_path.iterdir()] == theirs  # they may be reading it


def test_an_error_while_building_is_not_hidden(tmp_path: Path) -> None:
    def no_space() -> Dataset:
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space left"):
        cached_dataset(tmp_path, "k" * 64, no_space)


def key_of(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def test_beyond_its_limit_the_cache_drops_what_was_not_used_for_longest(tmp_path: Path) -> None:
    size = sum(file.stat().st_size for file in _stored(tmp_path, "a").glob("*/*.npy"))
    for age, name in ((4, "a"), (3, "b"), (2, "c")):
        _aged(_stored(tmp_path, name), days=age)
    mine = [tmp_path / "mine", tmp_path / "0123"]
    for path in mine:
        path.mkdir()
        _aged(path, days=9)
    in_use = read_dataset(tmp_path / key_of("b")[:32])
    _stored(tmp_path, "a")  # used again
    _stored(tmp_path, "d", limit=3 * size)
    assert {path.name for path in tmp_path.iterdir()} == {key_of(name)[:32] for name in "acd"} | {
        "mine",
        "0123",
    }
    assert in_use is not None
    assert_same(SMALL, in_use.train)
    _stored(tmp_path, "e", limit=0)
    assert {path.name for path in tmp_path.iterdir()} == {key_of("e")[:32], "mine", "0123"}


def _stored(cache: Path, name: str, limit: int = 1 << 40) -> Path:
    cached_dataset(cache, key_of(name), lambda: Dataset(SMALL), limit=limit)
    return cache / key_of(name)[:32]


def _aged(path: Path, *, days: float) -> None:
    then = time.time() - days * 24 * 3600
    os.utime(path, (then, then))


def test_what_a_killed_process_left_half_written_is_removed_a_day_later(tmp_path: Path) -> None:
    program = (
        "import os, signal, sys; from pathlib import Path; import numpy as np; from hptune import matrix;"
        "matrix._write_synced = lambda *_: os.kill(os.getpid(), signal.SIGKILL);"
        "dataset = matrix.Dataset(matrix.FeatureMatrix(X=np.eye(2), columns=('a', 'b')));"
        "matrix.cached_dataset(Path(sys.argv[1]), 'a' * 64, lambda: dataset)"
    )
    killed = subprocess.run([sys.executable, "-c", program, str(tmp_path)], timeout=60)
    assert killed.returncode == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    _stored(tmp_path, "b")
    assert left.is_dir()  # it might be at work still
    _aged(left, days=1.1)
    _stored(tmp_path, "c")
    assert not left.exists()
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("blocker", ["a file in the cache's place", "a file above it"])
def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path, blocker: str) -> None:
    (tmp_path / "file").write_text("x")
    cache = tmp_path / "file" if blocker.startswith("a file in") else tmp_path / "file" / "cache"
    with pytest.raises(OutputError, match="cannot keep feature matrices in .*: choose another with --cache"):
        cached_dataset(cache, "k" * 64, lambda: Dataset(SMALL))
