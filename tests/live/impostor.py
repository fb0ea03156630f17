"""A server that speaks as the driver does, without the driver's token."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from hptune.live import Address
from hptune.live._protocol import encode, new_challenge

__all__ = ["Impostor", "impostor"]


class Impostor(socketserver.ThreadingTCPServer):
    """Answers each greeting with a wrong proof.

    Attributes
    ----------
    heard : list of tuple of two bytes
        Of each connection that has ended: the greeting, and what followed the wrong proof.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.heard: list[tuple[bytes, bytes]] = []
        self.address = Address("127.0.0.1", self.server_address[1])


class _Handler(socketserver.StreamRequestHandler):
    server: Impostor

    def handle(self) -> None:
        self.wfile.write(encode({"challenge": new_challenge()}))
        greeting = self.rfile.readline()
        self.wfile.write(encode({"answer": "wrong"}))
        # Whatever comes first is enough, and hung up on: a client that believed the proof waits for an answer.
        self.server.heard.append((greeting, self.rfile.read1()))


@contextmanager
def impostor() -> Iterator[Impostor]:
    """An impostor that serves meanwhile; after that it has heard all that it will ever hear."""
    with Impostor() as server:
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        serving.start()
        try:
            yield server
        finally:
            server.shutdown()
            serving.join()
