"""Threads of this process, for trials that themselves use what only this process has: its Spark session, say."""

from __future__ import annotations

import queue
import threading
import time
import traceback
from collections.abc import Callable, Generator, Sequence

from hptune.engine._base import Feed, Host, Work, failed, feed_of, guarded, this_host
from hptune.live import Place
from hptune.records import FitTask, Outcome

__all__ = ["DriverEngine"]


class DriverEngine:
    """Runs in threads of the calling process.

    Parameters
    ----------
    max_tasks : int, default 1
        Tasks that run at once.
    trial_timeout : float, optional
        Seconds that a task may take. One that takes longer is given up; what it does goes on until it ends by
        itself or with this process, because a thread cannot be ended from outside.
    give_up : callable, optional
        Told of each task that is given up: ends what that has begun elsewhere.
    """

    name = "driver"
    in_process = True
    is_local = True

    def __init__(
        self,
        max_tasks: int = 1,
        *,
        trial_timeout: float | None = None,
        give_up: Callable[[FitTask], None] | None = None,
    ) -> None:
        self.slots = max_tasks
        self.trial_timeout = trial_timeout
        self.give_up = give_up

    def threads(self, n_tasks: int) -> int:
        """One: what a task does beyond it is its own affair."""
        return 1

    def live_place(self) -> Place:
        """This host only."""
        return Place()

    def hosts(self) -> list[Host]:
        """This one."""
        return [this_host(self.slots)]

    def close(self) -> None:
        """Nothing to give back."""

    def run(
        self, tasks: Sequence[FitTask], work: Work, description: str
    ) -> Generator[list[Outcome], None, None]:
        """Each task's outcomes as they come."""
        yield from self.run_fed(feed_of(tasks), work, description)

    def run_fed(self, feed: Feed, work: Work, description: str) -> Generator[list[Outcome], None, None]:
        """Outcomes as they come, of tasks that `feed` gives while others run; closing it begins no others."""
        ended: queue.SimpleQueue[tuple[int, list[Outcome]]] = queue.SimpleQueue()
        running: dict[int, tuple[FitTask, float]] = {}

        def run(task: FitTask) -> None:
            try:
                outcomes = guarded(work, task)
            except BaseException as error:  # it would end this thread only, and the task would be waited for
                outcomes = failed(task, traceback.format_exc(), error)
            ended.put((task.id, outcomes))

        while True:
            for task in feed(self.slots - len(running)):
                running[task.id] = task, time.monotonic()
                threading.Thread(target=run, args=(task,), name=f"hptune-{task.id}", daemon=True).start()
            if not running:
                return
            number, outcomes = self._next(ended, running)
            if running.pop(number, None) is not None:  # else it was given up before
                yield outcomes

    def _next(
        self,
        ended: queue.SimpleQueue[tuple[int, list[Outcome]]],
        running: dict[int, tuple[FitTask, float]],
    ) -> tuple[int, list[Outcome]]:
        """What ends next, or takes too long first."""
        if self.trial_timeout is None:
            return ended.get()
        task, begun = min(running.values(), key=lambda started: started[1])
        try:
            return ended.get(timeout=max(0.0, begun + self.trial_timeout - time.monotonic()))
        except queue.Empty:
            if self.give_up is not None:
                self.give_up(task)
            reason = f"the trial took longer than {self.trial_timeout:g} s"
            return task.id, failed(task, reason, status="timeout")
