"""Work of several processes that must run at once: each waits for the others, whose marks lie in a directory."""

from __future__ import annotations

import time
import uuid
from pathlib import Path

__all__ = ["meet"]


def meet(directory: Path, count: int, seconds: float = 120) -> None:
    """Leave a mark, and wait until there are `count`.

    Raises
    ------
    TimeoutError
        The others do not come.
    """
    (directory / f"{uuid.uuid4().hex}.met").touch()
    end = time.monotonic() + seconds
    while (came := len(list(directory.glob("*.met")))) < count:
        if time.monotonic() > end:
            raise TimeoutError(f"{came} of {count} came within {seconds:g} s")
        time.sleep(0.01)
