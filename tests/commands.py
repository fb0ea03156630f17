"""The command in a process of its own, with every process that it starts known by a mark in their environment."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_MARK = "HPTUNE_TEST_RUN"
_PATIENCE = 120.0  # seconds; a test that waits longer has failed

# An estimator whose fits last for minutes in native code, in which Python is not asked, or end at once.
STUBBORN = """
import hashlib, itertools, os, pathlib, signal, time
import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin

class Stubborn(ClassifierMixin, BaseEstimator):
    def __init__(self, how="at once", constant=0):
        self.how, self.constant = how, constant

    def fit(self, X, y):
        pathlib.Path("fitting").touch()
        if self.how == "native":
            hashlib.pbkdf2_hmac("sha256", b"", b"", 1 << 30)
        elif self.how == "holding the lock":
            sum(itertools.repeat(1, 1 << 40))
        elif self.how == "sleeping":
            time.sleep(600)
        elif self.how == "a second":
            time.sleep(1)
        elif self.how == "raising":
            raise ValueError("no luck")
        elif self.how == "segfault":
            os.kill(os.getpid(), signal.SIGSEGV)
        elif self.how == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        elif self.how == "exit":
            os._exit(3)
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.full(len(X), self.constant)
"""


@dataclass(frozen=True)
class Running:
    """A command that runs, and its mark."""

    process: subprocess.Popen[bytes]
    mark: str
    log: Path

    def text(self) -> str:
        """What it has printed so far."""
        return self.log.read_text(errors="replace")

    def wait_for(self, happened: Callable[[], bool]) -> None:
        """Until it has happened, or the command has ended."""
        give_up = time.monotonic() + _PATIENCE
        while not happened() and self.process.poll() is None:
            assert time.monotonic() < give_up, self.text()
            time.sleep(0.05)
        assert happened(), self.text()

    def interrupt(self) -> None:
        """Ctrl-C: a signal to the whole group, as a terminal sends it."""
        os.killpg(self.process.pid, signal.SIGINT)

    def exit_code(self) -> int:
        """Once it has ended."""
        return self.process.wait(_PATIENCE)

    def processes(self) -> list[int]:
        """All that descend from it and live."""
        return [pid for pid, environment in _environments() if self.mark.encode() in environment]

    def wait_until_all_are_gone(self) -> None:
        """Until no process that it started is left."""
        give_up = time.monotonic() + 30
        while self.processes():
            assert time.monotonic() < give_up, _described(self.processes())
            time.sleep(0.05)


@contextmanager
def command(directory: Path, *arguments: str, submit: bool = False, **environment: str) -> Iterator[Running]:
    """``hptune`` with `arguments` in `directory`, or ``jobs/distributed_sweep.py`` by spark-submit."""
    mark = f"{_MARK}={uuid.uuid4().hex}"
    log = directory / "log.txt"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [*(_submitted() if submit else (sys.executable, "-m", "hptune.cli")), *arguments],
            cwd=directory,
            env=os.environ | _environment(directory) | dict([mark.split("=")]) | environment,
            stdout=stream,
            stderr=stream,
            start_new_session=True,
        )
        running = Running(process, mark, log)
        try:
            yield running
        finally:
            for pid in running.processes():
                with suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
            process.wait()


def stubborn_sweep(directory: Path, *hows: str, constants: int = 1) -> list[str]:
    """Writes a small table, the estimator and a sweep file; returns the command's first arguments."""
    (directory / "stubborn.py").write_text(STUBBORN)
    rows = "".join(f"{number},{number % 2}\n" for number in range(40))
    (directory / "table.csv").write_text(f"a,y\n{rows}")
    (directory / "sweep.yaml").write_text(
        "data: {path: table.csv, target: y}\n"
        "estimator: stubborn.Stubborn\n"
        f"search_space: {{how: {list(hows)}, constant: {list(range(constants))}}}\n"
        "cv: 2\n"
        "out: out\n"
        "spark: {master: 'local[2,4]'}\n"
    )
    return ["--config", "sweep.yaml", "--cache", "cache"]


def _environment(directory: Path) -> dict[str, str]:
    return {
        "PYTHONPATH": f"{ROOT}:{directory}",
        "PYSPARK_PYTHON": sys.executable,
        "SPARK_LOCAL_IP": "127.0.0.1",
    }


def _submitted() -> list[str]:
    settings = {
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.ui.enabled": "false",
    }
    options = [part for key, value in settings.items() for part in ("--conf", f"{key}={value}")]
    submit = str(Path(sys.executable).with_name("spark-submit"))
    job = str(ROOT / "jobs" / "distributed_sweep.py")
    return [submit, "--master", "local[2,4]", "--driver-memory", "1g", *options, job]


def _environments() -> Iterator[tuple[int, bytes]]:
    for path in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            yield int(path.parent.name), path.read_bytes()


def _described(pids: list[int]) -> str:
    lines = []
    for pid in pids:
        with suppress(OSError):
            lines.append(f"{pid}: {Path(f'/proc/{pid}/cmdline').read_bytes()[:200]!r}")
    return "\n".join(lines)
