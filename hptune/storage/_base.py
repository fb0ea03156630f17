"""What a place that holds files can do, and the names and waits that all places share."""

from __future__ import annotations

import json
import logging
import threading
import time
import urllib.parse
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeAlias, TypeVar

from hptune.errors import ConfigurationError, InputDataError, StorageError

__all__ = [
    "ByteProgress",
    "ChangedError",
    "Opener",
    "PassingError",
    "Patience",
    "RemoteFile",
    "Retrier",
    "Store",
    "checked_name",
    "is_remote",
    "refuse_query",
    "scheme_of",
    "sorted_unique",
    "within",
]

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

ByteProgress: TypeAlias = Callable[[str, int, int], None]
"""Gets a file's name, its bytes that are here, and its size."""

_NAME_BYTES = 240  # file systems take 255, of which unfinished copies need some
_LONGEST_WAIT = 5.0
_MOST_TRIES = 20  # of something that fails again and again while all else goes well


class PassingError(Exception):
    """What may well succeed when it is tried again; its text holds no secret."""

    def __init__(self, reason: str, *, answered: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.answered = answered


class ChangedError(Exception):
    """A file is no longer the one that was listed."""


@dataclass(frozen=True)
class Patience:
    """How long to wait for storage, in seconds.

    Parameters
    ----------
    first : float, default 1
        Until a place that was never heard of counts as unreachable.
    silence : float, default 8
        Without a byte until a connection counts as dead.
    total : float, default 30
        Without any success until a place that did answer counts as gone.
    answer : float, default 15
        Until an answer without content must be complete, and one with content must have begun.
    """

    first: float = 1.0
    silence: float = 8.0
    total: float = 30.0
    answer: float = 15.0


@dataclass(frozen=True)
class RemoteFile:
    """A file as it was listed.

    Parameters
    ----------
    name : str
        Relative to its place, with slashes; safe to join to a directory.
    size : int
        Bytes.
    version : str
        Changes whenever the content does: an ETag, or a time of modification.
    sha256, md5 : str, optional
        Hex digests of the content, where the place knows them.
    """

    name: str
    size: int
    version: str
    sha256: str | None = None
    md5: str | None = None


class Store(Protocol):
    """A place that holds files: a directory, a container's prefix, a cluster's file system.

    Attributes
    ----------
    uri : str
        As people write it; free of secrets.
    retrier : Retrier
        Tries again what fails in passing.
    """

    uri: str
    retrier: Retrier

    def files(self) -> list[RemoteFile]:
        """Every file, sorted by name; a place that is itself a file holds that one."""

    def copy_range(self, file: RemoteFile, offset: int, length: int, target: Path) -> None:
        """Write `length` bytes of the listed version from `offset` on to the same place in `target`.

        Raises
        ------
        ChangedError
            The file is no longer the one that was listed.
        PassingError
            It may work the next time.
        """

    def check_writable(self) -> None:
        """Find out whether `put` would be allowed; nothing that is seen changes."""

    def put(self, source: Path, name: str, sha256: str, md5: str) -> None:
        """Store a local file so that readers see the old content or all of the new."""

    def remove(self, name: str) -> None:
        """Remove a file; one that is not there is no error."""


Opener: TypeAlias = Callable[[str], Store]


@dataclass
class Retrier:
    """Tries again what fails in passing, for as long as anything else succeeds from time to time.

    One serves all connections to a place: while bytes come through others, nothing is given up soon.
    """

    uri: str
    patience: Patience = field(default_factory=Patience)
    stopped: threading.Event = field(default_factory=threading.Event)
    _alive: float | None = None

    def call(self, action: Callable[[], _T], what: str, *, limit: float | None = None) -> _T:
        """The action's value.

        Parameters
        ----------
        action : callable
            Raises `PassingError` for what may work the next time.
        what : str
            Names the action in the log.
        limit : float, optional
            Seconds after which one try is given up, whatever it waits for. No limit where it is not given: the
            action itself must end.

        Raises
        ------
        StorageError
            The place does not answer for too long.
        """
        start, wait, tries = time.monotonic(), 0.2, 0
        while True:
            tries += 1
            try:
                value = action() if limit is None else within(limit, action)
            except PassingError as error:
                wait = min(wait, self._left(error, start, tries))
                _log.warning("%s: %s; trying again in %.1f s", what, error.reason, wait)
                if self.stopped.wait(wait):
                    raise StorageError(f"{self.uri}: stopped", "start again: what is here is kept") from None
                wait = min(2 * wait, _LONGEST_WAIT)
            else:
                self.heard()
                return value

    def heard(self) -> None:
        """Note that the place is at work."""
        self._alive = time.monotonic()

    def _left(self, error: PassingError, start: float, tries: int) -> float:
        """Seconds until the patience ends."""
        met = error.answered or self._alive is not None
        limit = self.patience.total if met else self.patience.first
        waited = time.monotonic() - max(start, self._alive or start)
        if waited >= limit or tries >= _MOST_TRIES:
            raise StorageError(
                f"{self.uri} cannot be reached ({error.reason}, for {waited:.0f} s)",
                "check the name and the network, then start again: what is here is kept",
            ) from None
        return limit - waited


def within(limit: float, action: Callable[[], _T]) -> _T:
    """The action's value, if it ends in `limit` seconds; else a `PassingError`.

    Libraries bound the silence between two bytes, not an answer that drips, and name servers that do not answer
    are waited for without any bound. What is given up goes on in its thread, which ends with the process.
    """
    ended: Future[_T] = Future()

    def run() -> None:
        try:
            ended.set_result(action())
        except BaseException as error:
            ended.set_exception(error)

    thread = threading.Thread(target=run, name="storage", daemon=True)
    thread.start()
    thread.join(limit)
    if not ended.done():
        raise PassingError(f"no complete answer in {limit:.0f} s", answered=True)
    return ended.result()


def scheme_of(text: str) -> str:
    """The scheme of a URI in lower case, empty for a local path.

    Examples
    --------
    >>> scheme_of("az://account/container"), scheme_of("data/sample")
    ('az', '')
    """
    scheme, colon, _ = text.partition("://")
    return scheme.lower() if colon and scheme.replace("+", "").replace("-", "").isalnum() else ""


def is_remote(text: str) -> bool:
    """Whether `text` names a place beyond the local file system."""
    return scheme_of(text) not in ("", "file")


def checked_name(name: str, uri: str) -> str:
    """`name`, if it stays inside of the directory that it is joined to.

    Raises
    ------
    InputDataError
        It is absolute, climbs, holds control characters or is too long for a file system.
    """
    parts = name.split("/")
    climbs = any(part in ("", ".", "..") for part in parts)
    odd = "\\" in name or ":" in parts[0] or not name.isprintable()
    if climbs or odd or any(len(part.encode()) > _NAME_BYTES for part in parts):
        raise InputDataError(
            f"{uri} holds a file with the unsafe name {json.dumps(name)[:120]}", "rename or remove it there"
        )
    return name


def refuse_query(uri: str) -> None:
    """Refuse a URI with a user, a query or a fragment: that is where secrets are put.

    Raises
    ------
    ConfigurationError
        Without the text in question.
    """
    parts = urllib.parse.urlsplit(uri)
    if parts.query or parts.fragment or "@" in parts.netloc and parts.scheme in ("az", "http", "https"):
        raise ConfigurationError(
            f"the {parts.scheme}:// address carries a query, a fragment or credentials",
            "give the plain address and set credentials in the environment (AZURE_STORAGE_SAS_TOKEN, ...)",
        )


def sorted_unique(files: Sequence[RemoteFile]) -> list[RemoteFile]:
    """Files by name."""
    return sorted(files, key=lambda file: file.name)
