"""How many rows and how many different values a sample of a given scale has."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Sizes"]

_SHRINKING = 0.6  # vocabularies shrink more slowly than rows, as they do in a random part of real data
_STRENGTHENING = 0.2  # a small sample has to show with few rows what a large one shows with many


@dataclass(frozen=True)
class Sizes:
    """Counts of rows, devices and vocabularies; `Sizes.at(1.0)` are those of the full data.

    Examples
    --------
    >>> Sizes.at(1.0).train, Sizes.at(0.02).train
    (74645, 1493)
    """

    train: int
    test: int
    duplicates: int
    conflicts: int
    devices_with_events: int
    unknown_devices: int
    events: int
    brands: int
    models: int
    shared_models: int
    apps: int
    labelled_apps: int
    labels: int
    label_rows: int
    strength: float

    @classmethod
    def at(cls, scale: float) -> Sizes:
        """The counts at `scale`, in (0, 1]."""
        train, test = _rows(74_645, scale), _rows(112_071, scale)
        with_events = round(0.312 * (train + test))
        apps = _words(19_237, scale)
        labelled = max(apps, _rows(113_211, scale))
        return cls(
            train=train,
            test=test,
            duplicates=_rows(529, scale),
            conflicts=_rows(6, scale),
            devices_with_events=with_events,
            unknown_devices=max(1, round(with_events * 0.027 / 0.973)),
            events=_rows(3_252_950, scale),
            brands=max(20, _words(131, scale)),
            models=max(60, _words(1_599, scale)),
            shared_models=_words(54, scale),
            apps=apps,
            labelled_apps=labelled,
            labels=max(40, _words(507, scale)),
            label_rows=max(_rows(459_943, scale), round(4.06 * labelled)),
            strength=scale**-_STRENGTHENING,
        )


def _rows(full: int, scale: float) -> int:
    return max(1, round(full * scale))


def _words(full: int, scale: float) -> int:
    return max(1, round(full * float(scale**_SHRINKING)))
