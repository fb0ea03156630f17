"""This machine's processes through joblib, for those who have one machine and no Spark."""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from joblib import Parallel, delayed, effective_n_jobs, parallel_config
from joblib.externals.loky import get_reusable_executor
from joblib.externals.loky.process_executor import BrokenProcessPool

from hptune.engine._base import CRASHED, Work, failed, guarded
from hptune.engine._payload import Payload, lay_down
from hptune.records import FitTask, Outcome

__all__ = ["ProcessesEngine"]


class ProcessesEngine:
    """Runs in worker processes on this host.

    Parameters
    ----------
    n_jobs : int, default -1
        Number of processes, in joblib's counting: -1 is one a core.
    """

    name = "processes"

    def __init__(self, n_jobs: int = -1) -> None:
        self.slots: int = effective_n_jobs(n_jobs)

    def threads(self, n_tasks: int) -> int:
        """The machine's cores divided by the tasks that run at once."""
        return max(1, (os.cpu_count() or 1) // max(1, min(n_tasks, self.slots)))

    def close(self) -> None:
        """Nothing to give back: joblib ends idle workers by itself."""

    def run(self, tasks: Sequence[FitTask], work: Work, description: str) -> Generator[Outcome, None, None]:
        """Outcomes as they come; closing the iterator aborts the tasks that have not ended."""
        # Waiting OpenMP threads must not spin: several fits share the cores. Read when the library loads.
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        with tempfile.TemporaryDirectory(prefix="hptune-") as directory:
            payload = lay_down(work, Path(directory))
            missing, suspects = {task.id: task for task in tasks}, set[int]()
            while fine := [task for task in missing.values() if task.id not in suspects]:
                for outcomes in self._until_a_worker_dies(payload, fine):
                    missing.pop(outcomes[0].fit_id, None)
                    yield from outcomes
                # What was begun without an outcome may have killed the worker; it is tried again alone.
                begun = {number for number in missing if _mark(payload, number).exists()}
                suspects |= begun - suspects or set(missing)
            for task in missing.values():
                yield from self._alone(payload, task)

    def _until_a_worker_dies(self, payload: Payload, tasks: Sequence[FitTask]) -> Iterator[list[Outcome]]:
        with parallel_config(backend="loky", inner_max_num_threads=1):
            parallel = Parallel(n_jobs=self.slots, return_as="generator_unordered", batch_size="auto")
            results: Any = parallel(delayed(_run_one)(payload, task) for task in tasks)
        try:
            with warnings.catch_warnings(), closing(results):
                # Closing early is meant: joblib need not tell how many tasks it cancelled.
                warnings.filterwarnings("ignore", ".*have been cancelled", UserWarning)
                yield from results
        except BrokenProcessPool:
            return

    def _alone(self, payload: Payload, task: FitTask) -> list[Outcome]:
        try:
            outcomes: list[Outcome] = get_reusable_executor(1).submit(_run_one, payload, task).result()
        except BrokenProcessPool:
            return failed(task, CRASHED)
        return outcomes


def _mark(payload: Payload, task: int) -> Path:
    return Path(f"{payload.file}.{task}")


def _run_one(payload: Payload, task: FitTask) -> list[Outcome]:
    _mark(payload, task.id).touch()
    return guarded(
        lambda task: payload.load()(task), task
    )  # what cannot be loaded is told like a failing fit
