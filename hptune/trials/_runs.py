"""What all trials of a sweep share where they run, and what becomes of one's answer, log and files."""

from __future__ import annotations

import logging
import os
import socket
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hptune.engine import Engine, failed
from hptune.fitters import Reports
from hptune.records import FitTask, Objective, Outcome, Status
from hptune.trials._answer import Unusable, fitting, read_answer
from hptune.trials._delivery import Delivery, deliveries
from hptune.trials._watch import Watch

__all__ = ["Clock", "Shared", "finished", "shared_by", "stopped", "unfinished"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Shared:
    """What all trials of a session have in common; it travels to where they run.

    Parameters
    ----------
    sweep : str
        The sweep's name.
    objective : Objective
        What ranks.
    delivery : Delivery, optional
        Brings files to the sweep's directory; None where there is none.
    reports : Reports, optional
        Takes what a policy of early termination decides by.
    session : str
        Tells the files of this session's runs from those of others.
    """

    sweep: str
    objective: Objective
    delivery: Delivery | None = None
    reports: Reports | None = None
    session: str = field(default_factory=lambda: uuid.uuid4().hex[:6])

    def run_id(self, task: FitTask) -> str:
        """What a trial's run is called."""
        return f"{self.sweep}_{task.rungs[0].candidate}"

    def watch(self, task: FitTask) -> Watch:
        """What a policy sees of a trial."""
        return Watch(task.rungs[0].candidate, self.objective, self.reports)

    def brought(self, task: FitTask, directory: Path) -> tuple[str, str | None]:
        """Where a run's files are now, and what kept them from getting there."""
        if self.delivery is None or not any(directory.iterdir()):
            return "", None
        name = f"{task.rungs[0].candidate:04d}-{self.session}"
        try:
            self.delivery.deliver(name, directory)
        except OSError as error:
            _log.warning("the files of run %s were lost: %s", self.run_id(task), error)
            return "", f"the run's files were lost: {error}"
        return name, None


@contextmanager
def shared_by(
    sweep: str, objective: Objective, engine: Engine, out: Path | None, reports: Reports | None
) -> Iterator[Shared]:
    """What the trials of a session share, as long as it is open."""
    with deliveries(engine, out) as delivery:
        yield Shared(sweep, objective, delivery, reports)


class Clock:
    """When a trial began, and how long it has taken."""

    def __init__(self) -> None:
        self.started = time.time()
        self._begun = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Since the trial began."""
        return time.perf_counter() - self._begun


def finished(
    shared: Shared,
    task: FitTask,
    clock: Clock,
    value: Any,
    logged: Mapping[str, Sequence[float]],
    directory: Path,
) -> list[Outcome]:
    """The outcome of a trial that came to its end.

    Parameters
    ----------
    shared : Shared
        What it shares with others.
    task : FitTask
        The trial's; it has one rung.
    clock : Clock
        Started with it.
    value : object
        What it answered; None where its log is the answer.
    logged : mapping
        The values of each metric that it logged.
    directory : Path
        Files that it leaves.
    """
    objective = shared.objective
    last = {name: values[-1] for name, values in logged.items() if values}
    try:
        if value is None and objective.metric in last:
            answer = read_answer(fitting(last, objective.metric), objective)
        else:
            answer = read_answer(value, objective)
            answer = replace(answer, metrics=fitting({**last, **answer.metrics}, objective.metric))
    except Unusable as error:
        return unfinished(shared, task, clock, "failed", str(error), logged, directory)
    scores = {objective.name: objective.score(answer.metrics[objective.metric])}
    done = Outcome(task.rungs[0].candidate, task.fold, "ok", scores, fit_id=task.id)
    return [
        _with_circumstances(
            replace(done, metrics=answer.metrics, told=answer.told), shared, task, clock, directory
        )
    ]


def stopped(
    shared: Shared,
    task: FitTask,
    clock: Clock,
    watch: Watch,
    logged: Mapping[str, Sequence[float]],
    directory: Path,
) -> list[Outcome]:
    """The outcome of a trial that a policy ended, with the last score that `watch` saw; else as in `finished`."""
    last = {name: values[-1] for name, values in logged.items() if values}
    scores = {} if watch.score is None else {shared.objective.name: watch.score}
    ended = Outcome(task.rungs[0].candidate, task.fold, "stopped", scores, fit_id=task.id)
    ended = replace(
        ended,
        metrics=fitting(last, shared.objective.metric),
        stopped_after=watch.steps,
        unreported=watch.unreported,
    )
    return [_with_circumstances(ended, shared, task, clock, directory)]


def unfinished(
    shared: Shared,
    task: FitTask,
    clock: Clock,
    status: Status,
    reason: str,
    logged: Mapping[str, Sequence[float]],
    directory: Path,
) -> list[Outcome]:
    """The outcome of a trial that nothing can be ranked by; the rest is as in `finished`."""
    last = {name: values[-1] for name, values in logged.items() if values}
    return [
        _with_circumstances(
            replace(outcome, metrics=fitting(last, shared.objective.metric, few=True)),
            shared,
            task,
            clock,
            directory,
        )
        for outcome in failed(task, reason, status=status)
    ]


def _with_circumstances(
    outcome: Outcome, shared: Shared, task: FitTask, clock: Clock, directory: Path
) -> Outcome:
    seconds = clock.seconds
    files, lost = shared.brought(task, directory)
    return replace(
        outcome,
        fit_time=seconds,
        work_time=seconds,
        started=clock.started,
        host=socket.gethostname(),
        pid=os.getpid(),
        files=files,
        told=outcome.told if lost is None else {**outcome.told, "files": lost[:500]},
    )
