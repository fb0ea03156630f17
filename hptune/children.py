"""A sweep's child runs: one for each candidate, with what is known of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from hptune.context import StepLog
from hptune.records import Outcome
from hptune.results import Cells, error_line

__all__ = ["CHILDREN", "ChildRun", "best_first", "children_of", "reason"]

CHILDREN = "children"  # where, below a sweep's directory, its children leave their files


@dataclass(frozen=True)
class ChildRun:
    """A candidate's run.

    Attributes
    ----------
    id : str
        The sweep's name and the candidate's number.
    number : int
        The candidate's number, from 0.
    params : mapping
        Its parameters.
    status : str
        "ok", "failed", "crashed", "timeout", "stopped"; "partial" and "not run" where the sweep was stopped.
    score : float
        What it is ranked by, larger is better; NaN where it has none.
    metrics : mapping of str to float
        The last value of each metric: of trials under their own names and signs, of fits the mean over the folds.
    told : mapping
        What a trial told beside its metrics.
    error : str, optional
        What went wrong, with a traceback where there is one.
    host : str
        Where it ran.
    started : float
        When a trial began, in seconds since the epoch; 0 where that is not known.
    seconds : float
        What it took.
    attempts : int
        How often it was begun.
    directory : Path, optional
        Its files.
    fold_metrics : sequence of mapping
        The metrics of each fold, of fits on folds.
    """

    id: str
    number: int
    params: Mapping[str, Any]
    status: str
    score: float = math.nan
    metrics: Mapping[str, float] = field(default_factory=dict)
    told: Mapping[str, Any] = field(default_factory=dict)
    error: str | None = None
    host: str = ""
    started: float = 0.0
    seconds: float = 0.0
    attempts: int = 1
    directory: Path | None = None
    fold_metrics: Sequence[Mapping[str, float]] = ()

    @cached_property
    def steps(self) -> Mapping[str, Sequence[float]]:
        """All values of each metric that a trial logged, in their order; empty where it logged none."""
        return {} if self.directory is None else StepLog(self.directory).values()

    @cached_property
    def files(self) -> Mapping[str, Path]:
        """What the run left, by its path in the run's directory: ``outputs/model.pkl``, ``stdout.txt``."""
        if self.directory is None or not self.directory.is_dir():
            return {}
        found = sorted(path for path in self.directory.rglob("*") if path.is_file() and not path.is_symlink())
        return {path.relative_to(self.directory).as_posix(): path for path in found}


def children_of(
    name: str,
    candidates: Sequence[Mapping[str, Any]],
    cells: Cells,
    metric: str,
    shown: str,
    out: Path | None,
) -> tuple[ChildRun, ...]:
    """The child runs of a sweep, in the candidates' order.

    Parameters
    ----------
    name : str
        The sweep's.
    candidates : sequence of mapping
        Parameters.
    cells : list of list of Outcome
        ``cells[candidate][fold]``.
    metric : str
        The score that ranks.
    shown : str
        What people call it.
    out : Path, optional
        The sweep's directory.
    """
    return tuple(
        _child(f"{name}_{number}", number, params, row, (metric, shown), out)
        for number, (params, row) in enumerate(zip(candidates, cells, strict=True))
    )


def best_first(children: Sequence[ChildRun]) -> list[ChildRun]:
    """By falling score; those without one last, in their order."""
    return sorted(children, key=lambda child: -child.score if math.isfinite(child.score) else math.inf)


def _child(
    id_: str,
    number: int,
    params: Mapping[str, Any],
    row: Sequence[Outcome | None],
    metric: tuple[str, str],
    out: Path | None,
) -> ChildRun:
    there = [outcome for outcome in row if outcome is not None]
    if not there:
        return ChildRun(id_, number, params, "not run")
    unfit = [outcome.status for outcome in there if outcome.status != "ok"]
    status: str = unfit[0] if unfit else "ok" if len(there) == len(row) else "partial"
    scores = [outcome.final_scores.get(metric[0], math.nan) for outcome in row if outcome is not None]
    last = there[-1]
    files = next((outcome.files for outcome in there if outcome.files), "")
    folds = [dict(outcome.metrics) or _renamed(outcome.final_scores, *metric) for outcome in there]
    return ChildRun(
        id=id_,
        number=number,
        params=params,
        status=status,
        score=_mean(scores) if len(there) == len(row) else math.nan,
        metrics={name: _mean([fold.get(name, math.nan) for fold in folds]) for name in folds[0]},
        told=last.told,
        error=next((outcome.error for outcome in there if outcome.error), None),
        host=", ".join(dict.fromkeys(outcome.host for outcome in there if outcome.host)),
        started=min(outcome.started for outcome in there),
        seconds=sum(outcome.fit_time + outcome.score_time for outcome in there),
        attempts=max(outcome.attempts for outcome in there),
        directory=out / CHILDREN / files if out is not None and files else None,
        fold_metrics=folds if len(row) > 1 else (),
    )


def _renamed(scores: Mapping[str, float], metric: str, shown: str) -> dict[str, float]:
    return {shown if name == metric else name: value for name, value in scores.items()}


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values) if all(map(math.isfinite, values)) else math.nan


def reason(child: ChildRun) -> str:
    """The line that names a child's error; empty where there is none."""
    return error_line([Outcome(child.number, 0, "failed", {}, error=child.error)]) or ""
