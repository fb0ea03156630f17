"""A TCP proxy between clients and a server, from which those that do harm are made."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

__all__ = ["BLOCK", "Relay", "pump"]

BLOCK = 1 << 16


class Relay:
    """Listens, and connects each client to the server; `relay` says what passes between them, by default all.

    Parameters
    ----------
    upstream : int
        The server's port on 127.0.0.1.
    host : str
        Where the proxy listens.
    port : int
        0: any that is free.

    Attributes
    ----------
    port : int
        The proxy's own.
    """

    def __init__(self, upstream: int, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self.upstream = upstream
        self._host = host
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._listener: socket.socket | None = None
        self.port = self._listen(port)

    def relay(self, client: socket.socket, server: socket.socket) -> None:
        """What passes between a client and the server; both connections end with it."""
        answers = threading.Thread(target=pump, args=(server, client), daemon=True)
        answers.start()
        pump(client, server)
        answers.join()

    @contextmanager
    def away(self) -> Iterator[None]:
        """While this is open, all connections are cut and new ones are refused."""
        self.close()
        try:
            yield
        finally:
            self._listen(self.port)

    def close(self) -> None:
        """End all connections, and take no more; a second call does nothing."""
        with self._lock:
            cut = [*self._open] if self._listener is None else [self._listener, *self._open]
            self._listener = None
        for each in cut:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def connected(self) -> socket.socket:
        """A connection to the server."""
        return socket.create_connection(("127.0.0.1", self.upstream))

    def _listen(self, port: int) -> int:
        listener = self._listener = socket.create_server((self._host, port))
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()
        return int(listener.getsockname()[1])

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:  # it is closed
                return
            threading.Thread(target=self._serve, args=(client, listener), daemon=True).start()

    def _serve(self, client: socket.socket, listener: socket.socket) -> None:
        with client, suppress(OSError), self.connected() as server:
            with self._lock:
                if self._listener is not listener:
                    return
                self._open |= {client, server}
            try:
                self.relay(client, server)
            finally:
                with self._lock:
                    self._open -= {client, server}


def pump(source: socket.socket, target: socket.socket) -> None:
    """All that comes, until either side ends; then both have."""
    with suppress(OSError):
        while block := source.recv(BLOCK):
            target.sendall(block)
    for each in (source, target):
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
