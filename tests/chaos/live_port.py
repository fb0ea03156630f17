"""Harm on its way to the live channel: a port that loses messages, and strangers who hold the channel's port."""

from __future__ import annotations

import json
import random
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from io import BufferedIOBase

import psutil

from tests.chaos.cluster import Cluster
from tests.chaos.processes import wait_until
from tests.chaos.sweeps import Run
from tests.relay import BLOCK, Relay

__all__ = ["DRIVER", "LossyPort", "Strangers", "free_port", "listening", "lossy", "port_of"]

DRIVER = "127.0.0.3"  # where executors look for the driver of a lossy channel
_HANDSHAKE = 3  # lines that no channel goes without: challenge, proof, proof
_GARBAGE: list[Callable[[random.Random], bytes]] = [
    lambda chosen: chosen.randbytes(1000) + b"\n",
    lambda chosen: chosen.randbytes(300_000).replace(b"\n", b""),
    lambda chosen: b"GET / HTTP/1.1\r\n\r\n",
    lambda chosen: b"[" * 30_000 + b"\n",
    lambda chosen: b'{"key": "0", "values": [[1, 1e9]]}\n',
    lambda chosen: json.dumps({"answer": chosen.randbytes(32).hex(), "challenge": "mine"}).encode() + b"\n",
]


class LossyPort(Relay):
    """Stands before the live channel's server and loses messages.

    What is lost is a report, or the answer to one that the server has taken. Then the connection is cut or goes on
    without a word, each as often as the other.

    Parameters
    ----------
    port : int
        The server's on 127.0.0.1, and this one's own on `DRIVER`.
    seed : int
        Of what is lost.
    share : float
        Of the messages, that are lost.
    """

    def __init__(self, port: int, *, seed: int, share: float = 0.5) -> None:
        self.seen: Counter[str] = Counter()  # by what became of them
        self._share = share
        self._random = random.Random(seed)
        super().__init__(port, host=DRIVER, port=port)

    @property
    def messages(self) -> int:
        return self.seen.total()

    @property
    def lost(self) -> int:
        return self.messages - self.seen["answered"]

    def relay(self, client: socket.socket, server: socket.socket) -> None:
        with client.makefile("rb") as reports, server.makefile("rb") as answers:
            for number in range(_HANDSHAKE):
                ends = (reports, server) if number == 1 else (answers, client)
                if not _pass_on(*ends):
                    return
            while report := reports.readline():
                if not self._exchange(report, answers, client, server):
                    return

    def _exchange(
        self, report: bytes, answers: BufferedIOBase, client: socket.socket, server: socket.socket
    ) -> bool:
        """Whether the connection lasts."""
        chance = self._random.random
        fate = "answered" if chance() >= self._share else "report lost" if chance() < 0.5 else "answer lost"
        lasts = fate == "answered" or chance() < 0.5
        self.seen[fate] += 1
        if fate != "report lost":
            server.sendall(report)
            answer = answers.readline()
            lasts &= bool(answer)
            if fate == "answered":
                client.sendall(answer)
        return lasts


def _pass_on(source: BufferedIOBase, target: socket.socket) -> bool:
    line = source.readline()
    target.sendall(line)
    return bool(line)


@contextmanager
def lossy(cluster: Cluster, seed: int) -> Iterator[tuple[LossyPort, dict[str, object]]]:
    """A lossy way to the driver's live channel, and the keys of a sweep file whose executors take it.

    The driver listens on 127.0.0.1 and executors are told `DRIVER`, where Spark's own two ports are passed on
    untouched.
    """
    live, rpc, blocks = free_port(), free_port(), free_port()
    settings = cluster.settings(
        spark_driver_host=DRIVER,
        spark_driver_port=f"{rpc}",
        spark_driver_blockManager_port=f"{blocks}",
        spark_hptune_live_port=f"{live}",
        spark_port_maxRetries="0",
    )
    with (
        closing(Relay(rpc, host=DRIVER, port=rpc)),
        closing(Relay(blocks, host=DRIVER, port=blocks)),
        closing(LossyPort(live, seed=seed)) as port,
    ):
        yield port, settings


def free_port() -> int:
    """A port that nobody has."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def port_of(run: Run) -> int:
    """The only port on which a driver listens, as soon as it does."""
    driver = run.driver
    wait_until(lambda: run.ended or listening(driver), what="the live channel's start")
    (port,) = listening(driver)
    return port


def listening(process: psutil.Process) -> list[int]:
    """The ports on which a process listens."""
    try:
        found = process.net_connections("tcp")
    except psutil.NoSuchProcess:
        return []
    return [each.laddr.port for each in found if each.status == psutil.CONN_LISTEN]


class Strangers:
    """Clients without the token, each of which connects again as soon as it is hung up on: silent ones, one that
    sends a byte now and then, and one that sends garbage.

    Parameters
    ----------
    port : int
        Theirs, on 127.0.0.1.
    silent : int
        How many say nothing.
    seed : int
        Of the garbage.
    """

    def __init__(self, port: int, *, silent: int, seed: int = 0) -> None:
        self.hung_up: Counter[str] = Counter()  # connections of each kind that the server ended
        self._came: set[threading.Thread] = set()
        self._port = port
        self._random = random.Random(seed)
        self._closing = threading.Event()
        kinds: list[tuple[str, Callable[[socket.socket], None]]] = [("silent", self._listen)] * silent
        kinds += [("slow", self._drip), ("garbage", self._babble)]
        self._threads = [threading.Thread(target=self._stay, args=kind, daemon=True) for kind in kinds]
        for thread in self._threads:
            thread.start()

    @property
    def all_came(self) -> bool:
        """Whether each has been connected."""
        return len(self._came) == len(self._threads)

    def close(self) -> None:
        """Let all go."""
        self._closing.set()
        for thread in self._threads:
            thread.join()

    def _stay(self, kind: str, talk: Callable[[socket.socket], None]) -> None:
        while not self._closing.wait(0.01):
            try:
                with socket.create_connection(("127.0.0.1", self._port), timeout=0.5) as peer:
                    self._came.add(threading.current_thread())
                    talk(peer)
            except ConnectionRefusedError:  # the sweep has ended
                return
            except OSError:  # in the middle of a word
                pass
            self.hung_up[kind] += not self._closing.is_set()

    def _listen(self, peer: socket.socket) -> None:
        while not self._closing.is_set():
            with suppress(TimeoutError):
                if not peer.recv(BLOCK):
                    return

    def _drip(self, peer: socket.socket) -> None:
        while not self._closing.wait(0.1):
            peer.sendall(b"{")

    def _babble(self, peer: socket.socket) -> None:
        peer.sendall(self._random.choice(_GARBAGE)(self._random))
        self._listen(peer)
