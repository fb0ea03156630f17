"""Copies that are kept between runs: one directory for each version of a place, locked while it is used."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from hptune.storage._base import ByteProgress, RemoteFile, Store
from hptune.storage._fetch import Fetched, fetch
from hptune.storage._local import make_private_directory
from hptune.storage._locks import held, locked
from hptune.storage._manifest import Copy, read_manifest, verified, write_manifest

__all__ = ["CACHE_BYTES", "cached_copies", "default_cache", "evict"]

_log = logging.getLogger(__name__)

CACHE_BYTES = 50 << 30
_KEY = re.compile("[0-9a-f]{32}")  # nothing else is removed from a directory that a user may have named


def default_cache() -> Path:
    """Where copies and feature matrices are kept between runs: in ``$XDG_CACHE_HOME``, else in ``~/.cache``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hptune"


@contextmanager
def cached_copies(
    store: Store,
    files: Sequence[RemoteFile],
    cache: Path,
    *,
    progress: ByteProgress | None = None,
    say: Callable[[str], None] | None = None,
    limit: int = CACHE_BYTES,
) -> Iterator[tuple[Path, Fetched]]:
    """A directory with verified copies of `files`, which stays as it is until the context is left.

    Another version of any file makes another directory, so a run never sees files change under it. What was
    not used for longest and is not in use makes room when the cache exceeds `limit` bytes.
    """
    home = cache / "files"
    make_private_directory(home, option="--cache")
    directory = home / _key(store, files)
    with locked(directory.with_suffix(".use"), shared=True):
        with locked(directory.with_suffix(".fill"), say=say):
            _link_unchanged(store, files, directory)
            fetched = fetch(store, directory, files, progress=progress)
            os.utime(directory)
        evict(home, limit)
        yield directory, fetched


def evict(home: Path, limit: int) -> list[Path]:
    """Remove directories of copies, oldest use first, until `home` holds at most `limit` bytes; none in use."""
    ours = (path for path in home.iterdir() if _KEY.fullmatch(path.name) and path.is_dir())
    entries = sorted(ours, key=_last_use)
    sizes = {path: _bytes_of(path) for path in entries}
    total = sum(sizes.values())
    gone = []
    for path in entries:
        if total <= limit:
            break
        if _removed_unless_used(path):
            total -= sizes[path]
            gone.append(path)
    return gone


def _removed_unless_used(path: Path) -> bool:
    lock = path.with_suffix(".use")
    try:
        with held(lock):
            shutil.rmtree(path, ignore_errors=True)
            path.with_suffix(".fill").unlink(missing_ok=True)
            lock.unlink(missing_ok=True)
            return True
    except BlockingIOError:
        return False


def _link_unchanged(store: Store, files: Sequence[RemoteFile], directory: Path) -> None:
    """Take over what an older version of the place has in common with this one."""
    if directory.exists():
        return
    wanted = {file.name: (store.uri, file.version, file.size) for file in files}
    make_private_directory(directory)
    for older in sorted(directory.parent.iterdir()):
        if not older.is_dir() or older == directory:
            continue
        for name, copy in read_manifest(older).items():
            target = directory / name
            same = wanted.get(name) == (copy.source, copy.version, copy.size)
            if same and not target.exists() and verified(older / name, copy):
                _link(older / name, target, directory, {**read_manifest(directory), name: copy})


def _link(source: Path, target: Path, directory: Path, copies: dict[str, Copy]) -> None:
    with suppress(OSError):  # then it is fetched
        make_private_directory(target.parent)
        os.link(source, target, follow_symlinks=False)
        write_manifest(directory, copies)


def _key(store: Store, files: Sequence[RemoteFile]) -> str:
    listed = [(file.name, file.size, file.version) for file in files]
    return hashlib.sha256(json.dumps([store.uri, listed]).encode()).hexdigest()[:32]


def _last_use(path: Path) -> float:
    with suppress(OSError):
        return path.stat().st_mtime
    return 0.0


def _bytes_of(path: Path) -> int:
    total = 0
    for file in path.rglob("*"):
        with suppress(OSError):
            total += file.stat().st_size if file.is_file() else 0
    return total
