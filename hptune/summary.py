"""What a sweep found and what it saved, for Python and for the last lines on a terminal."""

from __future__ import annotations

import io
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from hptune.plan import Plan
from hptune.results import Cells

__all__ = ["Savings", "SweepResult", "closing_lines", "ranking", "savings", "stopped_lines"]

_SHOWN_ROWS = 10


@dataclass(frozen=True)
class Savings:
    """What sharing saved.

    `seconds_asked` is what the fits would have taken one by one, `seconds_worked` what they took.
    """

    cells: int
    fits: int
    rounds_asked: int
    rounds_trained: int
    seconds_asked: float
    seconds_worked: float

    @property
    def factor(self) -> float:
        """Work asked for divided by work done; 1 where nothing was shared."""
        return self.seconds_asked / self.seconds_worked if self.seconds_worked else 1.0


@dataclass(frozen=True)
class SweepResult:
    """What a sweep found.

    Attributes
    ----------
    table : pandas.DataFrame
        A row a candidate, best first.
    cv_results_ : dict
        As scikit-learn's searches have it, in grid order.
    best_index, best_params, best_score
        The winner's place in `cv_results_`, its parameters and mean score (larger is better).
    best_model : fitted estimator, optional
        Refitted on all training rows; None without refit.
    savings : Savings
        What sharing saved.
    reused : int
        Fold scores that were in the journal of earlier sessions.
    out : Path, optional
        Where the files are.
    load_model : str, optional
        The Python line that loads the model from `out`.
    """

    table: pd.DataFrame
    cv_results_: Mapping[str, Any]
    best_index: int
    best_params: Mapping[str, Any]
    best_score: float
    best_model: Any
    savings: Savings
    reused: int = 0
    out: Path | None = None
    load_model: str | None = None

    def _repr_html_(self) -> str:
        return str(self.table._repr_html_())


def savings(plan: Plan, cells: Cells) -> Savings:
    """Compare the work that a plan's cells asked for with what was done."""
    outcomes = [outcome for row in cells for outcome in row if outcome is not None]
    return Savings(
        cells=plan.n_cells,
        fits=len(plan.tasks),
        rounds_asked=plan.rounds_asked,
        rounds_trained=sum(outcome.rounds_trained for outcome in outcomes),
        seconds_asked=sum(outcome.fit_time + outcome.score_time for outcome in outcomes),
        seconds_worked=sum(outcome.work_time for outcome in outcomes),
    )


def ranking(result: SweepResult, metric: str, shown: str) -> str:
    """The best candidates as a table for people: only the parameters that differ, scores to five decimals."""
    table = result.table.head(_SHOWN_ROWS)
    varying = [name for name in result.table if name.startswith("param_") and _differs(result.table[name])]
    grid = Table(title=f"{shown}, best first", title_justify="left", box=box.SIMPLE_HEAD)
    for name in ("rank", "mean", "std", *(name.removeprefix("param_") for name in varying), "status"):
        grid.add_column(name, justify="left" if name == "status" else "right")
    for _, row in table.iterrows():
        scores = (f"{row[f'mean_test_{metric}']:.5f}", f"{row[f'std_test_{metric}']:.5f}")
        note = row["status"] if row["status"] == "ok" else f"{row['status']}: {row['error']}"
        cells = (str(row[f"rank_test_{metric}"]), *scores, *(str(row[name]) for name in varying), note)
        grid.add_row(*(Text(cell) for cell in cells))
    text_file = io.StringIO()
    Console(file=text_file, width=_terminal_width()).print(grid)
    left = len(result.table) - len(table)
    text = "\n".join(line.rstrip() for line in text_file.getvalue().strip("\n").splitlines())
    return text + (f"\n  and {left} more in results.csv" if left else "") + "\n"


def closing_lines(
    result: SweepResult, *, slots: int, threads: int, engine: str, out: str | None = None
) -> str:
    """What sharing saved, how it ran, where the results are and how to load the model.

    `out` is where the user asked for the results, if that is not `result.out` itself.
    """
    shown = out or str(result.out)
    saved = result.savings
    rounds = f", {saved.rounds_trained:,} of {saved.rounds_asked:,} rounds" if saved.rounds_asked else ""
    lines = [
        f"best: {dict(result.best_params)}",
        f"work shared {saved.factor:.1f}x: {saved.fits:,} fits instead of {saved.cells:,}{rounds}",
    ]
    if result.reused < saved.cells:
        lines.append(f"engine {engine}: {_many(slots, 'slot')}, {_many(threads, 'thread')} a fit")
    if result.reused:
        lines.append(
            f"{result.reused:,} of {saved.cells:,} fold scores were in the journal and not fitted again"
        )
    if result.out is not None:
        lines.append(f"results in {shown}: results.csv has the whole table")
    if result.load_model is not None and "://" in shown:
        lines.append(f"the model is there too: hptune fetch {shown} DIR")
    elif result.load_model is not None:
        lines.append(f"load the model: {result.load_model}")
    return "\n".join(lines)


def stopped_lines(done: int, total: int, out: str, again: str) -> str:
    """What a sweep that was stopped leaves, and the command that goes on with it."""
    return (
        f"stopped with {done:,} of {total:,} fold scores: {out} keeps them, and a table that is marked as partial\n"
        f"go on with: {again}"
    )


def _many(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _differs(column: pd.Series) -> bool:
    return bool(column.astype(str).nunique() > 1)


def _terminal_width() -> int:
    return max(80, shutil.get_terminal_size((120, 24)).columns)
