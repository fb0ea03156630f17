"""What comes of the tasks that are missing: each to its end, in a race, or watched round by round."""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

from hptune.adaptive import Exploration
from hptune.children import Curve
from hptune.engine import Engine, Feed
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
    policy = sweep.early_termination
    if policy is None:
        yield from _outcomes(sweep, agenda, engine, journal, out)
    elif policy.shape == "waves":
        yield from _race(sweep, policy, agenda, engine, journal, out)
    else:
        yield from _watched(sweep, policy, agenda, engine, journal, out, curves)


def kept_curves(agenda: Agenda) -> dict[int, Curve]:
    """The curves that earlier sessions left, by this one's candidates."""
    if agenda.kept is None:
        return {}
    kept, renumbered = curves_of(agenda.kept.sessions), agenda.renumbered
    return kept if renumbered is None else {renumbered[number]: curve for number, curve in kept.items()}


def _watched(
    sweep: AnySweep,
    policy: Policy,
    agenda: Agenda,
    engine: Engine,
    journal: Journal | None,
    out: Path | None,
    curves: dict[int, Curve],
) -> Generator[list[Outcome], None, None]:
    rungs_of = _rungs(agenda)
    with watched(policy, engine.live_place(), in_process=engine.in_process) as watch:
        for candidate, curve, stopped in ended_curves(agenda):
            watch.recall(candidate, curve, stopped=stopped)
        for arrived in _outcomes(sweep, agenda, engine, journal, out, watch.reports):
            for run, values in watch.see(arrived):
                # What a trial logs under its own names is what its run shows.
                rungs = rungs_of(run) if sweep.shares_fits else ()
                record = curve_record(agenda.identity.key(run, 0), values, rungs)
                if journal is not None:
                    journal.record(record)
                curves.update(curves_in(record))
            yield arrived


def _rungs(agenda: Agenda) -> Callable[[int], tuple[Rung, ...]]:
    """Gives the candidates that share the fit which a policy knows under a number."""
    exploration = agenda.exploration
    if exploration is None:
        return rungs_served(agenda.tasks).__getitem__
    return lambda run: rungs_served(exploration.plan.tasks)[run]


def _outcomes(
    sweep: AnySweep,
    agenda: Agenda,
    engine: Engine,
    journal: Journal | None,
    out: Path | None,
    reports: Reports | None = None,
) -> Generator[list[Outcome], None, None]:
    """What comes of all tasks; where they may stop, they report what they are decided by."""
    description = _description(sweep, agenda)
    with sweep.working(engine, len(agenda.tasks), out, reports) as work:
        if agenda.exploration is None:
            found = engine.run(agenda.tasks, work, description)
        else:
            agenda.exploration.begin(engine.slots)
            feed = functools.partial(_noted_tasks, agenda.exploration, journal)
            found = engine.run_fed(feed, work, description)
        with closing(found) as outcomes:
            yield from outcomes


def _race(
    sweep: AnySweep,
    policy: Policy,
    agenda: Agenda,
    engine: Engine,
    journal: Journal | None,
    out: Path | None,
) -> Generator[list[Outcome], None, None]:
    """What comes of a race, in which a candidate takes fold after fold as long as the policy lets it."""
    if agenda.exploration is None:
        left = deque(agenda.tasks)
        source: Feed = lambda free: [left.popleft() for _ in range(len(left))]  # noqa: E731
    else:
        agenda.exploration.begin(engine.slots)
        source = functools.partial(_noted_tasks, agenda.exploration, journal)
    race = Race(policy, sweep.ranking_metric, agenda.plan.n_folds, source)
    lost = race.see(agenda.reused)
    if lost:
        yield lost
    with (
        sweep.working(engine, len(agenda.tasks), out) as work,
        closing(engine.run_fed(race.feed, work, _description(sweep, agenda))) as outcomes,
    ):
        for arrived in outcomes:
            yield [*arrived, *race.see(arrived)]


def _description(sweep: AnySweep, agenda: Agenda) -> str:
    return (
        f"hptune sweep {sweep.name}: {agenda.plan.n_candidates} candidates x {agenda.plan.n_folds} folds"
        f" in {len(agenda.tasks)} fits"
    )


def _noted_tasks(exploration: Exploration, journal: Journal | None, free: int) -> list[FitTask]:
    """At most `free` fits to begin, once the journal knows their candidates."""
    tasks = exploration.feed(free)
    for asked in exploration.questions():
        if journal is not None:
            journal.record({"record": "candidate", **asdict(asked)})
    return tasks
