"""The generated sample against the statistics that the real files have."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score

from hptune.errors import ConfigurationError, OutputError
from hptune.features import load_talkingdata
from hptune.sample import write_sample
from hptune.sample._sizes import Sizes

FILES = {
    "gender_age_train",
    "gender_age_test",
    "phone_brand_device_model",
    "events",
    "app_events",
    "app_labels",
    "label_categories",
}
GROUP_PERCENT = {
    "F23-": 6.77,
    "F24-26": 5.61,
    "F27-28": 4.18,
    "F29-32": 6.20,
    "F33-42": 7.45,
    "F43+": 5.62,
    "M22-": 10.03,
    "M23-26": 12.87,
    "M27-28": 7.29,
    "M29-31": 9.79,
    "M32-38": 12.69,
    "M39+": 11.50,
}
AGES = {"F23-": (0, 23), "F24-26": (24, 26), "F27-28": (27, 28), "F29-32": (29, 32), "F33-42": (33, 42)} | {
    "F43+": (43, 120),
    "M22-": (0, 22),
    "M23-26": (23, 26),
    "M27-28": (27, 28),
    "M29-31": (29, 31),
    "M32-38": (32, 38),
    "M39+": (39, 120),
}
BRAND_PERCENT = {
    "小米": 23.2,
    "三星": 18.3,
    "华为": 17.4,
    "OPPO": 7.8,
    "vivo": 7.6,
    "魅族": 6.3,
    "酷派": 4.5,
    "联想": 3.6,
    "金立": 1.5,
    "HTC": 1.4,
    "中兴": 1.2,
    "乐视": 1.0,
}
MALE = {"vivo": 0.530, "OPPO": 0.555, "三星": 0.603, "小米": 0.658, "华为": 0.673, "魅族": 0.723}


def read(directory: Path) -> dict[str, pd.DataFrame]:
    return {name: pd.read_csv(directory / f"{name}.csv.zip") for name in FILES}


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def deviations(share: float, expected: float, n: int) -> float:
    """How many standard errors a share among `n` is off."""
    return abs(share - expected) / np.sqrt(expected * (1 - expected) / n)


def neighbours_agree(train: pd.DataFrame) -> float:
    return float((train.group.to_numpy()[1:] == train.group.to_numpy()[:-1]).mean())


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sample") / "new"
    write_sample(path)
    return path


@pytest.fixture(scope="module")
def files(directory: Path) -> dict[str, pd.DataFrame]:
    return read(directory)


@pytest.fixture(scope="module")
def phones(files: dict[str, pd.DataFrame]) -> pd.DataFrame:
    return files["phone_brand_device_model"].drop_duplicates("device_id")


def test_the_seven_files_and_nothing_else_are_there(directory: Path) -> None:
    assert set(contents(directory)) == {f"{name}.csv.zip" for name in FILES}


def test_at_scale_1_the_counts_are_those_of_the_full_data() -> None:
    sizes = Sizes.at(1.0)
    assert (sizes.train, sizes.test, sizes.duplicates, sizes.events) == (74_645, 112_071, 529, 3_252_950)
    assert (sizes.brands, sizes.models, sizes.apps) == (131, 1_599, 19_237)
    assert (sizes.labelled_apps, sizes.labels, sizes.label_rows) == (113_211, 507, 459_943)


def test_rows_are_in_proportion_to_the_scale(files: dict[str, pd.DataFrame]) -> None:
    full = {"gender_age_train": 74_645, "gender_age_test": 112_071, "phone_brand_device_model": 187_245}
    full |= {"events": 3_252_950, "app_labels": 459_943}
    for name, rows in full.items():
        assert abs(len(files[name]) - 0.02 * rows) <= 1.5, name
    assert len(files["app_events"]) == pytest.approx(0.02 * 32_473_067, rel=0.03)


def test_group_shares_are_those_of_the_real_data(files: dict[str, pd.DataFrame]) -> None:
    train = files["gender_age_train"]
    counts = train.group.value_counts()
    for group, percent in GROUP_PERCENT.items():
        assert abs(counts[group] - len(train) * percent / 100) <= 1.01


def test_gender_and_age_are_consistent_with_the_group(files: dict[str, pd.DataFrame]) -> None:
    train = files["gender_age_train"]
    assert (train.gender == train.group.str[0]).all()
    assert (train.age >= train.group.map(lambda group: AGES[group][0])).all()
    assert (train.age <= train.group.map(lambda group: AGES[group][1])).all()
    assert train.age.mean() == pytest.approx(31.4, abs=3 * 9.9 / np.sqrt(len(train)))
    assert train.age.std() == pytest.approx(9.9, abs=0.8)


def test_brand_shares_are_those_of_the_real_data(phones: pd.DataFrame) -> None:
    shares = phones.phone_brand.value_counts(normalize=True)
    for brand, percent in BRAND_PERCENT.items():
        assert deviations(shares[brand], percent / 100, len(phones)) < 4, brand


def test_the_male_share_of_a_brand_is_that_of_the_real_data(
    files: dict[str, pd.DataFrame], phones: pd.DataFrame
) -> None:
    owners = files["gender_age_train"].merge(phones, on="device_id")
    for brand, expected in MALE.items():
        male = owners.gender[owners.phone_brand == brand] == "M"
        assert deviations(male.mean(), expected, len(male)) < 4, brand


def test_some_model_names_are_shared_by_brands(phones: pd.DataFrame) -> None:
    brands = phones.groupby("device_model").phone_brand.nunique()
    assert 1 <= (brands > 1).sum() <= 0.1 * len(brands)
    assert brands.max() <= 4


def test_some_devices_have_two_phone_rows_and_few_of_them_conflict(files: dict[str, pd.DataFrame]) -> None:
    rows = files["phone_brand_device_model"]
    again = rows.device_id.duplicated().sum()
    conflicting = again - rows.duplicated().sum()
    assert again == round(0.02 * 529)
    assert 1 <= conflicting < again / 2


def test_every_known_device_has_a_phone_row(files: dict[str, pd.DataFrame], phones: pd.DataFrame) -> None:
    known = pd.concat([files["gender_age_train"].device_id, files["gender_age_test"].device_id])
    assert set(known) == set(phones.device_id)
    assert known.is_unique


def test_a_third_of_the_devices_has_events_and_a_few_of_those_are_unknown(
    files: dict[str, pd.DataFrame], phones: pd.DataFrame
) -> None:
    seen = pd.Series(files["events"].device_id.unique())
    for name in ("gender_age_train", "gender_age_test"):
        assert files[name].device_id.isin(seen).mean() == pytest.approx(0.312, abs=0.001)
    assert (~seen.isin(phones.device_id)).mean() == pytest.approx(0.027, abs=0.001)


def test_events_per_device_have_the_mean_and_the_heavy_tail(files: dict[str, pd.DataFrame]) -> None:
    counts = files["events"].groupby("device_id").size()
    assert counts.mean() == pytest.approx(53.4, rel=0.03)
    assert counts.median() < counts.mean() / 2
    assert counts.max() > 10 * counts.mean()


def test_timestamps_span_the_week_and_peak_at_10_and_21_oclock(files: dict[str, pd.DataFrame]) -> None:
    times = pd.to_datetime(files["events"].timestamp, format="%Y-%m-%d %H:%M:%S")
    assert times.min() >= pd.Timestamp("2016-04-30 23:54:00")
    assert pd.Timestamp("2016-05-08 00:00:00") <= times.max() < pd.Timestamp("2016-05-08 00:15:00")
    assert not times.is_monotonic_increasing
    hours = times.dt.hour.value_counts().sort_index()
    assert hours[:16].idxmax() in (9, 10, 11)
    assert hours[16:].idxmax() in (20, 21, 22)
    assert hours[1:5].max() < hours.mean() / 2


def test_coordinates_are_unknown_or_in_china_with_two_decimals(directory: Path) -> None:
    events = pd.read_csv(directory / "events.csv.zip", dtype=str)
    assert events.longitude.str.fullmatch(r"\d+\.\d\d").all()
    longitude, latitude = events.longitude.astype(float), events.latitude.astype(float)
    assert deviations((longitude == 0).mean(), 0.298, len(events)) < 4
    assert deviations((longitude == 1).mean(), 0.023, len(events)) < 4
    assert longitude[longitude > 1].between(73, 135).all()
    assert latitude[longitude > 1].between(18, 54).all()


def test_apps_per_event_and_per_device_are_those_of_the_real_data(files: dict[str, pd.DataFrame]) -> None:
    events, rows = files["events"], files["app_events"]
    listed = rows.event_id.nunique()
    assert listed / len(events) == pytest.approx(0.457, abs=0.01)
    assert len(rows) / listed == pytest.approx(21.8, rel=0.02)
    assert not rows.duplicated(["event_id", "app_id"]).any()
    pairs = rows.merge(events, on="event_id")[["device_id", "app_id"]].drop_duplicates()
    assert len(pairs) / events.device_id.nunique() == pytest.approx(36, abs=4 * 28 / np.sqrt(1_200))
    reach = pairs.app_id.value_counts()
    assert reach.iloc[: len(reach) // 100].sum() > 0.2 * len(pairs)


def test_apps_are_always_installed_and_often_active(files: dict[str, pd.DataFrame]) -> None:
    rows = files["app_events"]
    assert (rows.is_installed == 1).all()
    assert deviations(rows.is_active.mean(), 0.39, len(rows)) < 4


def test_every_app_has_labels_and_every_label_a_category_row(files: dict[str, pd.DataFrame]) -> None:
    labels, categories = files["app_labels"], files["label_categories"]
    assert set(files["app_events"].app_id) <= set(labels.app_id)
    assert len(labels) / labels.app_id.nunique() == pytest.approx(4.06, abs=0.01)
    assert set(labels.label_id) < set(categories.label_id)


def test_category_texts_repeat_and_some_are_missing(files: dict[str, pd.DataFrame]) -> None:
    texts = files["label_categories"].category
    assert (len(texts), texts.nunique()) == (930, 836)
    assert 0 < texts.isna().sum() < 10
    for awkward in ("game-", "(", "_", "/"):
        assert texts.str.contains(awkward, regex=False).any()


@pytest.mark.parametrize("name", ["gender_age_train", "gender_age_test", "app_labels"])
def test_ids_use_all_64_bits(files: dict[str, pd.DataFrame], name: str) -> None:
    ids = files[name].iloc[:, 0]
    assert ids.dtype == np.int64
    assert ids.min() < -(2**62)
    assert ids.max() > 2**62
    assert (ids.astype(np.float64) % 2 != ids % 2).any()


def test_the_same_arguments_give_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    for name, seed in (("first", 5), ("second", 5), ("other", 6)):
        write_sample(tmp_path / name, scale=0.002, seed=seed)
    first, other = contents(tmp_path / "first"), contents(tmp_path / "other")
    assert first == contents(tmp_path / "second")
    assert all(first[name] != other[name] for name in first)


def test_the_leak_changes_the_order_of_the_training_rows_and_nothing_else(
    directory: Path, files: dict[str, pd.DataFrame], tmp_path: Path
) -> None:
    write_sample(tmp_path, leak=True)
    plain, leaking = contents(directory), contents(tmp_path)
    assert {name for name in plain if plain[name] != leaking[name]} == {"gender_age_train.csv.zip"}
    train = read(tmp_path)["gender_age_train"]
    pd.testing.assert_frame_equal(
        train.sort_values("device_id", ignore_index=True),
        files["gender_age_train"].sort_values("device_id", ignore_index=True),
    )
    assert neighbours_agree(train) > 0.15
    assert deviations(neighbours_agree(files["gender_age_train"]), 0.093, len(train)) < 4


def test_the_smallest_sample_has_enough_rows_of_each_group_for_five_folds(tmp_path: Path) -> None:
    write_sample(tmp_path, scale=0.002)
    assert read(tmp_path)["gender_age_train"].group.value_counts().min() >= 5


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 5))])
def test_log_loss_falls_from_classes_to_phones_to_all_blocks(tmp_path: Path, seed: int) -> None:
    write_sample(tmp_path, seed=seed)
    train = load_talkingdata(tmp_path, encoding="indicator").train
    shares = np.bincount(train.y) / len(train.y)
    classes = -(shares * np.log(shares)).sum()
    blocks = np.array([column.split("=")[0] for column in train.columns])
    phone = np.isin(blocks, ["brand", "model"])
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    model = LogisticRegression(C=0.05, max_iter=500, tol=1e-3)
    by_phone, by_all = (
        -cross_val_score(model, X, train.y, cv=folds, scoring="neg_log_loss").mean()
        for X in (train.X[:, np.flatnonzero(phone)], train.X)
    )
    assert classes == pytest.approx(2.428, abs=0.001)
    assert by_phone < classes - 0.02
    assert by_all < by_phone - 0.03


@pytest.mark.parametrize("scale", [0, -1, 0.0019, 1.001, float("nan")])
def test_a_scale_out_of_range_is_refused(tmp_path: Path, scale: float) -> None:
    with pytest.raises(ConfigurationError, match="scale must be from 0.002 to 1"):
        write_sample(tmp_path / "new", scale=scale)
    assert not (tmp_path / "new").exists()


def test_a_negative_seed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="seed must be at least 0"):
        write_sample(tmp_path / "new", seed=-1)


def test_a_directory_with_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "events.csv.zip").write_text("mine")
    with pytest.raises(ConfigurationError, match="use another directory"):
        write_sample(tmp_path)
    assert contents(tmp_path) == {"events.csv.zip": b"mine"}


def test_a_file_is_no_directory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ConfigurationError, match="not a directory"):
        write_sample(tmp_path / "file")


def test_a_place_that_cannot_be_written_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OutputError, match="cannot be written"):
        write_sample(tmp_path / "file" / "below")


def test_an_interrupted_sample_leaves_no_file(tmp_path: Path) -> None:
    def interrupt(name: str) -> None:
        if name == "app_events":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_sample(tmp_path, scale=0.002, progress=interrupt)
    assert contents(tmp_path) == {}


def test_what_a_killed_run_left_behind_does_not_stop_the_next(tmp_path: Path) -> None:
    (tmp_path / ".partial-abc").mkdir()
    write_sample(tmp_path, scale=0.002)
    assert len(list(tmp_path.glob("*.csv.zip"))) == len(FILES)


def test_the_job_writes_a_sample_and_ends_with_the_error_of_a_bad_argument(tmp_path: Path) -> None:
    job = [sys.executable, "jobs/make_sample.py", str(tmp_path / "new")]
    root = Path(__file__).parents[1]
    done = subprocess.run([*job, "--scale", "0.002"], cwd=root, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")
    assert "error" not in done.stderr
    refused = subprocess.run(job, cwd=root, capture_output=True, text=True)
    assert refused.returncode == 2
    assert refused.stderr.startswith("hptune: error: ")
    assert refused.stderr.count("\n") == 1
