"""What a sweep found and what it saved, for Python and for the last lines on a terminal."""

from __future__ import annotations

import html
import io
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from hptune.children import ChildRun, best_first
from hptune.engine import Engine
from hptune.plan import Plan
from hptune.results import Cells

__all__ = [
    "Savings",
    "SweepResult",
    "best_candidates",
    "closing_lines",
    "ranking",
    "savings",
    "stopped_lines",
    "terminal_width",
]

_SHOWN_ROWS = 10


@dataclass(frozen=True)
class Savings:
    """What sharing saved.

    `seconds_asked` is what the fits would have taken one by one, `seconds_worked` what they took. `reused` fold
    scores of all `cells` were in the journal of earlier sessions, `stopped` candidates were not fitted to the end.
    """

    cells: int
    fits: int
    rounds_asked: int
    rounds_trained: int
    seconds_asked: float
    seconds_worked: float
    reused: int = 0
    stopped: int = 0

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
        As scikit-learn's searches have it, in the candidates' order.
    metric, shown_metric : str
        The metric that ranks, as the columns of `table` call it and as people do.
    best_index, best_params, best_score
        The winner's place in `cv_results_`, its parameters and mean score (larger is better).
    open_model : callable
        Gives `best_model`.
    open_children : callable
        Gives `children`.
    savings : Savings, optional
        What sharing saved; None for a sweep that was read from its files, and for trials that are no fits.
    out : Path or str, optional
        Where the files are: a directory, or the address of a remote one.
    load_model : str, optional
        The Python line that loads the model from `out`.
    notes : tuple of str
        What else was found out about the winner, a line each.
    """

    table: pd.DataFrame
    cv_results_: Mapping[str, Any]
    metric: str
    shown_metric: str
    best_index: int
    best_params: Mapping[str, Any]
    best_score: float
    open_model: Callable[[], Any]
    open_children: Callable[[], Sequence[ChildRun]] = tuple
    savings: Savings | None = None
    out: Path | str | None = None
    load_model: str | None = None
    notes: tuple[str, ...] = ()

    @cached_property
    def best_model(self) -> Any:
        """The winner, refitted on all training rows; None without refit. A sweep's files are read only now."""
        return self.open_model()

    def children(self) -> list[ChildRun]:
        """The child runs, in the candidates' order."""
        return list(self._children)

    def children_sorted_by_primary_metric(self) -> list[ChildRun]:
        """The child runs, best first."""
        return best_first(self._children)

    def best_run(self) -> ChildRun:
        """The winner's run."""
        return self._children[self.best_index]

    @cached_property
    def _children(self) -> Sequence[ChildRun]:
        return self.open_children()

    def _repr_html_(self) -> str:
        """The best candidates for a notebook."""
        shown = _shown(self.table, self.metric)
        best = f"{self.shown_metric}: {self.best_score:.5f} with {dict(self.best_params)}"
        left = len(self.table) - len(shown)
        more = f"<p>and {left:,} more in <code>.table</code></p>" if left else ""
        return f"<p>{html.escape(best)}</p>{shown.to_html(index=False, border=0)}{more}"


def savings(plan: Plan, cells: Cells, *, reused: int = 0) -> Savings:
    """Compare the work that a plan's cells asked for with what was done."""
    outcomes = [outcome for row in cells for outcome in row if outcome is not None]
    return Savings(
        cells=plan.n_cells,
        fits=len({(outcome.fit_id, outcome.fold) for outcome in outcomes}),
        rounds_asked=plan.rounds_asked,
        rounds_trained=sum(outcome.rounds_trained for outcome in outcomes),
        seconds_asked=sum(outcome.fit_time + outcome.score_time for outcome in outcomes),
        seconds_worked=sum(outcome.work_time for outcome in outcomes),
        reused=reused,
        stopped=len({outcome.candidate for outcome in outcomes if outcome.status == "stopped"}),
    )


def ranking(result: SweepResult) -> str:
    """The best candidates as a text for people."""
    text_file = io.StringIO()
    best = best_candidates(result.table, result.metric, result.shown_metric, more="in results.csv")
    Console(file=text_file, width=terminal_width()).print(best)
    return "\n".join(line.rstrip() for line in text_file.getvalue().strip("\n").splitlines()) + "\n"


def best_candidates(table: pd.DataFrame, metric: str, shown_metric: str, *, more: str = "") -> RenderableType:
    """The best candidates for a terminal: only the parameters that differ, scores to five decimals.

    `metric` is what the columns of `table` call it, `shown_metric` what people do; `more` says where the others are.
    """
    shown = _shown(table, metric)
    grid = Table(title=f"{shown_metric}, best first", title_justify="left", box=box.SIMPLE_HEAD)
    for name in shown:
        grid.add_column(name, justify="left" if name == "status" else "right")
    for row in shown.itertuples(index=False):
        grid.add_row(*map(Text, row))
    left = len(table) - len(shown)
    return Group(grid, Text(f"  and {left} more {more}".rstrip())) if left else grid


def closing_lines(result: SweepResult, engine: Engine, *, out: str | None = None) -> str:
    """What sharing saved, how `engine` ran it, where the results are and how to load the model.

    `out` is where the user asked for the results, if that is not `result.out` itself.
    """
    shown = out or str(result.out)
    lines = [f"best: {dict(result.best_params)}", *result.notes]
    if result.savings is not None:
        lines += _work(result.savings, engine)
    else:
        lines.append(f"engine {engine.name}: {_many(engine.slots, 'slot')}")
    if result.out is not None:
        lines.append(f"results in {shown}: results.csv has the whole table")
    if result.load_model is not None and "://" in shown:
        lines.append(f"the model is there too: hptune fetch {shown} DIR")
    elif result.load_model is not None:
        lines.append(f"load the model: {result.load_model}")
    return "\n".join(lines)


def stopped_lines(done: int, total: int, out: str, again: str) -> str:
    """What a sweep that was stopped leaves, and the command that goes on with it.

    Examples
    --------
    >>> print(stopped_lines(5, 8, "out", "hptune sweep --out out --resume"))
    stopped with 5 of 8 fold scores: out keeps them, and a table that is marked as partial
    go on with: hptune sweep --out out --resume
    """
    table = (
        "a table that is marked as partial" if done < total else "the whole table, but not all of its files"
    )
    return (
        f"stopped with {done:,} of {total:,} fold scores: {out} keeps them, and {table}\ngo on with: {again}"
    )


def _work(saved: Savings, engine: Engine) -> Iterator[str]:
    yield _shared(saved)
    if saved.reused:
        yield f"{saved.reused:,} of {saved.cells:,} fold scores were in the journal and not fitted again"
    if saved.reused < saved.cells:
        threads = engine.threads(saved.fits)
        yield f"engine {engine.name}: {_many(engine.slots, 'slot')}, {_many(threads, 'thread')} a fit"


def _shared(saved: Savings) -> str:
    rounds = f", {saved.rounds_trained:,} of {saved.rounds_asked:,} rounds" if saved.rounds_asked else ""
    if saved.stopped:  # folds that take turns overlap in time, which then tells nothing of sharing
        return f"{_many(saved.stopped, 'candidate')} stopped early{rounds}"
    return f"work shared {saved.factor:.1f}x: {saved.fits:,} fits instead of {saved.cells:,}{rounds}"


def _many(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _shown(table: pd.DataFrame, metric: str) -> pd.DataFrame:
    """What people look at first, as text: the best rows' scores, and their parameters that differ between rows."""
    best = table.head(_SHOWN_ROWS)
    columns = [("rank", best[f"rank_test_{metric}"].map(str))]
    parts = ("mean", "std") if f"split1_test_{metric}" in table else ("mean",)
    columns += [(part, best[f"{part}_test_{metric}"].map("{:.5f}".format)) for part in parts]
    varying = [name for name in table if name.startswith("param_") and _differs(table[name])]
    columns += [(name.removeprefix("param_"), best[name].map(str)) for name in varying]
    columns.append(("status", best.apply(_note, axis=1)))
    shown = pd.concat([cells for _, cells in columns], axis=1)
    return shown.set_axis([name for name, _ in columns], axis=1)


def _note(row: pd.Series) -> str:
    return str(row["status"] if pd.isna(row["error"]) else f"{row['status']}: {row['error']}")


def _differs(column: pd.Series) -> bool:
    return bool(column.astype(str).nunique() > 1)


def terminal_width() -> int:
    """Columns for tables; 120 where nobody looks."""
    return max(80, shutil.get_terminal_size((120, 24)).columns)
