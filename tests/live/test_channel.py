"""The live channel: what is reported arrives, who stops is told, and nobody can hold anybody up."""

from __future__ import annotations

import json
import math
import multiprocessing
import socket
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any

import pytest

from hptune.live import Address, LiveServer, Place, Reporter, Value, reporter_to
from hptune.live import _client as client
from hptune.live import _protocol as protocol
from hptune.live import _server as server_module
from tests.live.impostor import impostor


class Desk:
    """Takes reports, and stops the runs that it is told to."""

    def __init__(self, *stops: str) -> None:
        self.taken: list[tuple[str, list[Value]]] = []
        self.stops = set(stops)

    def __call__(self, key: str, values: Sequence[Value]) -> bool:
        self.taken.append((key, list(values)))
        return key in self.stops

    def values(self, key: str) -> list[Value]:
        return [value for taken, values in self.taken if taken == key for value in values]


@contextmanager
def connected(address: Address) -> Iterator[tuple[socket.socket, Any]]:
    with (
        closing(socket.create_connection((address.host, address.port), timeout=20)) as peer,
        peer.makefile("rb") as told,
    ):
        yield peer, told


def greeted(address: Address, peer: socket.socket, told: Any) -> dict[str, Any]:
    """Prove the token and return the server's answer."""
    challenge = json.loads(told.readline())["challenge"]
    answer = protocol.proof(address.token, "client", challenge)
    peer.sendall(protocol.encode({"answer": answer, "challenge": "mine"}))
    return dict(json.loads(told.readline()))


def test_values_arrive_in_order_and_only_the_run_that_should_stop_is_told_so() -> None:
    desk = Desk("bad")
    with LiveServer(desk) as server, closing(Reporter(server.address)) as reporter:
        assert [reporter.report(key, 1, 0.25, hurry=True) for key in ("good", "bad")] == [False, True]
        assert not reporter.report("good", 2, 0.5, name="loss", hurry=True)
        assert reporter.finish("good") == 0
    assert desk.values("good") == [Value(1, 0.25), Value(2, 0.5, "loss")]
    assert desk.values("bad") == [Value(1, 0.25)]


def test_fast_values_travel_together_and_none_is_left_out() -> None:
    desk = Desk()
    with LiveServer(desk) as server, closing(Reporter(server.address)) as reporter:
        for step in range(1, 5001):
            reporter.report("run", step, step / 7)
        assert reporter.finish("run") == 0
    assert desk.values("run") == [Value(step, step / 7) for step in range(1, 5001)]
    assert len(desk.taken) < 500


def test_however_much_a_run_hurries_it_sends_few_messages_and_the_next_is_never_far(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(client.time, "monotonic", lambda: 0.0)
    run, sent = client._Run(), []
    for tick in range(5000):  # a report every millisecond for five seconds
        if run.may_send(tick / 1000, hurry=True):
            run.note_message(tick / 1000)
            sent.append(tick)
    assert sent[:5] == [0, 1, 2, 3, 4]
    assert all(later - earlier > 1000 for earlier, later in zip(sent, sent[7:], strict=False))
    assert max(later - earlier for earlier, later in zip(sent, sent[1:], strict=False)) <= 501
    assert len(sent) <= 5 + 2 * 5


def test_what_is_no_finite_number_arrives_as_nan() -> None:
    desk = Desk()
    with LiveServer(desk) as server, closing(Reporter(server.address)) as reporter:
        for step, value in enumerate((math.nan, math.inf, -math.inf), 1):
            reporter.report("run", step, value)
        reporter.finish("run")
    assert [math.isnan(value.value) for value in desk.values("run")] == [True] * 3


def test_many_values_at_once_fit_into_lines_of_the_limit() -> None:
    values = [Value(step, 1 / 3, "n" * 300) for step in range(1, 3000)]
    lines = list(protocol.batches("key", values))
    assert sum(count for _, count in lines) == len(values)
    assert max(len(line) for line, _ in lines) <= protocol.LINE_BYTES
    arrived = [value for line, _ in lines for value in protocol.report_of(protocol.decode(line))[1]]
    assert [(value.step, value.value) for value in arrived] == [(step, 1 / 3) for step in range(1, 3000)]


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\x80\x04\x95 pickle\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"[" * 30_000 + b"\n",
        b'{"answer": null}\n',
        b'{"answer": "wrong", "challenge": "mine"}\n',
        b"\xff\xfe\n",
    ],
)
def test_who_does_not_know_the_token_is_hung_up_on(message: bytes) -> None:
    desk = Desk()
    with LiveServer(desk) as server:
        with connected(server.address) as (peer, told):
            told.readline()
            peer.sendall(message)
            peer.shutdown(socket.SHUT_WR)
            assert not _rest(told)
        assert not reporter_to(server.address).report("run", 1, 0.5)
    assert desk.taken == [("run", [Value(1, 0.5)])]


@pytest.mark.parametrize(
    "message",
    [
        b'{"values": [[1, 0.5]]}\n',
        b'{"key": "run", "values": [[0, 0.5]]}\n',
        b'{"key": "run", "values": [[1, "0.5"]]}\n',
        b'{"key": "run", "values": [[1]]}\n',
        b'{"key": "run", "values": [1]}\n',
        b'{"key": "run", "values": [[true, 0.5]]}\n',
        b'["run"]\n',
        b"\x80\x04\x95 pickle\n",
    ],
)
def test_what_is_no_report_ends_its_connection_only(message: bytes) -> None:
    desk = Desk()
    with LiveServer(desk) as server:
        with connected(server.address) as (peer, told):
            greeted(server.address, peer, told)
            peer.sendall(message)
            assert not _rest(told)
        assert not reporter_to(server.address).report("run", 1, 0.5)
    assert desk.taken == [("run", [Value(1, 0.5)])]


def test_an_endless_line_is_not_waited_for() -> None:
    with LiveServer(Desk()) as server, connected(server.address) as (peer, told):
        greeted(server.address, peer, told)
        with pytest.raises(OSError):
            while True:
                peer.sendall(b" " * (1 << 20))


def test_a_silent_client_blocks_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "HANDSHAKE_SECONDS", 60.0)  # it stays longer than anybody would wait
    desk = Desk()
    with LiveServer(desk) as server, connected(server.address) as (_, told):
        told.readline()
        assert not reporter_to(server.address).report("run", 1, 0.5)
        assert desk.taken == [("run", [Value(1, 0.5)])]


def test_a_silent_client_is_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "HANDSHAKE_SECONDS", 0.2)
    with LiveServer(Desk()) as server, connected(server.address) as (_, told):
        told.readline()
        assert not _rest(told)


def test_a_crowd_of_silent_clients_blocks_nobody() -> None:
    desk = Desk()
    with LiveServer(desk) as server:
        crowd = [socket.create_connection((server.address.host, server.address.port)) for _ in range(300)]
        assert not reporter_to(server.address).report("run", 1, 0.5)
        for peer in crowd:
            peer.close()
    assert desk.taken == [("run", [Value(1, 0.5)])]


def test_the_server_proves_that_it_knows_the_token_too() -> None:
    with LiveServer(Desk()) as server, connected(server.address) as (peer, told):
        answer = greeted(server.address, peer, told)
    assert answer == {"answer": protocol.proof(server.address.token, "server", "mine")}


def test_a_server_that_does_not_know_the_token_gets_no_more_than_a_greeting() -> None:
    with impostor() as server, closing(Reporter(server.address)) as reporter:
        assert not reporter.report("run", 1, 0.5)
        assert reporter.finish("run") == 1
    ((greeting, after),) = server.heard
    assert protocol.decode(greeting).keys() == {"answer", "challenge"}
    assert after == b""


def test_what_a_reporter_without_the_token_says_is_lost() -> None:
    desk = Desk()
    with LiveServer(desk) as server:
        stranger = replace(server.address, token=protocol.new_challenge())
        with closing(Reporter(stranger)) as reporter:
            assert not reporter.report("run", 1, 0.5)
            assert reporter.finish("run") == 1
    assert not desk.taken


def test_a_token_has_128_bits_is_new_each_time_and_is_not_shown() -> None:
    with LiveServer(Desk()) as one, LiveServer(Desk()) as other:
        assert len(bytes.fromhex(one.address.token)) == 16
        assert one.address.token != other.address.token
        assert one.address.token not in repr(one.address)


def test_what_the_driver_cannot_take_stops_nobody() -> None:
    def broken(key: str, values: Sequence[Value]) -> bool:
        raise RuntimeError("the driver's own")

    with LiveServer(broken) as server, closing(Reporter(server.address)) as reporter:
        assert not reporter.report("run", 1, 0.5)
        assert reporter.finish("run") == 0


def test_without_a_server_a_run_goes_on_and_its_values_are_counted_as_lost() -> None:
    with LiveServer(Desk("run")) as server:
        reporter = Reporter(server.address)
        assert reporter.report("run", 1, 0.5, hurry=True)
    stops = [reporter.report("run", step, 0.5, hurry=True) for step in range(2, 200)]
    assert all(stops)  # what was decided stays so
    assert not reporter.report("other", 1, 0.5)
    assert reporter.finish("run") == 198
    assert reporter.finish("other") == 1


def test_a_cut_connection_is_made_again_and_what_waited_arrives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "_FIRST_PAUSE", 0.0)
    desk = Desk()
    with LiveServer(desk) as server, closing(Reporter(server.address)) as reporter:
        reporter.report("run", 1, 0.1, hurry=True)
        reporter._connection._socket.shutdown(socket.SHUT_RDWR)  # type: ignore[union-attr]
        reporter.report("run", 2, 0.2, hurry=True)
        reporter.report("run", 3, 0.3, hurry=True)
        assert reporter.finish("run") == 0
    assert desk.values("run") == [Value(1, 0.1), Value(2, 0.2), Value(3, 0.3)]


def test_a_server_listens_where_it_is_told_to() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match="address already in use"):
            LiveServer(Desk(), Place(port=port))
    with LiveServer(Desk(), Place(bind="127.0.0.1", host="driver.example", port=port)) as server:
        assert (server.address.host, server.address.port) == ("driver.example", port)


def test_addresses_travel_to_other_processes_which_have_reporters_of_their_own() -> None:
    desk = Desk("1")
    with LiveServer(desk) as server, multiprocessing.get_context("spawn").Pool(2) as pool:
        assert pool.starmap(_report_once, [(server.address, str(n)) for n in range(4)]) == [0, 1, 0, 0]
    assert sorted(key for key, _ in desk.taken) == ["0", "1", "2", "3"]


def test_a_server_can_be_closed_twice() -> None:
    server = LiveServer(Desk())
    server.close()
    server.close()


def _report_once(address: Address, key: str) -> bool:
    return reporter_to(address).report(key, 1, 0.5)


def _rest(told: Any) -> bytes:
    try:
        return bytes(told.read())
    except ConnectionResetError:  # the server hung up with something of ours unread
        return b""
