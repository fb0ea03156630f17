"""Who watches a sweep: hooks that do nothing by default, and the progress shown on a terminal or in a log."""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TransferSpeedColumn,
)

from hptune.interrupts import Stopped

if TYPE_CHECKING:
    from hptune.plan import Plan
    from hptune.records import Outcome

__all__ = [
    "FailureLimit",
    "Observer",
    "ProgressBar",
    "ProgressLines",
    "Tally",
    "TransferBar",
    "TransferLines",
    "duration",
    "progress_observer",
    "transfer_progress",
]


class Observer:
    """Sees a sweep go by. Every hook is a no-op; return values are ignored."""

    def on_start(self, plan: Plan) -> None:
        """Before the first fit."""

    def on_resume(self, outcomes: Sequence[Outcome]) -> None:
        """After `on_start`, with what earlier sessions of the sweep finished; nothing in a first one."""

    def on_outcome(self, outcome: Outcome) -> None:
        """After an outcome is on disk."""

    def on_finish(self) -> None:
        """After the last outcome, or when the sweep stops early."""


class Tally(Observer):
    """How many fold scores there are, of how many.

    Attributes
    ----------
    done, total : int
        Both 0 before the sweep starts.
    """

    done = 0
    total = 0

    def on_start(self, plan: Plan) -> None:
        self.total = plan.n_cells

    def on_resume(self, outcomes: Sequence[Outcome]) -> None:
        self.done += len(outcomes)

    def on_outcome(self, outcome: Outcome) -> None:
        self.done += 1


@dataclass(frozen=True)
class _State:
    """What a line of progress tells."""

    done: int
    total: int
    best: float | None
    seconds_left: float | None

    def text(self) -> str:
        best = "no score yet" if self.best is None else f"best {self.best:.5f}"
        left = "" if self.seconds_left is None else f", {duration(self.seconds_left)} left"
        return f"{best}{left}"


class _Tracker:
    """Counts outcomes; a candidate's mean counts once all its folds are in."""

    def __init__(
        self, plan: Plan, metric: str, slots: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._metric = metric
        self._folds = plan.n_folds
        self._cost = {cell: task.cost / len(task.cells) for task in plan.tasks for cell in task.cells}
        self._total = plan.n_cells
        self._scores: dict[int, list[float]] = defaultdict(list)
        self._done = 0
        self._best: float | None = None
        self._pace = _Pace(slots, sum(task.cost for task in plan.tasks), clock)

    def see(self, outcome: Outcome) -> _State:
        self._count(outcome)
        self._pace.see(outcome, self._cost[outcome.candidate, outcome.fold])
        return self._state()

    def see_earlier(self, outcomes: Sequence[Outcome]) -> _State:
        """Outcomes of earlier sessions tell nothing of this one's pace."""
        for outcome in outcomes:
            self._count(outcome)
            self._pace.cost_left -= self._cost[outcome.candidate, outcome.fold]
        return self._state()

    def _count(self, outcome: Outcome) -> None:
        self._done += 1
        scores = self._scores[outcome.candidate]
        scores.append(outcome.final_scores.get(self._metric, np.nan))
        mean = float(np.mean(scores))
        if len(scores) == self._folds and np.isfinite(mean) and (self._best is None or mean > self._best):
            self._best = mean

    def _state(self) -> _State:
        return _State(self._done, self._total, self._best, self._pace.seconds_left())


class _Pace:
    """How long the rest will take, told by the work that was done and by what must be done on each slot by now.

    The first outcome arrives when all slots have worked for about as long as its fit; before it, workers started.
    """

    def __init__(self, slots: int, cost_left: float, clock: Callable[[], float]) -> None:
        self.cost_left = cost_left
        self._slots = slots
        self._clock = clock
        self._began = float("inf")
        self._of_fit: dict[int, float] = defaultdict(float)  # seconds of work
        self._work = 0.0
        self._cost_done = 0.0

    def see(self, outcome: Outcome, cost: float) -> None:
        self.cost_left -= cost
        self._cost_done += cost
        self._work += outcome.work_time
        self._of_fit[outcome.fit_id] += outcome.work_time
        self._began = min(self._began, self._clock() - self._of_fit[outcome.fit_id])

    def seconds_left(self) -> float | None:
        if not self._cost_done:
            return None
        left = self._work / self._cost_done * max(0.0, self.cost_left)
        under_way = max(0.0, self._slots * (self._clock() - self._began) - self._work)
        return max(0.0, left - under_way) / self._slots


class FailureLimit(Observer):
    """Stops a sweep in which too much goes wrong.

    Parameters
    ----------
    most : int
        Candidates of which a fit failed, crashed or took too long.

    Raises
    ------
    Stopped
        From `on_outcome`, after the last of them is on disk.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._failed: set[int] = set()

    def on_outcome(self, outcome: Outcome) -> None:
        if outcome.status in ("ok", "stopped"):
            return
        self._failed.add(outcome.candidate)
        if len(self._failed) >= self._most:
            from hptune.results import error_line  # loads pandas

            many = f"{len(self._failed)} candidate{'s' if len(self._failed) > 1 else ''}"
            raise Stopped(f"{many} failed, the last: {error_line([outcome]) or outcome.status}")


class ProgressBar(Observer):
    """A bar that redraws itself, for terminals; `slots` fits run at once."""

    def __init__(self, metric: str, console: Console, slots: int = 1) -> None:
        self._metric = metric
        self._slots = slots
        self._bar = Progress(
            TextColumn("fits"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[state]}"),
            console=console,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def on_start(self, plan: Plan) -> None:
        self._tracker = _Tracker(plan, self._metric, self._slots)
        self._task = self._bar.add_task("fits", total=plan.n_cells, state="starting")
        self._bar.start()

    def on_resume(self, outcomes: Sequence[Outcome]) -> None:
        if outcomes:
            state = self._tracker.see_earlier(outcomes)
            self._bar.update(self._task, completed=state.done, state=state.text())

    def on_outcome(self, outcome: Outcome) -> None:
        self._bar.update(self._task, advance=1, state=self._tracker.see(outcome).text())

    def on_finish(self) -> None:
        self._bar.stop()


class ProgressLines(Observer):
    """A plain line now and then, for logs.

    Parameters
    ----------
    metric : str
        Name of the score that counts.
    stream : text file
        Where lines go.
    seconds : float, default 10
        Least time between two lines; the last outcome always has one.
    slots : int, default 1
        Fits at once, for the time that is left.
    """

    def __init__(self, metric: str, stream: IO[str], seconds: float = 10.0, slots: int = 1) -> None:
        self._metric = metric
        self._slots = slots
        self._stream = stream
        self._seconds = seconds
        self._next = 0.0

    def on_start(self, plan: Plan) -> None:
        self._tracker = _Tracker(plan, self._metric, self._slots)

    def on_resume(self, outcomes: Sequence[Outcome]) -> None:
        if outcomes:
            state = self._tracker.see_earlier(outcomes)
            print(f"{state.done}/{state.total} fits were done, {state.text()}", file=self._stream, flush=True)

    def on_outcome(self, outcome: Outcome) -> None:
        state = self._tracker.see(outcome)
        if time.monotonic() < self._next and state.done < state.total:
            return
        self._next = time.monotonic() + self._seconds
        print(f"{state.done}/{state.total} fits, {state.text()}", file=self._stream, flush=True)


def progress_observer(metric: str, slots: int = 1) -> Observer:
    """A bar where standard error is a terminal, else lines."""
    if sys.stderr.isatty():
        return ProgressBar(metric, Console(stderr=True), slots)
    return ProgressLines(metric, sys.stderr, slots=slots)


class TransferLines:
    """A plain line now and then about the bytes of the file that is coming, for logs."""

    def __init__(self, say: Callable[[str], None], seconds: float = 10.0) -> None:
        self._say = say
        self._seconds = seconds
        self._next = time.monotonic() + seconds

    def update(self, name: str, done: int, total: int) -> None:
        """Tell how much of a file is here."""
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + self._seconds
            self._say(f"{name}: {done:,} of {total:,} bytes")

    def close(self) -> None:
        """Nothing is left to do."""


class TransferBar:
    """A bar with bytes for each file, for terminals."""

    def __init__(self, console: Console) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
        self._bar = Progress(*columns, console=console, redirect_stdout=False, redirect_stderr=False)
        self._tasks: dict[str, TaskID] = {}

    def update(self, name: str, done: int, total: int) -> None:
        """Tell how much of a file is here."""
        if not self._tasks:
            self._bar.start()
        if name not in self._tasks:
            self._tasks[name] = self._bar.add_task(escape(name), total=total)
        self._bar.update(self._tasks[name], completed=done)

    def close(self) -> None:
        """Leave the bars as they are."""
        self._bar.stop()


@contextmanager
def transfer_progress(say: Callable[[str], None]) -> Iterator[TransferBar | TransferLines]:
    """Shows bytes as they arrive: bars where standard error is a terminal, else lines through `say`."""
    shown = TransferBar(Console(stderr=True)) if sys.stderr.isatty() else TransferLines(say)
    try:
        yield shown
    finally:
        shown.close()


def duration(seconds: float) -> str:
    """A short text for a time span.

    Examples
    --------
    >>> duration(5), duration(150), duration(7500)
    ('5 s', '2 min 30 s', '2 h 5 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
