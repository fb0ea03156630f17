"""Verified copies of remote files in a local directory."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hptune.errors import ConfigurationError, OutputError, StorageError
from hptune.storage._base import ByteProgress, ChangedError, RemoteFile, Store
from hptune.storage._digests import digests
from hptune.storage._local import make_private_directory
from hptune.storage._locks import locked
from hptune.storage._manifest import Copy, read_manifest, verified, write_manifest
from hptune.storage._part import PartFile

__all__ = ["CONNECTIONS", "Fetched", "fetch"]

_log = logging.getLogger(__name__)

CONNECTIONS = 8
_LOCK = ".hptune-lock"
_TRIES = 3  # of a file that changes, or arrives damaged, while it is read


@dataclass(frozen=True)
class Fetched:
    """What came of a fetch: file names, and how many bytes were transferred for how many of them."""

    names: tuple[str, ...]
    fetched: int
    bytes: int


def fetch(
    store: Store,
    directory: Path,
    files: Sequence[RemoteFile] | None = None,
    *,
    progress: ByteProgress | None = None,
    say: Callable[[str], None] | None = None,
    connections: int = CONNECTIONS,
) -> Fetched:
    """Bring files into `directory`, verified; those that are there and sound are not fetched again.

    Parameters
    ----------
    store : Store
        Where they are.
    directory : Path
        Made where it is absent, for the owner only.
    files : sequence of RemoteFile, optional
        Some of ``store.files()``; all of them by default.
    progress : callable, optional
        Told about bytes as they arrive.
    say : callable, optional
        Told when another process fetches into `directory`, which is waited for.
    connections : int, default 8
        Ranges that are read at once.

    Raises
    ------
    StorageError
        The store does not answer, or what it sends is damaged or keeps changing.
    ConfigurationError
        `directory` holds another file under a name that is needed.
    OutputError
        `directory` cannot be written to.
    """
    wanted = store.files() if files is None else files
    make_private_directory(directory, option="DIR")
    lock = directory / _LOCK
    with locked(lock, say=say), ThreadPoolExecutor(connections, thread_name_prefix="fetch") as pool:
        try:
            fetched = _fetch_files(store, directory, wanted, pool, progress)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
            lock.unlink(missing_ok=True)
    return Fetched(tuple(file.name for file in wanted), len(fetched), sum(file.size for file in fetched))


def _fetch_files(
    store: Store,
    directory: Path,
    wanted: Sequence[RemoteFile],
    pool: ThreadPoolExecutor,
    progress: ByteProgress | None,
) -> list[RemoteFile]:
    """Those of the wanted files that were not here already."""
    copies = read_manifest(directory)
    fetched = []
    for file in wanted:
        copy = copies.get(file.name)
        if copy is not None and _is_copy(store, file, copy) and verified(directory / file.name, copy):
            continue
        copies[file.name] = _fetch_file(store, file, directory, copy, pool, progress)
        write_manifest(directory, copies)
        fetched.append(file)
    return fetched


def _is_copy(store: Store, file: RemoteFile, copy: Copy) -> bool:
    return (copy.source, copy.version, copy.size) == (store.uri, file.version, file.size)


def _fetch_file(
    store: Store,
    file: RemoteFile,
    directory: Path,
    before: Copy | None,
    pool: ThreadPoolExecutor,
    progress: ByteProgress | None,
) -> Copy:
    target = directory / file.name
    _refuse_links(target.parent, directory)
    if before is None and os.path.lexists(target):
        adopted = _same_already(store, file, target)
        if adopted:
            return adopted
        raise ConfigurationError(f"{target} is another file", "choose an empty directory")
    for _ in range(_TRIES):
        try:
            with _written(target):
                sha256 = _Transfer(store, file, target, pool, progress).run()
        except ChangedError:
            _log.warning("%s changed while it was read; starting it again", file.name)
            file = _listed_again(store, file)
        else:
            if sha256 is not None:
                return Copy(store.uri, file.version, file.size, sha256)
            _log.warning("%s arrived damaged; fetching it again", file.name)
    raise StorageError(
        f"{file.name} of {store.uri} changed or arrived damaged {_TRIES} times",
        "try again when it is at rest",
    )


def _same_already(store: Store, file: RemoteFile, target: Path) -> Copy | None:
    """A copy that lies under the name already, where the store's own sums can tell."""
    if target.is_symlink() or not target.is_file() or target.stat().st_size != file.size:
        return None
    sha256, md5 = digests(target)
    same = sha256 == file.sha256 if file.sha256 else md5 == file.md5
    return Copy(store.uri, file.version, file.size, sha256) if same else None


def _listed_again(store: Store, file: RemoteFile) -> RemoteFile:
    for listed in store.files():
        if listed.name == file.name:
            return listed
    raise StorageError(f"{file.name} was removed from {store.uri} while it was read", "put it back")


@contextmanager
def _written(target: Path) -> Iterator[None]:
    try:
        make_private_directory(target.parent)
        yield
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise OutputError(
            f"cannot write {target} ({reason})", "make room or choose another directory"
        ) from error


def _refuse_links(path: Path, directory: Path) -> None:
    """Refuse to write through a link that somebody planted below `directory`."""
    while path != directory:
        if path.is_symlink():
            raise OutputError(f"{path} is a symbolic link", "remove it or choose another directory")
        path = path.parent


class _Transfer:
    """One file's ranges, read by the pool and hashed in order as they arrive."""

    def __init__(
        self,
        store: Store,
        file: RemoteFile,
        target: Path,
        pool: ThreadPoolExecutor,
        progress: ByteProgress | None,
    ) -> None:
        self._store, self._file, self._pool = store, file, pool
        self._progress = progress or (lambda name, done, total: None)
        self._part = PartFile(target, file)
        self._sha256 = hashlib.sha256()
        self._md5 = hashlib.md5(usedforsecurity=False)  # what Azure keeps; sha256 is ours

    def run(self) -> str | None:
        """The file's sha256 once it has its final name, or None where it is not what was promised."""
        part, file = self._part, self._file
        try:
            self._read_all()
            if not self._is_as_promised():
                part.drop()
                return None
            part.finish()
            return self._sha256.hexdigest()
        except ChangedError:
            part.drop()
            raise
        finally:
            part.close()
            self._progress(file.name, file.size, file.size)

    def _read_all(self) -> None:
        part = self._part
        here = part.bytes_of(part.done)
        coming = {index: self._pool.submit(self._read, index) for index in part.missing()}
        hashes = [self._sha256] if self._file.sha256 or not self._file.md5 else [self._sha256, self._md5]
        try:
            for index in range(part.count):
                self._progress(self._file.name, here, part.size)
                if index in coming:
                    coming[index].result()
                    here += part.span(index)[1]
                part.feed(index, *hashes)
        finally:
            self._give_up(list(coming.values()))

    def _read(self, index: int) -> None:
        offset, length = self._part.span(index)
        what = f"{self._file.name} from byte {offset}"
        self._store.retrier.call(
            lambda: self._store.copy_range(self._file, offset, length, self._part.path), what
        )
        self._part.arrived(index)

    def _give_up(self, coming: Sequence[Future[None]]) -> None:
        """No range may arrive any more once the part file is closed."""
        stopped = self._store.retrier.stopped
        stopped.set()
        for future in coming:
            future.cancel()
        for future in coming:
            if not future.cancelled():
                future.exception()
        stopped.clear()

    def _is_as_promised(self) -> bool:
        if self._file.sha256:
            return self._sha256.hexdigest() == self._file.sha256
        return not self._file.md5 or self._md5.hexdigest() == self._file.md5
