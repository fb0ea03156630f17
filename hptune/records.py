"""The values that travel between the floors: what to fit, and what came of it."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, TypeAlias

__all__ = [
    "ERROR_BYTES",
    "MODEL",
    "EarlyStopping",
    "Existing",
    "FitTask",
    "Goal",
    "Objective",
    "Outcome",
    "Reject",
    "Rung",
    "Status",
    "clipped",
]

Existing: TypeAlias = Literal["refused", "replaced", "resumed", "extended"]
"""What becomes of a sweep that the output directory holds already."""

Status: TypeAlias = Literal["ok", "failed", "crashed", "timeout", "stopped"]

Goal: TypeAlias = Literal["maximize", "minimize"]

MODEL = "model"  # the directory, among a sweep's outputs, of a model that Spark writes

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # all but tab and newline

ERROR_BYTES = 1792  # of an error's text: even if JSON doubles each, an outcome stays below 4 KiB


@dataclass(frozen=True)
class EarlyStopping:
    """When boosting stops: after `rounds` rounds that did not better the validation rows' metric.

    Parameters
    ----------
    rounds : int
        At least 1.
    validation_fraction : float, default 0.1
        Share of a fold's training rows that are not learned from but watched, between 0 and 1.
    seed : int, default 0
        Draws the validation rows.
    """

    rounds: int
    validation_fraction: float = 0.1
    seed: int = 0


@dataclass(frozen=True)
class Objective:
    """What trials that name their own metrics are ranked by.

    Parameters
    ----------
    metric : str
        As the trials call it.
    goal : {"maximize", "minimize"}
        Which values of it are better.

    Examples
    --------
    >>> objective = Objective("loss", "minimize")
    >>> objective.name, objective.score(0.5)
    ('neg_loss', -0.5)
    """

    metric: str
    goal: Goal = "maximize"

    @property
    def name(self) -> str:
        """What tables call it, where larger is better: as in scikit-learn, a loss is called ``neg_loss``."""
        return self.metric if self.goal == "maximize" else f"neg_{self.metric}"

    def score(self, value: float) -> float:
        """The score that a value of the metric is; larger is better."""
        return value if self.goal == "maximize" else -value


@dataclass(frozen=True)
class Reject:
    """A row of a data file that is left out: where it is, and why. Its cells are not repeated.

    Parameters
    ----------
    file : str
        Name of the file.
    line : int
        The line where the row begins; in a file without lines the row's number. From 1, as `column`.
    column : int
        The cell that is wrong.
    problem : str
        What is wrong with it.
    """

    file: str
    line: int
    column: int
    problem: str


@dataclass(frozen=True)
class Rung:
    """One candidate's place on a ladder: the candidate's number and its rounds (None: no ladder)."""

    candidate: int
    rounds: int | None = None


@dataclass(frozen=True)
class FitTask:
    """One fit: a parameter setting on one fold, scored at each of its rungs; or its fits on many folds, side by side.

    Parameters
    ----------
    id : int
        Number of the task in the plan.
    fold : int
        Number of the fold; the folds' row indices travel once, apart from the tasks.
    params : mapping of str to object
        The parameters of the longest rung.
    rungs : tuple of Rung
        Shortest first. A task without a ladder has exactly one rung.
    rung_parameter : str, optional
        The parameter in which the rungs differ, such as ``n_estimators``.
    cost : float
        Expected work relative to the other tasks of the plan; any unit.
    folds : tuple of int
        Where several folds are fitted in lockstep, all of them; `fold` is then the first.
    """

    id: int
    fold: int
    params: Mapping[str, Any]
    rungs: tuple[Rung, ...]
    rung_parameter: str | None = None
    cost: float = 1.0
    folds: tuple[int, ...] = ()

    @property
    def all_folds(self) -> tuple[int, ...]:
        """The folds that are fitted."""
        return self.folds or (self.fold,)

    @property
    def cells(self) -> list[tuple[int, int]]:
        """Candidate and fold of everything that is scored."""
        return [(rung.candidate, fold) for rung in self.rungs for fold in self.all_folds]

    @property
    def run(self) -> int:
        """The number under which a policy of early termination knows it: that of the candidate on its longest rung."""
        return self.rungs[-1].candidate

    def on_fold(self, fold: int) -> FitTask:
        """The fit on one of its folds."""
        return replace(self, fold=fold, folds=(), cost=self.cost / len(self.all_folds))

    def alone(self, rung: Rung) -> FitTask:
        """The same fit for one rung only."""
        return self.of_rungs((rung,))

    def of_rungs(self, rungs: tuple[Rung, ...]) -> FitTask:
        """The same fit for some of its rungs, shortest first: no longer than the longest of them."""
        if self.rung_parameter is None or rungs == self.rungs:
            return self
        longest, was = rungs[-1].rounds or 1, self.rungs[-1].rounds or 1
        params = {**self.params, self.rung_parameter: rungs[-1].rounds}
        return replace(self, params=params, rungs=rungs, cost=self.cost * longest / was)

    def parts(self) -> tuple[FitTask, ...]:
        """The same fit for its longest rung alone, and for the shorter ones; nothing where all are equally long.

        Examples
        --------
        >>> task = FitTask(0, 0, {"max_iter": 9}, (Rung(2, 3), Rung(0, 6), Rung(1, 9)), "max_iter")
        >>> [[rung.candidate for rung in part.rungs] for part in task.parts()]
        [[1], [2, 0]]
        """
        shorter = tuple(rung for rung in self.rungs if rung.rounds != self.rungs[-1].rounds)
        if self.rung_parameter is None or not shorter:
            return ()
        return self.of_rungs(self.rungs[len(shorter) :]), self.of_rungs(shorter)


@dataclass(frozen=True)
class Outcome:
    """What came of one candidate on one fold.

    Parameters
    ----------
    candidate, fold : int
        Which cell of the table this fills.
    status : {"ok", "failed", "crashed", "timeout", "stopped"}
        "failed" when the fit raised, "crashed" when it ended its process, "timeout" when it took too long; its
        scores are then the sweep's error score. "stopped" when a policy of early termination ended it.
    test_scores, train_scores : mapping of metric to float
        Larger is better; a whole number stays one. `train_scores` is empty unless they were asked for. Of a fit
        that was stopped they are the last that a policy saw, empty where it was not begun: no score of the candidate.
    n_test_samples : int
        Scored rows.
    fit_time, score_time : float
        Seconds that this candidate alone would have taken.
    work_time : float
        Seconds really spent for this cell; the sum over a table is the sweep's work.
    rounds_trained : int
        Boosting rounds or trees really trained for this cell; 0 where there are none.
    fit_id : int
        Cells with an equal `fit_id` came from the same fit.
    matrices_built : int
        Quantised matrices that the fit had to build (0: found in the worker's cache).
    prefix_fits : int
        Steps of a pipeline, its last one aside, that had to be fitted so that their output can be reused
        (0: found in the worker's cache, or nothing is reused).
    best_iteration : int, optional
        With early stopping, the number of boosting rounds up to and including the best.
    stopped_after : int, optional
        The rounds, or in a race the folds, by which a policy stopped the candidate.
    unreported : int
        Values that did not reach the driver while the fit ran.
    error : str, optional
        Traceback of a failed fit, clipped.
    raised : str, optional
        The exception that left the fit and was not turned into a score, pickled, as base64. Only for whoever
        must raise it again, in the process that asked for the fit; it never reaches a file.
    multimetric : bool
        Whether the scorer returned a mapping; a single number is called ``score``.
    host, pid
        Where the fit ran.
    attempts : int, default 1
        How often the fit was begun before this came of it.
    started : float
        When a trial that is no fit on a fold began, in seconds since the epoch; 0 elsewhere.
    metrics : mapping of metric to float
        What such a trial told, under its own names and with its own signs.
    told : mapping
        What else it told, as JSON holds it, small.
    files : str
        Name of the directory with what it left, below ``children`` in the sweep's.
    """

    candidate: int
    fold: int
    status: Status
    test_scores: Mapping[str, float]
    n_test_samples: int = 0
    fit_time: float = 0.0
    score_time: float = 0.0
    train_scores: Mapping[str, float] = field(default_factory=dict)
    work_time: float = 0.0
    rounds_trained: int = 0
    fit_id: int = -1
    matrices_built: int = 0
    prefix_fits: int = 0
    best_iteration: int | None = None
    stopped_after: int | None = None
    unreported: int = 0
    error: str | None = None
    raised: str | None = None
    multimetric: bool = False
    host: str = ""
    pid: int = 0
    attempts: int = 1
    started: float = 0.0
    metrics: Mapping[str, float] = field(default_factory=dict)
    told: Mapping[str, Any] = field(default_factory=dict)
    files: str = ""

    @property
    def final_scores(self) -> Mapping[str, float]:
        """`test_scores`, but none of a fit that was stopped."""
        return {} if self.status == "stopped" else self.test_scores

    def to_json(self) -> str:
        """One line of strict JSON; defaults are left out, and non-finite scores are written as strings.

        Examples
        --------
        >>> line = Outcome(0, 1, "ok", {"score": float("nan")}).to_json()
        >>> line
        '{"candidate":0,"fold":1,"status":"ok","test_scores":{"score":"nan"}}'
        >>> Outcome.from_json(line).test_scores
        {'score': nan}
        """
        named = ((each.name, getattr(self, each.name), each.default) for each in _FIELDS)
        told = {name: value for name, value, default in named if value != default}
        for scores in _SCORES:
            told[scores] = {name: _strict(value) for name, value in told[scores].items()}
        for optional in _OPTIONAL:
            if not told[optional]:
                del told[optional]
        return json.dumps(told, allow_nan=False, ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def from_json(cls, line: str | bytes) -> Outcome:
        """The outcome that `to_json` wrote, equal to the last bit."""
        return cls.from_fields(json.loads(line))

    @classmethod
    def from_fields(cls, told: Mapping[str, Any]) -> Outcome:
        """The outcome of what ``json.loads`` made of `to_json`'s line."""
        scores = {name: told[name] for name in _SCORES if name in told}
        return cls(**{**told, **{name: _numbers(by_name) for name, by_name in scores.items()}})


_FIELDS = fields(Outcome)
_SCORES = ("test_scores", "train_scores", "metrics")
_OPTIONAL = ("train_scores", "metrics", "told")


def clipped(text: str, limit: int = ERROR_BYTES) -> str:
    """At most `limit` bytes of valid UTF-8: the end of `text`, where a traceback names its error.

    Control characters, which could steer a terminal, become spaces.

    Examples
    --------
    >>> clipped("ab🙂", 4)
    '🙂'
    """
    raw = _CONTROL.sub(" ", text[-limit:]).encode("utf-8", "replace")
    return raw[-limit:].decode("utf-8", "ignore")


def _strict(value: float) -> float | str:
    return value if math.isfinite(value) else str(float(value))


def _numbers(scores: Mapping[str, float | str]) -> dict[str, float]:
    return {name: float(value) if isinstance(value, str) else value for name, value in scores.items()}
