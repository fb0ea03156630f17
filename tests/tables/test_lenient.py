"""``data.strict: false``: bad rows are left out and listed; what is kept and what is rejected are all there are."""

from __future__ import annotations

import functools
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hptune.cli import main
from hptune.csv_files import INTEGER, LABEL, TEXT, TIME, read_sound_table, read_table
from hptune.errors import InputDataError
from hptune.features import load_talkingdata
from hptune.matrix import Dataset
from hptune.records import Reject
from hptune.tables import Roles, load_table
from tests.builders import examples
from tests.features.rawfiles import csv_text, example, write_raw, write_zip

Y = Roles(target="y")
lenient = functools.partial(load_table, strict=False, native=True)


def table(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "rows.csv"


def places(dataset: Dataset) -> list[tuple[int, int, str]]:
    assert {reject.file for reject in dataset.rejects} <= {"rows.csv", "test.csv"}
    return [(reject.line, reject.column, reject.problem) for reject in dataset.rejects]


@pytest.mark.parametrize(
    ("bad", "column", "problem"),
    [
        ("1", 2, "1 cells where the header has 3"),
        ("1,red,10,9", 4, "4 cells where the header has 3"),
        ("", 1, "blank row"),
        ("1,r\0d,10", 2, "bytes that are not UTF-8 text"),
        ("1,red,", 3, "'y' is the target and missing"),
        ("1,red,NaN", 3, "'y' is the target and missing"),
        ("1,red,-inf", 3, "'y' is the target and infinite"),
        ("1,red,ten", 3, "'y' holds 3 numbers but none here"),
        ("one,red,10", 1, "'a' holds 3 numbers but none here"),
        ("inf,red,10", 1, "'a' is infinite"),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_bad_row_is_left_out_with_its_place_and_cause(
    bad: str, column: int, problem: str, end: str, path: Path
) -> None:
    sound = ["a,b,y", "1,red,10", "2,blue,20", "", "3,red,30"]
    at = sound.index("")
    expected = lenient(table(path, end.join([*sound[:at], *sound[at + 1 :], ""])), Y).train
    sound[at] = bad
    dataset = lenient(table(path, end.join([*sound, ""])), Y)
    assert places(dataset) == [(at + 1, column, problem)]
    assert dataset.train.fingerprint == expected.fingerprint
    assert "1 of 4 rows of rows.csv are left out: rejects.csv says which and why" in dataset.notes


def test_latin_1_bytes_are_a_bad_row(path: Path) -> None:
    dataset = lenient(table(path, b"a,b,y\n1,red,10\n2,caf\xe9,20\n3,red,30\n"), Y)
    assert places(dataset) == [(3, 2, "bytes that are not UTF-8 text")]


def test_after_a_quote_that_never_ends_the_rest_is_one_bad_row(path: Path) -> None:
    dataset = lenient(table(path, 'a,b,y\n1,red,10\n2,blue,20\n3,"red,30\n4,blue,40\n'), Y)
    assert dataset.train.shape == (2, 2)
    assert places(dataset) == [(4, 2, "quoted cell that does not end")]


def test_lines_are_counted_through_line_breaks_in_cells_and_rows_that_went_before(path: Path) -> None:
    dataset = lenient(table(path, 'a,b,y\n1,"two\nlines",10\n\n2,blue,\n3,red,30\n4,red,inf\n'), Y)
    assert places(dataset) == [
        (4, 1, "blank row"),
        (5, 3, "'y' is the target and missing"),
        (7, 3, "'y' is the target and infinite"),
    ]


def test_roles_reject_their_rows(path: Path) -> None:
    rows = ["id,w,g,a,y", "1,1,u,1,1", "1,1,u,2,2", ",1,u,3,3", "4,-1,u,4,4", "5,1,,5,5", "6,1,v,6,6", ""]
    dataset = lenient(table(path, "\n".join(rows)), Roles("y", id="id", weight="w", group="g"))
    assert dataset.train.row_ids is not None and dataset.train.row_ids.tolist() == [1, 6]
    assert sorted(places(dataset)) == [
        (3, 1, "'id' is listed before"),
        (4, 1, "'id' is the id and missing"),
        (5, 2, "'w' is the weight and negative"),
        (6, 3, "'g' is the group and missing"),
    ]


def test_a_fraction_among_classes_is_a_bad_row(path: Path) -> None:
    dataset = lenient(table(path, "a,y\n1,1\n2,0\n3,0.5\n"), Y, classifier=True)
    assert places(dataset) == [(4, 2, "'y' is no class but a fraction")]
    assert dataset.train.classes == ("0", "1")


def test_bad_rows_of_the_test_file_are_left_out_too(path: Path) -> None:
    test = table(path.with_name("test.csv"), "a,id\n1,1\ninf,2\n3\n4,4\n")
    dataset = lenient(table(path, "id,a,y\n1,1,1\n2,2,2\n"), Roles("y", id="id"), test=test)
    assert dataset.test is not None and dataset.test.row_ids is not None
    assert dataset.test.row_ids.tolist() == [1, 4]
    assert {reject.file for reject in dataset.rejects} == {"test.csv"}
    assert sorted(places(dataset)) == [(3, 1, "'a' is infinite"), (4, 2, "1 cells where the header has 2")]


def test_rows_of_a_parquet_file_are_rejected_by_their_number(path: Path) -> None:
    parquet = path.with_name("rows.parquet")
    pq.write_table(pa.table({"a": [1.0, float("inf"), 3.0, 4.0], "y": [1.0, 2.0, None, 4.0]}), parquet)
    dataset = lenient(parquet, Y, format="parquet")
    assert dataset.train.shape == (2, 1)
    found = [(reject.line, reject.problem) for reject in dataset.rejects]
    assert found == [(2, "'a' is infinite"), (3, "'y' is the target and missing")]


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("", "is empty"),
        ("a,a,y\n1,2,3\n", "used before"),
        ("a,y\n1\n2\n", "no sound row"),
        ("a,y\n1,\n2,\n", "is missing in every row"),
        ("a,y\ninf,1\ninf,2\n", "is infinite (2 in all)"),
        ("a,y\n1,10\n2,\n", "is the same in all 1 rows"),
        ("a,when,y\n1,2016-05-01,1\n2,2016-05-02,2\n", "holds dates"),
    ],
)
def test_what_is_wrong_with_the_whole_is_an_error_still(content: str, what: str, path: Path) -> None:
    with pytest.raises(InputDataError) as caught:
        lenient(table(path, content), Y)
    assert what in str(caught.value)


def test_strict_reading_rejects_nothing_and_refuses(path: Path) -> None:
    table(path, "a,y\n1,1\n2,2\n3,inf\n")
    with pytest.raises(InputDataError, match=":4:2: 'y' is the target and infinite"):
        load_table(path, Y)


NUMBERS = ["1", "2.5", "-3", "0", " 7 "]
NUMERIC = re.compile(r"[-.\d ]+,[-.\d ]+,[-.\d ]+")
SOUND = ["1,2,10", "3,4,20"]  # of different targets: whatever stands beside them, there is something to learn
feature = st.sampled_from([*NUMBERS, "", "x", "inf", "NaN"])
target = st.sampled_from([*NUMBERS, "", "inf", "NaN"])
right_sized = st.tuples(feature, feature, target).map(",".join)
odd_sized = st.lists(feature, max_size=4).filter(lambda cells: len(cells) != 3).map(",".join)
# A single text among the targets is a typing error; of more the target would be text.
typing_error = st.lists(st.just("1,2,x"), max_size=1)


@st.composite
def files(draw: st.DrawFn) -> list[str]:
    """Rows, most of which have as many cells as the header."""
    rows = draw(st.lists(right_sized, max_size=20)) + draw(st.lists(odd_sized, max_size=4))
    return draw(st.permutations([*SOUND, *rows, *draw(typing_error)]))


@settings(max_examples=examples(5), deadline=None)
@given(files())
def test_kept_and_rejected_are_all_rows(tmp_path_factory: pytest.TempPathFactory, rows: list[str]) -> None:
    path = tmp_path_factory.mktemp("lenient") / "rows.csv"
    dataset = lenient(table(path, "\n".join(["a,b,y", *rows, ""])), Y)
    lines = [reject.line for reject in dataset.rejects]
    assert len(set(lines)) == len(lines)
    assert dataset.train.shape[0] + len(lines) == len(rows)
    kept = [text for line, text in enumerate(rows, start=2) if line not in lines]
    assert list(filter(NUMERIC.fullmatch, kept)) == list(filter(NUMERIC.fullmatch, rows))
    assert (
        lenient(table(path, "\n".join(["a,b,y", *kept, ""])), Y).train.fingerprint
        == dataset.train.fingerprint
    )


def test_sound_rows_are_read_as_strictly(tmp_path: Path) -> None:
    columns = {"i": INTEGER, "t": TIME, "l": LABEL, "x": TEXT}
    rows = "".join(f'{n}, {n} ,2016-05-{1 + n % 28:02} 10:00:00,"l,{n}",\n' for n in range(-50, 50))
    path = table(tmp_path / "rows.csv", f"\ufeffother,i,t,l,x\r\n{rows}")
    rejects: list[Reject] = []
    sound, lines = read_sound_table(path, columns, rejects)
    assert sound.equals(read_table(path, columns))
    assert lines.tolist() == list(range(2, 102)) and not rejects


def test_talkingdata_files_are_read_leniently_and_kept_so_in_the_cache(tmp_path: Path) -> None:
    sound, raw = (write_raw(tmp_path / name, example()) for name in ("sound", "raw"))
    bad = csv_text("gender_age_train", example()["gender_age_train"]) + "x,M,1,M22-\n1\n7,M,30,M29-31\n"
    write_zip(raw / "gender_age_train.csv.zip", {"gender_age_train.csv": bad})
    expected = load_talkingdata(sound).train.fingerprint
    with pytest.raises(InputDataError):
        load_talkingdata(raw, cache=tmp_path / "cache")
    for _ in range(2):
        dataset = load_talkingdata(raw, strict=False, cache=tmp_path / "cache")
        assert dataset.train.fingerprint == expected
        assert dataset.rejects == (
            Reject("gender_age_train.csv.zip", 4, 1, "device_id is not a whole number of 64 bits"),
            Reject("gender_age_train.csv.zip", 5, 2, "1 cells where the header has 4"),
            Reject("gender_age_train.csv.zip", 6, 1, "device_id is listed before"),
        )
        assert any("3 rows of gender_age_train.csv.zip are left out" in note for note in dataset.notes)
    assert load_talkingdata(sound, strict=False).rejects == ()


def sweep(path: Path, *extra: str) -> list[str]:
    out = ["--out", str(path.parent / "out"), "--engine", "serial", "-q"]
    space = ["--set", "search_space={n_estimators: [2]}", "--set", "data.strict=false", "--cv", "2"]
    return [
        *["sweep", "--data", str(path), "--target", "y", "--estimator", "xgboost.XGBRegressor"],
        *space,
        *out,
        *extra,
    ]


def test_the_command_writes_the_rejects_without_their_cells(path: Path) -> None:
    rows = "".join(f"{n},{n % 5}\n" for n in range(30))
    table(path, f"a,y\n{rows}hunter2,3\n7\n")
    assert main(sweep(path)) == 0
    text = (path.parent / "out" / "rejects.csv").read_text()
    assert text == (
        "file,line,column,problem\n"
        "rows.csv,33,2,1 cells where the header has 2\n"
        "rows.csv,32,1,'a' holds 30 numbers but none here\n"
    )
    table(path, f"a,y\n{rows}")
    assert main(sweep(path, "--overwrite")) == 0
    assert pd.read_csv(path.parent / "out" / "rejects.csv").empty
    assert main([*sweep(path, "--overwrite"), "--set", "data.strict=true"]) == 0
    assert not (path.parent / "out" / "rejects.csv").exists()


@pytest.mark.parametrize(
    ("setting", "what"),
    [("data.strict=maybe", "must be true or false"), ("data.format=npz", "data.strict has no meaning")],
)
def test_strict_is_refused_where_it_cannot_be_meant(
    setting: str, what: str, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table(path, "a,y\n1,1\n2,2\n")
    assert main([*sweep(path), "--set", setting]) == 2
    assert what in capsys.readouterr().err


def test_a_matrix_of_categories_forgets_those_of_rejected_rows(path: Path) -> None:
    dataset = lenient(table(path, "c,y\nred,1\nblue,2\nodd,\n"), Y)
    assert dataset.train.categories == {"c": ("blue", "red")}
    assert np.array_equal(dataset.train.X, [[1.0], [0.0]])


def test_a_file_without_a_sound_row_counts_its_own_rows(tmp_path: Path) -> None:
    raw = write_raw(tmp_path, example())
    bad = {"gender_age_train": csv_text("gender_age_train", example()["gender_age_train"]) + "8\n9\n"}
    bad["label_categories"] = csv_text("label_categories", []) + "x\ny\nz\n"
    for name, content in bad.items():
        write_zip(raw / f"{name}.csv.zip", {f"{name}.csv": content})
    said = r"label_categories.csv.zip has no sound row \(all 3 are malformed\)"
    with pytest.raises(InputDataError, match=said):
        load_talkingdata(raw, strict=False)
