"""The feature blocks: each a pure function from the raw tables to named columns, one row a device.

A new block is one function and one entry in `BLOCKS`, whose order is the order of the columns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import scipy.sparse as sp

from hptune.features._tables import Coded, Events, RawTables, boolean_csr

__all__ = [
    "BLOCKS",
    "BY_NAME",
    "Block",
    "NamedColumns",
    "clean_category",
    "one_hot_app_labels",
    "one_hot_brand_model",
    "one_hot_category",
    "text_category_features",
    "weekday_hour_features",
]

_EVENTS_AT_ONCE = 1 << 17  # bounds events x labels to a few hundred megabytes

_ESCAPES = str.maketrans({"%": "%25", "[": "%5B", "]": "%5D", "<": "%3C"})
_TO_SPACE = str.maketrans(dict.fromkeys("()_/", " "))


@dataclass(frozen=True)
class NamedColumns:
    """Values of a block's columns (a name for each) and its matrix, one row for each of ``raw.devices``."""

    values: tuple[str, ...]
    matrix: Any


@dataclass(frozen=True)
class Block:
    """A group of columns: its name, how it is computed, and the raw files without which it cannot be."""

    name: str
    compute: Callable[[RawTables], NamedColumns]
    needs: tuple[str, ...]

    def column_name(self, value: str) -> str:
        """``<block>=<value>`` with ``[``, ``]``, ``<`` and ``%`` percent-encoded.

        XGBoost refuses the first three. The percent sign is encoded as well so that the encoding can be
        undone: two different values never share a name.

        Examples
        --------
        >>> BY_NAME["model"].column_name("X[1]")
        'model=X%5B1%5D'
        """
        return f"{self.name}={value.translate(_ESCAPES)}"


def one_hot_brand_model(raw: RawTables, *, of: str) -> NamedColumns:
    """1 in the column of the device's brand, or model (`of`).

    Parameters
    ----------
    raw : RawTables
        Read with its phone table.
    of : {"brand", "model"}
        Which columns.

    Returns
    -------
    NamedColumns
        Entries 0 and 1, names in code point order; blank names make no column.
    """
    coded: Coded = {"brand": raw.brand, "model": raw.model}[of]
    rows = np.flatnonzero(coded.codes >= 0)
    return NamedColumns(
        coded.values,
        boolean_csr(rows, coded.codes[rows], (len(raw.devices), len(coded.values))).astype(np.float64),
    )


def weekday_hour_features(raw: RawTables, *, of: str) -> NamedColumns:
    """Share of the device's events in each weekday, hour, or weekday and hour (`of`).

    Parameters
    ----------
    raw : RawTables
        Read with events.
    of : {"weekday", "hour", "weekday_hour"}
        Which columns.

    Returns
    -------
    NamedColumns
        Entries in [0, 1]; 7, 24 or 168 columns in the order of time, Monday first.
    """
    events = _present(raw.events)
    weekday, hour = np.divmod(events.slots, 24)
    days, hours = [str(day) for day in range(7)], [f"{hour:02d}" for hour in range(24)]
    slot, names = {
        "weekday": (weekday, days),
        "hour": (hour, hours),
        "weekday_hour": (events.slots, [f"{day}_{hour}" for day in days for hour in hours]),
    }[of]
    shape = (len(events.starts) - 1, len(names))
    counts = sp.csr_array((np.ones(len(slot)), slot, events.starts), shape=shape, copy=True)
    counts.sum_duplicates()  # works in place: hence the copy
    return NamedColumns(tuple(names), _shares(counts, events))


def one_hot_app_labels(raw: RawTables, *, of: str) -> NamedColumns:
    """Share of the device's events in which the app, or any app of the label (`of`), appears.

    Parameters
    ----------
    raw : RawTables
        Read with events and app_events, for labels app_labels too.
    of : {"app", "label"}
        Which columns.

    Returns
    -------
    NamedColumns
        Entries in [0, 1], columns by number: all apps of app_events, all labels of app_labels.
    """
    values, groups = {"app": (raw.apps, None), "label": (raw.labels, raw.app_label)}[of]
    return NamedColumns(tuple(map(str, _present(values))), _shares(_event_counts(raw, groups), raw.events))


def text_category_features(raw: RawTables) -> NamedColumns:
    """Share of the device's events in which any app of the category (its cleaned text) appears.

    Parameters
    ----------
    raw : RawTables
        Read with events, app_events, app_labels and label_categories.

    Returns
    -------
    NamedColumns
        Entries in [0, 1]; the distinct texts of all labels of app_labels, in code point order.
    """
    names, groups = _groups_of_apps(raw, lambda text: [clean_category(text)])
    return NamedColumns(names, _shares(_event_counts(raw, groups), raw.events))


def one_hot_category(raw: RawTables) -> NamedColumns:
    """1 in the column of each word in the cleaned category texts of the device's apps, else 0.

    As `text_category_features`, but that a column stands for a word, and its entries tell of no shares.
    """
    names, groups = _groups_of_apps(raw, lambda text: clean_category(text).split())
    has_app = _event_counts(raw, None).astype(bool)
    return NamedColumns(names, (has_app @ groups).astype(np.float64))


def clean_category(text: str) -> str:
    """A category's text as it names a column.

    Examples
    --------
    >>> clean_category("Game-Rowing (P2P)/free_app")
    'game rowing  p2p  free app'
    """
    return text.lower().replace("game-", "game ").translate(_TO_SPACE).strip()


def _groups_of_apps(raw: RawTables, names_of: Callable[[str], Sequence[str]]) -> tuple[tuple[str, ...], Any]:
    """The sorted names of all labels' categories, and which each app carries (boolean, apps x names)."""
    pairs = [
        (label, name)
        for label, texts in enumerate(_present(raw.categories))
        for text in texts
        for name in names_of(text)
        if name
    ]
    names = sorted({name for _, name in pairs})
    code = {name: at for at, name in enumerate(names)}
    labels = np.array([label for label, _ in pairs], dtype=np.int32)
    codes = np.array([code[name] for _, name in pairs], dtype=np.int32)
    return tuple(names), raw.app_label @ boolean_csr(labels, codes, (raw.app_label.shape[1], len(names)))


def _event_counts(raw: RawTables, groups: Any) -> Any:
    """In how many events of each device any app of a group appears (boolean, apps x groups; None: itself)."""
    starts = _present(raw.events).starts
    width = raw.event_app.shape[1] if groups is None else groups.shape[1]
    total = sp.csr_array((len(starts) - 1, width), dtype=np.int32)
    for begin in range(0, raw.event_app.shape[0], _EVENTS_AT_ONCE):
        seen = raw.event_app[begin : begin + _EVENTS_AT_ONCE]
        seen = (
            seen if groups is None else seen @ groups
        )  # boolean: an event counts once however many apps match
        held = np.clip(starts - begin, 0, seen.shape[0])  # each device's events within this slice
        ones = np.ones(seen.shape[0], dtype=np.int32)
        devices = sp.csr_array((ones, np.arange(seen.shape[0]), held), shape=(len(starts) - 1, seen.shape[0]))
        total = total + devices @ seen.astype(np.int32)
    return total


def _shares(counts: Any, events: Events | None) -> Any:
    """`counts` divided by the number of all events of the row's device."""
    denominators = np.repeat(_present(events).per_device, np.diff(counts.indptr))
    return sp.csr_array((counts.data / denominators, counts.indices, counts.indptr), shape=counts.shape)


def _present(table: Any) -> Any:
    if table is None:
        raise ValueError("a block was asked for without the raw files that it needs")
    return table


_PHONE = ("phone_brand_device_model",)
_TIME = ("events",)
_APP = ("events", "app_events")
_LABEL = (*_APP, "app_labels")
_CATEGORY = (*_LABEL, "label_categories")

BLOCKS = (
    Block("brand", partial(one_hot_brand_model, of="brand"), _PHONE),
    Block("model", partial(one_hot_brand_model, of="model"), _PHONE),
    Block("app", partial(one_hot_app_labels, of="app"), _APP),
    Block("label", partial(one_hot_app_labels, of="label"), _LABEL),
    Block("category", text_category_features, _CATEGORY),
    Block("weekday", partial(weekday_hour_features, of="weekday"), _TIME),
    Block("hour", partial(weekday_hour_features, of="hour"), _TIME),
    Block("weekday_hour", partial(weekday_hour_features, of="weekday_hour"), _TIME),
    Block("category_word", one_hot_category, _CATEGORY),
)
BY_NAME = {block.name: block for block in BLOCKS}
