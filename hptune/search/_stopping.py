"""Early termination in a search that hands over its candidates in several goes."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace

from hptune.engine import Engine, Work
from hptune.fitters import Evaluation
from hptune.live import Place
from hptune.plan import Plan
from hptune.policies import Policy
from hptune.records import FitTask, Outcome
from hptune.results import stopping_point
from hptune.search._records import Left
from hptune.termination import DriverReports, Race, watched

__all__ = ["Stopping", "stopping_by"]


class Stopping:
    """A policy at work, which compares the candidates of all goes.

    Parameters
    ----------
    policy : Policy
        Decides.
    metric : str
        The score that it sees.
    watch : DriverReports, optional
        Takes what fits report; None for a policy that sees whole folds.

    Attributes
    ----------
    columns : mapping of str to list
        What the last go's candidates have beside their scores: "status", "stopped_after" and "last_score".
    """

    def __init__(self, policy: Policy, metric: str, watch: DriverReports | None) -> None:
        self.policy = policy
        self.columns: Mapping[str, list[str | float]] = {"status": [], "stopped_after": [], "last_score": []}
        self._metric = metric
        self._watch = watch
        self._race: Race | None = None
        self._waiting: list[FitTask] = []  # for the race
        self._pattern: Outcome | None = None  # of outcomes with scores
        self._first = 0  # under which number the policy knows the first candidate of a go

    @property
    def in_lockstep(self) -> bool:
        """Whether all folds of a candidate are fitted side by side."""
        return self._watch is not None

    def watching(self, data: Evaluation) -> Evaluation:
        """With reports of the fits, where the policy reads them."""
        return (
            data if self._watch is None else replace(data, reports=self._watch.reports, metric=self._metric)
        )

    def outcomes(
        self, engine: Engine, plan: Plan, left: Left, work: Work, description: str
    ) -> Generator[list[Outcome], None, None]:
        """What comes of the tasks that are left of a go, as far as the policy lets them go on."""
        first, self._first = self._first, self._first + plan.n_candidates
        tasks = [_numbered(task, first) for task in left.tasks]
        if self._watch is None:
            self._race = self._race or Race(self.policy, self._metric, plan.n_folds, self._source)
            self._waiting = tasks
            lost = self._race.see(_moved(left.reused, first))
            stream = engine.run_fed(self._race.feed, work, description)
        else:
            lost = []
            for candidate, curve, stopped in left.curves:
                self._watch.recall(candidate + first, curve, stopped=stopped)
            stream = engine.run(tasks, work, description)
        yield list(_moved(lost, -first))
        if not tasks:
            return
        with closing(stream):
            for arrived in stream:
                yield list(_moved(self._seen(arrived, left, first), -first))

    def tell(self, rows: Sequence[Sequence[Outcome]]) -> Outcome | None:
        """Take in a go's outcomes, a row for each candidate, for `columns`; gives one of any go that has scores."""
        unfit = ([outcome.status for outcome in row if outcome.status != "ok"] for row in rows)
        points = [stopping_point(row, self._metric) for row in rows]
        self.columns["status"][:] = [statuses[0] if statuses else "ok" for statuses in unfit]
        self.columns["stopped_after"][:] = [math.nan if rounds is None else rounds for rounds, _ in points]
        self.columns["last_score"][:] = [score for _, score in points]
        scored = (outcome for row in rows for outcome in row if outcome.final_scores)
        self._pattern = self._pattern or next(scored, None)
        return self._pattern

    def _seen(self, arrived: list[Outcome], left: Left, first: int) -> list[Outcome]:
        if self._race is not None:
            return [*arrived, *self._race.see(arrived)]
        for run, values in () if self._watch is None else self._watch.see(arrived):
            left.keep_curve(run - first, values)
        return arrived

    def _source(self, free: int) -> list[FitTask]:
        waiting, self._waiting = self._waiting, []
        return waiting


def _numbered(task: FitTask, first: int) -> FitTask:
    return replace(task, rungs=tuple(replace(rung, candidate=rung.candidate + first) for rung in task.rungs))


def _moved(outcomes: Iterable[Outcome], by: int) -> Iterator[Outcome]:
    return (replace(outcome, candidate=outcome.candidate + by) for outcome in outcomes)


@contextmanager
def stopping_by(policy: Policy, metric: str, place: Place | None, *, in_process: bool) -> Iterator[Stopping]:
    """The policy at work while this is open; `place` and `in_process` as for `watched`."""
    if policy.shape == "waves":
        yield Stopping(policy, metric, None)
        return
    with watched(policy, place, in_process=in_process) as watch:
        yield Stopping(policy, metric, watch)
