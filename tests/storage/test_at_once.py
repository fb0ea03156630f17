"""Two processes that want the same files at the same time."""

from __future__ import annotations

import subprocess
import threading
from pathlib import Path

import pytest

from tests.features.rawfiles import example, write_raw
from tests.storage.conftest import Container, Start
from tests.storage.proxy import Proxy, running_proxy


def held_up(proxy: Proxy) -> threading.Event:
    """From now on bytes of blobs come when the event is set, and not before."""
    go = threading.Event()
    proxy.before = lambda request: go.wait(60) or None
    return go


def told(processes: list[subprocess.Popen[str]], text: str, lines: list[str]) -> threading.Event:
    """Set once any of the processes says `text`; all that they say is added to `lines`."""
    event = threading.Event()

    def read(process: subprocess.Popen[str]) -> None:
        for line in process.stderr or ():
            lines.append(line)
            if text in line:
                event.set()

    for process in processes:
        threading.Thread(target=read, args=(process,), daemon=True).start()
    return event


@pytest.mark.parametrize("what", ["one cache", "one directory"])
def test_the_second_of_two_waits_and_fetches_nothing(
    container: Container, started: Start, tmp_path: Path, what: str
) -> None:
    names = []
    for path in write_raw(tmp_path / "raw", example()).iterdir():
        container.put(f"raw/{path.name}", path.read_bytes())
        names.append(path.name)
    uri = f"{container.uri}/raw"
    command = ("features", "--data", uri) if what == "one cache" else ("fetch", uri, "here")
    with running_proxy(container.server.port) as proxy:
        go = held_up(proxy)
        through = {"AZURE_STORAGE_CONNECTION_STRING": container.server.connection_string_at(proxy.port)}
        both = [started(*command, **through) for _ in range(2)]
        lines: list[str] = []
        assert told(both, "waiting for it", lines).wait(60)
        go.set()
        assert [process.wait(60) for process in both] == [0, 0], lines
        assert len(proxy.ranges) == len(names)
    if what == "one directory":
        fetched = {
            path.name: path.read_bytes() for path in (tmp_path / "here").iterdir() if path.name[0] != "."
        }
        assert fetched == {name: (tmp_path / "raw" / name).read_bytes() for name in names}
