"""``--dry-run``: what a sweep would fit, what memory it needs and how long it takes, after a single fit."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any

from hptune.engine import Engine
from hptune.observers import duration
from hptune.preflight import HostMemory, size
from hptune.records import FitTask, Outcome
from hptune.resume import Agenda
from hptune.sweep import AnySweep

__all__ = ["makespan", "rehearse"]

_SHOWN_VALUES = 8
_SHOWN_CHARACTERS = 60


def rehearse(sweep: AnySweep, agenda: Agenda, engine: Engine, needed: Sequence[HostMemory]) -> Iterator[str]:
    """Lines for people: parameters, plan, memory, and time as told by the fit of median cost.

    Parameters
    ----------
    sweep : Sweep or TrialSweep
        Checked and ready to run.
    agenda : Agenda
        What is to be fitted.
    engine : Engine
        Where; one fit runs on it.
    needed : sequence of HostMemory
        The memory of its hosts.
    """
    yield from _parameters(sweep.candidates)
    yield _plan(agenda)
    for each in needed:
        host = each.host
        yield (
            f"memory on {host.name}: {size(each.least)} to {size(each.most)} of {size(host.memory)},"
            f" {size(each.data)} of it for the data; fits at once: {host.slots}"
        )
    if agenda.tasks:
        yield _time(sweep, agenda, engine)


def makespan(seconds: Iterable[float], slots: int) -> float:
    """When the last of the fits ends, if each goes, in this order, to the slot that is free first.

    Examples
    --------
    >>> makespan([5.0, 3.0, 3.0, 2.0], slots=2)
    7.0
    """
    ends = [0.0] * slots
    for each in seconds:
        heapq.heappushpop(ends, ends[0] + each)
    return max(ends)


def _parameters(candidates: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """A line for each parameter: its values, or from where to where they go."""
    names = list(dict.fromkeys(name for candidate in candidates for name in candidate))
    width = max(map(len, names), default=0)
    for name in names:
        values = [candidate[name] for candidate in candidates if name in candidate]
        yield f"  {name:<{width}}  {_values(values)}"


def _values(values: Sequence[Any]) -> str:
    different = list({repr(value): value for value in values}.values())
    numbers = all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in different)
    if numbers and len(different) > _SHOWN_VALUES:
        return f"{len(different)} values from {min(different):g} to {max(different):g}"
    shown = [str(value)[:_SHOWN_CHARACTERS] for value in different[:_SHOWN_VALUES]]
    left = len(different) - len(shown)
    return ", ".join(shown) + (f" and {left} more" if left else "")


def _plan(agenda: Agenda) -> str:
    plan = agenda.plan
    trained = sum((task.rungs[-1].rounds or 0) * len(task.all_folds) for task in agenda.tasks)
    fits = sum(len(task.all_folds) for task in agenda.tasks)
    rounds = f"; {trained:,} rounds to train, {plan.rounds_asked:,} asked for" if plan.rounds_asked else ""
    done = f", {len(agenda.reused):,} of them done" if agenda.reused else ""
    return (
        f"{plan.n_candidates:,} candidates x {plan.n_folds} folds = {plan.n_cells:,} fold scores{done}:"
        f" {fits:,} fits{rounds}"
    )


def _time(sweep: AnySweep, agenda: Agenda, engine: Engine) -> str:
    """The longest come first, so the one in the middle has the median cost; a sampler is asked for one."""
    tasks = agenda.tasks
    asked = [] if agenda.exploration is None else agenda.exploration.feed(1)
    probe = asked[0] if asked else tasks[len(tasks) // 2]
    outcomes = _fitted(sweep, probe, len(tasks), engine)
    failed = [outcome for outcome in outcomes if outcome.status != "ok"]
    if failed:
        reason = (failed[0].error or "").strip().splitlines()[-1:]
        return f"time: unknown, the fit that was tried {failed[0].status}: {' '.join(reason)}"
    seconds = sum(outcome.work_time for outcome in outcomes)
    pace = seconds / probe.cost if probe.cost else 0.0
    total = makespan((task.cost * pace if pace else seconds for task in tasks), engine.slots)
    return (
        f"time: about {duration(total)} for {len(tasks):,} fits, {engine.slots} at once;"
        f" one of median size took {seconds:.1f} s"
    )


def _fitted(sweep: AnySweep, task: FitTask, n_tasks: int, engine: Engine) -> list[Outcome]:
    with (
        sweep.working(engine, n_tasks, None) as work,
        closing(engine.run([task], work, f"hptune dry run {sweep.name}")) as stream,
    ):
        return [outcome for arrived in stream for outcome in arrived]
