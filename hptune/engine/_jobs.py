"""A run's Spark jobs: the fits that each one brings to the executors, and how it ends."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from pyspark import RDD, InheritableThread, SparkContext

from hptune.engine._cores import with_cores
from hptune.engine._ending import unless_ended
from hptune.engine._stream import OutcomeStream
from hptune.engine._tasks import Bundle, Fitting, fits_of

__all__ = ["Done", "Jobs"]

_PROPERTIES = ("spark.jobGroup.id", "spark.job.description", "spark.job.interruptOnCancel")
_CANCEL_AGAIN_SECONDS = 0.5


@dataclass(frozen=True)
class Done:
    """A job's end: its tasks, those that it left as suspects, and the error that aborted it."""

    tasks: Sequence[int] = ()
    suspects: Sequence[int] = ()
    error: Exception | None = None


class Jobs:
    """Runs bundles of fits as jobs of one group, a Spark task for each bundle.

    Parameters
    ----------
    sc : pyspark.SparkContext
        Where they run.
    description : str
        As people see it in Spark's UI.
    cores : int, optional
        Of each Spark task, where that is not what the session gives a task anyway.
    """

    def __init__(self, sc: SparkContext, description: str, cores: int | None = None) -> None:
        self._sc = sc
        self._description = description
        self._cores = cores
        self._group = f"hptune-{uuid.uuid4().hex}"
        self._threads: list[InheritableThread] = []

    def submit(self, bundles: Sequence[Bundle], fitting: Fitting, stream: OutcomeStream) -> None:
        """Begin a job whose outcomes, and at last its `Done`, arrive on the stream's queue."""
        thread = InheritableThread(target=self._streamed, args=(bundles, fitting, stream), daemon=True)
        self._threads = [*(thread for thread in self._threads if thread.is_alive()), thread]
        thread.start()

    def collected(self, bundles: Sequence[Bundle], fitting: Fitting) -> list[str]:
        """Outcomes as JSON, the job's own result: none of them is known where it is aborted."""
        fits = fits_of(fitting)

        def fit(partition: Iterable[Bundle]) -> Iterator[str]:
            for _, outcomes in fits(partition):
                yield from (outcome.to_json() for outcome in outcomes or ())

        before = {name: self._sc.getLocalProperty(name) for name in _PROPERTIES}
        try:
            self._describe()
            return self._rdd(bundles).mapPartitions(fit).collect()
        finally:
            with unless_ended(self._sc):
                for name, value in before.items():  # this is the caller's thread
                    self._sc.setLocalProperty(name, value)  # type: ignore[arg-type]  # None takes it away

    def cancel(self) -> None:
        """End those that still run."""
        for thread in self._threads:
            while thread.is_alive():  # a job that was submitted after the cancel survives it
                self._sc.cancelJobGroup(self._group)
                thread.join(_CANCEL_AGAIN_SECONDS)

    def _streamed(self, bundles: Sequence[Bundle], fitting: Fitting, stream: OutcomeStream) -> None:
        accumulator, key, broken = stream.accumulator, stream.key, stream.broken
        fits = fits_of(fitting)

        def fit(partition: Iterable[Bundle]) -> Iterator[int | list[bytes]]:
            for task, outcomes in fits(partition):
                if not outcomes:
                    yield task.id
                    continue
                lines = [outcome.to_json().encode() for outcome in outcomes]
                if broken:
                    yield lines
                else:
                    accumulator.add([(key, lines)])

        tasks = [task.id for bundle in bundles for task in bundle]
        try:
            self._describe()
            returned = self._rdd(bundles).mapPartitions(fit).collect()
            for lines in returned:
                if isinstance(lines, list):
                    stream.queue.put(lines)
            stream.queue.put(Done(tasks, [task for task in returned if isinstance(task, int)]))
        except Exception as error:  # an aborted job: what is missing is counted and runs again
            stream.queue.put(Done(tasks, tasks if len(bundles) == 1 else (), error))

    def _rdd(self, bundles: Sequence[Bundle]) -> RDD[Bundle]:
        rdd = self._sc.parallelize(bundles, len(bundles))
        return rdd if self._cores is None else with_cores(rdd, self._cores)

    def _describe(self) -> None:
        self._sc.setJobGroup(self._group, self._description, interruptOnCancel=True)
