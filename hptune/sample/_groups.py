"""The twelve groups: shares, ages, and the axes along which their preferences differ."""

from __future__ import annotations

import numpy as np

from hptune.sample._draws import Array, Rng, standardised

__all__ = ["AXES", "GROUPS", "IS_MALE", "SHARES", "ages"]

_FEMALE = ("F23-", "F24-26", "F27-28", "F29-32", "F33-42", "F43+")
_MALE = ("M22-", "M23-26", "M27-28", "M29-31", "M32-38", "M39+")
GROUPS = _FEMALE + _MALE
IS_MALE = np.array([group in _MALE for group in GROUPS])

_PERCENT = np.array([6.77, 5.61, 4.18, 6.20, 7.45, 5.62, 10.03, 12.87, 7.29, 9.79, 12.69, 11.50])
SHARES: Array = _PERCENT / _PERCENT.sum()

_YOUNGEST = np.array([10, 24, 27, 29, 33, 43, 10, 23, 27, 29, 32, 39])
_OLDEST = np.array([23, 26, 28, 32, 42, 96, 22, 26, 28, 31, 38, 96])
_MEAN_AGE = np.array([21.0, 25.1, 27.5, 30.3, 36.7, 51.6, 20.2, 24.6, 27.5, 29.9, 34.5, 47.1])
# Distance from the closed end of an open group: mean and spread of a gamma law.
_OPEN_ENDS = {0: (23, -1, 2.5, 1.8), 5: (43, 1, 9.1, 8.1), 6: (22, -1, 2.3, 1.75), 11: (39, 1, 8.6, 7.9)}


def _axes() -> Array:
    """Group x axis: gender, age, age squared and gender x age, each of mean 0 and variance 1 over people."""
    log_age = np.log(_MEAN_AGE)
    age = (log_age - log_age.mean()) / log_age.std()
    gender = np.where(IS_MALE, 1.0, -1.0)
    return standardised(np.stack([gender, age, age**2, gender * age], axis=1), SHARES)


AXES = _axes()


def ages(rng: Rng, groups: Array) -> Array:
    """An age in years for each group code, inside the group's bounds."""
    low, high = _YOUNGEST[groups], _OLDEST[groups]
    # The exponent leans the closed groups a little to their younger end.
    years = low + np.floor((high - low + 1) * rng.random(len(groups)) ** 1.1).astype(np.int64)
    for group, (end, direction, mean, spread) in _OPEN_ENDS.items():
        members = np.flatnonzero(groups == group)
        distance = rng.gamma((mean / spread) ** 2, spread**2 / mean, size=len(members))
        years[members] = end + direction * np.floor(distance)
    return np.asarray(np.clip(years, low, high))
