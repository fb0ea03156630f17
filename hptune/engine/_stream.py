"""Outcomes on their way from executors to the driver while a Spark job still runs.

Each task adds its outcomes to an accumulator. When the task ends, Spark hands them to `addInPlace` on the
driver, exactly once for each partition however often it was tried. That call runs on Spark's scheduler path:
it must not parse, lock, do IO or raise, so it only puts bytes on a queue.
"""

from __future__ import annotations

import os
import queue
import uuid
from typing import Any

from pyspark.accumulators import AccumulatorParam

__all__ = ["OutcomeStream"]

_QUEUES: dict[
    str, queue.SimpleQueue[Any]
] = {}  # of this process's streams: a queue cannot travel with its param


class OutcomeStream(AccumulatorParam[list[bytes]]):
    """Collects lists of bytes in the tasks and puts them on `queue` on the driver.

    It is pickled into every task, so it knows by the process id where it is.
    """

    def __init__(self) -> None:
        self.key = uuid.uuid4().hex
        self.driver = os.getpid()
        _QUEUES[self.key] = queue.SimpleQueue()

    @property
    def queue(self) -> queue.SimpleQueue[Any]:
        """Where lists of bytes arrive, on the driver only."""
        return _QUEUES[self.key]

    def close(self) -> None:
        """Drop the queue; updates that come later are ignored."""
        _QUEUES.pop(self.key, None)

    def zero(self, value: list[bytes]) -> list[bytes]:
        """An empty list."""
        return []

    def addInPlace(self, value1: list[bytes], value2: list[bytes]) -> list[bytes]:  # noqa: N802 - Spark's name
        """In a task both lists together; on the driver nothing, after `value2` went to the queue."""
        if os.getpid() != self.driver:
            return value1 + value2
        arrived = _QUEUES.get(self.key)
        if arrived is not None and value2:
            arrived.put(value2)
        return []
