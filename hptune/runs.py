"""``hptune runs`` and ``hptune show``: the child runs of a sweep, finished or not. Nothing is ever written."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from rich import box
from rich.table import Table
from rich.text import Text

from hptune.children import ChildRun, best_first, reason
from hptune.errors import ConfigurationError, did_you_mean
from hptune.history import read_children
from hptune.observers import duration
from hptune.records import clipped
from hptune.results import to_csv

__all__ = ["FORMATS", "chosen", "found_run", "shown_run", "shown_runs"]

_NATURAL: dict[str, Callable[[ChildRun], float]] = {
    "id": lambda child: -child.number,
    "seconds": lambda child: child.seconds,
    "started": lambda child: child.started,
}
_SHOWN_STEPS = 10
_PRINTED_LINES = 20


def chosen(
    children: Sequence[ChildRun], *, sort: str | None = None, status: str | None = None
) -> list[ChildRun]:
    """Some of the child runs, in some order.

    Parameters
    ----------
    children : sequence of ChildRun
        Those of a sweep.
    sort : str, optional
        A metric, of which the largest comes first, or ``id``, ``seconds`` or ``started``; by default they are
        ranked as the sweep ranks them.
    status : str, optional
        Only those with this one.

    Raises
    ------
    ConfigurationError
        No run has the metric.
    """
    left = [child for child in children if status is None or child.status == status]
    if sort is None:
        return best_first(left)
    metrics = {name for child in children for name in child.metrics}
    if sort not in metrics and sort not in _NATURAL:
        known = [*sorted(metrics), *_NATURAL]
        raise ConfigurationError(
            f"no run has the metric {sort!r}", did_you_mean(sort, known, f"there are {', '.join(known)}")
        )

    def order(child: ChildRun) -> tuple[bool, float]:
        value = _NATURAL[sort](child) if sort in _NATURAL else child.metrics.get(sort, math.nan)
        return math.isnan(value), -value

    return sorted(left, key=order)


def found_run(directory: Path, which: str) -> ChildRun:
    """One child run of the sweep in a directory.

    Parameters
    ----------
    directory : Path
        The sweep's.
    which : str
        The run's id or number, or ``best``.

    Raises
    ------
    ConfigurationError
        There is no such run.
    """
    children = read_children(directory)
    if which == "best":
        best = best_first(children)[:1]
        if not best or not math.isfinite(best[0].score):
            raise ConfigurationError(f"no run in {directory} has a score", "name one: hptune runs lists them")
        return best[0]
    for child in children:
        if which in (child.id, str(child.number)):
            return child
    raise ConfigurationError(
        f"{directory} has no run {which!r}", f"its runs are 0 to {len(children) - 1}, and best"
    )


def _as_table(children: Sequence[ChildRun]) -> Table:
    grid = Table(box=box.SIMPLE_HEAD)
    metrics = dict.fromkeys(name for child in children for name in child.metrics)
    params = dict.fromkeys(name for child in children for name in child.params)
    right = [*metrics, *params, "time"]
    last = ("host", "error") if any(child.error for child in children) else ("host",)
    for name in ("run", "status", *right, *last):
        grid.add_column(name, justify="right" if name in right else "left", overflow="fold")
    for child in children:
        cells = [f"{child.metrics[name]:.6g}" if name in child.metrics else "" for name in metrics]
        cells += [str(child.params.get(name, "")) for name in params]
        took = duration(child.seconds) if child.seconds else ""
        row = (child.id, child.status, *cells, took, child.host, reason(child))
        grid.add_row(*map(_text, row[: len(grid.columns)]))
    return grid


def _as_csv(children: Sequence[ChildRun]) -> str:
    rows = [
        {
            "run": child.id,
            "status": child.status,
            "score": child.score,
            **{f"metric_{name}": value for name, value in child.metrics.items()},
            **{f"param_{name}": value for name, value in child.params.items()},
            "started": child.started or None,
            "seconds": child.seconds,
            "host": child.host,
            "attempts": child.attempts,
            "error": reason(child) or None,
        }
        for child in children
    ]
    return to_csv(pd.DataFrame(rows)).rstrip("\n")


def _as_json(children: Sequence[ChildRun]) -> str:
    return json.dumps([_told(child) for child in children], indent=2, ensure_ascii=False)


def _told(child: ChildRun) -> dict[str, Any]:
    return {
        "run": child.id,
        "status": child.status,
        "score": _strict(child.score),
        "metrics": {name: _strict(value) for name, value in child.metrics.items()},
        "steps": {name: list(map(_strict, values)) for name, values in child.steps.items()},
        "curves": {
            name: [[step, _strict(value)] for step, value in curve] for name, curve in child.curves.items()
        },
        "folds": [{name: _strict(value) for name, value in fold.items()} for fold in child.fold_metrics],
        "params": dict(child.params),
        "told": dict(child.told),
        "started": child.started or None,
        "seconds": child.seconds,
        "host": child.host,
        "attempts": child.attempts,
        "error": child.error,
        "files": {name: str(path) for name, path in child.files.items()},
    }


FORMATS: dict[str, Callable[[Sequence[ChildRun]], Table | str]] = {
    "table": _as_table,
    "csv": _as_csv,
    "json": _as_json,
}


def shown_runs(children: Sequence[ChildRun], form: str = "table") -> Table | str:
    """Child runs as people or programs read them."""
    return FORMATS[form](children)


def shown_run(child: ChildRun) -> str:
    """All that is known of a child run."""
    return "\n".join(_plain(line) for line in _lines(child))


def _lines(child: ChildRun) -> Iterator[str]:
    begun = (
        f", begun {time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(child.started))}"
        if child.started
        else ""
    )
    took = f", took {duration(child.seconds)}" if child.seconds else ""
    tries = f", tried {child.attempts} times" if child.attempts > 1 else ""
    yield f"run {child.id}: {child.status}{begun}{took}{f' on {child.host}' if child.host else ''}{tries}"
    yield from _block("parameters", [f"{name}: {value}" for name, value in child.params.items()])
    yield from _block("metrics", [f"{name}: {value:.6g}" for name, value in child.metrics.items()])
    yield from _block(
        "folds",
        [
            f"{number}: " + ", ".join(f"{name} {value:.6g}" for name, value in fold.items())
            for number, fold in enumerate(child.fold_metrics)
            if fold
        ],
    )
    by_round = [_curve(name, [f"{n}: {v:.6g}" for n, v in curve]) for name, curve in child.watched.items()]
    yield from _block("by round, the mean over the folds", by_round)
    if not by_round:
        steps = child.steps.items()
        yield from _block(
            "logged", [_curve(name, [f"{value:.6g}" for value in told]) for name, told in steps]
        )
    yield from _block("told", [f"{name}: {value}" for name, value in child.told.items()])
    yield from _block("error", (child.error or "").splitlines())
    files = [f"{name} ({path.stat().st_size:,} bytes)" for name, path in child.files.items()]
    yield from _block(f"files in {child.directory}", files)
    for name in ("stdout.txt", "stderr.txt"):
        if name in child.files:
            text = clipped(child.files[name].read_text("utf-8", "replace"), 1 << 16)
            yield from _block(f"the end of {name}", text.splitlines()[-_PRINTED_LINES:])


def _block(title: str, lines: Sequence[str]) -> Iterator[str]:
    if lines:
        yield f"{title}:"
        yield from (f"  {line}" for line in lines)


def _curve(name: str, values: Sequence[str]) -> str:
    shown = ", ".join(values[-_SHOWN_STEPS:])
    many = "1 value" if len(values) == 1 else f"{len(values):,} values"
    return f"{name}, {many}: {'..., ' if len(values) > _SHOWN_STEPS else ''}{shown}"


def _strict(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _text(value: str) -> Text:
    return Text(_plain(value))


def _plain(line: str) -> str:
    """A line in which nothing can steer the terminal."""
    return "".join(sign if sign.isprintable() else " " for sign in line)
