"""The seven raw files as compact arrays: ids become row numbers here, once, and never pass through floats."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import scipy.sparse as sp

from hptune.csv_files import (
    INTEGER,
    LABEL,
    SUFFIXES,
    TEXT,
    TIME,
    Columns,
    check_header,
    find_file,
    line_of_row,
    read_batches,
    read_sound_batches,
    read_sound_table,
    read_table,
)
from hptune.errors import InputDataError
from hptune.records import Reject

__all__ = [
    "FILES",
    "REQUIRED",
    "Coded",
    "Events",
    "Ints",
    "Progress",
    "RawTables",
    "boolean_csr",
    "find_files",
    "lookup",
    "read_tables",
]

Ints: TypeAlias = npt.NDArray[Any]
Progress: TypeAlias = Callable[[str], None]

FILES: Mapping[str, Columns] = {
    "gender_age_train": {"device_id": INTEGER, "group": LABEL},
    "gender_age_test": {"device_id": INTEGER},
    "phone_brand_device_model": {"device_id": INTEGER, "phone_brand": TEXT, "device_model": TEXT},
    "events": {"event_id": INTEGER, "device_id": INTEGER, "timestamp": TIME},
    "app_events": {"event_id": INTEGER, "app_id": INTEGER},
    "app_labels": {"app_id": INTEGER, "label_id": INTEGER},
    "label_categories": {"label_id": INTEGER, "category": TEXT},
}
REQUIRED = ("gender_age_train", "phone_brand_device_model")


@dataclass(frozen=True)
class Coded:
    """A text for each device: `codes` into the sorted `values`, -1 where there is none."""

    codes: Ints
    values: tuple[str, ...]


@dataclass(frozen=True)
class Events:
    """Events of known devices, sorted by device: those of device i are ``starts[i]:starts[i + 1]``.

    `slots` is weekday * 24 + hour of each, Monday = 0.
    """

    starts: Ints
    slots: Ints

    @property
    def per_device(self) -> Ints:
        """How many events each device has."""
        return np.diff(self.starts)


@dataclass(frozen=True)
class RawTables:
    """What the feature blocks are computed from; None stands for a file that is absent or not needed.

    `devices` are all ids of the train and test file, sorted. `event_app` has a row for each event of
    `events`, `app_label` a row for each of `apps`; both are boolean. `categories` are the
    texts of each of `labels`. `rejects` are the rows that lenient reading left out.
    """

    train_ids: Ints
    test_ids: Ints | None
    groups: tuple[str, ...]
    devices: Ints
    brand: Coded
    model: Coded
    events: Events | None
    apps: Ints | None
    event_app: Any
    labels: Ints | None
    app_label: Any
    categories: tuple[tuple[str, ...], ...] | None
    notes: tuple[str, ...]
    rejects: tuple[Reject, ...] = ()


def find_files(directory: Path) -> dict[str, Path]:
    """Paths of the raw files that are present, each with a header as it should be.

    Raises
    ------
    InputDataError
        Where the directory or a required file is missing, or a present one does not open.
    """
    if not directory.is_dir():
        raise InputDataError(
            f"no directory {directory}", "name the directory that holds gender_age_train.csv.zip"
        )
    found = {name: path for name in FILES if (path := find_file(directory, name)) is not None}
    for name in REQUIRED:
        if name not in found:
            raise InputDataError(
                f"{directory} holds neither {' nor '.join(name + suffix for suffix in SUFFIXES)}",
                "name the directory of the raw files, or make a sample",
            )
    for name, path in found.items():
        check_header(path, FILES[name])
    return found


def raw_file_names(names: Collection[str], place: str, *, required: bool) -> list[str]:
    """Which of the `names` in a listing are raw files.

    Raises
    ------
    InputDataError
        One that every sweep needs is not among them, where `required` asks for it.
    """
    spelled = {name: [name + suffix for suffix in SUFFIXES] for name in FILES}
    for name in REQUIRED if required else ():
        if not any(spelling in names for spelling in spelled[name]):
            raise InputDataError(
                f"{place} holds neither {' nor '.join(spelled[name])}", "name the place of the raw files"
            )
    return [spelling for spellings in spelled.values() for spelling in spellings if spelling in names]


def read_tables(files: Mapping[str, Path], progress: Progress, *, strict: bool = True) -> RawTables:
    """Read `files` (name to path, at least the required ones); unless `strict`, without their bad rows."""
    reader = _Reader(files, progress, None if strict else [])
    train_ids, groups = reader.train()
    test_ids = reader.test()
    devices = np.unique(train_ids if test_ids is None else np.concatenate([train_ids, test_ids]))
    brand, model = reader.phones(train_ids, devices)
    events, event_rows = reader.events(devices)
    apps, event_app = reader.app_events(event_rows)
    labels, app_label = reader.app_labels(apps)
    return RawTables(
        train_ids=train_ids,
        test_ids=test_ids,
        groups=groups,
        devices=devices,
        brand=brand,
        model=model,
        events=events,
        apps=apps,
        event_app=event_app,
        labels=labels,
        app_label=app_label,
        categories=reader.categories(labels),
        notes=tuple(reader.notes),
        rejects=tuple(reader.rejects or ()),
    )


def lookup(ids: Ints, sought: Ints) -> Ints:
    """Positions of `sought` in the sorted unique `ids`, -1 where absent.

    Examples
    --------
    >>> lookup(np.array([3, 5, 9]), np.array([9, 4, 3]))
    array([ 2, -1,  0])
    """
    if not len(ids):
        return np.full(len(sought), -1)
    at = np.minimum(np.searchsorted(ids, sought), len(ids) - 1)
    return np.where(ids[at] == sought, at, -1)


def boolean_csr(rows: Ints, columns: Ints, shape: tuple[int, int]) -> Any:
    """A boolean CSR array with True at each (row, column), however often it is listed."""
    return sp.coo_array((np.ones(len(rows), dtype=bool), (rows, columns)), shape=shape).tocsr()


class _Reader:
    """Reads one file a method; a method whose file (or what it builds on) is absent returns None.

    With a list of `rejects`, bad rows are added to it and left out.
    """

    def __init__(self, files: Mapping[str, Path], progress: Progress, rejects: list[Reject] | None) -> None:
        self._files = files
        self._progress = progress
        self.notes: list[str] = []
        self.rejects = rejects

    def train(self) -> tuple[Ints, tuple[str, ...]]:
        table = self._unique("gender_age_train", "device_id")
        ids = _int64(table, "device_id")
        groups = tuple(table["group"].to_pylist())
        if len(set(groups)) < 2:
            raise InputDataError(
                f"{self._files['gender_age_train']}: all {len(groups)} rows are of one group",
                "give rows of at least two groups",
            )
        return ids, groups

    def test(self) -> Ints | None:
        if "gender_age_test" not in self._files:
            return None
        return _int64(self._unique("gender_age_test", "device_id"), "device_id")

    def phones(self, train_ids: Ints, devices: Ints) -> tuple[Coded, Coded]:
        table = self._table("phone_brand_device_model")
        ids, first = np.unique(_int64(table, "device_id"), return_index=True)
        differing = table.group_by(table.column_names).aggregate([]).num_rows - len(ids)
        self._note(
            len(table) - len(ids),
            f"phone row(s) of a device listed before, {differing} with another phone: the first one counts",
        )
        if not np.isin(train_ids, ids).any():
            raise InputDataError(
                f"no device of {self._files['gender_age_train']} is in "
                f"{self._files['phone_brand_device_model']}",
                "check that both files belong together",
            )
        rows = lookup(ids, devices)
        self._note(int((rows < 0).sum()), "device(s) without a phone row: no brand, no model")
        kept = table.take(first)
        return _coded(kept["phone_brand"], rows), _coded(kept["device_model"], rows)

    def events(self, devices: Ints) -> tuple[Events | None, tuple[Ints, Ints] | None]:
        """The events, and (sorted event ids, row of each in the events or -1) to find them by."""
        if "events" not in self._files:
            return None, None
        table = self._unique("events", "event_id")
        ids, device = _int64(table, "event_id"), lookup(devices, _int64(table, "device_id"))
        order = np.argsort(device, kind="stable")
        order = order[np.searchsorted(device[order], 0) :]
        self._note(
            len(ids) - len(order), "event(s) of devices in neither the train nor the test file: ignored"
        )
        seconds = table["timestamp"].to_numpy().astype("datetime64[s]").astype(np.int64)[order]
        weekday = (seconds // 86_400 + 3) % 7  # day 0 was a Thursday
        starts = np.concatenate([[0], np.cumsum(np.bincount(device[order], minlength=len(devices)))])
        rows = np.full(len(ids), -1, dtype=np.int32)
        rows[order] = np.arange(len(order), dtype=np.int32)
        by_id = np.argsort(ids)
        return Events(starts, weekday * 24 + seconds % 86_400 // 3600), (ids[by_id], rows[by_id])

    def app_events(self, event_rows: tuple[Ints, Ints] | None) -> tuple[Ints | None, Any]:
        if "app_events" not in self._files or event_rows is None:
            return None, None
        ids, rows = event_rows
        vocabulary: dict[int, int] = {}
        events, apps, strangers = [], [], 0
        for event_id, app_id in self._batches("app_events"):
            at = lookup(ids, event_id)
            row = np.where(at < 0, np.int32(-1), rows[at])
            code = _grow(vocabulary, app_id)
            strangers += int((at < 0).sum())
            events.append(row[row >= 0])
            apps.append(code[row >= 0])
        self._note(strangers, "app row(s) of events that are not listed: ignored")
        known = np.fromiter(vocabulary, dtype=np.int64, count=len(vocabulary))
        order = np.argsort(known)
        rank = np.empty(len(order), dtype=np.int32)
        rank[order] = np.arange(len(order), dtype=np.int32)
        shape = (int((rows >= 0).sum()), len(known))
        return known[order], boolean_csr(np.concatenate(events), rank[np.concatenate(apps)], shape)

    def app_labels(self, apps: Ints | None) -> tuple[Ints | None, Any]:
        if "app_labels" not in self._files or apps is None:
            return None, None
        table = self._table("app_labels")
        app = lookup(apps, _int64(table, "app_id"))
        labels, label = np.unique(_int64(table, "label_id"), return_inverse=True)
        listed = app >= 0
        return labels, boolean_csr(app[listed], label[listed], (len(apps), len(labels)))

    def categories(self, labels: Ints | None) -> tuple[tuple[str, ...], ...] | None:
        if "label_categories" not in self._files or labels is None:
            return None
        table = self._table("label_categories")
        texts: list[list[str]] = [[] for _ in labels]
        missing = 0
        for at, text in zip(
            lookup(labels, _int64(table, "label_id")), table["category"].to_pylist(), strict=True
        ):
            missing += not text.strip()
            if at >= 0 and text.strip():
                texts[at].append(text)
        self._note(missing, "label(s) with a blank category: no category column")
        return tuple(tuple(several) for several in texts)

    def _table(self, name: str) -> Any:
        return self._read(name)[0]

    def _read(self, name: str) -> tuple[Any, Ints | None]:
        """A file's rows, and in lenient reading their lines."""
        self._progress(f"reading {self._files[name].name}")
        if self.rejects is None:
            return read_table(self._files[name], FILES[name]), None
        return read_sound_table(self._files[name], FILES[name], self.rejects)

    def _batches(self, name: str) -> Iterator[tuple[Ints, ...]]:
        self._progress(f"reading {self._files[name].name}")
        path, columns = self._files[name], FILES[name]
        if self.rejects is None:
            batches = read_batches(path, columns)
        else:
            batches = (batch for batch, _ in read_sound_batches(path, columns, self.rejects))
        for batch in batches:
            yield tuple(batch.column(column).to_numpy() for column in columns)

    def _note(self, count: int, what: str) -> None:
        if count:
            self.notes.append(f"{count:,} {what}")

    def _unique(self, name: str, column: str) -> Any:
        """A file's rows, none of which may have the `column` of a row before it."""
        table, lines = self._read(name)
        again = pd.Index(_int64(table, column)).duplicated()
        if not again.any():
            return table
        path, at = self._files[name], list(FILES[name]).index(column) + 1
        problem = f"{column} is listed before"
        if self.rejects is None or lines is None:
            line = line_of_row(path, int(again.argmax()))
            what = f"{path}:{line}:{at}: {problem} ({int(again.sum()):,} such row(s) in all)"
            raise InputDataError(what, "keep one row of each")
        self.rejects += [Reject(path.name, line, at, problem) for line in lines[again].tolist()]
        return table.filter(pa.array(~again))


def _int64(table: Any, column: str) -> Ints:
    ids: Ints = table[column].to_numpy()
    return ids


def _grow(vocabulary: dict[int, int], ids: Ints) -> Ints:
    """Codes of `ids`; new ones get the next numbers."""
    local, found = pd.factorize(ids)
    codes = [vocabulary.setdefault(value, len(vocabulary)) for value in found.tolist()]
    grown: Ints = np.array(codes, dtype=np.int32)[local]
    return grown


def _coded(column: Any, rows: Ints) -> Coded:
    """`column` (one entry a phone) at `rows`; the vocabulary is the whole column's, in code point order."""
    encoded = column.combine_chunks().dictionary_encode()
    found = encoded.dictionary.to_pylist()
    values = sorted(value for value in found if value.strip())
    rank = {value: code for code, value in enumerate(values)}
    ranks = np.array([rank.get(value, -1) for value in found], dtype=np.int32)
    codes = ranks[encoded.indices.to_numpy()]
    return Coded(np.where(rows < 0, -1, codes[rows]), tuple(values))
