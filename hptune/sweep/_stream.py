"""What comes of the tasks that are missing: each to its end, in a race, or watched round by round."""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager, closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hptune.adaptive import Exploration
from hptune.children import Curve
from hptune.engine import Engine, Feed, Work
from hptune.fitters import Reports
from hptune.history import curve_record, curves_in, curves_of
from hptune.journal import Journal
from hptune.plan import rungs_served
from hptune.policies import Policy
from hptune.records import FitTask, Outcome, Rung
from hptune.resume import Agenda, ended_curves
from hptune.sweep._base import AnySweep
from hptune.termination import Race, watched

__all__ = ["kept_curves", "stream"]


@dataclass(frozen=True)
class _Sweep:
    """A sweep that runs: what it is, what is left of it, where, and what keeps what comes of it."""

    what: AnySweep
    agenda: Agenda
    engine: Engine
    journal: Journal | None
    out: Path | None

    def working(self, reports: Reports | None = None) -> AbstractContextManager[Work]:
        """What its fits do with a task, while this is open."""
        return self.what.working(self.engine, len(self.agenda.tasks), self.out, reports)

    @property
    def description(self) -> str:
        """As people see it in Spark's UI."""
        plan = self.agenda.plan
        size = f"{plan.n_candidates} candidates x {plan.n_folds} folds in {len(self.agenda.tasks)} fits"
        return f"hptune sweep {self.what.name}: {size}"

    def note(self, record: Mapping[str, Any]) -> None:
        """Put a record into the journal, where there is one."""
        if self.journal is not None:
            self.journal.record(record)


def stream(
    sweep: AnySweep,
    agenda: Agenda,
    engine: Engine,
    journal: Journal | None,
    out: Path | None,
    curves: dict[int, Curve],
) -> Generator[list[Outcome], None, None]:
    """Outcomes of all tasks that are missing, as they come.

    What a policy saw of fits on folds is in the journal, and in `curves` by candidate, before their outcomes come.
    """
    if not agenda.tasks:
        return
    running, policy = _Sweep(sweep, agenda, engine, journal, out), sweep.early_termination
    if policy is None:
        yield from _outcomes(running)
    elif policy.shape == "waves":
        yield from _race(running, policy)
    else:
        yield from _watched(running, policy, curves)


def kept_curves(agenda: Agenda) -> dict[int, Curve]:
    """The curves that earlier sessions left, by this one's candidates."""
    if agenda.kept is None:
        return {}
    kept, renumbered = curves_of(agenda.kept.sessions), agenda.renumbered
    return kept if renumbered is None else {renumbered[number]: curve for number, curve in kept.items()}


def _watched(
    running: _Sweep, policy: Policy, curves: dict[int, Curve]
) -> Generator[list[Outcome], None, None]:
    engine, agenda, rungs_of = running.engine, running.agenda, _rungs(running.agenda)
    with watched(policy, engine.live_place(), in_process=engine.in_process) as watch:
        for candidate, curve, stopped in ended_curves(agenda):
            watch.recall(candidate, curve, stopped=stopped)
        for arrived in _outcomes(running, watch.reports):
            for run, values in watch.see(arrived):
                # What a trial logs under its own names is what its run shows.
                rungs = rungs_of(run) if running.what.shares_fits else ()
                record = curve_record(agenda.identity.key(run, 0), values, rungs)
                running.note(record)
                curves.update(curves_in(record))
            yield arrived


def _rungs(agenda: Agenda) -> Callable[[int], tuple[Rung, ...]]:
    """Gives the candidates that share the fit which a policy knows under a number."""
    exploration = agenda.exploration
    if exploration is None:
        return rungs_served(agenda.tasks).__getitem__

    def found(run: int) -> tuple[Rung, ...]:
        latest = reversed(exploration.plan.tasks)  # what ends was begun a short while ago
        return next(served[run] for task in latest if run in (served := rungs_served([task])))

    return found


def _outcomes(running: _Sweep, reports: Reports | None = None) -> Generator[list[Outcome], None, None]:
    """What comes of all tasks; where they may stop, they report what they are decided by."""
    engine, agenda = running.engine, running.agenda
    with running.working(reports) as work:
        if agenda.exploration is None:
            found = engine.run(agenda.tasks, work, running.description)
        else:
            agenda.exploration.begin(engine.slots)
            feed = functools.partial(_noted_tasks, running, agenda.exploration)
            found = engine.run_fed(feed, work, running.description)
        with closing(found) as outcomes:
            yield from outcomes


def _race(running: _Sweep, policy: Policy) -> Generator[list[Outcome], None, None]:
    """What comes of a race, in which a candidate takes fold after fold as long as the policy lets it."""
    engine, agenda = running.engine, running.agenda
    if agenda.exploration is None:
        left = deque(agenda.tasks)
        source: Feed = lambda free: [left.popleft() for _ in range(len(left))]  # noqa: E731
    else:
        agenda.exploration.begin(engine.slots)
        source = functools.partial(_noted_tasks, running, agenda.exploration)
    race = Race(policy, running.what.ranking_metric, agenda.plan.n_folds, source)
    lost = race.see(agenda.reused)
    if lost:
        yield lost
    with (
        running.working() as work,
        closing(engine.run_fed(race.feed, work, running.description)) as outcomes,
    ):
        for arrived in outcomes:
            yield [*arrived, *race.see(arrived)]


def _noted_tasks(running: _Sweep, exploration: Exploration, free: int) -> list[FitTask]:
    """At most `free` fits to begin, once the journal knows their candidates."""
    tasks = exploration.feed(free)
    for asked in exploration.questions():
        running.note({"record": "candidate", **asdict(asked)})
    return tasks
