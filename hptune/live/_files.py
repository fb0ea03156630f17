"""Files on their way from executors to the driver: a connection for each run, beside the channel of short lines.

After both ends have proved that they know the token, the client sends ``{"directory": NAME, "files": [[PATH,
BYTES], ...]}``. ``{"accepted": true}`` asks for the files' bytes one after the other, and ``{"stored": true}`` says
that all are in place; ``{"refused": REASON}`` stands for either.
"""

from __future__ import annotations

import hmac
import logging
import os
import re
import shutil
import socket
import socketserver
import threading
import time
import uuid
from collections.abc import Sequence
from io import BufferedIOBase
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Any

from hptune.live._protocol import (
    HANDSHAKE_SECONDS,
    Address,
    Place,
    decode,
    encode,
    new_challenge,
    proof,
)

__all__ = ["FileServer", "send_files"]

_log = logging.getLogger(__name__)

_HEADER_BYTES = 8 << 20
_MOST_FILES = 10_000
_CHUNK_BYTES = 1 << 20
_SILENT_SECONDS = 30.0
_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,200}", re.ASCII)
_TRIES, _PAUSE_SECONDS = 3, 1.0


class FileServer:
    """Takes the files of runs and puts each run's into a directory of its own, whole or not at all.

    Parameters
    ----------
    root : Path
        Where the directories go.
    place : Place
        Where to listen.
    most_bytes : int
        Of a run's files together.

    Attributes
    ----------
    address : Address
        For `send_files`.

    Raises
    ------
    OSError
        It cannot listen there.
    """

    def __init__(self, root: Path, place: Place, *, most_bytes: int) -> None:
        self._server = _Server((place.bind, 0), _Handler)
        self.address = Address(place.host, self._server.server_address[1])
        self._server.root, self._server.token, self._server.most_bytes = root, self.address.token, most_bytes
        self._thread = threading.Thread(target=self._server.serve_forever, name="hptune-files", daemon=True)
        self._thread.start()

    def __enter__(self) -> FileServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Refused(Exception):
    """The driver will not take the files, however often they are sent."""


def send_files(address: Address, name: str, directory: Path) -> None:
    """Send all files of a directory, and wait until they are stored.

    Raises
    ------
    OSError
        They were not, after several tries.
    """
    for attempt in range(1, _TRIES + 1):
        try:
            _sent(address, name, directory)
            return
        except _Refused as error:
            raise OSError(f"the driver refused the files: {error}") from error
        except (OSError, ValueError) as error:
            if attempt == _TRIES:
                raise OSError(f"the driver did not take the files: {error}") from error
            time.sleep(_PAUSE_SECONDS * attempt)


def _sent(address: Address, name: str, directory: Path) -> None:
    paths = sorted(path for path in directory.rglob("*") if path.is_file() and not path.is_symlink())
    files = [(path.relative_to(directory).as_posix(), path.stat().st_size) for path in paths]
    with (
        socket.create_connection((address.host, address.port), timeout=HANDSHAKE_SECONDS) as connection,
        connection.makefile("rb") as answers,
    ):
        theirs, ours = decode(answers.readline(_HEADER_BYTES)), new_challenge()
        answer = proof(address.token, "client", str(theirs.get("challenge")))
        connection.sendall(encode({"answer": answer, "challenge": ours}))
        told = decode(answers.readline(_HEADER_BYTES)).get("answer")
        if not hmac.compare_digest(proof(address.token, "server", ours).encode(), str(told).encode()):
            raise ValueError("it does not know the token")
        connection.settimeout(_SILENT_SECONDS)
        connection.sendall(encode({"directory": name, "files": files}))
        _expect("accepted", answers)
        for path, (_, size) in zip(paths, files, strict=True):
            _send_file(connection, path, size)
        _expect("stored", answers)


def _expect(word: str, answers: BufferedIOBase) -> None:
    told = decode(answers.readline(_HEADER_BYTES))
    if told.get(word) is not True:
        raise _Refused(str(told.get("refused", "it does not say why")))


def _send_file(connection: socket.socket, path: Path, size: int) -> None:
    """Exactly `size` bytes: a file that grows meanwhile is cut, one that shrinks is filled with zeros."""
    with path.open("rb") as stream:
        while size:
            chunk = stream.read(min(size, _CHUNK_BYTES)) or bytes(min(size, _CHUNK_BYTES))
            connection.sendall(chunk)
            size -= len(chunk)


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    root: Path
    token: str
    most_bytes: int

    def handle_error(self, request: Any, client_address: Any) -> None:
        _log.warning("files of a run did not arrive", exc_info=True)


class _Handler(socketserver.StreamRequestHandler):
    server: _Server
    timeout = HANDSHAKE_SECONDS

    def handle(self) -> None:
        challenge = new_challenge()
        self.wfile.write(encode({"challenge": challenge}))
        told = decode(self.rfile.readline(_HEADER_BYTES))
        expected = proof(self.server.token, "client", challenge)
        if not hmac.compare_digest(expected.encode(), str(told.get("answer")).encode()):
            raise ValueError("a connection did not know the token")
        self.wfile.write(encode({"answer": proof(self.server.token, "server", str(told.get("challenge")))}))
        self.connection.settimeout(_SILENT_SECONDS)
        try:
            header = decode(self.rfile.readline(_HEADER_BYTES))
            name, files = _checked(header, self.server.most_bytes)
            self.wfile.write(encode({"accepted": True}))
            _store(name, files, self.rfile, self.server.root)
        except (OSError, ValueError) as error:
            self.wfile.write(encode({"refused": str(error)[:500]}))
            raise
        self.wfile.write(encode({"stored": True}))


def _checked(header: dict[str, Any], most_bytes: int) -> tuple[str, list[tuple[str, int]]]:
    """The directory's name, and paths and sizes of files that stay below it and within the limits."""
    name, files = str(header.get("directory")), header.get("files")
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no directory's name")
    if not isinstance(files, list):
        raise ValueError("no files")
    checked = [(str(path), int(size)) for path, size in files]
    if len(checked) > _MOST_FILES:
        raise ValueError(f"{len(checked):,} files are more than {_MOST_FILES:,}")
    if any(size < 0 for _, size in checked) or sum(size for _, size in checked) > most_bytes:
        raise ValueError(f"the files are larger than {most_bytes:,} bytes")
    for path, _ in checked:
        parts = PurePosixPath(path).parts
        if not parts or path.startswith("/") or ".." in parts or "\0" in path:
            raise ValueError(f"{path!r} leaves its directory")
    return name, checked


def _store(name: str, files: Sequence[tuple[str, int]], stream: BufferedIOBase, root: Path) -> None:
    coming = root / f".{name}.{uuid.uuid4().hex}"
    coming.mkdir(mode=0o700)
    try:
        for path, size in files:
            _store_file(coming / path, stream, size)
        if (root / name).exists():
            shutil.rmtree(root / name)  # of an attempt whose outcome never came
        os.replace(coming, root / name)
    finally:
        shutil.rmtree(coming, ignore_errors=True)


def _store_file(path: Path, stream: BufferedIOBase, size: int) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(file, "wb") as target:
        while size:
            chunk = stream.read(min(size, _CHUNK_BYTES))
            if not chunk:
                raise ValueError("the connection ended")
            target.write(chunk)
            size -= len(chunk)
        target.flush()
        os.fsync(target.fileno())
