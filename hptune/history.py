"""What a sweep's journal tells of its cells and child runs, finished or not."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from hptune.children import ChildRun, Curve, children_of
from hptune.errors import InputDataError
from hptune.identity import plain_params
from hptune.journal import Kept, Session, decode_outcome, find_journal, key_of
from hptune.outputs import JOURNAL
from hptune.records import Outcome, Rung
from hptune.results import Cells, collect_cells

__all__ = [
    "cells_of",
    "curve_record",
    "curves_in",
    "curves_of",
    "folds_of",
    "outcomes_of",
    "read_children",
]


def cells_of(kept: Kept) -> Cells:
    """The outcomes of a journal that has sessions, as ``cells[candidate][fold]``."""
    return collect_cells(outcomes_of(kept.sessions), len(kept.grid), folds_of(kept), partial=True)


def folds_of(kept: Kept) -> int:
    """Outcomes that each candidate should have."""
    return len(kept.sessions[0].first["identity"]["cv"])


def read_children(directory: Path) -> tuple[ChildRun, ...]:
    """The child runs of the sweep in a directory, which may be running.

    Raises
    ------
    InputDataError
        No sweep has begun there.
    OutputError
        Its journal is damaged.
    """
    kept = find_journal(directory / JOURNAL)
    if kept is None or not kept.sessions:
        raise InputDataError(f"{directory} holds no sweep", "name the --out of a sweep")
    about = kept.sessions[-1].first
    params = [plain_params(text) for text in kept.grid]
    metric, shown = str(about["ranking_metric"]), str(about["shown_metric"])
    curves = curves_of(kept.sessions)
    return children_of(str(about["name"]), params, cells_of(kept), metric, shown, directory, curves)


def outcomes_of(sessions: Sequence[Session]) -> list[Outcome]:
    """Outcomes under the numbers of the last session's candidates.

    A cell without a key was fitted anew by each session: the last one counts.
    """
    found: list[Outcome] = []
    for session, number in _numbered(sessions):
        is_last = session is sessions[-1]
        lines = (line for line in session.outcomes if is_last or key_of(line) is not None)
        found.extend(_renumbered(decode_outcome(line), number) for line in lines)
    return found


def curves_of(sessions: Sequence[Session]) -> dict[int, Curve]:
    """What policies saw of fits on folds, by the numbers of the last session's candidates.

    A fit that was cut off was made again: its last curve counts.
    """
    found: dict[int, Curve] = {}
    for session, number in _numbered(sessions):
        of_session = {
            number(candidate): curve for record in session.curves for candidate, curve in curves_in(record)
        }
        found = of_session | found
    return found


def curve_record(key: str | None, values: Sequence[Sequence[Any]], rungs: Iterable[Rung]) -> dict[str, Any]:
    """What the journal has of what a fit reported: the key of its longest rung, and who shares it."""
    told = {"record": "curve", **({} if key is None else {"key": key}), "values": values}
    shared = [[rung.candidate, rung.rounds] for rung in rungs]
    return {**told, "rungs": shared} if shared else told


def curves_in(record: Mapping[str, Any]) -> Iterator[tuple[int, Curve]]:
    """What a record tells of each candidate that shares its fit: the rounds of its own, and the means over the folds.

    Examples
    --------
    >>> record = {"record": "curve", "values": [[10, 0.5], [20, None]], "rungs": [[0, 10], [1, 20]]}
    >>> dict(curves_in(record))
    {0: ((10, 0.5),), 1: ((10, 0.5), (20, nan))}
    """
    values = [(step, math.nan if value is None else float(value)) for step, value in record["values"]]
    for candidate, rounds in record.get("rungs", ()):
        yield candidate, tuple(point for point in values if rounds is None or point[0] <= rounds)


def _numbered(sessions: Sequence[Session]) -> Iterator[tuple[Session, Callable[[int], int]]]:
    """Sessions, the last one first, and what gives a candidate of each its number in the last one."""
    renumbered: list[Callable[[int], int]] = []
    for session in reversed(sessions):
        yield session, partial(_through, tuple(renumbered))
        if "renumbered" in session.first:
            renumbered.insert(0, session.first["renumbered"].__getitem__)


def _through(steps: Sequence[Callable[[int], int]], number: int) -> int:
    for step in steps:
        number = step(number)
    return number


def _renumbered(outcome: Outcome, number: Callable[[int], int]) -> Outcome:
    candidate = number(outcome.candidate)
    return outcome if candidate == outcome.candidate else replace(outcome, candidate=candidate)
