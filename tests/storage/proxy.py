"""A TCP proxy that does harm to the answers of a storage server."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue

from tests.relay import BLOCK, Relay

_BUSY = b"HTTP/1.1 503 Server Busy\r\nx-ms-error-code: ServerBusy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

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
            block = self.server.recv(BLOCK if n_bytes is None else min(BLOCK, n_bytes - sent))
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


def slowly(exchange: Exchange) -> None:
    """A thin line: the answer comes at about a MiB a second, and the connection ends with it."""
    exchange.server.sendall(exchange.request)
    exchange.server.settimeout(0.3)
    while not exchange.closing.wait(0.05) and (block := exchange.server.recv(BLOCK)):
        exchange.client.sendall(block)


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


class Proxy(Relay):
    """Each request of a kind gets the next of `faults`, and none once they are used up.

    Range requests are harmed, or those whose first lines hold `harmed`. `before` sees each range request, `watch`
    how many bytes of answers have passed.
    """

    def __init__(self, upstream: int) -> None:
        self.faults: SimpleQueue[Fault] = SimpleQueue()
        self.harmed = b"x-ms-range:"
        self.before: Callable[[bytes], None] | None = None
        self.watch: Callable[[int], None] | None = None
        self.passed = 0
        self.requests: list[bytes] = []
        self._closing = threading.Event()
        super().__init__(upstream)

    def plan(self, *faults: Fault) -> None:
        for fault in faults:
            self.faults.put(fault)

    @property
    def ranges(self) -> list[bytes]:
        """The requests for bytes of a blob."""
        return [request for request in self.requests if b"x-ms-range:" in request.lower()]

    def close(self) -> None:
        self._closing.set()
        super().close()

    def relay(self, client: socket.socket, server: socket.socket) -> None:
        answers: threading.Thread | None = None
        while request := client.recv(BLOCK):
            self.requests.append(request)
            head = request.lower().partition(b"\r\n\r\n")[0]
            if b"x-ms-range:" in head and self.before is not None:
                self.before(request)
            fault = self._next() if self.harmed in head else None
            if fault is not None and answers is None:
                fault(Exchange(client, server, request, self._closing))
                return
            if fault is not None:  # an answer thread reads this server already: take another connection
                with self.connected() as fresh:
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
            while block := source.recv(BLOCK):
                target.sendall(block)
                self.passed += len(block)
                if self.watch is not None:
                    self.watch(self.passed)
            target.shutdown(socket.SHUT_RDWR)


@contextmanager
def running_proxy(upstream: int) -> Iterator[Proxy]:
    with closing(Proxy(upstream)) as proxy:
        yield proxy
