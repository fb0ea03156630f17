"""Tiny raw files for tests, and a slow plain-Python account of what their features must be."""

from __future__ import annotations

import csv
import io
import zipfile
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from hptune.matrix import FeatureMatrix

Rows = Sequence[Sequence[Any]]
Raw = dict[str, Rows]

HEADERS = {
    "gender_age_train": ("device_id", "gender", "age", "group"),
    "gender_age_test": ("device_id",),
    "phone_brand_device_model": ("device_id", "phone_brand", "device_model"),
    "events": ("event_id", "device_id", "timestamp", "longitude", "latitude"),
    "app_events": ("event_id", "app_id", "is_installed", "is_active"),
    "app_labels": ("app_id", "label_id"),
    "label_categories": ("label_id", "category"),
}

MONDAY_10, MONDAY_11, TUESDAY_10 = "2016-05-02 10:00:00", "2016-05-02 11:59:59", "2016-05-03 10:30:00"
A, B = -8_000_000_000_000_000_001, 8_000_000_000_000_000_003  # neither survives a float


def example() -> Raw:
    """The documented example as device 7, beside -9 without events and 11 without a phone row."""
    return {
        "gender_age_train": [(7, "M", 30, "M29-31"), (-9, "F", 20, "F23-")],
        "gender_age_test": [(11,)],
        "phone_brand_device_model": [(7, "小米", "MI 3"), (-9, "三星", "Note [2]"), (5, "HTC", "One")],
        "events": [
            (1, 7, MONDAY_10, 0, 0),
            (2, 7, MONDAY_11, 0, 0),
            (3, 7, TUESDAY_10, 0, 0),
        ],
        "app_events": [(1, A, 1, 0), (2, A, 1, 1), (1, B, 1, 0)],
        "app_labels": [(A, 1), (A, 2), (B, 2)],
        "label_categories": [(1, "game-Rowing"), (2, "Personal Effectiveness 1"), (3, "never used")],
    }


def csv_text(name: str, rows: Rows) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADERS[name])
    writer.writerows(rows)
    return text.getvalue()


def write_raw(directory: Path, raw: Mapping[str, Rows]) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    for name, rows in raw.items():
        write_zip(directory / f"{name}.csv.zip", {f"{name}.csv": csv_text(name, rows)})
    return directory


def write_zip(path: Path, members: Mapping[str, str | bytes]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)


def row(matrix: FeatureMatrix, device: int) -> dict[str, float]:
    """Non-zero features of a device by column name."""
    assert matrix.row_ids is not None
    at = int(np.flatnonzero(matrix.row_ids == device)[0])
    dense = matrix.X[[at]].toarray()[0]
    return {name: float(value) for name, value in zip(matrix.columns, dense, strict=True) if value != 0}


def expected(raw: Raw, device: int) -> dict[str, float]:
    """Non-zero features of `device`, counted one event at a time."""
    phones = {}
    for at, brand, model in reversed(raw["phone_brand_device_model"]):
        phones[at] = (brand, model)
    features: dict[str, Fraction | int] = {}
    if device in phones:
        features |= {f"brand={phones[device][0]}": 1, f"model={phones[device][1]}": 1}
    events = [event for event in raw["events"] if event[1] == device]
    seen: dict[str, int] = defaultdict(int)
    for event_id, _, timestamp, *_ in events:
        for name in _of_event(raw, event_id, timestamp):
            seen[name] += 1
    features |= {name: Fraction(count, len(events)) for name, count in seen.items()}
    apps = {app for event in events for app in _apps(raw, event[0])}
    words = {word for app in apps for text in _texts(raw, app) for word in text.split()}
    features |= {f"category_word={word}": 1 for word in words}
    return {_name(name): float(np.float32(float(value))) for name, value in features.items()}


def expected_columns(raw: Raw) -> list[str]:
    kept = {}
    for device, brand, model in raw["phone_brand_device_model"]:
        kept.setdefault(device, (brand, model))
    labels = {label for _, label in raw["app_labels"]}
    texts = {clean(text) for label, text in raw["label_categories"] if label in labels} - {""}
    hours = [f"{hour:02d}" for hour in range(24)]
    blocks: dict[str, Iterable[Any]] = {
        "brand": sorted({brand for brand, _ in kept.values()} - {""}),
        "model": sorted({model for _, model in kept.values()} - {""}),
        "app": sorted({app for _, app, *_ in raw["app_events"]}),
        "label": sorted(labels),
        "category": sorted(texts),
        "weekday": range(7),
        "hour": hours,
        "weekday_hour": [f"{day}_{hour}" for day in range(7) for hour in hours],
        "category_word": sorted({word for text in texts for word in text.split()}),
    }
    return [_name(f"{block}={value}") for block, values in blocks.items() for value in values]


def clean(text: str) -> str:
    text = text.lower().replace("game-", "game ")
    for sign in "()_/":
        text = text.replace(sign, " ")
    return text.strip()


def _of_event(raw: Raw, event_id: int, timestamp: str) -> set[str]:
    time = datetime.fromisoformat(timestamp)
    day, hour = time.weekday(), f"{time.hour:02d}"
    names = {f"weekday={day}", f"hour={hour}", f"weekday_hour={day}_{hour}"}
    for app in _apps(raw, event_id):
        names.add(f"app={app}")
        names |= {f"label={label}" for label in _labels(raw, app)}
        names |= {f"category={text}" for text in _texts(raw, app)}
    return names


def _apps(raw: Raw, event_id: int) -> set[int]:
    return {app for event, app, *_ in raw["app_events"] if event == event_id}


def _labels(raw: Raw, app: int) -> set[int]:
    return {label for of, label in raw["app_labels"] if of == app}


def _texts(raw: Raw, app: int) -> set[str]:
    labels = _labels(raw, app)
    return {clean(text) for label, text in raw["label_categories"] if label in labels} - {""}


def _name(name: str) -> str:
    block, value = name.split("=", 1)
    for sign, code in (("%", "%25"), ("[", "%5B"), ("]", "%5D"), ("<", "%3C")):
        value = value.replace(sign, code)
    return f"{block}={value}"
