"""``hptune`` on a driver whose first accumulator update raises: ``python -m tests.chaos.poisoned sweep ...``."""

from __future__ import annotations

import sys

from pyspark import TaskContext

from hptune.cli import main
from hptune.engine._stream import Channel, Update

__all__: list[str] = []

_update = Channel.addInPlace
_raised: list[bool] = []


def _poisoned(self: Channel, value1: list[Update], value2: list[Update]) -> list[Update]:
    if TaskContext.get() is None and not _raised:
        _raised.append(True)
        raise RuntimeError("poison")
    return _update(self, value1, value2)


if __name__ == "__main__":
    Channel.addInPlace = _poisoned  # type: ignore[method-assign]
    code = main()
    print(f"poisoned {len(_raised)} times")
    sys.exit(code)
