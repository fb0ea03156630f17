"""One object for many worker processes of a host, its large arrays mapped from one file instead of copied.

The object is pickled with its buffers out of band (pickle protocol 5). Buffers lie in a plain file of bytes
that every worker maps read-only; the pickle itself, now small, travels with the tasks and is never stored.
"""

from __future__ import annotations

import mmap
import pickle
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cloudpickle

__all__ = ["Payload", "lay_down"]

_IN_BAND_BYTES = 1 << 16  # smaller buffers are not worth a page of the file
_ALIGNMENT = 64
_LOADED: dict[str, Any] = {}  # at most the one payload that this process worked on last


@dataclass(frozen=True)
class Payload:
    """A pickled object whose large buffers lie in `file`, or in `content`, at `spans` of (offset, size)."""

    token: str
    stream: bytes = field(repr=False)
    file: str
    spans: tuple[tuple[int, int], ...]
    content: bytes | None = field(default=None, repr=False)

    @property
    def buffer_bytes(self) -> int:
        """Bytes of the large buffers together."""
        return sum(size for _, size in self.spans)

    def load(self, locate: Callable[[str], str] = str) -> Any:
        """The object, its large arrays read-only maps; loaded once in each process.

        `locate` turns `file` into a path of this host.
        """
        if self.token not in _LOADED:
            _LOADED.clear()
            _LOADED[self.token] = pickle.loads(self.stream, buffers=self._buffers(locate))  # noqa: S301 - ours
        return _LOADED[self.token]

    def with_content(self) -> Payload:
        """The same with the file's bytes in it, to travel as one."""
        return replace(self, content=Path(self.file).read_bytes())

    def _buffers(self, locate: Callable[[str], str]) -> list[memoryview]:
        if not self.spans:
            return []
        if self.content is not None:
            held = memoryview(self.content)
            return [held[offset : offset + size] for offset, size in self.spans]
        with open(locate(self.file), "rb") as stream:
            mapped = memoryview(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ))
        return [mapped[offset : offset + size] for offset, size in self.spans]


def lay_down(value: Any, directory: Path) -> Payload:
    """Write the large buffers of `value` to a new file in `directory` and return the rest as a payload."""
    token = uuid.uuid4().hex
    path = directory / f"{token}.buffers"
    buffers: list[pickle.PickleBuffer] = []

    def take(buffer: pickle.PickleBuffer) -> bool:
        in_band = buffer.raw().nbytes < _IN_BAND_BYTES
        if not in_band:
            buffers.append(buffer)
        return in_band

    stream = cloudpickle.dumps(value, protocol=5, buffer_callback=take)
    spans = []
    with path.open("xb") as file:
        for buffer in buffers:
            file.seek(-(-file.tell() // _ALIGNMENT) * _ALIGNMENT)
            raw = buffer.raw()
            spans.append((file.tell(), raw.nbytes))
            file.write(raw)
    return Payload(token, stream, str(path), tuple(spans))
