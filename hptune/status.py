"""``hptune status``: what a directory holds, read from its journal, finished or not. Nothing is ever written."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from hptune.errors import HptuneError, InputDataError
from hptune.history import cells_of, folds_of
from hptune.identity import shown_params
from hptune.journal import Session, find_journal
from hptune.locks import Holder, holder_of
from hptune.observers import duration
from hptune.outputs import JOURNAL
from hptune.records import Outcome
from hptune.results import cv_table, error_line, ranked_table
from hptune.summary import best_candidates

__all__ = ["SweepStatus", "find_sweeps", "read_status", "show_status"]

_CAUSES = 5
_PAUSE = 2.0  # seconds between two looks at least
_SHARE = 10  # of the time may go into looking: one part in so many


@dataclass(frozen=True)
class SweepStatus:
    """A sweep as its directory tells it.

    Parameters
    ----------
    path : Path
        The directory.
    state : str
        "in use", "running", "finished", "stopped early", "interrupted" or "damaged".
    detail : str
        Who runs it, why it was stopped, or what is damaged.
    name : str
        As in its configuration.
    started : float
        When its first session began, in seconds since the epoch; 0 where that is not known.
    written : float
        When its journal was last written to.
    sessions, done, total : int
        How often it was run, and its fold scores that are there, of how many.
    seconds : float
        Spent in fits.
    causes : mapping of str to int
        What became of fits that gave no finite score, and how often.
    table : DataFrame, optional
        The ranked table so far; None where there is no fold score yet.
    metric, shown_metric : str
        What ranks, as the table's columns call it and as people do.
    """

    path: Path
    state: str
    detail: str = ""
    name: str = ""
    started: float = 0.0
    written: float = 0.0
    sessions: int = 0
    done: int = 0
    total: int = 0
    seconds: float = 0.0
    causes: Counter[str] = field(default_factory=Counter)
    table: pd.DataFrame | None = None
    metric: str = ""
    shown_metric: str = ""

    @property
    def goes_on(self) -> bool:
        """Whether a process works on it now."""
        return self.state in ("in use", "running")


def find_sweeps(path: Path) -> list[Path]:
    """`path` itself where it holds a sweep, else the directories in it that do.

    Raises
    ------
    InputDataError
        There is none.
    """
    try:
        if _holds_sweep(path):
            return [path]
        found = sorted(each for each in path.iterdir() if each.is_dir() and _holds_sweep(each))
    except (OSError, ValueError):  # nothing is there, or can be called like that
        found = []
    if not found:
        raise InputDataError(f"{path} holds no sweep", "name the --out of a sweep, or a directory of sweeps")
    return found


def read_status(path: Path) -> SweepStatus:
    """The sweep in `path`, which may be running.

    Raises
    ------
    OutputError
        Its journal is damaged.
    """
    holder = holder_of(path)
    kept = find_journal(path / JOURNAL)
    if kept is None or not kept.sessions:
        state = "interrupted" if holder is None else "in use"
        return SweepStatus(path, state, "before its first record" if holder is None else str(holder))
    state, detail = _state(kept.sessions[-1], holder)
    header = kept.sessions[0].first
    about = kept.sessions[-1].first
    cells = cells_of(kept)
    outcomes = [outcome for row in cells for outcome in row if outcome is not None]
    table = None
    if outcomes:
        results = cv_table([shown_params(text) for text in kept.grid], cells, about["metrics"])
        table = ranked_table(results, cells, about["ranking_metric"])
    return SweepStatus(
        path=path,
        state=state,
        detail=detail,
        name=about["name"],
        started=header["started"],
        written=kept.written,
        sessions=len(kept.sessions),
        done=len(outcomes),
        total=max(len(kept.grid), about.get("expected", 0)) * folds_of(kept),
        seconds=sum(outcome.work_time for outcome in outcomes),
        causes=_causes(outcomes),
        table=table,
        metric=about["ranking_metric"],
        shown_metric=about["shown_metric"],
    )


def show_status(path: Path, console: Console, *, watch: bool = False) -> None:
    """Print what `path` holds; with `watch` again and again until nothing of it runs any more.

    Raises
    ------
    InputDataError
        It holds no sweep.
    OutputError
        The journal of the one sweep that it holds is damaged.
    """
    if not watch:
        console.print(_looked(path)[0])
        return
    with Live(console=console, auto_refresh=False) as live:
        while True:
            begun = time.monotonic()
            shown, goes_on = _looked(path)
            live.update(shown, refresh=True)
            if not goes_on:
                break
            time.sleep(max(_PAUSE, _SHARE * (time.monotonic() - begun)))
    if not console.is_terminal:
        console.line()  # rich ends what it showed last on terminals only


def _looked(path: Path) -> tuple[RenderableType, bool]:
    sweeps = find_sweeps(path)
    if sweeps == [path]:
        status = read_status(path)
        return _one(status), status.goes_on
    found = [_status_or_damage(each) for each in sweeps]
    return _history(found), any(status.goes_on for status in found)


def _holds_sweep(path: Path) -> bool:
    return (path / JOURNAL).is_file() or holder_of(path) is not None


def _status_or_damage(path: Path) -> SweepStatus:
    try:
        return read_status(path)
    except HptuneError as error:
        return SweepStatus(path, "damaged", error.what)


def _state(last: Session, holder: Holder | None) -> tuple[str, str]:
    if holder is not None and not last.endings:
        return "running", f"{holder}, which is stopped" if holder.is_stopped else str(holder)
    if holder is not None:
        return "in use", str(
            holder
        )  # a sweep that has not begun to fit or has just ended, or `hptune explain`
    if not last.endings:
        return "interrupted", ""
    ending = last.endings[-1]
    return ("finished", "") if ending["record"] == "finished" else ("stopped early", str(ending["reason"]))


def _causes(outcomes: Sequence[Outcome]) -> Counter[str]:
    causes: Counter[str] = Counter()
    for outcome in outcomes:
        if outcome.status not in ("ok", "stopped"):
            causes[f"{outcome.status}: {error_line([outcome]) or 'no reason was told'}"] += 1
    return causes


def _one(status: SweepStatus) -> RenderableType:
    parts: list[RenderableType] = [_text(line) for line in _lines(status)]
    if status.table is not None and status.table[f"mean_test_{status.metric}"].notna().any():
        parts += [Text(), best_candidates(status.table, status.metric, status.shown_metric)]
    elif status.table is not None:
        parts.append(Text("no candidate has a score on all its folds yet"))
    return Group(*parts)


def _lines(status: SweepStatus) -> Iterator[str]:
    detail = f": {status.detail}" if status.detail else ""
    yield f"{status.path}: {status.state}{detail}"
    if not status.sessions:
        return
    share = 100 * status.done // max(1, status.total)
    yield f"sweep {status.name}, begun {_clock(status.started)}, session {status.sessions}"
    ago = duration(max(0.0, time.time() - status.written))
    yield (
        f"{status.done:,} of {status.total:,} fold scores ({share} %), {duration(status.seconds)} in fits,"
        f" last record {ago} ago"
    )
    for cause, count in status.causes.most_common(_CAUSES):
        yield f"{count:,} x {cause}"
    if len(status.causes) > _CAUSES:
        yield f"and {len(status.causes) - _CAUSES} other causes"


def _history(found: Sequence[SweepStatus]) -> Table:
    """One line a sweep, the oldest first."""
    grid = Table(box=box.SIMPLE_HEAD)
    for name in ("directory", "state", "fold scores", "best", "begun", "in fits", "metric"):
        numeric = name in ("fold scores", "best", "in fits")
        grid.add_column(name, justify="right" if numeric else "left", no_wrap=name not in ("state", "metric"))
    for status in sorted(found, key=lambda status: (status.started, status.path)):
        grid.add_row(*map(_text, _row(status)))
    return grid


def _row(status: SweepStatus) -> tuple[str, ...]:
    if not status.sessions:
        return status.path.name, f"{status.state}: {status.detail}", "", "", "", "", ""
    best = None if status.table is None else status.table[f"mean_test_{status.metric}"].iloc[0]
    return (
        status.path.name,
        status.state,
        f"{status.done:,}/{status.total:,}",
        "" if best is None or pd.isna(best) else f"{best:.5f}",
        _clock(status.started),
        duration(status.seconds),
        status.shown_metric,
    )


def _text(line: str) -> Text:
    """A line in which nothing can steer the terminal."""
    return Text("".join(sign if sign.isprintable() else " " for sign in line))


def _clock(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))
