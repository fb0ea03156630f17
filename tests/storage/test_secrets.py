"""No credential is found in anything that a run leaves, shows or starts; a program that leaks is caught."""

from __future__ import annotations

import base64
import os
import re
import subprocess
import sys
import threading
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import pytest

from hptune.sample import write_sample
from tests.chaos.processes import wait_until
from tests.storage.conftest import ROOT, Container
from tests.storage.proxy import busy, reset, running_proxy
from tests.storage.test_refusals import HOUR, NOW, sas

SWEEP = """
data: {path: nowhere, format: talkingdata, features: small}
estimator: {class: xgboost.XGBClassifier, params: {seed: 0}}
search_space: {n_estimators: [2, 3], objective: "multi:softprob"}
objective: {primary_metric: neg_log_loss}
cv: 2
engine: spark
spark: {master: "local[1,4]", spark.eventLog.enabled: true, spark.eventLog.dir: "%s", spark.log.level: DEBUG}
"""
# hptune with every logger at DEBUG, as an application that embeds it may have them
LOUD = "import logging, sys; logging.basicConfig(level=1); from hptune.cli import main; sys.exit(main(sys.argv[1:]))"
SIGNED = re.compile(rb"[?&]sig=[A-Za-z0-9%+/]{20}")  # of a token, one made of the key included
LEAK = """
import logging, os, sys
logging.basicConfig(level=logging.DEBUG)
from azure.storage.blob import ContainerClient
url = os.environ["AZURE_STORAGE_SERVICE_ENDPOINT"] + "/" + sys.argv[1] + "?" + os.environ["AZURE_STORAGE_SAS_TOKEN"]
list(ContainerClient.from_container_url(url).list_blobs())
"""


def spellings(secret: str) -> set[bytes]:
    """A secret as it is, URL-encoded, decoded and in base64 at each alignment."""
    texts = {secret, urllib.parse.quote(secret, safe=""), urllib.parse.unquote(secret)}
    found = {text.encode() for text in texts}
    for shift in range(3):
        coded = base64.b64encode(b"\0" * shift + secret.encode())
        found.add(coded[4:-4])
    return found


def hits(secrets: list[str], **places: bytes) -> list[str]:
    """Where a secret stands, with the text before it, which tells whose it is."""
    wanted = [spelling for secret in secrets for spelling in spellings(secret)]
    return [
        f"{name}: {place[max(0, place.index(spelling) - 200) : place.index(spelling)]!r}"
        for spelling in wanted
        for name, place in places.items()
        if spelling in place
    ]


def files_below(directory: Path) -> bytes:
    return b"\n".join(
        str(path).encode() + path.read_bytes() for path in directory.rglob("*") if path.is_file()
    )


class Watched:
    """Command lines of a process's descendants and what they inherit, read again and again while it runs."""

    def __init__(self, root: int) -> None:
        self._root, self._done = root, threading.Event()
        self.seen: set[bytes] = set()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> bytes:
        self._done.set()
        self._thread.join()
        return b"\n".join(self.seen)

    def _watch(self) -> None:
        while not self._done.wait(0.1):
            own = self._read(self._root, "cmdline")
            for process in self._descendants(self._root):
                # Between its fork and its exec a child still shows its parent's memory, environment included.
                if self._read(process, "cmdline") != own:
                    self._read(process, "environ")

    def _read(self, process: int, what: str) -> bytes:
        try:
            content = Path(f"/proc/{process}/{what}").read_bytes()
        except OSError:
            return b""
        self.seen.add(content)
        return content

    def _descendants(self, process: int) -> Iterator[int]:
        yield process
        try:
            threads = os.listdir(f"/proc/{process}/task")
            children = [Path(f"/proc/{process}/task/{thread}/children").read_text() for thread in threads]
        except OSError:
            return
        for child in " ".join(children).split():
            yield from self._descendants(int(child))


def run_watched(tmp_path: Path, program: str, *arguments: object, **environment: str) -> tuple[int, bytes]:
    """Exit code, and everything that was said or could be read about the processes."""
    process = subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)], cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(tmp_path / "cache"), **environment},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    watched = Watched(process.pid)
    said, _ = process.communicate(timeout=120)
    return process.returncode, said + watched.stop()


@pytest.mark.spark
@pytest.mark.parametrize("kind", ["key", pytest.param("token", marks=pytest.mark.slow)])
def test_no_secret_is_left_shown_or_inherited(container: Container, tmp_path: Path, kind: str) -> None:
    write_sample(tmp_path / "raw", scale=0.004)
    (tmp_path / "events").mkdir()
    (tmp_path / "sweep.yaml").write_text(SWEEP % f"file://{tmp_path}/events")
    del os.environ["AZURE_STORAGE_CONNECTION_STRING"]
    token = sas(container, NOW - HOUR, NOW + HOUR)
    signature = urllib.parse.unquote(token.split("sig=")[1].split("&")[0])
    secrets = [container.server.key] if kind == "key" else [signature]
    held = (
        {"AZURE_STORAGE_KEY": container.server.key} if kind == "key" else {"AZURE_STORAGE_SAS_TOKEN": token}
    )
    with running_proxy(container.server.port) as proxy:
        held["AZURE_STORAGE_SERVICE_ENDPOINT"] = container.server.endpoint.replace(
            f":{container.server.port}/", f":{proxy.port}/"
        )
        code, said = run_watched(tmp_path, LOUD, "upload", "raw", f"{container.uri}/raw", **held)
        assert code == 0, said.decode(errors="replace")[-2000:]
        proxy.plan(busy, reset)
        sweep = ("sweep", "--config", "sweep.yaml", "--data", f"{container.uri}/raw", "-v", "--out")
        code, more = run_watched(tmp_path, LOUD, *sweep, f"{container.uri}/out", **held)
        assert code == 0, more.decode(errors="replace")[-2000:]
        said += more
        code, more = run_watched(tmp_path, LOUD, *sweep, f"az://{container.uri[5:15]}/nosuch/out", **held)
        assert code == 4
        said += more
    assert b"DEBUG" in said and list((tmp_path / "events").iterdir())
    stored = b"".join(
        container.client.download_blob(blob.name).readall() for blob in container.client.list_blobs("out/")
    )
    left = files_below(tmp_path)
    assert hits(secrets, said=said, left=left, stored=stored) == []
    assert not [place for place in (said, left, stored) if SIGNED.search(place)]


def test_a_program_that_leaks_is_caught(container: Container, tmp_path: Path) -> None:
    token = sas(container, NOW - HOUR, NOW + HOUR)
    signature = urllib.parse.unquote(token.split("sig=")[1].split("&")[0])
    held = {
        "AZURE_STORAGE_SAS_TOKEN": token,
        "AZURE_STORAGE_SERVICE_ENDPOINT": container.server.endpoint,
    }
    code, said = run_watched(tmp_path, LEAK, container.name, **held)
    assert code == 0 and hits([signature], said=said) and SIGNED.search(said)
    inherits = "import subprocess; subprocess.run(['cat'])"
    held = {**os.environ, "AZURE_STORAGE_KEY": container.server.key}
    with subprocess.Popen([sys.executable, "-c", inherits], stdin=subprocess.PIPE, env=held) as process:
        watched = Watched(process.pid)
        wait_until(lambda: hits([container.server.key], said=b"\n".join([*watched.seen])), 60)
    watched.stop()
    (tmp_path / "left").write_bytes(base64.b64encode(b"AccountKey=" + container.server.key.encode()))
    assert hits([container.server.key], left=files_below(tmp_path))
