"""Outcomes on their way from executors to the driver while a Spark job still runs.

Each task adds its outcomes to an accumulator, the one that all runs of a Spark context share: pyspark keeps every
accumulator for as long as the process lives. When the task ends, Spark hands them to `addInPlace` on the driver,
exactly once for each partition however often it was tried. That call runs on Spark's scheduler path: it must
not parse, lock, do IO or raise, so it only puts bytes on a queue.
"""

from __future__ import annotations

import queue
import uuid
import weakref
from typing import Any, TypeAlias

from pyspark import SparkContext, TaskContext
from pyspark.accumulators import Accumulator, AccumulatorParam

from hptune.engine._base import original_exception
from hptune.errors import ClusterError
from hptune.records import Outcome

__all__ = ["Channel", "OutcomeStream", "Update", "read_outcome"]

Update: TypeAlias = tuple[str, list[bytes]]  # the stream's key and outcomes

_QUEUES: dict[str, queue.SimpleQueue[Any]] = {}  # of this process's open streams, by their keys
_ACCUMULATORS: weakref.WeakKeyDictionary[SparkContext, Accumulator[list[Update]]] = (
    weakref.WeakKeyDictionary()
)
_BROKEN: weakref.WeakSet[SparkContext] = weakref.WeakSet()  # an update was lost: so will be all that follow


class Channel(AccumulatorParam[list[Update]]):
    """Collects updates in the tasks and puts them on their streams' queues on the driver."""

    def zero(self, value: list[Update]) -> list[Update]:
        """An empty list."""
        return []

    def addInPlace(self, value1: list[Update], value2: list[Update]) -> list[Update]:  # noqa: N802 - Spark's name
        """In a task both lists together; on the driver nothing, after `value2` went to the queues."""
        if TaskContext.get() is not None:
            return value1 + value2
        for key, outcomes in value2:
            arrived = _QUEUES.get(key)
            if arrived is not None:
                arrived.put(outcomes)
        return []


class OutcomeStream:
    """What the tasks of one run deliver.

    Attributes
    ----------
    key : str
        Goes with every update that is added to `accumulator`.
    accumulator : pyspark.Accumulator
        For use in the tasks.
    queue : queue.SimpleQueue
        Where lists of bytes arrive.
    """

    def __init__(self, sc: SparkContext) -> None:
        self.key = uuid.uuid4().hex
        self.queue: queue.SimpleQueue[Any] = queue.SimpleQueue()
        if sc not in _ACCUMULATORS:
            _ACCUMULATORS[sc] = sc.accumulator([], Channel())
        self.accumulator = _ACCUMULATORS[sc]
        _QUEUES[self.key] = self.queue
        self._sc = sc

    @property
    def broken(self) -> bool:
        """Whether updates no longer arrive in this Spark context: jobs have to return their outcomes."""
        return self._sc in _BROKEN

    def give_up(self) -> None:
        """Note that an update was lost."""
        _BROKEN.add(self._sc)

    def close(self) -> None:
        """Ignore updates that come later."""
        _QUEUES.pop(self.key, None)


def read_outcome(line: str | bytes) -> Outcome:
    """The outcome, unless the executor is not fit for any."""
    outcome = Outcome.from_json(line)
    if outcome.raised is not None and ClusterError.__qualname__ in str(outcome.error):
        error = original_exception(outcome)
        if isinstance(error, ClusterError):
            raise error
    return outcome
