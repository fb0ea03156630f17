"""What a sweep's journal tells of its cells and child runs, finished or not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from hptune.children import ChildRun, children_of
from hptune.errors import InputDataError
from hptune.identity import plain_params
from hptune.journal import Kept, Session, decode_outcome, key_of, read_journal
from hptune.outputs import JOURNAL
from hptune.records import Outcome
from hptune.results import Cells, collect_cells

__all__ = ["cells_of", "folds_of", "outcomes_of", "read_children"]


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
    journal = directory / JOURNAL
    kept = read_journal(journal) if journal.is_file() else None
    if kept is None or not kept.sessions:
        raise InputDataError(f"{directory} holds no sweep", "name the --out of a sweep")
    about = kept.sessions[-1].first
    params = [plain_params(text) for text in kept.grid]
    metric, shown = str(about["ranking_metric"]), str(about["shown_metric"])
    return children_of(str(about["name"]), params, cells_of(kept), metric, shown, directory)


def outcomes_of(sessions: Sequence[Session]) -> list[Outcome]:
    """Outcomes under the numbers of the last session's candidates.

    A cell without a key was fitted anew by each session: the last one counts.
    """
    found: list[Outcome] = []
    renumbered: list[Callable[[int], int]] = []
    for session in reversed(sessions):
        is_last = session is sessions[-1]
        lines = (line for line in session.outcomes if is_last or key_of(line) is not None)
        found.extend(_renumbered(decode_outcome(line), renumbered) for line in lines)
        if "renumbered" in session.first:
            renumbered.insert(0, session.first["renumbered"].__getitem__)
    return found


def _renumbered(outcome: Outcome, steps: Sequence[Callable[[int], int]]) -> Outcome:
    candidate = outcome.candidate
    for step in steps:
        candidate = step(candidate)
    return outcome if candidate == outcome.candidate else replace(outcome, candidate=candidate)
