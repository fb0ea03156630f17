"""What a sweep's journal tells, as MLflow's runs."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from hptune.children import ChildRun, Curve, children_of
from hptune.history import curves_in, curves_of, folds_of, outcomes_of
from hptune.identity import plain_params
from hptune.journal import Kept, decode_outcome, read_journal
from hptune.observers import CandidateRun, Ending, SweepRun
from hptune.outputs import JOURNAL
from hptune.records import Outcome
from hptune.results import Cells, cv_table, ranked_table

__all__ = ["Ledger", "key_of", "run_name"]

_KEPT_FILES = (
    "results.csv",
    "sweeping_results.txt",
    "best_params.json",
    "report.html",
    "test_metrics.json",
    "model.ubj",
    "model.skops",
    "model",
)
_NOT_TOLD = (
    "name",
    "out",
    "spark",
    "tracking",
)  # keys of the configuration that may hold secrets, or tell nothing
_TOLD = re.compile(r"(split\d+|mean|std)_|rounds_trained$|work_time$")  # columns of the table


class Ledger:
    """What a sweep's journal tells, read on as it grows."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._kept = Kept([], 0, False)
        self._read = 0  # outcomes of the last session
        self._read_curves = 0  # of the last session
        self._curves: dict[int, Curve] = {}  # of candidates that were not told
        self._folds: dict[int, dict[int, Outcome]] = defaultdict(dict)  # of candidates that were not told
        self._told: set[int] = set()
        self._best: tuple[float, int] | None = None

    def read(self) -> bool:
        """Take in what came since the last time; whether there is a sweep at all."""
        first = not self._kept.sessions
        self._kept = read_journal(self._directory / JOURNAL, self._kept)
        if not self._kept.sessions:
            return False
        lines, curves = self._kept.sessions[-1].outcomes, self._kept.sessions[-1].curves
        if first:
            self._curves = curves_of(self._kept.sessions)
        for record in curves[self._read_curves :]:
            self._curves.update(curves_in(record))
        news = outcomes_of(self._kept.sessions) if first else map(decode_outcome, lines[self._read :])
        self._read, self._read_curves = len(lines), len(curves)
        for outcome in news:
            if outcome.candidate not in self._told:
                self._folds[outcome.candidate].setdefault(outcome.fold, outcome)
        return True

    @property
    def name(self) -> str:
        """The sweep's."""
        return str(self._about["name"])

    @property
    def tracking(self) -> Mapping[str, Any] | None:
        """The configuration's key."""
        found: Mapping[str, Any] | None = self._about["config"].get("tracking")
        return found

    @property
    def sweep(self) -> SweepRun:
        """The parent run."""
        header = self._header
        digest = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
        identity = header["identity"]
        versions = {f"versions.{library}": str(of) for library, of in identity.get("versions", {}).items()}
        params = {**_flat(self._config), "data.fingerprint": str(identity.get("data")), **versions}
        return SweepRun(digest.hexdigest()[:32], self.name, header["started"], params)

    def finished(self) -> Iterator[CandidateRun]:
        """Candidates whose folds have all come in since the last time."""
        n_folds = folds_of(self._kept)
        numbers = [number for number, folds in self._folds.items() if len(folds) == n_folds]
        if not numbers:
            return
        self._told.update(numbers)
        found = {n: [each for _, each in sorted(self._folds.pop(n).items())] for n in numbers}
        cells: Cells = [[*row] for row in found.values()]
        grid, written = self._kept.grid, (self._directory / JOURNAL).stat().st_mtime
        keys = _keys(grid)
        given = [plain_params(grid[number]) for number in numbers]
        about = self._about
        table = ranked_table(cv_table(given, cells, about["metrics"]), cells, about["ranking_metric"])
        ranked = about["ranking_metric"], about["shown_metric"]
        curves = {at: self._curves.pop(n) for at, n in enumerate(numbers) if n in self._curves}
        children = children_of(self.name, given, cells, *ranked, self._directory, curves)
        for row in table.to_dict("records"):
            number, child = numbers[row["candidate"]], children[row["candidate"]]
            self._see(number, row)
            ended = child.started + child.seconds if child.started else written
            scores = ((self._shown(name), 0, value) for name, value in _numbers(row))
            yield CandidateRun(
                key=keys[number],
                name=run_name(number),
                started=ended - child.seconds,
                ended=ended,
                params={name: str(value) for name, value in child.params.items()},
                metrics=[*scores, *_by_step(child, is_trial=any(cell.metrics for cell in found[number]))],
                status=row["status"],
                error=None if pd.isna(row["error"]) else row["error"],
            )

    @property
    def ending(self) -> Ending:
        """What the parent run gets in the end."""
        endings = self._kept.sessions[-1].endings
        stopped = not endings or endings[-1]["record"] != "finished"
        best = self._best
        status = "KILLED" if stopped else "FAILED" if best is None else "FINISHED"
        return Ending(
            status=status,
            ended=(self._directory / JOURNAL).stat().st_mtime,
            metrics={} if best is None else {f"best_{self._shown(self._ranked)}": best[0]},
            best=None if best is None else run_name(-best[1]),
            files=[self._directory / name for name in _KEPT_FILES if (self._directory / name).exists()],
            config=self._config,
        )

    def _see(self, number: int, row: Mapping[str, Any]) -> None:
        if math.isfinite(row[self._ranked]):
            self._best = max(self._best or (-math.inf, 0), (row[self._ranked], -number))

    def _shown(self, column: str) -> str:
        """A column of the table, with the name that people give the only metric."""
        return column if not column.endswith("_test_score") else f"{column[:-5]}{self._about['shown_metric']}"

    @property
    def _ranked(self) -> str:
        return f"mean_test_{self._about['ranking_metric']}"

    @property
    def _header(self) -> Mapping[str, Any]:
        return self._kept.sessions[0].first

    @property
    def _about(self) -> Mapping[str, Any]:
        return self._kept.sessions[-1].first

    @property
    def _config(self) -> dict[str, Any]:
        return {name: value for name, value in self._about["config"].items() if name not in _NOT_TOLD}


def run_name(candidate: int) -> str:
    return f"candidate {candidate}"


def _keys(grid: Sequence[str]) -> list[str]:
    """For each candidate what it is known by, whatever its number: its parameters; the second of two is that."""
    seen: Counter[str] = Counter()
    keys = []
    for text in grid:
        seen[text] += 1
        keys.append(key_of(text, seen[text]))
    return keys


def key_of(text: str, place: int) -> str:
    return hashlib.sha256(f"{place}:{text}".encode()).hexdigest()[:32]


def _flat(value: Any, prefix: str = "") -> dict[str, str]:
    """Dotted keys, as ``--set`` takes them, with what is set.

    Examples
    --------
    >>> _flat({"cv": 3, "data": {"path": "a.csv", "test": None}, "metrics": []})
    {'cv': '3', 'data.path': 'a.csv'}
    """
    if isinstance(value, Mapping):
        nested = (_flat(item, f"{prefix}.{name}" if prefix else str(name)) for name, item in value.items())
        return {name: text for found in nested for name, text in found.items()}
    return {} if value is None or value == [] else {prefix: str(value)}


def _by_step(child: ChildRun, *, is_trial: bool) -> Iterator[tuple[str, int, float]]:
    """The child's curves; of what a trial told under its own names the rest once."""
    once = {name: [(0, value)] for name, value in child.metrics.items()} if is_trial else {}
    for name, curve in {**once, **child.curves}.items():
        yield from ((name, step, value) for step, value in curve if math.isfinite(value))


def _numbers(row: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    for name, value in row.items():
        if _TOLD.match(name) and not pd.isna(value) and math.isfinite(value):
            yield name, float(value)
