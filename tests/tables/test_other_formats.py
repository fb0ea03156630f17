"""Parquet, libsvm and npz: the right rows, or one line that says what is wrong."""

from __future__ import annotations

import datetime
import decimal
import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import scipy.sparse as sp
from sklearn.datasets import load_svmlight_file

from hptune.errors import InputDataError
from hptune.tables import Roles, check_npz, load_libsvm, load_npz, load_table, table_format

Y = Roles(target="y")


def parquet(path: Path, **columns: Any) -> Path:
    pq.write_table(pa.table(columns), path)
    return path


def test_parquet_keeps_the_types_it_states(tmp_path: Path) -> None:
    path = parquet(
        tmp_path / "t.parquet",
        whole=[1, None, 3],
        part=[0.5, float("nan"), None],
        money=[decimal.Decimal("1.25"), None, decimal.Decimal("3.00")],
        flag=[True, None, False],
        digits=["10", "9", None],
        colour=pa.array(["red", None, "NA"]).dictionary_encode(),
        void=pa.nulls(3),
        y=[1, 2, 3],
    )
    train = load_table(path, Y, format="parquet", native=True).train
    nan = np.nan
    expected = [[1, 0.5, 1.25, 1, 0, 1, nan], [nan, nan, nan, nan, 1, nan, nan], [3, nan, 3, 0, nan, 0, nan]]
    assert np.array_equal(train.X, np.array(expected, dtype=np.float32), equal_nan=True)
    assert train.categories == {"digits": ("10", "9"), "colour": ("NA", "red")}


@pytest.mark.parametrize(
    ("cells", "what"),
    [
        ([datetime.date(2016, 5, 1), None], "'a' holds dates or times"),
        ([datetime.datetime(2016, 5, 1), None], "'a' holds dates or times"),
        (["2016-05-01", "2016-05-02"], "'a' holds dates or times"),
        ([[1], [2]], "'a' is of type list"),
        ([b"x", b"y"], "'a' is of type binary"),
        ([{"b": 1}, {"b": 2}], "'a' is of type struct"),
        ([1.0, float("inf")], "row 2: 'a' is infinite"),
    ],
)
def test_parquet_columns_that_are_no_features_are_refused(
    tmp_path: Path, cells: list[Any], what: str
) -> None:
    path = parquet(tmp_path / "t.parquet", a=cells, y=[1, 2])
    with pytest.raises(InputDataError) as caught:
        load_table(path, Y, format="parquet")
    assert what in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1 this is no footer PAR1"])
def test_a_damaged_parquet_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "t.parquet"
    path.write_bytes(content)
    with pytest.raises(InputDataError, match="no(t a)? sound Parquet"):
        load_table(path, Y, format="parquet")


def test_a_parquet_file_without_rows_is_refused(tmp_path: Path) -> None:
    path = parquet(tmp_path / "t.parquet", a=pa.array([], pa.int64()), y=pa.array([], pa.int64()))
    with pytest.raises(InputDataError, match="no rows"):
        load_table(path, Y, format="parquet")


def test_a_missing_target_in_parquet_is_placed_by_its_row(tmp_path: Path) -> None:
    path = parquet(tmp_path / "t.parquet", a=[1, 2, 3], y=[1.0, None, 3.0])
    with pytest.raises(InputDataError, match=r"row 2: 'y' is the target and missing \(1 in all\)"):
        load_table(path, Y, format="parquet")


LIBSVM = "1 1:0.5 3:2\n# a remark\n0 2:1\n1 1:1 # told\n"


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_libsvm_is_read_as_scikit_learn_reads_it(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"t.libsvm{suffix}"
    path.write_bytes(gzip.compress(LIBSVM.encode()) if suffix else LIBSVM.encode())
    train = load_libsvm(path, classifier=True).train
    X, y = load_svmlight_file(str(path))
    assert (train.X != X).nnz == 0
    assert train.y is not None and train.y.tolist() == y.tolist()
    assert train.classes == ("0", "1")


@pytest.mark.slow
def test_a_libsvm_file_that_unpacks_to_far_more_than_its_size_is_refused(tmp_path: Path) -> None:
    bomb, sound = tmp_path / "t.svm.gz", tmp_path / "sound.svm.gz"
    bomb.write_bytes(gzip.compress(LIBSVM.encode() + b"1 1:1\n" * (6 << 20)))
    sound.write_bytes(gzip.compress(LIBSVM.encode()))
    for train, test in ((bomb, None), (sound, bomb)):
        with pytest.raises(InputDataError, match=f"{bomb} would unpack to .* more than 200 times its size"):
            load_libsvm(train, test=test)


@pytest.mark.parametrize("length", [-9, 20])
def test_a_gzipped_libsvm_file_that_was_cut_short_is_refused(tmp_path: Path, length: int) -> None:
    path = tmp_path / "t.svm.gz"
    path.write_bytes(gzip.compress(LIBSVM.encode() * 100)[:length])
    with pytest.raises(InputDataError, match=f"{path} is not a sound gzip file"):
        load_libsvm(path)


def test_query_ids_become_groups(tmp_path: Path) -> None:
    path = tmp_path / "t.libsvm"
    path.write_text("1 qid:7 1:1\n2 qid:7 1:2\n3 qid:9 1:3\n")
    groups = load_libsvm(path).train.groups
    assert groups is not None and groups.tolist() == [7, 7, 9]


def test_libsvm_test_rows_have_the_training_columns(tmp_path: Path) -> None:
    train, test = tmp_path / "a.libsvm", tmp_path / "b.libsvm"
    train.write_text("1 1:1 5:1\n2 2:1\n")
    test.write_text("0 2:1\n")
    dataset = load_libsvm(train, test=test)
    assert dataset.test is not None and dataset.test.columns == dataset.train.columns


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("1 1:1\nred 1:2\n", ":2: the line is not like"),
        ("1 1:1\n2 1=2\n", ":2: the line is not like"),
        ("1 1:1\n2 2:1 1:1\n", ":2: the line is not like"),
        ("1 1:1\n2 1:inf\n", "row 2 holds an infinite number"),
        ("1 1:1\nnan 1:2\n", "row 2: 'target' is the target and missing"),
        ("1 1:1\n1 1:2\n", "the same in all 2 rows"),
        ("", "has 0 rows"),
    ],
)
def test_malformed_libsvm_is_refused(tmp_path: Path, content: str, what: str) -> None:
    path = tmp_path / "t.libsvm"
    path.write_text(content)
    with pytest.raises(InputDataError) as caught:
        load_libsvm(path)
    assert what in str(caught.value)
    assert str(path) in str(caught.value) or "same in all" in what


def test_dense_npz_with_names_ids_weights_and_groups(tmp_path: Path) -> None:
    path = tmp_path / "t.npz"
    X = np.array([[1, np.nan], [3, 4.0]], dtype=np.float32)
    np.savez(path, X=X, y=["b", "a"], columns=["p", "q"], i=[7, 8], w=[1, 2], g=["u", "u"])
    train = load_npz(path, Roles(id="i", weight="w", group="g"), classifier=True).train
    assert train.X.dtype == np.float32 and np.array_equal(train.X, X, equal_nan=True)
    assert (train.columns, train.classes) == (("p", "q"), ("a", "b"))
    assert train.y is not None and train.y.tolist() == [1, 0]
    assert train.row_ids is not None and train.row_ids.tolist() == [7, 8]


def test_sparse_npz_as_scipy_writes_it_with_a_target_beside(tmp_path: Path) -> None:
    X = sp.csr_array(np.array([[0, 1.0], [2, 0]]))
    sp.save_npz(tmp_path / "plain.npz", X)
    with np.load(tmp_path / "plain.npz") as saved:
        np.savez(tmp_path / "t.npz", y=[1.0, 2.0], **saved)
    train = load_npz(tmp_path / "t.npz", Roles(), test=tmp_path / "plain.npz")
    assert (train.train.X != X).nnz == 0
    assert train.test is not None and (train.test.X != X).nnz == 0


SOUND: dict[str, Any] = {"X": np.eye(2), "y": np.array([1.0, 2.0])}


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"X": np.array([[1, {}], [2, 3]], dtype=object)}, "needs a pickle"),
        ({"y": np.array([1, {}], dtype=object)}, "needs a pickle"),
        ({"X": np.ones(2)}, "no matrix of numbers"),
        ({"X": np.array([["a"], ["b"]])}, "no matrix of numbers"),
        ({"X": np.array([[1, np.inf], [1, 2]])}, "row 1 holds an infinite number"),
        ({"X": np.empty((0, 2)), "y": np.empty(0)}, "has 0 rows"),
        ({"y": np.ones(3)}, "has shape (3,) for 2 rows"),
        ({"y": np.array([1.0, np.nan])}, "row 2: 'y' is the target and missing"),
        ({"y": np.array([1 + 2j, 1])}, "is of type complex128"),
        ({"columns": np.array(["a", "a"])}, "does not name each of the 2 columns"),
    ],
)
def test_npz_arrays_that_cannot_be_learned_from_are_refused(
    tmp_path: Path, changes: dict[str, Any], what: str
) -> None:
    path = tmp_path / "t.npz"
    np.savez(path, **{**SOUND, **changes})
    with pytest.raises(InputDataError) as caught:
        load_npz(path, Roles())
    assert what in str(caught.value)


def test_a_pickle_under_an_npz_name_is_not_run(tmp_path: Path) -> None:
    path, trace = tmp_path / "t.npz", tmp_path / "trace"
    path.write_bytes(f"cposix\nsystem\n(S'touch {trace}'\ntR.".encode())
    with pytest.raises(InputDataError):
        load_npz(path, Roles())
    assert not trace.exists()


def test_an_npz_without_features_or_target_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", y=[1, 2])
    with pytest.raises(InputDataError, match="neither an array X"):
        check_npz(tmp_path / "a.npz", Roles())
    np.savez(tmp_path / "b.npz", X=np.eye(2))
    with pytest.raises(InputDataError, match="no array 'y'"):
        check_npz(tmp_path / "b.npz", Roles())


def test_sparse_arrays_that_do_not_fit_together_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "t.npz", data=[1.0], indices=[9], indptr=[0, 1], shape=[1, 2], y=[1.0])
    with pytest.raises(InputDataError, match="do not fit together"):
        load_npz(tmp_path / "t.npz", Roles())


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.csv", b"", "csv"),
        ("a.CSV.GZ", b"", "csv"),
        ("a.csv.zip", b"", "csv"),
        ("a.pq", b"", "parquet"),
        ("a.svm.gz", b"", "libsvm"),
        ("a.npz", b"", "npz"),
        ("a", b"PAR1....", "parquet"),
        ("a.data", b"PK\x03\x04", "npz"),
        ("a.txt", b"1 qid:3 1:0.5 4:2 # x\n", "libsvm"),
        ("a.txt", b"-1.5e3 1:0.5\n", "libsvm"),
        ("a.txt", b"x,y\n1,2\n", "csv"),
        ("a.gz", gzip.compress(b"1 1:1\n", mtime=0), "libsvm"),
        ("a.gz", b"no gzip", "csv"),
    ],
)
def test_a_format_is_told_by_name_else_by_content(
    tmp_path: Path, name: str, content: bytes, expected: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert table_format(path) == expected
