"""How the files that a trial leaves come to the sweep's directory."""

from __future__ import annotations

import os
import shutil
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from hptune.children import CHILDREN
from hptune.engine import Engine
from hptune.live import Address, FileServer, Place, send_files

__all__ = ["Delivery", "deliveries"]

_MOST_BYTES = 1 << 30  # of what a trial leaves on another machine


class Delivery(Protocol):
    """Takes a trial's files to the sweep's directory; it travels to where the trial runs."""

    def deliver(self, name: str, directory: Path) -> None:
        """Bring all files of `directory` to the child's directory `name`, in the place of those that are there.

        Raises
        ------
        OSError
            They cannot be brought there.
        """


@dataclass(frozen=True)
class _Here:
    """On the machine of the driver."""

    root: str

    def deliver(self, name: str, directory: Path) -> None:
        place, coming = Path(self.root, name), Path(self.root, f".{name}.{uuid.uuid4().hex}")
        try:
            shutil.copytree(directory, coming, ignore=_links)
            if place.exists():
                shutil.rmtree(place)  # of an attempt whose outcome never came
            os.replace(coming, place)
        finally:
            shutil.rmtree(coming, ignore_errors=True)


@dataclass(frozen=True)
class _There:
    """From other machines, to a server of the driver."""

    address: Address

    def deliver(self, name: str, directory: Path) -> None:
        send_files(self.address, name, directory)


def _links(place: str, names: list[str]) -> list[str]:
    """Links stay behind: they lead to what is no file of the trial."""
    return [name for name in names if Path(place, name).is_symlink()]


@contextmanager
def deliveries(engine: Engine, out: Path | None) -> Iterator[Delivery | None]:
    """What brings files from the engine's workers to ``children`` in `out`, while this is open.

    None where there is no directory; with a warning, where the files cannot come.
    """
    if out is None:
        yield None
        return
    root = out / CHILDREN
    root.mkdir(mode=0o700, exist_ok=True)
    if engine.is_local:
        yield _Here(str(root.resolve()))
        return
    server = _server(root, engine.live_place())
    if server is None:
        yield None
        return
    with server:
        yield _There(server.address)


def _server(root: Path, place: Place | None) -> FileServer | None:
    """Where executors send files; where they cannot, the user is warned."""
    reason = "Spark's traffic is encrypted, and the connection for files is not"
    if place is not None:
        try:
            return FileServer(root, place, most_bytes=_MOST_BYTES)
        except OSError as error:
            reason = f"the driver cannot listen on {place.bind} ({error.strerror})"
    warnings.warn(f"{reason}: what runs leave stays behind, but for their metrics", UserWarning, stacklevel=4)
    return None
