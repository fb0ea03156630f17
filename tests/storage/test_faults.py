"""Storage that is busy, breaks off, stalls, flips bits, changes or goes away."""

from __future__ import annotations

import hashlib
import logging
import os
import random
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from hptune.errors import StorageError
from hptune.storage import Patience, fetch, upload
from tests.storage.azurite import Azurite, running_azurite
from tests.storage.conftest import Container, Run, Start, new_container
from tests.storage.proxy import (
    Exchange,
    Fault,
    Proxy,
    busy,
    drip,
    drip_at_once,
    flip,
    reset,
    running_proxy,
    silent,
    slowly,
    stall,
)

CONTENT = os.urandom(14 << 20)  # four ranges
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def proxy(azurite: Azurite) -> Iterator[Proxy]:
    with running_proxy(azurite.port) as running:
        yield running


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("has_sums", [True, False], ids=["own sums", "no sums"])
@pytest.mark.parametrize(
    "faults",
    [(busy, busy), (reset, reset, reset), (stall,), (drip,), (flip,), (busy, reset, flip, stall)],
    ids=["busy", "reset", "stall", "drip", "flip", "all"],
)
def test_faults_on_the_way_do_not_reach_the_file(
    container: Container, proxy: Proxy, tmp_path: Path, faults: tuple[Fault, ...], has_sums: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    if has_sums:
        (tmp_path / "source").mkdir()
        (tmp_path / "source" / "big.bin").write_bytes(CONTENT)
        upload(tmp_path / "source", container.store())
    else:
        container.put("big.bin", CONTENT)
    proxy.plan(*faults)
    with caplog.at_level(logging.WARNING, "hptune"):
        fetch(container.store(port=proxy.port), tmp_path / "here")
    assert proxy.faults.empty()
    assert sha256(tmp_path / "here" / "big.bin") == SHA256
    assert "again" in caplog.text
    assert not list((tmp_path / "here").glob("*.part*"))


def test_damage_that_goes_on_is_an_error_and_leaves_no_file(
    container: Container, proxy: Proxy, tmp_path: Path
) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "big.bin").write_bytes(CONTENT)
    upload(tmp_path / "source", container.store())
    proxy.plan(*[flip] * 12)
    with pytest.raises(StorageError, match="damaged 3 times"):
        fetch(container.store(port=proxy.port), tmp_path / "here")
    assert not list((tmp_path / "here").glob("big.bin"))


def test_one_connection_that_fails_for_long_is_not_given_up_while_bytes_come_through_others(
    container: Container, proxy: Proxy, tmp_path: Path
) -> None:
    container.put("big.bin", CONTENT)
    proxy.plan(slowly, slowly, slowly, busy, busy, busy, busy)  # those are 3 s, with a patience of 1 s
    fetch(container.store(port=proxy.port, patience=Patience(1, 1, 1)), tmp_path / "here")
    assert proxy.faults.empty()
    assert sha256(tmp_path / "here" / "big.bin") == SHA256


def test_a_fetch_that_is_interrupted_does_not_wait_for_its_ranges(
    container: Container, proxy: Proxy, started: Start, tmp_path: Path
) -> None:
    container.put("raw/big.bin", CONTENT)
    coming = threading.Event()

    def endless(exchange: Exchange) -> None:
        exchange.forward(100_000)
        coming.set()
        while not exchange.closing.wait(0.1) and (block := exchange.server.recv(1000)):
            exchange.client.sendall(block)  # seven minutes, never silent

    proxy.plan(*[endless] * 4)
    through = {"AZURE_STORAGE_CONNECTION_STRING": container.server.connection_string_at(proxy.port)}
    process = started("fetch", f"{container.uri}/raw", "here", **through)
    assert coming.wait(60)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGINT
    assert {path.name for path in (tmp_path / "here").iterdir()} == {"big.bin.part", "big.bin.part.ranges"}


@pytest.mark.parametrize("fault", [drip, drip_at_once])
def test_bytes_that_go_on_dripping_are_an_error_and_leave_no_file(
    container: Container, proxy: Proxy, tmp_path: Path, fault: Fault
) -> None:
    container.put("big.bin", CONTENT)
    proxy.plan(*[fault] * 100)
    with pytest.raises(StorageError, match="cannot be reached"):
        fetch(container.store(port=proxy.port, patience=Patience(1, 1, 2, 1)), tmp_path / "here")
    assert not (tmp_path / "here" / "big.bin").exists()


@pytest.mark.parametrize("request_line", [b"comp=list", b"put /"])
@pytest.mark.parametrize("fault", [silent, drip_at_once])
def test_listings_and_uploads_that_get_no_answer_are_errors(
    container: Container, proxy: Proxy, tmp_path: Path, request_line: bytes, fault: Fault
) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "a.csv").write_bytes(b"a\n1\n")
    proxy.harmed = request_line
    proxy.plan(*[fault] * 100)
    with pytest.raises(StorageError, match="cannot be reached"):
        upload(tmp_path / "source", container.store(port=proxy.port, patience=Patience(1, 1, 2, 1)))


@pytest.mark.parametrize("faults", [(busy, busy), (reset,), (silent,), (drip_at_once,)])
def test_faults_during_an_upload_are_told_and_do_not_reach_the_blob(
    container: Container, proxy: Proxy, tmp_path: Path, faults: tuple[Fault, ...],
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "big.bin").write_bytes(CONTENT)
    proxy.harmed = b"comp=block"  # of the blocks and of the list that makes a blob of them
    proxy.plan(*faults)
    with caplog.at_level(logging.WARNING, "hptune"):
        upload(tmp_path / "source", container.store(port=proxy.port, patience=Patience(2, 1, 8, 2)))
    assert proxy.faults.empty()
    assert "sending big.bin" in caplog.text and "again" in caplog.text
    fetch(container.store(), tmp_path / "here")
    assert sha256(tmp_path / "here" / "big.bin") == SHA256


@pytest.mark.parametrize("times", [1, 2])
def test_a_blob_that_is_overwritten_while_it_is_read_is_never_mixed(
    container: Container, proxy: Proxy, tmp_path: Path, times: int
) -> None:
    container.put("big.bin", CONTENT)
    versions = [bytes([version]) * len(CONTENT) for version in range(times)]
    left, lock = list(versions), threading.Lock()

    def overwrite(request: bytes) -> None:
        with lock:
            if left and len(proxy.ranges) >= 3 * (1 + times - len(left)):
                container.put("big.bin", left.pop(0))

    proxy.before = overwrite
    fetch(container.store(port=proxy.port), tmp_path / "here")
    assert (tmp_path / "here" / "big.bin").read_bytes() == versions[-1]


def test_a_blob_that_never_rests_is_an_error(container: Container, proxy: Proxy, tmp_path: Path) -> None:
    container.put("big.bin", CONTENT)
    proxy.before = lambda request: container.put("big.bin", os.urandom(5 << 20))
    with pytest.raises(StorageError, match="changed"):
        fetch(container.store(port=proxy.port), tmp_path / "here")
    assert not (tmp_path / "here" / "big.bin").exists()


@pytest.fixture(scope="module")
def mortal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Container]:
    """A container of a server that may be killed: what it holds is on its disk."""
    with running_azurite(tmp_path_factory.mktemp("mortal")) as server:
        container = Container(server, new_container(server))
        container.put("big.bin", CONTENT)
        server.await_saved("big.bin")
        yield container


@pytest.mark.slow
def test_a_server_that_is_killed_and_comes_back_costs_no_range_twice(
    mortal: Container, tmp_path: Path
) -> None:
    with running_proxy(mortal.server.port) as proxy:
        _kill_at(proxy, mortal.server, request=3, back=True)
        fetch(mortal.store(port=proxy.port, patience=Patience(2, 2, 30)), tmp_path / "here", connections=1)
    assert sha256(tmp_path / "here" / "big.bin") == SHA256
    assert len({_range_of(request) for request in proxy.ranges[:2] + proxy.ranges[-2:]}) == 4


def test_a_server_that_stays_away_is_an_error_and_its_bytes_are_kept(
    mortal: Container, tmp_path: Path
) -> None:
    here = tmp_path / "here"
    with running_proxy(mortal.server.port) as proxy:
        _kill_at(proxy, mortal.server, request=3, back=False)
        with pytest.raises(StorageError, match="cannot be reached"):
            fetch(mortal.store(port=proxy.port, patience=Patience(1, 1, 1)), here, connections=1)
    assert not (here / "big.bin").exists()
    mortal.server.start()
    with running_proxy(mortal.server.port) as proxy:
        fetch(mortal.store(port=proxy.port), here)
        assert len(proxy.ranges) == 2  # of four
    assert sha256(here / "big.bin") == SHA256


LARGE = 64 << 20


@pytest.fixture(scope="module")
def large(mortal: Container) -> str:
    """The sha256 of a blob of 64 MiB."""
    content = random.Random(0).randbytes(LARGE)  # noqa: S311
    mortal.put("large/large.bin", content)
    mortal.server.await_saved("large/large.bin")
    return hashlib.sha256(content).hexdigest()


@pytest.mark.slow
@pytest.mark.parametrize("back", [True, False], ids=["back after 3 s", "never back"])
def test_the_command_outlives_a_server_that_comes_back_and_gives_up_one_that_does_not(
    mortal: Container, large: str, hptune: Run, tmp_path: Path, back: bool
) -> None:
    if mortal.server.process is None:
        mortal.server.start()
    killed = threading.Event()
    with running_proxy(mortal.server.port) as proxy:

        def kill(passed: int) -> None:
            if passed >= 20 << 20 and not killed.is_set():
                killed.set()
                mortal.server.kill()
                if back:
                    threading.Timer(3.0, mortal.server.start).start()

        proxy.watch = kill
        through = {"AZURE_STORAGE_CONNECTION_STRING": mortal.server.connection_string_at(proxy.port)}
        done = hptune("fetch", f"{mortal.uri}/large", "here", "-v", timeout=60, **through)
    assert killed.is_set() and "trying again" in done.stderr
    target = tmp_path / "here" / "large.bin"
    if back:
        assert done.returncode == 0, done.stderr
        assert sha256(target) == large
    else:
        assert done.returncode == 4
        assert "cannot be reached" in done.stderr.splitlines()[-1]
        assert not target.exists() and target.with_name("large.bin.part").exists()


def _range_of(request: bytes) -> bytes:
    return next(line for line in request.lower().split(b"\r\n") if line.startswith(b"x-ms-range:"))


def _kill_at(proxy: Proxy, server: Azurite, request: int, *, back: bool) -> None:
    """Kill the server at a range request; start it again a little later, or never."""

    def before(_: bytes) -> None:
        if len(proxy.ranges) == request:
            server.kill()
            if back:
                threading.Timer(1.0, server.start).start()

    proxy.before = before
