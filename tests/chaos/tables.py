"""What a sweep's directory says, without what may differ: times, hosts, process numbers, attempts."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd

__all__ = ["Table", "journal_curves", "journal_outcomes", "read_table"]

_FREE = ("param_seconds", "param_place")  # tell the learner how long and where, and change no score


class Table:
    """A results.csv as text, best first."""

    def __init__(self, rows: pd.DataFrame) -> None:
        self.rows = rows

    @property
    def canonical(self) -> str:
        """Ranks, parameters, statuses and every fold's scores, to the last digit."""
        kept = [
            name
            for name in self.rows.columns
            if name == "status" or "_test_" in name or (name.startswith("param_") and name not in _FREE)
        ]
        table = self.rows[sorted(kept)].sort_values(sorted(kept), kind="stable")
        return str(table.to_csv(index=False, lineterminator="\n"))

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.canonical.encode()).hexdigest()

    @property
    def good(self) -> Table:
        """The rows on which nothing was asked to go wrong."""
        if "param_fault" not in self.rows:
            return self
        rows = self.rows[self.rows["param_fault"] == ""]
        return Table(rows.drop(columns="param_fault"))

    def of_fault(self, fault: str) -> dict[str, Any]:
        """The one row whose fits were asked to go wrong in this way."""
        (found,) = self.rows[self.rows["param_fault"] == fault].to_dict("records")
        return {str(name): value for name, value in found.items()}

    @property
    def scores(self) -> dict[tuple[str, ...], tuple[str, ...]]:
        """Every fold's scores of each parameter setting that has them all, wherever it ranks."""
        params = sorted(n for n in self.rows if n.startswith("param_") and n not in (*_FREE, "param_fault"))
        folds = sorted(n for n in self.rows if n.startswith("split"))
        rows = self.rows[(self.rows[folds] != "").all(axis=1)]
        keys, values = (rows[names].itertuples(index=False, name=None) for names in (params, folds))
        return dict(zip(keys, values, strict=True))

    @property
    def statuses(self) -> dict[str, int]:
        return dict(Counter(self.rows["status"]))


def read_table(out: Path) -> Table:
    return Table(pd.read_csv(out / "results.csv", dtype=str, keep_default_na=False))


def journal_outcomes(out: Path) -> list[dict[str, Any]]:
    """The whole records of outcomes; a last line that is being written is left out."""
    return [record for record in _records(out) if record["record"] == "outcome"]


def journal_curves(out: Path) -> dict[int, list[list[list[Any]]]]:
    """What fits reported while they ran, by candidate: each time that it was kept, which should be once."""
    candidates = {record["key"]: record["candidate"] for record in journal_outcomes(out)}
    curves: dict[int, list[list[list[Any]]]] = {}
    for record in _records(out):
        if record["record"] == "curve":
            curves.setdefault(candidates[record["key"]], []).append(record["values"])
    return curves


def _records(out: Path) -> list[dict[str, Any]]:
    path = out / "journal.jsonl"
    lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
    return [json.loads(line, parse_constant=_no_constant) for line in lines]


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON")
