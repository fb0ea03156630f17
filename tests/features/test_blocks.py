"""Every block, against hand-worked numbers and against a slow account of tiny generated raw files."""

from __future__ import annotations

import tempfile
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import hptune.csv_files._strict as strict_csv
import hptune.features._blocks as blocks_module
from hptune.features import BLOCKS, BY_NAME, load_talkingdata
from hptune.matrix import Dataset
from tests.builders import examples
from tests.features.rawfiles import A, B, Raw, example, expected, expected_columns, row, write_raw


def build(raw: Raw, **options: Any) -> Dataset:
    with tempfile.TemporaryDirectory() as directory:
        return load_talkingdata(write_raw(Path(directory), raw), **options)


def test_the_documented_example_comes_out_as_worked_by_hand() -> None:
    third, two_thirds = float(np.float32(1 / 3)), float(np.float32(2 / 3))
    assert row(build(example()).train, 7) == {
        "brand=小米": 1,
        "model=MI 3": 1,
        f"app={A}": two_thirds,
        f"app={B}": third,
        "label=1": two_thirds,
        "label=2": two_thirds,
        "category=game rowing": two_thirds,
        "category=personal effectiveness 1": two_thirds,
        "weekday=0": two_thirds,
        "weekday=1": third,
        "hour=10": two_thirds,
        "hour=11": third,
        "weekday_hour=0_10": third,
        "weekday_hour=0_11": third,
        "weekday_hour=1_10": third,
        "category_word=1": 1,
        "category_word=effectiveness": 1,
        "category_word=game": 1,
        "category_word=personal": 1,
        "category_word=rowing": 1,
    }


def test_a_device_without_events_has_brand_and_model_only() -> None:
    assert row(build(example()).train, -9) == {"brand=三星": 1, "model=Note %5B2%5D": 1}


def test_a_device_without_a_phone_row_is_empty_and_noted() -> None:
    dataset = build(example())
    assert dataset.test is not None
    assert row(dataset.test, 11) == {}
    assert any("1 device(s) without a phone row" in note for note in dataset.notes)


def test_an_app_and_a_label_count_once_per_event() -> None:
    raw = example()
    raw["app_events"] = [*raw["app_events"]] * 300  # more repeats than a byte could count
    assert row(build(raw).train, 7) == row(build(example()).train, 7)


def test_the_first_of_several_phone_rows_counts() -> None:
    raw = example()
    raw["phone_brand_device_model"] = [
        *raw["phone_brand_device_model"],
        (7, "OPPO", "R7"),
        (-9, "三星", "Note [2]"),
    ]
    dataset = build(raw)
    assert "brand=OPPO" not in dataset.train.columns
    assert "brand=小米" in row(dataset.train, 7)
    assert any(note.startswith("2 phone row(s)") and "1 with another" in note for note in dataset.notes)


def test_a_blank_category_makes_no_column_and_is_noted() -> None:
    raw = example()
    raw["label_categories"] = [(1, ""), (2, "Personal Effectiveness 1")]
    dataset = build(raw)
    assert [name for name in dataset.train.columns if name.startswith("category=")] == [
        "category=personal effectiveness 1"
    ]
    assert any("1 label(s) with a blank category" in note for note in dataset.notes)


def test_events_of_unknown_devices_are_ignored_and_noted_but_their_apps_keep_their_columns() -> None:
    raw = example()
    raw["events"] = [(4, 99, "2016-05-02 10:00:00", 0, 0), *raw["events"]]
    raw["app_events"] = [(4, 5, 1, 1), (77, 6, 1, 1), *raw["app_events"]]
    dataset = build(raw)
    assert row(dataset.train, 7) == row(build(example()).train, 7)
    assert {"app=5", "app=6"} <= set(dataset.train.columns)
    assert any(note.startswith("1 event(s) of devices in neither") for note in dataset.notes)
    assert any(note.startswith("1 app row(s) of events that are not listed") for note in dataset.notes)


def test_labels_are_codes_of_the_sorted_groups_and_rows_keep_file_order() -> None:
    train = build(example()).train
    assert train.y is not None and train.row_ids is not None
    assert train.classes == ("F23-", "M29-31")
    assert train.y.tolist() == [1, 0]
    assert train.row_ids.tolist() == [7, -9] and train.row_ids.dtype == np.int64


def test_the_matrix_is_float32_csr_with_sorted_32_bit_indices() -> None:
    dataset = build(example())
    for part in (dataset.train, dataset.test):
        assert part is not None
        assert isinstance(part.X, sp.csr_array) and part.X.dtype == np.float32
        assert part.X.indices.dtype == part.X.indptr.dtype == np.int32
        assert part.X.has_canonical_format


def test_names_that_differ_only_in_forbidden_signs_stay_apart() -> None:
    raw = example()
    models = ["a[", "a]", "a<", "a%5B", "a%", "a"]
    raw["phone_brand_device_model"] = [
        (at, "b", model) for at, model in zip([7, -9, 1, 2, 3, 4], models, strict=True)
    ]
    columns = build(raw).train.columns
    assert len(set(columns)) == len(columns)
    assert sum(name.startswith("model=") for name in columns) == len(models)
    assert not any(sign in name for name in columns for sign in "[]<")


def test_a_line_end_inside_quotes_may_fall_on_the_edge_of_a_block(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = example()
    raw["phone_brand_device_model"] = [
        *raw["phone_brand_device_model"],
        *((1000 + at, "two\nlines", f"m{at % 7}\n\n") for at in range(60)),
    ]
    whole = build(raw)
    monkeypatch.setattr(strict_csv, "BLOCK_BYTES", 128)
    assert build(raw).train.fingerprint == whole.train.fingerprint
    assert "model=m6\n\n" in whole.train.columns


def test_ids_at_the_edges_of_64_bits_stay_exact() -> None:
    low, high = -(2**63), 2**63 - 1
    raw = example()
    raw["gender_age_train"] = [(low, "M", 30, "M29-31"), (high, "F", 20, "F23-"), (high - 1, "F", 20, "F23-")]
    raw["phone_brand_device_model"] = [(high - 1, "x", "m"), (high, "y", "m"), (low, "z", "m")]
    raw["events"] = [(high, high, "2016-05-02 10:00:00", 0, 0), (high - 1, low, "2016-05-03 10:00:00", 0, 0)]
    raw["app_events"] = [(high, low, 1, 1), (high - 1, low + 1, 1, 1)]
    raw["app_labels"] = [(low, high), (low + 1, high - 1)]
    raw["label_categories"] = [(high, "h"), (high - 1, "g")]
    train = build(raw).train
    for device in (low, high, high - 1):
        assert row(train, device) == expected(raw, device)


def test_the_registry_holds_each_block_once_in_column_order() -> None:
    assert [block.name for block in BLOCKS] == list(BY_NAME)
    assert " ".join(BY_NAME) == "brand model app label category weekday hour weekday_hour category_word"


def test_the_columns_of_a_block_do_not_depend_on_the_others() -> None:
    every = build(example()).train
    for name in BY_NAME:
        alone = build(example(), features=[name]).train
        at = [i for i, column in enumerate(every.columns) if column.split("=")[0] == name]
        assert alone.columns == tuple(every.columns[i] for i in at)
        assert (alone.X.toarray() == every.X.toarray()[:, at]).all()


ids = st.sampled_from([-(2**63), -5, 0, 1, 2, 3, 2**53 + 1, 2**63 - 1])
texts = st.one_of(
    st.text(alphabet="aB[<%é小 ", max_size=3).filter(lambda text: bool(text.strip())),
    st.sampled_from(["Game-ARPG", "a_b/(c)", "  x ", '"q,"', "two\nlines"]),
)
categories = st.one_of(texts, st.just(""))
times = st.datetimes(
    min_value=datetime(1969, 12, 28),
    max_value=datetime(2030, 1, 1),
).map(lambda time: time.strftime("%Y-%m-%d %H:%M:%S"))


@st.composite
def raw_files(draw: st.DrawFn) -> Raw:
    train = draw(st.lists(ids, min_size=2, max_size=5, unique=True))
    phones = draw(st.lists(st.tuples(ids, texts, texts), max_size=6))
    groups = ["F23-", "M39+", *draw(st.lists(st.sampled_from(["F23-", "M22-"]), min_size=3, max_size=3))]
    return {
        "gender_age_train": [(device, "M", 1, group) for device, group in zip(train, groups, strict=False)],
        "gender_age_test": [(device,) for device in draw(st.lists(ids, min_size=1, max_size=4, unique=True))],
        "phone_brand_device_model": [*phones, (train[0], "小米", "MI 3")],
        "events": draw(
            st.lists(
                st.tuples(ids, ids, times, st.just(0), st.just(0)),
                min_size=1,
                max_size=8,
                unique_by=lambda event: event[0],
            )
        ),
        "app_events": draw(st.lists(st.tuples(ids, ids, st.just(1), st.just(0)), min_size=1, max_size=40)),
        "app_labels": draw(st.lists(st.tuples(ids, ids), min_size=1, max_size=10)),
        "label_categories": draw(st.lists(st.tuples(ids, categories), min_size=1, max_size=6)),
    }


@pytest.mark.parametrize("encoding", ["fraction", "indicator"])
@settings(max_examples=examples(2), deadline=None)
@given(raw=raw_files(), events_at_once=st.integers(1, 9))
def test_every_feature_equals_the_plain_account(encoding: str, raw: Raw, events_at_once: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks_module, "_EVENTS_AT_ONCE", events_at_once)
        patch.setattr(strict_csv, "BLOCK_BYTES", 256)  # so that a file comes in several batches
        dataset = build(raw, encoding=encoding)
    assert list(dataset.train.columns) == expected_columns(raw)
    for part in (dataset.train, dataset.test):
        assert part is not None and part.row_ids is not None
        assert part.columns == dataset.train.columns
        for device in part.row_ids.tolist():
            wanted = expected(raw, device)
            if encoding == "indicator":
                wanted = dict.fromkeys(wanted, 1.0)
            assert row(part, device) == wanted
