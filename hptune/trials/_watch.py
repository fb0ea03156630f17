"""What a run's log tells a policy of early termination, and what the policy tells the run."""

from __future__ import annotations

import time
from pathlib import Path

from hptune.context import StepLog
from hptune.fitters import Reports
from hptune.records import Objective

__all__ = ["LogWatch", "Watch"]

_GRACE_SECONDS = 10.0  # for a script to end by itself


class Watch:
    """Counts the values of the objective that a run logs, and asks whether it should go on.

    Parameters
    ----------
    run : int
        Its number.
    objective : Objective
        Which values count.
    reports : Reports, optional
        Where they go; None where nothing is ever stopped.

    Attributes
    ----------
    steps : int
        Values so far.
    score : float, optional
        The last of them, larger is better.
    heeded : bool
        Whether the run was told that it should stop, and so may have ended early.
    unreported : int
        Values that did not reach the driver; known after `close`.
    """

    def __init__(self, run: int, objective: Objective, reports: Reports | None) -> None:
        self._run = run
        self._objective = objective
        self._reports = reports
        self.steps = 0
        self.score: float | None = None
        self.heeded = False
        self.unreported = 0

    @property
    def is_needed(self) -> bool:
        """Whether anybody decides by what is logged."""
        return self._reports is not None

    def see(self, name: str, value: float) -> None:
        """A value was logged."""
        if name != self._objective.metric:
            return
        self.steps += 1
        self.score = self._objective.score(value)
        if self._reports is not None and self._reports.reads(self.steps):
            self._reports.report(self._run, self.steps, self.score)

    def stops(self) -> bool:
        """Whether the run should stop."""
        return self._reports is not None and self._reports.stops(self._run)

    def tell(self) -> bool:
        """The same, for the run itself to hear."""
        self.heeded = self.heeded or self.stops()
        return self.heeded

    def close(self) -> None:
        """No more values come."""
        if self._reports is not None:
            self.unreported = self._reports.finish(self._run)


class LogWatch:
    """Reads a script's log while it runs, and lets it know when it should stop.

    Parameters
    ----------
    watch : Watch
        Gets the values.
    directory : Path
        The run's.
    """

    def __init__(self, watch: Watch, directory: Path) -> None:
        self._watch = watch
        self._log = StepLog(directory)
        self._seen = 0
        self._until: float | None = None

    def look(self) -> bool:
        """See what is new; whether the script has had its time to end by itself."""
        self.catch_up()
        if self._until is not None:
            return time.monotonic() >= self._until
        if self._watch.stops():
            self._log.stop()
            self._until = time.monotonic() + _GRACE_SECONDS
        return False

    def catch_up(self) -> None:
        """See what is new."""
        found, self._seen = self._log.read(self._seen)
        for name, value in found:
            self._watch.see(name, value)
