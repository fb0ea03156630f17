"""Events: when and where devices were seen, and which apps each event lists."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from hptune.sample._draws import Array, Rng, draw
from hptune.sample._groups import AXES, GROUPS
from hptune.sample._sizes import Sizes

__all__ = [
    "APP_EVENTS_SHARE",
    "Installed",
    "Places",
    "app_rows",
    "device_of_event",
    "has_apps",
    "installed_apps",
    "seconds",
    "with_mean_rows",
]

APP_EVENTS_SHARE = 0.457
_FIRST_WITH_APPS = 0.93
_EVENTS_SIGMA = 1.55
_INSTALLED_MEAN, _INSTALLED_SHAPE = 44.2, 2.5
_APPS_PER_EVENT = 21.8
_USE = (0.75, 0.68)  # beta law of the share of a device's events in which an installed app appears
_EVENTS_PER_CHUNK = 40_000
_FIRST_DAY = np.datetime64("2016-05-01T00:00:00", "s")
_HOURS = np.array(
    [
        2.6,
        1.6,
        1.1,
        0.9,
        1.0,
        1.8,
        3.4,
        4.6,
        5.2,
        5.6,
        5.9,
        5.3,
        5.2,
        5.0,
        4.6,
        4.5,
        4.5,
        4.6,
        4.9,
        5.4,
        5.8,
        6.1,
        5.2,
        3.9,
    ]
)
# Longitude, latitude, weight of large cities.
_CITIES = np.array(
    [
        (113.3, 23.1, 12), (116.4, 39.9, 9), (121.5, 31.2, 9), (114.1, 22.6, 8), (104.1, 30.7, 7),
        (118.8, 32.1, 5), (120.2, 30.3, 5), (114.3, 30.6, 4), (112.9, 28.2, 4), (108.9, 34.3, 4),
        (117.2, 39.1, 4), (113.6, 34.7, 4), (106.5, 29.6, 4), (120.4, 36.1, 3), (118.1, 24.5, 3),
        (119.3, 26.1, 3), (123.4, 41.8, 3), (114.5, 38.0, 3), (117.0, 36.7, 3), (108.3, 22.8, 3),
        (115.9, 28.7, 2), (126.6, 45.8, 2), (102.7, 25.0, 2), (87.6, 43.8, 1),
    ]
)  # fmt: skip


def device_of_event(rng: Rng, sizes: Sizes, devices: int) -> Array:
    """The device index of each event, in random order; heavy-tailed, and each device has an event."""
    weights = rng.lognormal(sigma=_EVENTS_SIGMA, size=devices)
    counts = 1 + rng.multinomial(sizes.events - devices, weights / weights.sum())
    return rng.permutation(np.repeat(np.arange(devices, dtype=np.int32), counts))


def has_apps(rng: Rng, device: Array) -> Array:
    """Which events list apps: nearly every device's first one, and as many others as the share leaves."""
    first = np.zeros(len(device), dtype=bool)
    first[np.unique(device, return_index=True)[1]] = True
    n_first = int(first.sum())
    others = (APP_EVENTS_SHARE * len(device) - _FIRST_WITH_APPS * n_first) / max(1, len(device) - n_first)
    return np.asarray(rng.random(len(device)) < np.where(first, _FIRST_WITH_APPS, others))


def seconds(rng: Rng, group: Array) -> Array:
    """A timestamp (datetime64[s]) for each event, from its device's group's hours of the day."""
    by_group = _hours_by_group()
    hour = np.empty(len(group), dtype=np.int64)
    for code in range(len(GROUPS)):
        members = np.flatnonzero(group == code)
        hour[members] = draw(rng, by_group[:, code], len(members))
    day = rng.integers(0, 7, len(group))
    # Clocks and uploads are a few minutes off, which puts events before the first and after the last day.
    moment = (
        day * 86_400 + hour * 3_600 + rng.integers(0, 3_600, len(group)) + rng.integers(-360, 720, len(group))
    )
    return _FIRST_DAY + moment.astype("timedelta64[s]")


def _hours_by_group() -> Array:
    """Older people are up earlier, women rather see the evening; columns sum to 1."""
    angle = 2 * np.pi * np.arange(24) / 24
    morning, evening = np.cos(angle - 2 * np.pi * 7 / 24), np.cos(angle - 2 * np.pi * 20 / 24)
    liking = 0.22 * np.outer(morning, AXES[:, 1]) - 0.06 * np.outer(evening, AXES[:, 0])
    chance = _HOURS[:, None] * np.exp(liking)
    shares: Array = chance / chance.sum(axis=0)
    return shares


class Places:
    """A home near a city for each device, and coordinates of its events in hundredths of a degree.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> Places(rng, devices=3).of(rng, np.array([0, 1, 1])).shape
    (3, 2)
    """

    def __init__(self, rng: Rng, devices: int) -> None:
        city = draw(rng, _CITIES[:, 2], devices)
        self._homes = _CITIES[city, :2] + rng.normal(scale=(0.9, 0.7), size=(devices, 2))

    def of(self, rng: Rng, device: Array) -> Array:
        """Longitude and latitude of one event for each entry of `device`; many are unknown (0, 0 or 1, 1)."""
        place = np.rint(100 * (self._homes[device] + rng.normal(scale=0.03, size=(len(device), 2))))
        chance = rng.random(len(device))
        place[chance < 0.321] = 100
        place[chance < 0.298] = 0
        return np.asarray(place, dtype=np.int64)


@dataclass(frozen=True)
class Installed:
    """The apps of each device: those of device d are `apps[starts[d]:starts[d + 1]]`.

    `use` holds the chance that an event of the device lists the app.
    """

    starts: Array
    apps: Array
    use: Array


def installed_apps(rng: Rng, group: Array, by_group: Array) -> Installed:
    """Different apps for each device, by its group's chances."""
    n_apps = len(by_group)
    wanted = np.clip(
        rng.gamma(_INSTALLED_SHAPE, _INSTALLED_MEAN / _INSTALLED_SHAPE, len(group)), 2, n_apps / 3
    )
    draws = _draws_for(by_group.mean(axis=1), wanted)
    device = np.repeat(np.arange(len(group)), draws)
    app = np.empty(len(device), dtype=np.int64)
    for code in range(len(GROUPS)):
        members = np.flatnonzero(group[device] == code)
        app[members] = draw(rng, by_group[:, code], len(members))
    pairs = np.unique(device * n_apps + app)
    device, app = np.divmod(pairs, n_apps)
    starts = np.concatenate([[0], np.cumsum(np.bincount(device, minlength=len(group)))])
    return Installed(
        starts=starts, apps=app.astype(np.int32), use=rng.beta(*_USE, len(app)).astype(np.float32)
    )


def _draws_for(chance: Array, different: Array) -> Array:
    """How many draws with `chance` give on average as many `different` apps."""
    draws = np.unique(np.geomspace(1, 40 * different.max(), 60).astype(np.int64))
    expected = np.array([-np.expm1(n * np.log1p(-chance)).sum() for n in draws])
    return np.rint(np.interp(different, expected, draws)).astype(np.int64)


def with_mean_rows(installed: Installed, device: Array) -> Installed:
    """Scale `use` until the events with apps, whose devices are `device`, list 21.8 apps on average.

    A few devices have most of the events, so that a small sample would be far off.
    """
    owner = np.repeat(np.arange(len(installed.starts) - 1), np.diff(installed.starts))
    events = np.bincount(device, minlength=len(installed.starts) - 1)[owner]
    use = installed.use
    for _ in range(5):  # what is cut at 1 is missing from the mean
        use = np.minimum(use * (_APPS_PER_EVENT * len(device) / (events @ use)), 1)
    return replace(installed, use=use.astype(np.float32))


def app_rows(rng: Rng, device: Array, listed: Array, installed: Installed) -> Iterator[tuple[Array, Array]]:
    """Event index and app index of each row of the app events file, in chunks of bounded size.

    `device` is the device of every event, `listed` the indices of the events with apps.
    """
    for start in range(0, len(listed), _EVENTS_PER_CHUNK):
        events = listed[start : start + _EVENTS_PER_CHUNK]
        first = installed.starts[device[events]]
        lengths = installed.starts[device[events] + 1] - first
        offset = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        pair = np.repeat(first, lengths) + offset
        kept = rng.random(len(pair), dtype=np.float32) < installed.use[pair]
        yield np.repeat(events, lengths)[kept], installed.apps[pair[kept]]
