"""What a trial answers, read: a number, or a map with the metric that ranks. Pure functions."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from numbers import Real
from typing import Any

from hptune.records import Objective

__all__ = [
    "ANSWER_BYTES",
    "Answer",
    "Unusable",
    "fitting",
    "metric_never_logged",
    "never_logged_reason",
    "read_answer",
]

ANSWER_BYTES = 2048  # of what a trial tells beside its metrics: an outcome stays below 4 KiB
_METRICS_BYTES = 1024
_NEVER_LOGGED = "the script logged no "
_STATUSES = ("ok", "fail")
_SHOWN = 200  # characters of a value that JSON has no form for
_MANY = 10_000  # items of something that is told


class Unusable(Exception):
    """An answer that nothing can be ranked by; its text says why."""


@dataclass(frozen=True)
class Answer:
    """What a trial told.

    Parameters
    ----------
    metrics : mapping of str to float
        Under the trial's own names and signs, the one that ranks among them.
    told : mapping
        Everything else, as JSON holds it.
    """

    metrics: Mapping[str, float]
    told: Mapping[str, Any] = field(default_factory=dict)


def read_answer(value: Any, objective: Objective) -> Answer:
    """What a function returned, or a script printed.

    Parameters
    ----------
    value : number or mapping
        The metric that ranks; or metrics by name, with ``status`` "ok" or "fail" and anything small beside them.
    objective : Objective
        Names the metric that ranks.

    Raises
    ------
    Unusable
        It is something else, too large, says itself that the trial failed, or lacks a finite value of the metric.

    Examples
    --------
    >>> read_answer({"loss": 0.5, "status": "ok", "depth": 3, "note": "fine"}, Objective("loss", "minimize"))
    Answer(metrics={'loss': 0.5, 'depth': 3.0}, told={'note': 'fine'})
    """
    if not isinstance(value, Mapping):
        return Answer({objective.metric: _finite(objective.metric, _number(value), value)})
    status = value.get("status", "ok")
    if status not in _STATUSES:
        raise Unusable(f"the trial's status is {_short(status)}, not 'ok' or 'fail'")
    if status == "fail":
        reason = value.get("error", value.get("message"))
        raise Unusable(f"the trial says that it failed{'' if reason is None else f': {_short(reason)}'}")
    if objective.metric not in value:
        raise Unusable(
            f"the trial told no {objective.metric!r}, only {', '.join(map(repr, value)) or 'nothing'}"
        )
    numbers = {str(name): _number(item) for name, item in value.items()}
    metrics = {name: number for name, number in numbers.items() if number is not None}
    _finite(objective.metric, metrics.get(objective.metric), value[objective.metric])
    rest = {
        str(name): _plain(str(name), item)
        for name, item in value.items()
        if str(name) not in metrics and name != "status"
    }
    _check_size({name: repr(number) for name, number in metrics.items()}, "its metrics", _METRICS_BYTES)
    _check_size(rest, "what the trial tells beside its metrics", ANSWER_BYTES)
    return Answer(metrics, rest)


def never_logged_reason(metric: str, logged: Collection[str]) -> str:
    """What is said of a trial that did not tell what ranks."""
    others = f", only {', '.join(map(repr, logged))}" if logged else ""
    return f"{_NEVER_LOGGED}{metric!r}{others}"


def metric_never_logged(reason: str) -> bool:
    """Whether that is the reason of a failure."""
    return reason.startswith(_NEVER_LOGGED)


def fitting(metrics: Mapping[str, float], first: str, *, few: bool = False) -> dict[str, float]:
    """As many of the metrics as an outcome can hold, the one called `first` before all others.

    All values of all metrics that were logged are in the run's log. `few` are those of an outcome that has an
    error to tell.
    """
    left, kept = _METRICS_BYTES // 8 if few else _METRICS_BYTES, dict[str, float]()
    for name in sorted(metrics, key=lambda name: name != first):
        left -= len(json.dumps([name, repr(metrics[name])], ensure_ascii=False).encode("utf-8", "replace"))
        if left >= 0:
            kept[name] = metrics[name]
    return kept


def _finite(metric: str, number: float | None, value: Any) -> float:
    if number is None:
        raise Unusable(f"the trial gave {_short(value)}, not a number or a map with {metric!r}")
    if not math.isfinite(number):
        raise Unusable(f"{metric} is {number}")
    return number


def _number(value: Any) -> float | None:
    """A real number of any library, or an array that holds one; None for everything else, a truth value too."""
    if isinstance(value, bool):
        return None
    if getattr(value, "shape", None) == () and callable(getattr(value, "item", None)):
        value = value.item()  # numpy's, PyTorch's
    return float(value) if isinstance(value, Real) and not isinstance(value, bool) else None


def _plain(name: str, value: Any, depth: int = 0) -> Any:
    """`value` as strict JSON says it; what is no number, text, list or map is told by its text."""
    size = getattr(value, "nbytes", None) or (len(value) if isinstance(value, (str, bytes, bytearray)) else 0)
    many = len(value) if isinstance(value, (list, tuple, Mapping)) else 0
    if size > ANSWER_BYTES or many > _MANY or depth > _MANY:
        raise Unusable(f"{name!r} is {_short(value)}: a trial tells at most {ANSWER_BYTES:,} bytes")
    if isinstance(value, Mapping):
        return {str(key): _plain(name, item, depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(name, item, depth + 1) for item in value]
    if isinstance(getattr(value, "nbytes", None), int) and callable(getattr(value, "tolist", None)):
        return _plain(name, value.tolist(), depth + 1)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    return value if value is None or isinstance(value, (bool, int, str)) else _text(value)


def _check_size(told: Mapping[str, Any], what: str, limit: int) -> None:
    size = len(json.dumps(told, ensure_ascii=False).encode("utf-8", "replace"))
    if size > limit:
        raise Unusable(f"{what} take {size:,} bytes: {limit:,} are the most")


def _short(value: Any) -> str:
    """A value in a message: large ones by type and size."""
    nbytes = getattr(value, "nbytes", None)
    if isinstance(nbytes, int) and nbytes > _SHOWN:
        return f"{type(value).__name__} of {nbytes:,} bytes"
    if isinstance(value, (str, bytes, bytearray, list, tuple, set, Mapping)) and len(value) > _SHOWN:
        return f"{type(value).__name__} of length {len(value):,}"
    text = _text(value)
    return text if value is None or isinstance(value, (str, Real)) else f"{type(value).__name__} {text}"


def _text(value: Any) -> str:
    try:
        return repr(value)[:_SHOWN]
    except Exception:  # whatever a class of the user's raises
        return type(value).__name__
