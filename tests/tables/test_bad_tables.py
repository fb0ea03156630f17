"""A malformed or odd table gives one line that names the place, or the right rows; none is lost silently."""

from __future__ import annotations

import gzip
import zipfile
from pathlib import Path

import numpy as np
import pytest

from hptune.errors import InputDataError
from hptune.matrix import Dataset
from hptune.tables import Roles, check_table, load_table

ROLES = Roles(target="y")
SOUND = "a,b,y\n1,red,10\n2,blue,20\n3,red,30\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "table.csv"


def load(
    path: Path, content: str | bytes, roles: Roles = ROLES, *, classifier: bool = False, native: bool = True
) -> Dataset:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return load_table(path, roles, classifier=classifier, native=native)


def refusal(path: Path, content: str | bytes, roles: Roles = ROLES, *, classifier: bool = False) -> str:
    with pytest.raises(InputDataError) as caught:
        load(path, content, roles, classifier=classifier)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("content", "place", "what"),
    [
        ("", "", "is empty"),
        ("a,b,y\n", "", "has a header but no rows"),
        ("a,b,y\n1,red\n2,blue,20\n", ":2:3", "2 cells where the header has 3"),
        ("a,b,y\n1,red,10,9\n2,blue,20\n", ":2:4", "4 cells where the header has 3"),
        ("a,b,y\n1,red,10\n\n2,blue,20\n", ":3:1", "blank row"),
        ("a,b,y\n1,red,10\n2,blue,20\n\n", ":4:1", "blank row"),
        ("a,b,y\r\n1,red,10\r\n\r\n2,blue,20\r\n", ":3:1", "blank row"),
        ('a,b,y\n1,"red,10\n2,blue,20\n', ":2:2", "quoted cell that does not end"),
        ("a,b,y\n1,r\0d,10\n2,blue,20\n", ":2:2", "bytes that are not UTF-8 text"),
        (b"a,b,y\n1,red,10\n2,caf\xe9,20\n", ":3:2", "bytes that are not UTF-8 text"),
        ("a,a,y\n1,2,3\n4,5,6\n", ":1:2", "the column name 'a' is used before"),
        ("a,,y\n1,2,3\n4,5,6\n", ":1:2", "the column has no name"),
        (",a,y\n0,1,3\n1,5,6\n", ":1:1", "the column has no name"),
        ("a;b;y\n1;2;3\n", ":1:1", "separated by semicolons"),
        ("a\tb\ty\n1\t2\t3\n", ":1:1", "separated by tabs"),
        ("a,b,z\n1,2,3\n4,5,6\n", "", "has no column 'y'"),
        ("y\n1\n2\n", "", "no columns to learn from"),
        ("a,y\n1,10\n2,\n3,30\n", ":3:2: 'y'", "is the target and missing (1 in all)"),
        ("a,y\n1,10\n2,NaN\n3,nan\n", ":3:2: 'y'", "is the target and missing (2 in all)"),
        ("a,y\n1,10\n2,   \n3,30\n", ":3:2: 'y'", "is the target and missing (1 in all)"),
        ("a,y\n1,10\n2,inf\n3,30\n", ":3:2: 'y'", "is the target and infinite (1 in all)"),
        ("a,y\n1,10\n2,10\n3,10\n", "'y'", "is the same in all 3 rows"),
        ("a,y\n1,\n2,\n", "'y'", "is missing in every row"),
        ("a,y\n1,red\n2,blue\n", "'y'", "holds text, and the estimator is no classifier"),
        ("a,y\n1,2020-01-01\n2,2020-01-02\n", "'y'", "holds dates"),
        ("a,y\n1,1\n2,2\nx,3\n4,4\n", ":4:1: 'a'", "holds 3 numbers but none here (1 in all)"),
        ("a,y\n1,10\n-inf,20\n", ":3:1: 'a'", "is infinite (1 in all)"),
        ("a,y\n1e999,10\n2,20\n", ":2:1: 'a'", "is infinite (1 in all)"),
        ("a,when,y\n1,2016-05-01,1\n2,2016-05-02 10:00,2\n", "'when'", "holds dates or times"),
        ("a,when,y\n1,01/05/2016,1\n2,31.12.2016,2\n", "'when'", "holds dates or times"),
        ("a,when,y\n1,10:30,1\n2,11:45:10,2\n", "'when'", "holds dates or times"),
    ],
)
def test_a_malformed_table_is_refused_with_its_place(
    path: Path, content: str | bytes, place: str, what: str
) -> None:
    message = refusal(path, content)
    assert place in message
    assert what in message
    assert str(path) in message or place == "'y'"


def test_the_hint_for_dates_says_what_to_make_of_them(path: Path) -> None:
    assert "year, month, weekday" in refusal(path, "when,y\n2016-05-01,1\n2016-05-02,2\n")


def test_a_cells_value_is_never_told(path: Path) -> None:
    assert "hunter2" not in refusal(path, "a,y\n1,1\n2,2\nhunter2,3\n4,4\n")


def test_a_wrong_cell_deep_in_a_file_with_line_breaks_in_cells_is_found_by_its_line(path: Path) -> None:
    rows = "".join(f'"two\nlines",{i}\n' for i in range(100))
    assert f"{path}:202:2: 'y' is the target and missing" in refusal(path, f"a,y\n{rows}x,\n")


@pytest.mark.parametrize("fraction", ["1.5", "0.25"])
def test_a_fraction_is_no_class(path: Path, fraction: str) -> None:
    message = refusal(path, f"a,y\n1,1\n2,{fraction}\n", classifier=True)
    assert f"{path}:3:2: 'y' is no class but a fraction" in message


@pytest.mark.parametrize(
    ("cell", "what"),
    [("-1", "negative"), ("", "missing"), ("nan", "missing"), ("inf", "infinite")],
)
def test_a_weight_that_is_none_is_named(path: Path, cell: str, what: str) -> None:
    content = f"a,w,y\n1,1,10\n2,{cell},20\n"
    assert f"{path}:3:2: 'w' is the weight and {what}" in refusal(path, content, Roles("y", weight="w"))


@pytest.mark.parametrize(("cells", "what"), [(("x", "y"), "no numbers"), (("0", "0"), "all 0")])
def test_weights_that_weigh_nothing_are_refused(path: Path, cells: tuple[str, str], what: str) -> None:
    content = f"a,w,y\n1,{cells[0]},10\n2,{cells[1]},20\n"
    assert what in refusal(path, content, Roles("y", weight="w"))


def test_an_id_listed_twice_is_named(path: Path) -> None:
    content = "id,a,y\n7,1,1\n8,2,2\n7,3,3\n7,4,4\n"
    assert f"{path}:4:1: 'id' is listed before (2 in all)" in refusal(path, content, Roles("y", id="id"))


@pytest.mark.parametrize(("role", "what"), [("id", "is the id"), ("group", "is the group")])
def test_a_missing_id_or_group_is_named(path: Path, role: str, what: str) -> None:
    roles = Roles(target="y", **{role: "k"})
    assert f"{path}:3:1: 'k' {what} and missing" in refusal(path, "k,a,y\n1,1,1\n,2,2\n", roles)


def test_one_column_cannot_have_two_roles(path: Path) -> None:
    assert "'a' is named for two things" in refusal(path, SOUND, Roles("y", id="a", group="a"))


def test_a_misspelt_target_is_guessed(path: Path) -> None:
    assert "did you mean 'price'?" in refusal(path, "a,price\n1,2\n3,4\n", Roles("prize"))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputDataError, match="no file"):
        load_table(tmp_path / "nowhere.csv", ROLES)


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbf" + SOUND.encode(),
        SOUND.replace("\n", "\r\n").encode(),
        SOUND.rstrip("\n").encode(),
        SOUND.replace("red", '"red"').encode(),
        SOUND.replace("a,", '"a",', 1).encode(),
        SOUND.replace("1,", " 1 ,", 1).encode(),
    ],
    ids=["BOM", "CRLF", "no last line end", "quotes", "quoted header", "spaces around a number"],
)
def test_odd_but_sound_bytes_change_nothing(path: Path, content: bytes) -> None:
    expected, found = load(path, SOUND).train, load(path, content).train
    assert found.fingerprint == expected.fingerprint
    assert found.shape == (3, 2)


@pytest.mark.parametrize("suffix", [".gz", ".zip"])
def test_a_packed_table_is_the_same(tmp_path: Path, suffix: str) -> None:
    packed = tmp_path / f"table.csv{suffix}"
    if suffix == ".gz":
        packed.write_bytes(gzip.compress(SOUND.encode()))
    else:
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("table.csv", SOUND)
    expected = load(tmp_path / "table.csv", SOUND).train
    assert load_table(packed, ROLES, native=True).train.fingerprint == expected.fingerprint


@pytest.mark.parametrize("damage", ["cut short", "no gzip", "flipped"])
def test_a_damaged_gzip_is_refused(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "table.csv.gz"
    sound = gzip.compress(SOUND.encode() * 100)
    flipped = bytearray(sound)
    flipped[len(sound) // 2] ^= 0xFF
    contents = {"cut short": sound[:-9], "no gzip": SOUND.encode(), "flipped": bytes(flipped)}
    assert f"{path}" in refusal(path, contents[damage])


def test_a_gzip_bomb_is_refused(tmp_path: Path) -> None:
    bomb = gzip.compress(b"a,y\n" + b"1,1\n" * (8 << 20))
    assert "more than 200 times its size" in refusal(tmp_path / "bomb.csv.gz", bomb)


@pytest.mark.parametrize("quote", ["", '"'])
def test_a_cell_of_a_million_characters_is_a_category_like_another(path: Path, quote: str) -> None:
    giant = "x" * 1_000_000
    train = load(path, f"a,y\n{quote}{giant}{quote},1\nshort,2\n").train
    assert train.categories == {"a": ("short", giant)}
    assert train.X.tolist() == [[1.0], [0.0]]


def test_an_error_after_a_cell_of_a_million_characters_is_still_placed(path: Path) -> None:
    giant = "x" * 1_000_000
    assert f"{path}:3:2: 'y' is the target and missing" in refusal(path, f'a,y\n"{giant}",1\nshort,\n')


def test_a_column_that_is_missing_in_every_row_is_kept_and_told(path: Path) -> None:
    dataset = load(path, "a,void,y\n1,,1\n2,NA,2\n")
    assert dataset.train.columns == ("a", "void")
    assert np.isnan(dataset.train.X[:, 1]).all()
    assert any("'void' is missing in every row" in note for note in dataset.notes)


def test_many_texts_among_numbers_make_a_text_column_and_are_told(path: Path) -> None:
    rows = "".join(f"{code},{at}\n" for at, code in enumerate(["A1", "B2", "17", "C3", "18"]))
    dataset = load(path, f"ticket,y\n{rows}")
    assert dataset.train.categories["ticket"] == ("17", "18", "A1", "B2", "C3")
    assert any("2 of its cells look like numbers" in note for note in dataset.notes)


def test_every_row_arrives_whatever_is_missing_in_it(path: Path) -> None:
    rows = "".join(f"{'' if i % 3 else i},{'' if i % 5 else 'w'},{i}\n" for i in range(1000))
    train = load(path, f"a,b,y\n{rows}").train
    assert train.shape == (1000, 2)
    assert train.y is not None
    assert train.y.tolist() == list(range(1000))
    assert int(np.isnan(train.X[:, 0]).sum()) == sum(1 for i in range(1000) if i % 3)


HOSTILE = [
    "=cmd()",
    "<script>alert(1)</script>",
    "🙂",
    "two\nlines",
    "[",
    "<",
    "]",
    "a" * (1 << 20),
    "@x",
    "+1x",
]


@pytest.mark.parametrize("native", [True, False])
def test_hostile_names_give_the_matrix_of_plain_ones(path: Path, native: bool) -> None:
    def table(words: list[str], column: str) -> str:
        quoted = ['"' + word.replace('"', '""') + '"' for word in sorted(words)]
        rows = "".join(f"{quoted[i % len(quoted)]},{i}\n" for i in range(40))
        return f"{column},y\n{rows}"

    plain = load(path, table([f"w{i}" for i in range(len(HOSTILE))], "plain"), native=native).train
    hostile = load(path, table(HOSTILE, "[<=]"), native=native).train
    assert np.array_equal(hostile.X, plain.X)


def test_a_header_that_is_not_utf_8_is_told_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes("x,größe,y\n1,2,3\n".encode("latin-1"))
    with pytest.raises(InputDataError, match=r"t\.csv:1:2: the header is not UTF-8: save the file as UTF-8"):
        check_table(tmp_path / "t.csv", Roles(target="y"))
