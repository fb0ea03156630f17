"""A Spark cluster: one broadcast, an RDD of tasks, outcomes that stream back while the job runs."""

from __future__ import annotations

import logging
import math
import queue
import tempfile
import weakref
from collections import deque
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from pyspark import SparkContext
from pyspark.sql import SparkSession

from hptune.engine._base import CRASHED, Feed, Host, Work, failed
from hptune.engine._bounded import bounded
from hptune.engine._cores import cores_of
from hptune.engine._ending import fatal, unless_ended
from hptune.engine._executors import attempts_of, hosts_of, is_local
from hptune.engine._jobs import Done, Jobs
from hptune.engine._live import place_of
from hptune.engine._payload import Payload, lay_down
from hptune.engine._shipping import serve, ship_package, withdraw
from hptune.engine._stream import OutcomeStream, read_outcome
from hptune.engine._tasks import Bundle, Fitting
from hptune.engine._versions import with_same_versions
from hptune.errors import ClusterError
from hptune.live import Place
from hptune.plan import pack
from hptune.records import FitTask, Outcome

__all__ = ["SparkEngine"]

_log = logging.getLogger(__name__)
_CHECKED: weakref.WeakSet[SparkContext] = weakref.WeakSet()

_ABORTED = "Spark aborted a job; the fits that it did not end run again"
_ALONE_ATTEMPTS = 16  # of a suspect whose Spark worker is lost each time, not by its own fault
_CLOSING_SECONDS = 3.0  # for what a run's end asks of the JVM, and again for the session's
BROADCAST_BYTES = 256 << 20  # up to here a private copy in each worker is cheaper than a file on each host


class SparkEngine:
    """Runs tasks on the executors of a Spark session.

    Parameters
    ----------
    spark : pyspark.sql.SparkSession
        A classic session; Spark Connect has no RDDs.
    owned : bool, default False
        Whether `close` stops the session.
    max_tasks : int, optional
        Bound on the tasks that run at once; all slots where it is not given.
    trial_timeout : float, optional
        Seconds that a fit may take.
    """

    name = "spark"
    in_process = False

    def __init__(
        self,
        spark: SparkSession,
        *,
        owned: bool = False,
        max_tasks: int | None = None,
        trial_timeout: float | None = None,
    ) -> None:
        self._spark = spark
        self._owned = owned
        self._sc = spark.sparkContext
        self.cores = cores_of(self._sc)
        self.slots: int = max(1, self.cores.total // self.cores.task)
        self.max_tasks = max_tasks
        self.trial_timeout = trial_timeout
        self.max_jobs = 2  # what runs at once is up to Spark
        if max_tasks is not None:
            self.slots = self.max_jobs = max(1, min(self.slots, max_tasks))
        self.is_local = is_local(self._sc)
        self.max_failures = attempts_of(self._sc)

    def live_place(self) -> Place | None:
        """The driver, as the executors know it, on the port ``spark.hptune.live.port``; this host in local mode."""
        return place_of(self._sc.getConf(), is_local=self.is_local)

    def hosts(self) -> list[Host]:
        """As the executors' Python workers tell it."""
        return hosts_of(self._sc, self.slots, BROADCAST_BYTES)

    def check_executors(self) -> None:
        """Once a session: refuse executors that cannot fit, which would fail fit after fit.

        Raises
        ------
        ClusterError
            There are none, or one lacks libraries or has other versions.
        """
        if self._sc not in _CHECKED:
            self.hosts()
            _CHECKED.add(self._sc)

    def close(self) -> None:
        """Stop the session where the engine owns it."""
        if self._owned:
            with suppress(TimeoutError):  # a JVM that does not answer ends with this process
                bounded(self._stop, _CLOSING_SECONDS)

    def _stop(self) -> None:
        with unless_ended(self._sc):
            self._spark.stop()

    def threads(self, n_tasks: int) -> int:
        """``spark.task.cpus``; idle cores as well in local mode, where they cannot belong to anyone else, and on
        clusters where Spark can keep them for the tasks."""
        if not self.is_local:
            return self.cores.each(n_tasks)
        at_once = max(1, min(n_tasks, self.slots))
        return max(1, self.slots * self.cores.task // at_once)

    def run(
        self, tasks: Sequence[FitTask], work: Work, description: str
    ) -> Generator[list[Outcome], None, None]:
        """Outcomes as they arrive; closing the iterator cancels the Spark jobs.

        Raises
        ------
        ClusterError
            The session ended meanwhile.
        """
        with self._running(work, description, len(tasks)) as run:
            yield from run.outcomes(tasks)

    def run_fed(self, feed: Feed, work: Work, description: str) -> Generator[list[Outcome], None, None]:
        """Outcomes as they arrive, of tasks that `feed` gives while others run; each is a Spark job."""
        with self._running(work, description, self.slots) as run:
            yield from run.fed(feed)

    @contextmanager
    def _running(self, work: Work, description: str, n_tasks: int) -> Iterator[_Run]:
        with tempfile.TemporaryDirectory(prefix="hptune-", ignore_cleanup_errors=True) as directory:
            cpus = self.threads(n_tasks)
            wider = not self.is_local and cpus > self.cores.task
            jobs = Jobs(self._sc, description, cpus if wider else None)
            run = _Run(self, jobs, Path(directory))
            try:
                run.share(with_same_versions(work))
                yield run
            except Exception as error:
                if (told := fatal(self._sc, error)) is not None:
                    raise told from error
                raise
            finally:
                run.close()


class _Run:
    """One call of `SparkEngine.run`: what it shares with the executors, and what is still missing."""

    def __init__(self, engine: SparkEngine, jobs: Jobs, directory: Path) -> None:
        self.engine = engine
        self.jobs = jobs
        self.sc = engine._sc
        self.directory = directory
        self.stream = OutcomeStream(self.sc)
        self.suspects: set[int] = set()
        self.payload: Any = None
        self.served: str | None = None

    def share(self, work: Work) -> None:
        """Bring `work` to where the executors find it."""
        self.payload = self.sc.broadcast(self._shared(work))

    def outcomes(self, tasks: Sequence[FitTask]) -> Iterator[list[Outcome]]:
        """One outcome for every cell of every task.

        Suspects run alone, and what ends its process even then is a crashed row.
        """
        missing = {task.id: task for task in tasks}
        while fine := [task for task in missing.values() if task.id not in self.suspects]:
            yield from self._streamed(fine, missing)
            still = [task.id for task in fine if task.id in missing]
            self.suspects.update(still[: self.engine.slots])
        waiting = deque(missing.values())
        while waiting:
            task = waiting.popleft()
            outcomes = self._alone(task)
            if not outcomes and (parts := task.parts()):
                waiting += parts
            else:
                yield outcomes or failed(task, CRASHED, status="crashed")

    def fed(self, feed: Feed) -> Iterator[list[Outcome]]:
        """One outcome for every cell of every task that `feed` gives."""
        missing: dict[int, FitTask] = {}
        running = 0
        while True:
            for task in feed(self.engine.slots - running):
                missing[task.id] = task
                self._submit([(task,)])
                running += 1
            if running:
                outcomes, done = self._arrived()
                for outcome in outcomes:
                    missing.pop(outcome.fit_id, None)
                if outcomes:
                    yield outcomes
                running -= len(done)
                for job in done:
                    self._note(job)
                    for task in self._lost(job, missing):
                        self._submit([(task,)])
                        running += 1
            elif missing:
                yield from self.outcomes(list(missing.values()))
                missing = {}
            else:
                return

    def close(self) -> None:
        """Stop what still runs and take back what was shared."""
        self.stream.close()
        with suppress(TimeoutError):
            bounded(self._cancel, _CLOSING_SECONDS)

    def _cancel(self) -> None:
        with unless_ended(self.sc):
            self.jobs.cancel()
            if self.payload is not None:
                self.payload.destroy()
            if self.served is not None:
                withdraw(self.served)

    def _shared(self, work: Work) -> Payload:
        payload = lay_down(work, self.directory)
        if self.engine.is_local:
            return payload
        ship_package(self.sc)
        if payload.buffer_bytes <= BROADCAST_BYTES:
            return payload.with_content()
        self.served = serve(self.sc, payload.file)
        return replace(payload, file=self.served)

    def _streamed(self, tasks: Sequence[FitTask], missing: dict[int, FitTask]) -> Iterator[list[Outcome]]:
        """What the jobs deliver while they run; `missing` loses the tasks that have their outcomes.

        Where there are more tasks than slots, at first one task goes to each slot, the longest ones. The first
        of them to end tells how long fits take, and the rest follows at once, packed by it, while the others
        still run.
        """
        slots = self.engine.slots
        first, rest = (tasks, ()) if len(tasks) <= 2 * slots else (tasks[:slots], tasks[slots:])
        cost = {task.id: task.cost for task in first}
        unheard = set(cost)
        waiting = self._grouped([(task,) for task in first])
        running = 0
        while running or waiting:
            while waiting and running < (slots if self.stream.broken else self.engine.max_jobs):
                self._submit(waiting.popleft())
                running += 1
            outcomes, done = self._arrived()
            ended = [outcome.fit_id for outcome in outcomes]
            for task in ended:
                missing.pop(task, None)
            if outcomes:
                yield outcomes
            running -= len(done)
            for job in done:
                self._note(job)
                ended.extend(job.suspects)
                if lost := self._lost(job, missing):
                    waiting += self._grouped([(task,) for task in lost])
            unheard.difference_update(ended)
            told = any(outcome.status == "ok" for outcome in outcomes)
            if rest and told:
                waiting += self._grouped(pack(rest, _seconds_per_cost(outcomes, cost), slots))
                rest = ()
            elif rest and not unheard:  # all of the first failed or crashed: nobody tells the pace
                waiting += self._grouped([(task,) for task in rest])
                rest = ()

    def _arrived(self) -> tuple[list[Outcome], list[Done]]:
        """Waits for what comes next; whatever has come by then is taken with it.

        What an executor says that is fit for no fits is the last: all that came beside it is there first.
        """
        outcomes, done = list[Outcome](), list[Done]()
        item = self.stream.queue.get()
        while True:
            if isinstance(item, Done):
                done.append(item)
            else:
                for line in item:
                    try:
                        outcomes.append(read_outcome(line))
                    except ClusterError as error:
                        done.append(Done(error=error))
            try:
                item = self.stream.queue.get_nowait()
            except queue.Empty:
                return outcomes, done

    def _grouped(self, bundles: Sequence[Bundle]) -> deque[Sequence[Bundle]]:
        """All bundles as one Spark job.

        Where tasks are bounded, a job for each, so that they can wait, and where outcomes come as the results of
        jobs, so that they need not wait for each other.
        """
        apart = self.engine.max_tasks is not None or self.stream.broken
        return deque([[bundle] for bundle in bundles] if apart else [bundles])

    def _note(self, done: Done) -> None:
        self.suspects.update(done.suspects)
        if done.error is not None:
            if isinstance(done.error, ClusterError) or fatal(self.sc, done.error):
                raise done.error
            _log.warning(_ABORTED, exc_info=done.error)

    def _lost(self, done: Done, missing: Mapping[int, FitTask]) -> list[FitTask]:
        """The job's tasks that are to run again at once, because their outcomes did not arrive although it ended well.

        An update that raises on the driver ends Spark's accumulator channel for the whole session, a new
        accumulator's too: from then on jobs return what they deliver.
        """
        if done.error is not None:
            return []
        lost = [missing[task] for task in done.tasks if task in missing and task not in self.suspects]
        if lost:
            self.stream.give_up()
        return lost

    def _alone(self, task: FitTask) -> list[Outcome]:
        """What becomes of a suspect, in a process apart; none where the job is aborted.

        The fit cannot have ended Spark's worker: where that is lost, it is tried again. It may well have ended a
        whole executor, by the memory that it takes: this costs too much to be tried without end.
        """
        tried = max(1, self.engine.max_failures - 1)
        for _ in range(math.ceil(_ALONE_ATTEMPTS / self.engine.max_failures)):
            try:
                lines = self.jobs.collected([(task,)], self._fitting(tried))
            except Exception as error:
                self._note(Done(error=error))
                if "ExecutorLostFailure" in str(error):
                    break
            else:
                return [read_outcome(line) for line in lines]
        return []

    def _submit(self, bundles: Sequence[Bundle]) -> None:
        self.jobs.submit(bundles, self._fitting(), self.stream)

    def _fitting(self, tried: int | None = None) -> Fitting:
        return Fitting(self.payload, self.engine.max_failures, self.engine.trial_timeout, tried)


def _seconds_per_cost(outcomes: Sequence[Outcome], cost: dict[int, float]) -> float:
    seconds = sum(outcome.work_time for outcome in outcomes)
    fits = {outcome.fit_id for outcome in outcomes}
    return seconds / max(sum(cost[fit] for fit in fits), 1e-9)
