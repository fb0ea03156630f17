"""The key ``limits``: how much is tried at most, and for how long."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hptune.errors import ConfigurationError, did_you_mean

__all__ = ["LimitsConfig", "limits_section", "seconds_of"]

_TIME = re.compile(r"(\d+(?:\.\d+)?)\s*([smh]?)")
_SECONDS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}
_LONGEST = 1e8  # seconds, three years: what timers of the system take


@dataclass(frozen=True)
class LimitsConfig:
    """None where there is no limit; times in seconds."""

    max_total_trials: int | None = None
    max_concurrent_trials: int | None = None
    max_failed_trials: int | None = None
    timeout: float | None = None
    trial_timeout: float | None = None

    def to_mapping(self) -> dict[str, Any]:
        """The key's content."""
        return {name: value for name, value in dataclasses.asdict(self).items() if value is not None}


def limits_section(value: Any) -> LimitsConfig:
    """The checked key.

    Raises
    ------
    ConfigurationError
        A limit is unknown, or no such number or time.

    Examples
    --------
    >>> limits_section({"max_failed_trials": 3, "timeout": "2h"}).to_mapping()
    {'max_failed_trials': 3, 'timeout': 7200.0}
    """
    if not isinstance(value, Mapping):
        raise ConfigurationError("limits must be a map", "write limits: {max_total_trials: 64}")
    known = [field.name for field in dataclasses.fields(LimitsConfig)]
    for key in value:
        if key not in known:
            listed = f"the keys are {', '.join(known)}"
            raise ConfigurationError(f"unknown key 'limits.{key}'", did_you_mean(str(key), known, listed))
    limits: dict[str, Any] = {
        key: _count(key, limit) if key.startswith("max_") else seconds_of(f"limits.{key}", limit)
        for key, limit in value.items()
        if limit is not None
    }
    return LimitsConfig(**limits)


def seconds_of(name: str, value: Any) -> float:
    """A time as people write it: seconds, or a number with s, m or h.

    Examples
    --------
    >>> seconds_of("limits.timeout", 20), seconds_of("limits.timeout", "1.5h")
    (20.0, 5400.0)
    """
    match = _TIME.fullmatch(str(value).strip()) if not isinstance(value, bool) else None
    seconds = float(match[1]) * _SECONDS[match[2]] if match else math.nan
    if not 0 < seconds <= _LONGEST:
        raise ConfigurationError(f"{name} must be a time but is {value!r}", "write seconds, 90s, 30m or 2h")
    return seconds


def _count(key: str, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ConfigurationError(f"limits.{key} must be a whole number from 1 but is {value!r}", "correct it")
    return value
