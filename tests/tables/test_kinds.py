"""What a table's cells mean: kinds, missing values, categories, classes, ids, groups and test rows."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hptune.errors import InputDataError
from hptune.matrix import read_dataset, write_dataset
from hptune.tables import Roles, load_table
from tests.builders import examples

Y = Roles(target="y")


def write(path: Path, content: str) -> Path:
    path.write_text(content, encoding="utf-8")
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "table.csv"


def test_numbers_booleans_and_text_are_told_apart(path: Path) -> None:
    write(path, "n,flag,colour,y\n1.5,true,red,1\n,FALSE,,2\n-2e3,,blue,3\n")
    train = load_table(path, Y, native=True).train
    expected = np.array([[1.5, 1, 1], [np.nan, 0, np.nan], [-2000, np.nan, 0]], dtype=np.float32)
    assert np.array_equal(train.X, expected, equal_nan=True)
    assert train.categories == {"colour": ("blue", "red")}
    assert train.feature_types == ("q", "q", "c")


def test_one_hot_has_a_column_for_each_text_and_none_for_a_missing_one(path: Path) -> None:
    write(path, "n,colour,y\n1,red,1\n2,,2\n3,blue,3\n")
    train = load_table(path, Y).train
    assert train.columns == ("n", "colour=blue", "colour=red")
    assert train.X.tolist() == [[1, 0, 1], [2, 0, 0], [3, 1, 0]]
    assert train.feature_types is None


def test_one_hot_columns_that_clash_are_refused(path: Path) -> None:
    write(path, "c,c=a,y\na,1,1\nb,2,2\n")
    with pytest.raises(InputDataError, match="two one-hot columns are called 'c=a'"):
        load_table(path, Y)


@pytest.mark.parametrize(
    ("cells", "classes", "codes"),
    [
        (("b", "a", "b"), ("a", "b"), [1, 0, 1]),
        (("10", "9", "10"), ("9", "10"), [1, 0, 1]),
        (("true", "false", "true"), ("False", "True"), [1, 0, 1]),
        (("2.0", "1", "2"), ("1", "2"), [1, 0, 1]),
        (("=cmd()", "<b>", "=cmd()"), ("<b>", "=cmd()"), [1, 0, 1]),
    ],
)
def test_a_classifiers_target_becomes_codes_with_labels(
    path: Path, cells: tuple[str, ...], classes: tuple[str, ...], codes: list[int]
) -> None:
    write(path, "a,y\n" + "".join(f"{i},{cell}\n" for i, cell in enumerate(cells)))
    train = load_table(path, Y, classifier=True).train
    assert train.classes == classes
    assert train.y is not None
    assert train.y.tolist() == codes


@pytest.mark.parametrize(
    ("cells", "ids"),
    [
        (("9007199254740993", "-7"), [9007199254740993, -7]),
        (("007", "7"), ["007", "7"]),
        (("1.0", "1"), ["1.0", "1"]),
        (("99999999999999999999", "1"), ["99999999999999999999", "1"]),
        (("x y", "é"), ["x y", "é"]),
        (("2020-01-01", "2020-01-02"), ["2020-01-01", "2020-01-02"]),
    ],
)
def test_ids_stay_as_they_are_written(path: Path, cells: tuple[str, str], ids: list[object]) -> None:
    write(path, f"id,a,y\n{cells[0]},1,1\n{cells[1]},2,2\n")
    train = load_table(path, Roles("y", id="id")).train
    assert train.row_ids is not None
    assert train.row_ids.tolist() == ids
    assert train.columns == ("a",)


def test_weights_and_groups_are_no_features(path: Path) -> None:
    write(path, "a,w,g,y\n1,0.5,u,1\n2,2,v,2\n3,0,u,3\n")
    train = load_table(path, Roles("y", weight="w", group="g")).train
    assert train.columns == ("a",)
    assert train.weights is not None and train.weights.tolist() == [0.5, 2, 0]
    assert train.groups is not None and train.groups.tolist() == [0, 1, 0]


def two(tmp_path: Path, train: str, test: str) -> tuple[Path, Path]:
    return write(tmp_path / "train.csv", train), write(tmp_path / "test.csv", test)


TRAIN = "id,n,colour,y\n1,1,red,10\n2,2,blue,20\n3,,red,30\n"


@pytest.mark.parametrize("native", [True, False])
def test_test_rows_stand_in_the_columns_of_the_training_rows(tmp_path: Path, native: bool) -> None:
    train, test = two(tmp_path, TRAIN, "colour,id,n\nblue,8,5\nred,9,\n")
    dataset = load_table(train, Roles("y", id="id"), test=test, native=native)
    assert dataset.test is not None and dataset.test.row_ids is not None
    assert dataset.test.columns == dataset.train.columns
    assert dataset.test.row_ids.tolist() == [8, 9]
    expected = [[5, 0], [math.nan, 1]] if native else [[5, 1, 0], [math.nan, 0, 1]]
    assert np.array_equal(dataset.test.X, np.array(expected), equal_nan=True)
    assert dataset.notes == ()


@pytest.mark.parametrize("native", [True, False])
def test_unseen_categories_count_as_missing_and_are_told(tmp_path: Path, native: bool) -> None:
    train, test = two(tmp_path, TRAIN, "id,n,colour\n7,1,green\n8,1,\n9,1,2016-05-01\n")
    dataset = load_table(train, Roles("y", id="id"), test=test, native=native)
    assert dataset.test is not None
    row = [1, math.nan] if native else [1, 0, 0]
    assert np.array_equal(dataset.test.X, np.array([row] * 3), equal_nan=True)
    note = "2 test rows have a 'colour' that no training row has: taken as missing"
    assert dataset.notes == (note,)


def test_codes_of_digits_in_the_test_file_are_still_categories(tmp_path: Path) -> None:
    train, test = two(tmp_path, "c,y\n1,1\nA,2\nB,3\n1,4\n", "c\n1\n1\n")
    dataset = load_table(train, Y, test=test, native=True)
    assert dataset.test is not None
    assert dataset.test.X.tolist() == [[0.0], [0.0]]


def test_the_test_files_target_and_columns_of_its_own_are_told_and_not_used(tmp_path: Path) -> None:
    train, test = two(tmp_path, TRAIN, "id,n,colour,y,extra\n7,1,red,5,6\n")
    dataset = load_table(train, Roles("y", id="id"), test=test)
    assert dataset.test is not None and dataset.test.y is None
    assert any("not used: 'y', 'extra'" in note for note in dataset.notes)


@pytest.mark.parametrize(
    ("test", "what"),
    [
        ("id,n\n7,1\n", "has no column 'colour'"),
        ("id,n,colour\n7,x,red\n8,y,red\n", "column 'n' holds text but numbers in the training file"),
        ("id,n,colour\n7,inf,red\n", ":2:2: 'n' is infinite"),
        ("n,colour\n7,red\n", "has no column 'id'"),
        ("id,n,colour\n7,1,red\n7,1,red\n", ":3:1: 'id' is listed before"),
        ("id,n,colour\n", "has a header but no rows"),
        ("id,n,colour\n7,1\n", ":2:3: 2 cells"),
    ],
)
def test_test_rows_that_do_not_fit_are_refused(tmp_path: Path, test: str, what: str) -> None:
    paths = two(tmp_path, TRAIN, test)
    with pytest.raises(InputDataError) as caught:
        load_table(paths[0], Roles("y", id="id"), test=paths[1])
    assert what in str(caught.value)
    assert str(paths[1]) in str(caught.value)


def test_a_column_that_training_lacks_values_for_is_not_used_in_test_rows(tmp_path: Path) -> None:
    train, test = two(tmp_path, "a,void,y\n1,,1\n2,,2\n", "a,void\n1,9\n")
    dataset = load_table(train, Y, test=test)
    assert dataset.test is not None and np.isnan(dataset.test.X[0, 1])
    assert any("'void' is not used" in note for note in dataset.notes)


def test_what_was_found_is_told_a_line_a_column(path: Path) -> None:
    write(path, "id,n,colour,\x1b[31mred,y\n1,1,red,1,a\n2,,blue,0,b\n")
    told: list[str] = []
    load_table(path, Roles("y", id="id"), classifier=True, progress=told.append)
    lines = [line.split() for line in told[0].splitlines()]
    assert ["n", "number", "1"] in lines
    assert ["colour", "category,", "2", "values", "0"] in lines
    assert ["id", "id", "0"] in lines
    assert ["y", "target,", "classes", "0"] in lines
    assert "\x1b" not in told[0]


def test_categories_survive_the_cache(path: Path, tmp_path: Path) -> None:
    write(path, "colour,y\nred,1\n=é,2\n")
    dataset = load_table(path, Y, native=True)
    write_dataset(tmp_path / "cache", dataset)
    again = read_dataset(tmp_path / "cache")
    assert again is not None
    assert again.train.categories == dataset.train.categories
    assert again.train.fingerprint == dataset.train.fingerprint


def test_other_categories_are_another_matrix(path: Path) -> None:
    first = load_table(write(path, "colour,y\nred,1\nblue,2\n"), Y, native=True).train
    second = load_table(write(path, "colour,y\nsea,1\nair,2\n"), Y, native=True).train
    assert np.array_equal(first.X, second.X)
    assert first.fingerprint != second.fingerprint


cells = st.one_of(
    st.just(""),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.integers(-(2**60), 2**60).map(str),
)


@settings(max_examples=examples(2), deadline=None)
@given(st.lists(cells, min_size=2, max_size=30).filter(lambda column: any(column)))
def test_numbers_are_read_as_python_reads_them_to_the_last_bit(
    tmp_path_factory: pytest.TempPathFactory, column: list[str]
) -> None:
    path = tmp_path_factory.mktemp("numbers") / "table.csv"
    write(path, "a,y\n" + "".join(f"{cell},{i}\n" for i, cell in enumerate(column)))
    expected = np.array([float(cell) if cell else np.nan for cell in column])
    assert np.array_equal(load_table(path, Y).train.X[:, 0], expected, equal_nan=True)
