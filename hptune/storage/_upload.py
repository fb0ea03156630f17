"""Local files to a place, and a directory that is mirrored while a run writes to it."""

from __future__ import annotations

import logging
import os
import shlex
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from hptune.errors import HptuneError, InputDataError, StorageError
from hptune.storage._base import Patience, Store
from hptune.storage._digests import digests
from hptune.storage._local import LocalStore

__all__ = ["MIRROR_SECONDS", "Mirror", "upload"]

_log = logging.getLogger(__name__)

MIRROR_SECONDS = 30.0
_GROWING = (".jsonl", ".log")  # their last line may be half written when they are read


def upload(
    directory: Path, store: Store, *, progress: Callable[[str], None] | None = None, again: bool = False
) -> tuple[int, int]:
    """Send every file of a directory that the place does not hold as it is.

    Parameters
    ----------
    directory : Path
        Hidden files, links and unfinished downloads stay behind.
    store : Store
        Where to.
    progress : callable, optional
        Gets a short line for each file.
    again : bool, default False
        Send what is there already, too.

    Returns
    -------
    files, bytes : int
        What was sent.

    Raises
    ------
    InputDataError
        `directory` holds nothing to send.
    StorageError
        The place refuses, or does not answer.
    """
    found = LocalStore(directory, store.retrier.patience).files() if directory.is_dir() else []
    if not found:
        raise InputDataError(f"{directory} holds no files", "name a directory with files")
    there = {} if again else {file.name: (file.size, file.sha256) for file in store.files()}
    files = total = 0
    for file in found:
        path = directory / file.name
        with _readable(path):
            before = path.stat()
            sha256, md5 = digests(path)
            if there.get(file.name) == (file.size, sha256):
                continue
            if progress is not None:
                progress(f"uploading {file.name} ({file.size:,} bytes)")
            store.put(path, file.name, sha256, md5)
            after = path.stat()
            if (after.st_mtime_ns, after.st_size) != (before.st_mtime_ns, before.st_size):
                raise InputDataError(f"{path} changed while it was sent", "send it again when it is at rest")
        files, total = files + 1, total + file.size
    return files, total


class Mirror:
    """Sends what changes in a directory to a place, at intervals and once at the end.

    What was sent, and is in the directory no longer, is removed there.

    Parameters
    ----------
    directory : Path
        Written by this process only.
    store : Store
        Where to.
    names : sequence of str
        The files, in the order in which they are sent.
    replaced : sequence of str
        Files there that go before the first one is sent.
    interval : float, default 30
        Seconds between two rounds.
    """

    def __init__(
        self,
        directory: Path,
        store: Store,
        names: Sequence[str],
        *,
        replaced: Sequence[str] = (),
        interval: float = MIRROR_SECONDS,
    ) -> None:
        self._directory, self._store, self._names = directory, store, names
        self._interval = interval
        self._replaced = list(replaced)
        self._sent: dict[str, str] = {}
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._rounds, name="mirror", daemon=True)

    def adopt(self, names: Iterable[str]) -> None:
        """Take files that are here as they are there for sent."""
        self._sent |= {name: digests(self._directory / name)[0] for name in names}

    def start(self) -> None:
        """Begin the rounds."""
        self._thread.start()

    def close(self, patience: Patience | None = None) -> None:
        """End the rounds and send what is left, with less patience where it is given.

        Raises
        ------
        StorageError
            It cannot be sent; the directory keeps it.
        """
        retrier = self._store.retrier
        retrier.patience = patience or retrier.patience
        self._closing.set()
        retrier.stopped.set()  # a round that waits for storage need not wait any longer
        self._thread.join(patience.silence if patience else None)
        try:
            if self._thread.is_alive():
                raise StorageError(f"{self._store.uri} does not answer", "see below")
            retrier.stopped.clear()
            self.send()
        except HptuneError as error:
            command = shlex.join(["hptune", "upload", str(self._directory), self._store.uri])
            raise StorageError(f"not all results are in {self._store.uri} ({error.what})", command) from None

    def send(self) -> None:
        """Send every file that is not there as it is here."""
        for name in self._names:
            path = self._directory / name
            if path.is_file() and not path.is_symlink():
                self._send(path, name)
            elif name in self._sent:
                self._store.remove(name)
                del self._sent[name]

    def _rounds(self) -> None:
        while not self._closing.wait(self._interval):
            try:
                self.send()
            except HptuneError as error:  # the sweep goes on; the next round tries again
                _log.warning("the outputs were not mirrored: %s", error)

    def _send(self, path: Path, name: str) -> None:
        with _readable(path), tempfile.NamedTemporaryFile(prefix="hptune-mirror-") as scratch:
            copied = Path(scratch.name)
            shutil.copyfile(path, copied)  # the file may grow or be replaced while it is sent
            if path.suffix in _GROWING:
                _cut_to_whole_lines(copied)
            sha256, md5 = digests(copied)
            if self._sent.get(name) == sha256:
                return
            while self._replaced:
                self._store.remove(self._replaced[-1])
                self._replaced.pop()
            self._store.put(copied, name, sha256, md5)
            self._sent[name] = sha256


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise InputDataError(f"cannot read {path} ({reason})", "check the file") from error


def _cut_to_whole_lines(path: Path) -> None:
    content = path.read_bytes()
    os.truncate(path, content.rfind(b"\n") + 1)
