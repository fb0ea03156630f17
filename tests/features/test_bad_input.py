"""Whatever is wrong with the raw files is one line that names the place."""

from __future__ import annotations

import tempfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hptune.errors import InputDataError
from hptune.features import check_talkingdata, load_talkingdata
from tests.builders import examples
from tests.features.rawfiles import csv_text, example, write_raw, write_zip


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return write_raw(tmp_path / "raw", example())


def replace(directory: Path, name: str, content: str | bytes) -> Path:
    """Put `content` in the place of a raw file."""
    (directory / f"{name}.csv.zip").unlink()
    path = directory / f"{name}.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def refusal(directory: Path) -> str:
    with pytest.raises(InputDataError) as caught:
        load_talkingdata(directory)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def early_refusal(directory: Path) -> str:
    with pytest.raises(InputDataError) as caught:
        check_talkingdata(directory)
    assert str(caught.value) == refusal(directory)
    return str(caught.value)


def test_sound_files_pass_the_early_check(directory: Path) -> None:
    check_talkingdata(directory)


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    assert f"no directory {tmp_path / 'nowhere'}" in early_refusal(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["gender_age_train", "phone_brand_device_model"])
def test_a_missing_required_file_is_named(directory: Path, name: str) -> None:
    (directory / f"{name}.csv.zip").unlink()
    assert f"holds neither {name}.csv.zip nor {name}.csv" in early_refusal(directory)


def test_a_zip_that_is_none_is_named(directory: Path) -> None:
    (directory / "events.csv.zip").write_text("no zip")
    assert "events.csv.zip is not a sound zip archive" in early_refusal(directory)


def test_a_truncated_zip_is_named(directory: Path) -> None:
    path = directory / "events.csv.zip"
    path.write_bytes(path.read_bytes()[:-30])
    assert "events.csv.zip is not a sound zip archive" in early_refusal(directory)


def test_a_zip_whose_bytes_do_not_match_their_checksum_is_named(directory: Path) -> None:
    path = directory / "events.csv.zip"
    with zipfile.ZipFile(path, "w") as archive:  # stored, so that the change below leaves it readable
        archive.writestr("events.csv", csv_text("events", example()["events"]))
    path.write_bytes(path.read_bytes().replace(b"10:00:00", b"11:00:00"))
    assert "events.csv.zip is not a sound zip archive" in refusal(directory)


@pytest.mark.parametrize("members", [{}, {"a.csv": "x", "b.csv": "x"}, {"readme.txt": "x"}])
def test_a_zip_holds_exactly_one_csv(directory: Path, members: dict[str, str]) -> None:
    write_zip(directory / "events.csv.zip", members)
    assert "must hold exactly one CSV file" in early_refusal(directory)


def test_a_member_without_a_name_is_no_csv(directory: Path) -> None:
    write_zip(directory / "events.csv.zip", {"": csv_text("events", example()["events"])})
    assert "must hold exactly one CSV file" in early_refusal(directory)


def test_the_shadow_files_of_macos_are_overlooked(directory: Path) -> None:
    text = csv_text("events", example()["events"])
    write_zip(directory / "events.csv.zip", {"events.csv": text, "__MACOSX/._events.csv": "x"})
    assert load_talkingdata(directory).train.shape == (2, load_talkingdata(directory).train.shape[1])


@pytest.mark.parametrize(
    "name", ["../events.csv", "/events.csv", "a/../../events.csv", "C:\\events.csv", "..\\e.csv"]
)
def test_member_names_that_leave_the_directory_are_refused(directory: Path, name: str) -> None:
    write_zip(directory / "events.csv.zip", {name: csv_text("events", example()["events"])})
    assert "unsafe name" in early_refusal(directory)


def test_links_in_a_zip_are_refused(directory: Path) -> None:
    link = zipfile.ZipInfo("events.csv")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(directory / "events.csv.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    assert "unsafe name or a link" in early_refusal(directory)


def test_a_zip_bomb_is_refused_before_it_unpacks(directory: Path) -> None:
    header = csv_text("events", [])
    write_zip(directory / "events.csv.zip", {"events.csv": header + "0" * (40 << 20)})
    assert "would unpack to" in early_refusal(directory)


def test_an_encrypted_zip_is_refused(directory: Path) -> None:
    path = directory / "events.csv.zip"
    packed = bytearray(path.read_bytes())
    packed[6] |= 1  # the flag in the local header
    packed[packed.index(b"PK\x01\x02") + 8] |= 1  # and in the directory
    path.write_bytes(packed)
    assert "is encrypted" in early_refusal(directory)


def test_an_unreadable_file_is_named(directory: Path) -> None:
    (directory / "events.csv.zip").unlink()
    path = directory / "events.csv"
    path.symlink_to("/proc/self/mem")  # whose first byte nobody can read, not even root
    assert f"{path} cannot be read (" in early_refusal(directory)


def test_a_directory_in_the_place_of_a_file_is_none(directory: Path) -> None:
    (directory / "gender_age_train.csv.zip").unlink()
    (directory / "gender_age_train.csv.zip").mkdir()
    assert "holds neither gender_age_train.csv.zip nor gender_age_train.csv" in early_refusal(directory)


def test_a_quote_in_the_header_that_does_not_end_is_named(directory: Path) -> None:
    path = replace(directory, "app_labels", 'app_id,"label_id\n1,2\n')
    assert early_refusal(directory).startswith(f"{path}:1:2: quoted cell that does not end")


@settings(max_examples=examples(5), deadline=None)
@given(
    name=st.sampled_from(list(example())),
    suffix=st.sampled_from([".csv", ".csv.zip"]),
    at=st.floats(0, 1),
    cut=st.integers(0, 20),
    planted=st.binary(max_size=4),
)
def test_damaged_bytes_are_refused_in_one_line_or_do_no_harm(
    name: str, suffix: str, at: float, cut: int, planted: bytes
) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        directory = write_raw(Path(scratch), example())
        path = directory / f"{name}.csv.zip"
        if suffix == ".csv":
            path = replace(directory, name, csv_text(name, example()[name]))
        content = path.read_bytes()
        place = int(at * len(content))
        path.write_bytes(content[:place] + planted + content[place + cut :])
        try:
            load_talkingdata(directory)
        except InputDataError as error:
            assert "\n" not in str(error)


def test_a_missing_column_is_named(directory: Path) -> None:
    path = replace(directory, "events", "event_id,device_id,time\n1,7,x\n")
    assert f"{path}:1: the header names no column 'timestamp'" in early_refusal(directory)


def test_a_column_named_twice_is_refused(directory: Path) -> None:
    replace(directory, "app_labels", "app_id,label_id,app_id\n1,2,3\n")
    assert "more than once the column 'app_id'" in early_refusal(directory)


@pytest.mark.parametrize("content", ["", "\n", "\ufeff"])
def test_an_empty_file_is_named(directory: Path, content: str) -> None:
    replace(directory, "app_labels", content)
    assert "app_labels.csv is empty" in early_refusal(directory)


@pytest.mark.parametrize("name", list(example()))
def test_a_header_without_rows_is_named(directory: Path, name: str) -> None:
    path = replace(directory, name, csv_text(name, []))
    assert f"{path} has a header but no rows" in refusal(directory)


HEAD = "event_id,device_id,timestamp,longitude,latitude\n1,7,2016-05-02 10:00:00,0,0\n"
LONG_LINE = "0" * (9 << 20)


@pytest.mark.parametrize(
    ("rows", "place", "problem", "count"),
    [
        ("2,x,2016-05-02 10:00:00,0,0\n", "3:2", "device_id is not a whole number of 64 bits", 1),
        ("2,1.0,2016-05-02 10:00:00,0,0\n3,1e3,2016-05-02 10:00:00,0,0\n", "3:2", "device_id is not", 2),
        ("2,9223372036854775808,2016-05-02 10:00:00,0,0\n", "3:2", "device_id is not", 1),
        ("2,,2016-05-02 10:00:00,0,0\n", "3:2", "device_id is not", 1),
        ("NA,7,2016-05-02 10:00:00,0,0\n", "3:1", "event_id is not", 1),
        ("2,7,2016-05-02,0,0\n", "3:3", "timestamp is not a time like", 1),
        ("2,7,2016-02-30 10:00:00,0,0\n", "3:3", "timestamp is not a time like", 1),
        ("2,7,2016-05-02 10:00+01,0,0\n", "3:3", "timestamp is not a time like", 1),
        ("2,7,2016-05-02 24:00:00,0,0\n", "3:3", "timestamp is not a time like", 1),
        ("2,7,,0,0\n", "3:3", "timestamp is not a time like", 1),
        ("2,7,2016-05-02 10:00:00,0\n", "3:5", "4 cells where the header has 5", 1),
        ("2,7,2016-05-02 10:00:00,0,0,0\n3\n", "3:6", "6 cells where the header has 5", 2),
        ("\n2,7,2016-05-02 10:00:00,0,0\n\n", "3:1", "blank row", 2),
        (
            '2,7,2016-05-02 10:00:00,0,"0\n3,8,2016-05-02 10:00:00,0,0\n',
            "3:5",
            "quoted cell that does not end",
            1,
        ),
        ("2,\0" + "7,2016-05-02 10:00:00,0,0\n", "3:2", "bytes that are not UTF-8 text", 1),
        ("2,7,2016-05-02 10:00:00,0,\0\n", "3:5", "bytes that are not UTF-8 text", 1),
        (LONG_LINE, "3:1", "line longer than 8 MiB", 1),
    ],
)
def test_a_malformed_row_is_named_by_line_and_column_and_all_are_counted(
    directory: Path, rows: str, place: str, problem: str, count: int
) -> None:
    path = replace(directory, "events", HEAD + rows)
    message = refusal(directory)
    assert message.startswith(f"{path}:{place}: {problem}")
    assert f"({count} malformed row" in message


def test_lines_are_counted_past_line_ends_inside_quotes(directory: Path) -> None:
    path = replace(
        directory, "label_categories", 'label_id,category\n1,"two\nlines"\n2,"three\r\n\r\nlines"\nx,plain\n'
    )
    assert refusal(directory).startswith(f"{path}:7:1: label_id is not")


def test_text_in_another_encoding_is_named(directory: Path) -> None:
    path = replace(
        directory, "phone_brand_device_model", "device_id,phone_brand,device_model\n7,é,x\n".encode("latin-1")
    )
    assert refusal(directory).startswith(f"{path}:2:2: bytes that are not UTF-8 text")


def test_the_value_of_a_bad_cell_is_not_shown(directory: Path) -> None:
    replace(directory, "events", HEAD + "2,hunter2,2016-05-02 10:00:00,0,0\n")
    assert "hunter2" not in refusal(directory)


@pytest.mark.parametrize("blank", ["", "  "])
def test_a_blank_group_is_named(directory: Path, blank: str) -> None:
    path = replace(
        directory, "gender_age_train", f"device_id,gender,age,group\n7,M,30,M29-31\n-9,F,20,{blank}\n"
    )
    assert refusal(directory).startswith(f"{path}:3:4: group is not text that is not blank")


def test_one_group_alone_is_refused(directory: Path) -> None:
    replace(directory, "gender_age_train", "device_id,gender,age,group\n7,M,30,M29-31\n-9,F,20,M29-31\n")
    assert "all 2 rows are of one group" in refusal(directory)


@pytest.mark.parametrize(
    ("name", "rows", "place"),
    [
        ("gender_age_train", "7,M,30,M29-31\n-9,F,20,F23-\n7,F,20,F23-\n7,F,20,F23-\n", "4:1: device_id"),
        ("gender_age_test", "11\n11\n11\n", "3:1: device_id"),
        (
            "events",
            "1,7,2016-05-02 10:00:00,0,0\n2,7,2016-05-02 10:00:00,0,0\n"
            + "1,7,2016-05-02 10:00:00,0,0\n" * 2,
            "4:1: event_id",
        ),
    ],
)
def test_an_id_listed_twice_is_named(directory: Path, name: str, rows: str, place: str) -> None:
    path = replace(directory, name, csv_text(name, []) + rows)
    message = refusal(directory)
    assert message.startswith(f"{path}:{place} is listed before (2 such row(s) in all)")


def test_files_that_do_not_belong_together_are_refused(directory: Path) -> None:
    replace(directory, "phone_brand_device_model", "device_id,phone_brand,device_model\n1,x,y\n")
    assert "no device of" in refusal(directory)


def test_quotes_that_only_look_odd_are_kept(directory: Path) -> None:
    replace(directory, "phone_brand_device_model", 'device_id,phone_brand,device_model\n7,x,5" tab\n-9,x,y\n')
    assert 'model=5" tab' in load_talkingdata(directory).train.columns
