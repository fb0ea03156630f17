"""A real tracking server on this machine: SQLite, files beside it, a free port."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_QUIET = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
_STARTS_WITHIN = 120.0  # seconds; about 10 where nothing else runs


class MlflowServer:
    """Started and killed as often as one likes: what it was told stays."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self._directory.mkdir(parents=True, exist_ok=True)
        command = [
            sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port),
            "--workers", "1", "--backend-store-uri", f"sqlite:///{self._directory / 'runs.db'}",
            "--artifacts-destination", str(self._directory / "artifacts"),
        ]  # fmt: skip
        log = self._directory / "server.log"
        with log.open("ab") as told:
            self._process = subprocess.Popen(
                command,
                cwd=self._directory,
                env={**os.environ, **_QUIET},
                stdout=told,
                stderr=told,
                start_new_session=True,
            )
        end = time.monotonic() + _STARTS_WITHIN
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > end:
                self.kill()
                raise RuntimeError(f"the MLflow server did not start:\n{log.read_text()[-3000:]}")
            time.sleep(0.2)

    def kill(self) -> None:
        """End all its processes."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        asking = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            asking.request("GET", "/health")
            return asking.getresponse().status == 200
        except OSError:
            return False
        finally:
            asking.close()


@contextmanager
def running_server(directory: Path) -> Iterator[MlflowServer]:
    server = MlflowServer(directory)
    server.start()
    try:
        yield server
    finally:
        server.kill()
