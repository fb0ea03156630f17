"""``hptune`` on a driver whose first accumulator update raises: ``python -m tests.chaos.poisoned sweep ...``."""

from __future__ import annotations

import os
import sys

from hptune.cli import main
from hptune.engine._stream import OutcomeStream

__all__: list[str] = []

_update = OutcomeStream.addInPlace
_raised: list[bool] = []


def _poisoned(self: OutcomeStream, value1: list[bytes], value2: list[bytes]) -> list[bytes]:
    if os.getpid() == self.driver and not _raised:
        _raised.append(True)
        raise RuntimeError("poison")
    return _update(self, value1, value2)


if __name__ == "__main__":
    OutcomeStream.addInPlace = _poisoned  # type: ignore[method-assign]
    code = main()
    print(f"poisoned {len(_raised)} times")
    sys.exit(code)
