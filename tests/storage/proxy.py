"""A TCP proxy that does harm to the answers of a storage server."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue

_BUSY = b"HTTP/1.1 503 Server Busy\r\nx-ms-error-code: ServerBusy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_BLOCK = 1 << 16

Fault = Callable[["Exchange"], None]


@dataclass
class Exchange:
    """One request for bytes of a blob, on its way."""

    client: socket.socket
    server: socket.socket
    request: bytes
    closing: threading.Event

    def forward(self, n_bytes: int | None = None, change: Callable[[bytes], bytes] = bytes) -> None:
        """Send the request on, and `n_bytes` of the answer back; without a number, until either side ends."""
        self.server.sendall(self.request)
        sent = 0
        while n_bytes is None or sent < n_bytes:
            block = self.server.recv(_BLOCK if n_bytes is None else min(_BLOCK, n_bytes - sent))
            if not block:
                break
            self.client.sendall(change(block))
            sent += len(block)


def busy(exchange: Exchange) -> None:
    exchange.client.sendall(_BUSY)


def reset(exchange: Exchange) -> None:
    """The connection breaks in the middle of the body."""
    exchange.forward(100_000)
    exchange.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def stall(exchange: Exchange) -> None:
    """The body stops, and the connection stays."""
    exchange.forward(100_000)
    with suppress(OSError):
        exchange.client.settimeout(60)
        exchange.client.recv(1)  # until the client has had enough


def redirected(location: str) -> Fault:
    """The answer sends the client elsewhere."""

    def fault(exchange: Exchange) -> None:
        head = f"HTTP/1.1 307 Temporary Redirect\r\nLocation: {location}\r\n"
        exchange.client.sendall(f"{head}Content-Length: 0\r\nConnection: close\r\n\r\n".encode())

    return fault


def silent(exchange: Exchange) -> None:
    """There is no answer, and the connection stays."""
    exchange.server.sendall(exchange.request)
    with suppress(OSError):
        exchange.client.settimeout(60)
        exchange.client.recv(1)


def drip(exchange: Exchange) -> None:
    """The body goes on, a byte now and then."""
    exchange.forward(100_000)
    _byte_by_byte(exchange)


def drip_at_once(exchange: Exchange) -> None:
    """Even the first line of the answer comes byte by byte."""
    exchange.server.sendall(exchange.request)
    _byte_by_byte(exchange)


def _byte_by_byte(exchange: Exchange) -> None:
    while not exchange.closing.wait(0.2) and (byte := exchange.server.recv(1)):
        exchange.client.sendall(byte)


def flip(exchange: Exchange) -> None:
    """One bit of the body is another."""
    seen = 0

    def changed(block: bytes) -> bytes:
        nonlocal seen
        before, seen = seen, seen + len(block)
        if before <= 50_000 < seen:
            at = 50_000 - before
            return block[:at] + bytes([block[at] ^ 1]) + block[at + 1 :]
        return block

    exchange.forward(None, changed)


@dataclass
class Proxy:
    """Listens on `port`; each request of a kind gets the next of `faults`, and none once they are used up.

    Range requests are harmed, or those whose first lines hold `harmed`. `before` sees each range request, `watch`
    how many bytes of answers have passed.
    """

    upstream: int
    faults: SimpleQueue[Fault] = field(default_factory=SimpleQueue)
    harmed: bytes = b"x-ms-range:"
    before: Callable[[bytes], None] | None = None
    watch: Callable[[int], None] | None = None
    passed: int = 0
    requests: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._closing = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._open: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def plan(self, *faults: Fault) -> None:
        for fault in faults:
            self.faults.put(fault)

    @property
    def ranges(self) -> list[bytes]:
        """The requests for bytes of a blob."""
        return [request for request in self.requests if b"x-ms-range:" in request.lower()]

    def close(self) -> None:
        self._closing.set()
        for open_socket in (self._listener, *list(self._open)):
            with suppress(OSError):
                open_socket.shutdown(socket.SHUT_RDWR)
            open_socket.close()

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(("127.0.0.1", self.upstream))
        except OSError:
            client.close()
            return
        self._open |= {client, server}
        try:
            with client, server:
                self._relay(client, server)
        except OSError:
            return
        finally:
            self._open -= {client, server}

    def _relay(self, client: socket.socket, server: socket.socket) -> None:
        answers: threading.Thread | None = None
        while request := client.recv(_BLOCK):
            self.requests.append(request)
            head = request.lower().partition(b"\r\n\r\n")[0]
            if b"x-ms-range:" in head and self.before is not None:
                self.before(request)
            fault = self._next() if self.harmed in head else None
            if fault is not None and answers is None:
                fault(Exchange(client, server, request, self._closing))
                return
            if fault is not None:  # an answer thread reads this server already: take another connection
                with socket.create_connection(("127.0.0.1", self.upstream)) as fresh:
                    fault(Exchange(client, fresh, request, self._closing))
                return
            if answers is None:
                answers = threading.Thread(target=self._pump, args=(server, client), daemon=True)
                answers.start()
            server.sendall(request)

    def _next(self) -> Fault | None:
        with suppress(Empty):
            return self.faults.get_nowait()
        return None

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while block := source.recv(_BLOCK):
                target.sendall(block)
                self.passed += len(block)
                if self.watch is not None:
                    self.watch(self.passed)
            target.shutdown(socket.SHUT_RDWR)


@contextmanager
def running_proxy(upstream: int) -> Iterator[Proxy]:
    proxy = Proxy(upstream)
    try:
        yield proxy
    finally:
        proxy.close()
