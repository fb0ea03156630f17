"""The seven files of a sample."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from hptune.sample._apps import Catalogue, app_catalogue
from hptune.sample._draws import Array, Rng, draw, quota, random_ids
from hptune.sample._events import (
    Places,
    app_rows,
    device_of_event,
    has_apps,
    installed_apps,
    seconds,
    with_mean_rows,
)
from hptune.sample._files import write_zipped_csv
from hptune.sample._groups import GROUPS, IS_MALE, SHARES, ages
from hptune.sample._phones import phone_market
from hptune.sample._sizes import Sizes

__all__ = ["write_all"]

_STREAMS = ("people", "phones", "apps", "events", "app_events", "leak")
_EVENTS_PER_CHUNK = 500_000
_ACTIVE = 0.39
_LEAK_NOISE = 0.11
_TWO_DECIMALS = pa.array([f"{i / 100:.2f}" for i in range(18_001)])


@dataclass(frozen=True)
class _People:
    """Id and group code of each device: training, then test, then unknown ones."""

    ids: Array
    group: Array


class _Writer:
    """One sample on its way into `directory`."""

    def __init__(self, directory: Path, progress: Callable[[str], None], sizes: Sizes) -> None:
        self._directory = directory
        self._progress = progress
        self.sizes = sizes

    def write(self, name: str, columns: str, chunks: Any) -> None:
        """Write one file; `columns` are its names with spaces between."""
        self._progress(name)
        write_zipped_csv(self._directory / f"{name}.csv.zip", tuple(columns.split()), chunks)


def write_all(
    directory: Path, *, scale: float, seed: int, leak: bool, progress: Callable[[str], None]
) -> None:
    """Write all seven files into `directory`; each stage has a random stream of its own."""
    sizes = Sizes.at(scale)
    writer = _Writer(directory, progress, sizes)
    streams = dict(zip(_STREAMS, np.random.default_rng(seed).spawn(len(_STREAMS)), strict=True))
    people = _people(streams["people"], sizes)
    _write_people(writer, streams["people"], streams["leak"], people, leak)
    _write_phones(writer, streams["phones"], people)
    catalogue = app_catalogue(streams["apps"], sizes)
    _write_labels(writer, catalogue)
    seen = _devices_with_events(streams["people"], sizes)
    device = device_of_event(streams["events"], sizes, len(seen))
    _write_events(writer, streams["events"], people, seen, device)
    _write_app_events(writer, streams["app_events"], catalogue, people.group[seen], device)


def _people(rng: Rng, sizes: Sizes) -> _People:
    """Group shares are exact in the training and in the test file: only their order is random."""
    parts = (sizes.train, sizes.test, sizes.unknown_devices)
    groups = [rng.permutation(np.repeat(np.arange(len(GROUPS)), quota(SHARES, n))) for n in parts]
    return _People(ids=random_ids(rng, sum(parts)), group=np.concatenate(groups))


def _write_people(writer: _Writer, rng: Rng, leak_rng: Rng, people: _People, leak: bool) -> None:
    train, test = writer.sizes.train, writer.sizes.test
    group, age = people.group[:train], ages(rng, people.group[:train])
    order = _leaking_order(leak_rng, group) if leak else np.arange(train)
    gender = np.where(IS_MALE, "M", "F")[group]
    columns = (people.ids[:train], gender, age, np.array(GROUPS)[group])
    writer.write("gender_age_train", "device_id gender age group", [tuple(c[order] for c in columns)])
    writer.write("gender_age_test", "device_id", [(people.ids[train : train + test],)])


def _leaking_order(rng: Rng, group: Array) -> Array:
    """Rows of a group tend to stand together."""
    position: Array = rng.permutation(len(GROUPS))[group] / len(GROUPS)
    return np.argsort(position + rng.normal(scale=_LEAK_NOISE, size=len(group)), kind="stable")


def _write_phones(writer: _Writer, rng: Rng, people: _People) -> None:
    sizes = writer.sizes
    market = phone_market(rng, sizes)
    known = sizes.train + sizes.test
    pair = np.empty(known, dtype=np.int64)
    for code in range(len(GROUPS)):
        members = np.flatnonzero(people.group[:known] == code)
        pair[members] = draw(rng, market.by_group[:, code], len(members))
    device, pair = _with_duplicates(rng, pair, sizes)
    columns = (people.ids[device], market.brands[pair].astype(str), market.models[pair].astype(str))
    writer.write("phone_brand_device_model", "device_id phone_brand device_model", [columns])


def _with_duplicates(rng: Rng, pair: Array, sizes: Sizes) -> tuple[Array, Array]:
    """Device and pair of each row; some devices come a second time, a few of them with another phone."""
    again = rng.choice(len(pair), sizes.duplicates, replace=False)
    second = pair[again]
    conflicting = second[: sizes.conflicts]
    second[: sizes.conflicts] = np.where(conflicting == pair.max(), pair.min(), pair.max())
    place = rng.random(len(pair))
    order = np.argsort(np.concatenate([place, rng.uniform(place[again], 1.0)]), kind="stable")
    device = np.concatenate([np.arange(len(pair)), again])
    return device[order], np.concatenate([pair, second])[order]


def _devices_with_events(rng: Rng, sizes: Sizes) -> Array:
    """Indices of the devices with events: one share of training and test devices, and all unknown ones."""
    known = sizes.train + sizes.test
    train = round(sizes.devices_with_events * sizes.train / known)
    return np.concatenate(
        [
            rng.choice(sizes.train, train, replace=False),
            sizes.train + rng.choice(sizes.test, sizes.devices_with_events - train, replace=False),
            known + np.arange(sizes.unknown_devices),
        ]
    )


def _write_labels(writer: _Writer, catalogue: Catalogue) -> None:
    app, label = catalogue.app_labels.T
    writer.write("app_labels", "app_id label_id", [(catalogue.ids[app], label)])
    writer.write("label_categories", "label_id category", [(catalogue.label_ids, catalogue.categories)])


def _write_events(writer: _Writer, rng: Rng, people: _People, seen: Array, device: Array) -> None:
    places = Places(rng, len(seen))
    when = seconds(rng, people.group[seen][device])

    def chunks() -> Iterator[tuple[Any, ...]]:
        for start in range(0, len(device), _EVENTS_PER_CHUNK):
            rows = slice(start, start + _EVENTS_PER_CHUNK)
            longitude, latitude = places.of(rng, device[rows]).T
            event = np.arange(start, start + len(longitude)) + 1
            degrees = _TWO_DECIMALS.take(pa.array(longitude)), _TWO_DECIMALS.take(pa.array(latitude))
            yield event, people.ids[seen][device[rows]], when[rows], *degrees

    writer.write("events", "event_id device_id timestamp longitude latitude", chunks())


def _write_app_events(writer: _Writer, rng: Rng, catalogue: Catalogue, group: Array, device: Array) -> None:
    listed = np.flatnonzero(has_apps(rng, device))
    installed = with_mean_rows(installed_apps(rng, group, catalogue.by_group), device[listed])

    def chunks() -> Iterator[tuple[Any, ...]]:
        for event, app in app_rows(rng, device, listed, installed):
            active = (rng.random(len(event), dtype=np.float32) < _ACTIVE).astype(np.int8)
            yield event + 1, catalogue.ids[app], np.ones(len(event), dtype=np.int8), active

    writer.write("app_events", "event_id app_id is_installed is_active", chunks())
