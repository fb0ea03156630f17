"""Applies a policy to what arrives, in whatever order and from whatever thread."""

from __future__ import annotations

import math
import threading
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from hptune.live import Value
from hptune.policies import History, Policy, Report

__all__ = ["Judge"]


class Judge:
    """Remembers what runs report and which of them were stopped.

    Parameters
    ----------
    policy : Policy
        Decides.

    Examples
    --------
    >>> from hptune.policies import BanditPolicy
    >>> judge = Judge(BanditPolicy(slack_amount=0.1))
    >>> judge.report(0, 1, 0.5), judge.report(1, 1, 0.9), judge.stops(0)
    (False, False, True)
    """

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self._history = History()
        self._curves: dict[int, list[tuple[int, float]]] = defaultdict(list)
        self._stopped: set[int] = set()
        self._just_stopped: set[int] = set()
        self._ended: set[int] = set()
        self._lock = threading.Lock()

    def take(self, key: str, values: Sequence[Value]) -> bool:
        """What the live channel brings; whether the run should stop. What came before already changes nothing."""
        run = int(key)
        for value in values:
            self.report(run, value.step, value.value)
        return self.stops(run)

    def report(self, run: int, step: int, value: float) -> bool:
        """Take in a value; whether the run should stop. Each step counts once, and none after the run's end."""
        with self._lock:
            if run not in self._ended and step > self._history.steps(run):
                report = Report(run, step, value)
                self._history.add(report)
                self._curves[run].append((step, value))
                for other in self.policy.decide(report, self._history):
                    self._history.stop(other)
                    self._stopped.add(other)
                    self._just_stopped.add(other)
            return run in self._stopped

    def stops(self, run: int) -> bool:
        """Whether the run should stop."""
        return run in self._stopped

    def just_stopped(self) -> list[int]:
        """The runs that were stopped since the last call."""
        with self._lock:
            stopped, self._just_stopped = sorted(self._just_stopped), set()
            return stopped

    def end(self, run: int, *, stopped: bool) -> list[list[Any]]:
        """The run has come to its own end, or was stopped: what it reported, and nothing when it is asked again.

        As JSON holds it, with null for what is no finite number. A message that was held up on its way may come
        still. It is left out, so that nothing is known of a run but what is told here.
        """
        with self._lock:
            self._ended.add(run)
            if not stopped:
                self._history.finish(run)
            told = self._curves.pop(run, ())
        return [[step, value if math.isfinite(value) else None] for step, value in told]

    def recall(self, run: int, curve: Sequence[Sequence[Any]], *, stopped: bool) -> None:
        """Take in what a run reported that ended in an earlier session, as `end` told it."""
        with self._lock:
            for step, value in curve:
                self._history.add(Report(run, step, math.nan if value is None else float(value)))
            (self._history.stop if stopped else self._history.finish)(run)
