"""One fit after the other in this process: the trivial twin of the other engines."""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence

from hptune.engine._base import Feed, Host, Work, guarded, this_host
from hptune.interrupts import redelivered
from hptune.live import Place
from hptune.records import FitTask, Outcome

__all__ = ["SerialEngine"]


class SerialEngine:
    """Runs in the calling process; estimators with threads of their own may use all cores."""

    name = "serial"
    in_process = True
    slots = 1
    is_local = True

    def threads(self, n_tasks: int) -> int:
        """All cores."""
        return os.cpu_count() or 1

    def live_place(self) -> Place:
        """This host only."""
        return Place()

    def hosts(self) -> list[Host]:
        """This one."""
        return [this_host(1)]

    def close(self) -> None:
        """Nothing to give back."""

    def run(
        self, tasks: Sequence[FitTask], work: Work, description: str
    ) -> Generator[list[Outcome], None, None]:
        """Each task's outcomes, in the order of the tasks."""
        for task in tasks:
            with redelivered():
                outcomes = guarded(work, task)
            yield outcomes

    def run_fed(self, feed: Feed, work: Work, description: str) -> Generator[list[Outcome], None, None]:
        """Outcomes of one task after the other, as `feed` gives them."""
        while tasks := feed(1):
            yield from self.run(tasks, work, description)
