"""The real raw files, where they are at hand."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from hptune.features import load_talkingdata
from hptune.matrix import Dataset


@pytest.fixture(scope="module")
def real(real_data: Path) -> Dataset:
    return load_talkingdata(real_data / "talkingdata", features="small")


def test_the_real_files_have_the_known_widths(real: Dataset) -> None:
    widths = Counter(name.split("=")[0] for name in real.train.columns)
    assert widths["weekday"] == 7 and widths["hour"] == 24 and widths["weekday_hour"] == 168
    assert 100 < widths["brand"] <= 131 and 1400 < widths["model"] <= 1599


def test_the_real_train_and_test_rows_are_complete(real: Dataset) -> None:
    assert real.train.shape[0] == 74_645 and real.test is not None
    assert real.test.shape == (112_071, real.train.shape[1])
    assert real.train.classes is not None and len(real.train.classes) == 12


def test_the_real_class_shares_are_the_known_ones(real: Dataset) -> None:
    assert real.train.y is not None
    shares = 100 * np.bincount(real.train.y) / len(real.train.y)
    known = [6.77, 5.61, 4.18, 6.20, 7.45, 5.62, 10.03, 12.87, 7.29, 9.79, 12.69, 11.50]
    assert shares.tolist() == pytest.approx(known, abs=0.01)


def test_every_real_train_device_has_one_brand_and_shares_sum_to_one(real: Dataset) -> None:
    blocks = np.array([name.split("=")[0] for name in real.train.columns])
    X = real.train.X
    assert (X[:, np.flatnonzero(blocks == "brand")].sum(axis=1) == 1).all()
    for block in ("weekday", "hour", "weekday_hour"):
        sums = X[:, np.flatnonzero(blocks == block)].sum(axis=1)
        assert np.all(np.isclose(sums, 1, atol=1e-6) | (sums == 0)) and (sums > 0).any()


def test_the_faults_of_the_real_files_are_counted(real: Dataset) -> None:
    phone = next(note for note in real.notes if "phone row(s)" in note)
    assert 0 < int(phone.split()[0].replace(",", "")) <= 529
    assert any("event(s) of devices in neither" in note for note in real.notes)


def test_the_real_files_without_apps_leave_the_app_blocks_out(real_data: Path) -> None:
    if (real_data / "talkingdata" / "app_events.csv.zip").exists():
        pytest.skip("the app files are here")
    dataset = load_talkingdata(real_data / "talkingdata")
    assert dataset.notes[0].startswith("left out app, label, category, category_word")
