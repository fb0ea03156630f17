"""Calls into Spark's JVM that must come back, whatever the JVM does."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

__all__ = ["bounded"]


def bounded(call: Callable[[], Any], seconds: float) -> Any:
    """What `call` returns or raises, from a thread of its own.

    The thread has its own connection to the JVM: a call that a signal broke off in this thread leaves half an
    answer on this thread's connection.

    Raises
    ------
    TimeoutError
        It takes longer than `seconds`; the thread goes on.

    Examples
    --------
    >>> bounded(lambda: 1 + 1, seconds=5)
    2
    """
    results: list[Any] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(call())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, name="hptune-bounded", daemon=True)
    thread.start()
    thread.join(seconds)
    if errors:
        raise errors[0]
    if not results:
        raise TimeoutError(f"no answer within {seconds:g} s")
    return results[0]
