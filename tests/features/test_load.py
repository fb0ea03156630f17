"""Options, absent files, and the cache."""

from __future__ import annotations

from pathlib import Path

import pytest

from hptune.errors import ConfigurationError, InputDataError
from hptune.features import check_talkingdata, load_talkingdata
from hptune.matrix import Dataset
from tests.features.rawfiles import csv_text, example, row, write_raw

FOUR = ("gender_age_train", "gender_age_test", "phone_brand_device_model", "events")


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return write_raw(tmp_path / "raw", example())


def blocks_of(dataset: Dataset) -> set[str]:
    return {name.split("=")[0] for name in dataset.train.columns}


def same(one: Dataset, other: Dataset) -> bool:
    return one.train.fingerprint == other.train.fingerprint and one.notes == other.notes


def test_four_of_seven_files_give_the_phone_and_time_blocks_and_a_note(tmp_path: Path) -> None:
    raw = example()
    dataset = load_talkingdata(write_raw(tmp_path, {name: raw[name] for name in FOUR}))
    assert blocks_of(dataset) == {"brand", "model", "weekday", "hour", "weekday_hour"}
    assert dataset.notes[0].startswith("left out app, label, category, category_word: no app_events")


def test_the_two_required_files_alone_give_brand_and_model_and_no_test_rows(tmp_path: Path) -> None:
    raw = example()
    dataset = load_talkingdata(write_raw(tmp_path, {name: raw[name] for name in (FOUR[0], FOUR[2])}))
    assert blocks_of(dataset) == {"brand", "model"}
    assert dataset.test is None


@pytest.mark.parametrize(
    ("absent", "left"),
    [
        ("events", {"brand", "model"}),
        ("app_events", {"brand", "model", "weekday", "hour", "weekday_hour"}),
        ("app_labels", {"brand", "model", "app", "weekday", "hour", "weekday_hour"}),
        ("label_categories", {"brand", "model", "app", "label", "weekday", "hour", "weekday_hour"}),
    ],
)
def test_an_absent_file_costs_the_blocks_that_need_it(tmp_path: Path, absent: str, left: set[str]) -> None:
    raw = {name: rows for name, rows in example().items() if name != absent}
    assert blocks_of(load_talkingdata(write_raw(tmp_path, raw))) == left


def test_a_block_named_by_the_caller_must_have_its_files(tmp_path: Path) -> None:
    raw = {name: rows for name, rows in example().items() if name in FOUR}
    with pytest.raises(InputDataError, match="'label' needs app_events and app_labels"):
        load_talkingdata(write_raw(tmp_path, raw), features=["brand", "label"])


def test_small_is_the_phone_and_time_blocks_and_reads_no_app_file(directory: Path) -> None:
    (directory / "app_events.csv.zip").unlink()
    (directory / "app_events.csv").write_text("event_id,app_id\nnot,numbers\n")
    dataset = load_talkingdata(directory, features="small")
    assert blocks_of(dataset) == {"brand", "model", "weekday", "hour", "weekday_hour"}


def test_named_blocks_come_in_the_fixed_order_however_they_are_named(directory: Path) -> None:
    one = load_talkingdata(directory, features=["hour", "brand", "hour"])
    assert same(one, load_talkingdata(directory, features=("brand", "hour")))
    assert blocks_of(one) == {"brand", "hour"}


def test_an_unknown_block_is_answered_with_the_nearest_name(directory: Path) -> None:
    with pytest.raises(ConfigurationError, match="did you mean 'weekday'"):
        load_talkingdata(directory, features=["wekday"])


def test_an_empty_choice_of_blocks_is_refused(directory: Path) -> None:
    with pytest.raises(ConfigurationError, match="names no block"):
        load_talkingdata(directory, features=[])


def test_an_unknown_encoding_is_answered_with_the_nearest_name(directory: Path) -> None:
    with pytest.raises(ConfigurationError, match="did you mean 'indicator'"):
        load_talkingdata(directory, encoding="indicators")


def test_plain_files_with_bom_and_crlf_give_the_same_as_zipped_ones(directory: Path, tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.mkdir()
    for name, rows in example().items():
        text = csv_text(name, rows).replace("\n", "\r\n")
        (plain / f"{name}.csv").write_bytes(b"\xef\xbb\xbf" + text.encode())
    check_talkingdata(plain)
    assert same(load_talkingdata(plain), load_talkingdata(directory))


def test_columns_may_stand_in_any_order_and_further_ones_are_ignored(directory: Path) -> None:
    before = load_talkingdata(directory)
    (directory / "app_labels.csv.zip").unlink()
    rows = "".join(f"x,{label},{app}\n" for app, label in example()["app_labels"])
    (directory / "app_labels.csv").write_text("note,label_id,app_id\n" + rows)
    assert same(load_talkingdata(directory), before)


def test_an_unchanged_input_is_read_from_the_cache(directory: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    built = load_talkingdata(directory, cache=tmp_path / "cache", progress=lines.append)
    assert lines[-1] == "features written to the cache"
    again = load_talkingdata(directory, cache=tmp_path / "cache", progress=lines.append)
    assert lines[-1] == "features reused from the cache"
    assert same(again, built) and same(built, load_talkingdata(directory))
    assert again.test is not None and built.test is not None
    assert again.test.fingerprint == built.test.fingerprint


def test_a_changed_file_is_built_again(directory: Path, tmp_path: Path) -> None:
    load_talkingdata(directory, cache=tmp_path / "cache")
    raw = example()
    raw["events"] = raw["events"][:2]
    write_raw(directory, raw)
    changed = load_talkingdata(directory, cache=tmp_path / "cache")
    assert "weekday=1" not in row(changed.train, 7)


@pytest.mark.parametrize("options", [{"encoding": "indicator"}, {"features": "small"}])
def test_a_changed_option_is_built_again(directory: Path, tmp_path: Path, options: dict[str, str]) -> None:
    load_talkingdata(directory, cache=tmp_path / "cache")
    changed = load_talkingdata(directory, cache=tmp_path / "cache", **options)
    assert same(changed, load_talkingdata(directory, **options))


def test_a_damaged_cache_is_built_again(directory: Path, tmp_path: Path) -> None:
    built = load_talkingdata(directory, cache=tmp_path / "cache")
    for array in (tmp_path / "cache").glob("*/train/data.npy"):
        array.write_bytes(array.read_bytes()[:-1] + b"\x7f")
    lines: list[str] = []
    again = load_talkingdata(directory, cache=tmp_path / "cache", progress=lines.append)
    assert lines[-1] == "features written to the cache"
    assert same(again, built)
