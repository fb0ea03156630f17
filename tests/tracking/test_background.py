"""Work beside a sweep that takes too long at its end."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from hptune.observers import Background
from hptune.plan import Plan


@pytest.mark.parametrize("ending", ["goes on", "fails"])
def test_work_that_is_given_up_is_neither_continued_nor_repeated(ending: str) -> None:
    """What it lacks was told, and may be sent by another process or thread from now on."""
    begun, answer, done = threading.Event(), threading.Event(), []

    def work(last: bool) -> Iterator[None]:
        done.append("asked")
        begun.set()
        answer.wait()
        if ending == "fails":
            raise ConnectionError("no answer")
        yield
        done.append("told")

    before = set(threading.enumerate())
    background = Background(work)
    background.on_start(Plan((), 0, 1, 0))
    (thread,) = set(threading.enumerate()) - before
    begun.wait()
    background.close(patience=0, longest=0)
    assert background.failure == "it takes too long"
    answer.set()
    thread.join()
    assert done == ["asked"]
    assert not background.finished
