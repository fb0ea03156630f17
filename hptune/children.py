"""A sweep's child runs: one for each candidate, with what is known of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

from hptune.context import StepLog
from hptune.records import Outcome
from hptune.results import Cells, error_line

__all__ = ["CHILDREN", "ChildRun", "Curve", "best_first", "children_of", "reason"]

CHILDREN = "children"  # where, below a sweep's directory, its children leave their files

Curve: TypeAlias = Sequence[tuple[int, float]]
"""A metric's values by step, which rises."""


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
    watched : mapping of str to sequence of (int, float)
        Of fits on folds that a policy of early termination watched: the metric that ranks, and its mean over the
        folds after each round that the policy read.
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
    watched: Mapping[str, Curve] = field(default_factory=dict)

    @cached_property
    def curves(self) -> Mapping[str, Curve]:
        """Values of each metric by step: of trials what they logged, numbered from 0, of fits on folds `watched`."""
        if self.directory is None:
            return self.watched
        return {name: tuple(enumerate(values)) for name, values in StepLog(self.directory).values().items()}

    @property
    def steps(self) -> Mapping[str, Sequence[float]]:
        """The values of `curves` alone, in their order."""
        return {name: [value for _, value in curve] for name, curve in self.curves.items()}

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
    curves: Mapping[int, Curve] = MappingProxyType({}),
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
    curves : mapping of int to sequence of (int, float)
        By a candidate's number the rounds that a policy read of its fits, and the means over the folds.
    """
    return tuple(
        _child(f"{name}_{number}", number, params, row, (metric, shown), out, curves.get(number))
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
    curve: Curve | None,
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
        watched={metric[1]: curve} if curve else {},
    )


def _renamed(scores: Mapping[str, float], metric: str, shown: str) -> dict[str, float]:
    return {shown if name == metric else name: value for name, value in scores.items()}


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values) if all(map(math.isfinite, values)) else math.nan


def reason(child: ChildRun) -> str:
    """The line that names a child's error; empty where there is none."""
    return error_line([Outcome(child.number, 0, "failed", {}, error=child.error)]) or ""
