"""This machine's processes, for those who have one machine and no Spark."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from joblib import effective_n_jobs

from hptune.engine._base import Feed, Host, Work, this_host
from hptune.engine._children import Pool, fits_fed, fits_in
from hptune.engine._payload import Payload, lay_down
from hptune.live import Place
from hptune.records import FitTask, Outcome

__all__ = ["ProcessesEngine"]

# Read when the libraries load. Waiting OpenMP threads must not spin: several fits share the cores. What a fit may
# use beyond one thread it gets by its own parameter.
_ENVIRONMENT = {
    "OMP_WAIT_POLICY": "PASSIVE",
    **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS"), "1"),
}


class ProcessesEngine:
    """Runs in worker processes on this host.

    Parameters
    ----------
    n_jobs : int, default -1
        Number of processes, in joblib's counting: -1 is one a core.
    max_tasks : int, optional
        Bound on the tasks that run at once.
    trial_timeout : float, optional
        Seconds that a fit may take.
    """

    name = "processes"
    in_process = False
    is_local = True

    def __init__(
        self, n_jobs: int = -1, *, max_tasks: int | None = None, trial_timeout: float | None = None
    ) -> None:
        processes: int = effective_n_jobs(n_jobs)
        self.slots = processes if max_tasks is None else min(processes, max_tasks)
        self.trial_timeout = trial_timeout

    def threads(self, n_tasks: int) -> int:
        """The machine's cores divided by the tasks that run at once."""
        return max(1, (os.cpu_count() or 1) // max(1, min(n_tasks, self.slots)))

    def live_place(self) -> Place:
        """This host only."""
        return Place()

    def hosts(self) -> list[Host]:
        """This one."""
        return [this_host(self.slots)]

    def close(self) -> None:
        """Nothing to give back: idle processes end by themselves, and with this one."""

    def run(
        self, tasks: Sequence[FitTask], work: Work, description: str
    ) -> Generator[list[Outcome], None, None]:
        """Each task's outcomes as they come; closing the iterator aborts the tasks that have not ended."""
        with self._pool(work) as (pool, payload):
            yield from fits_in(pool, payload, tasks)

    def run_fed(self, feed: Feed, work: Work, description: str) -> Generator[list[Outcome], None, None]:
        """Outcomes as they come, of tasks that `feed` gives while others run."""
        with self._pool(work) as (pool, payload):
            yield from fits_fed(pool, payload, feed)

    @contextmanager
    def _pool(self, work: Work) -> Iterator[tuple[Pool, Payload]]:
        pool = Pool(self.slots, self.trial_timeout, _ENVIRONMENT)
        with tempfile.TemporaryDirectory(prefix="hptune-") as directory, closing(pool):
            yield pool, lay_down(work, Path(directory))
