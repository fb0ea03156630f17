"""Real sweeps as processes: what they learn from, how they are started, what came of them."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import yaml

from tests import SHORT_LIVED_JVM
from tests.chaos.estimators import PLANTED
from tests.chaos.processes import MARK, Processes, send, wait_until
from tests.chaos.tables import Table, journal_outcomes, read_table
from tests.warm import ROOT, Forked, Warm

__all__ = [
    "BAD",
    "FITS",
    "FOLDS",
    "LOCAL",
    "SPACE",
    "Done",
    "Home",
    "Run",
    "environment_of",
    "kill_workers_until_the_end",
    "local_spark",
    "spark_program",
    "stopped",
    "sweep_file",
    "write_data",
]

LOCAL = "local[2,4]"
SPACE: dict[str, Any] = {
    "max_depth": [2, 3],
    "learning_rate": [0.1, 0.3],
    "subsample": [0.6, 0.9],
    "seconds": 0.3,
}
FOLDS = 3
FITS = 8 * FOLDS


def write_data(path: Path, rows: int = 400, columns: int = 10, seed: int = 0) -> Path:
    """A table of two classes; one row's first value is `PLANTED`."""
    random = np.random.default_rng(seed)
    X = random.normal(size=(rows, columns)).round(4)
    y = (X[:, 1] + X[:, 2] * X[:, 3] + random.normal(scale=0.5, size=rows) > 0).astype(int)
    X[rows // 2, 0] = PLANTED
    header = ",".join([*(f"x{number}" for number in range(columns)), "label"])
    np.savetxt(path, np.column_stack([X, y]), delimiter=",", header=header, comments="", fmt="%g")
    return path


def BAD(*faults: str, **params: Any) -> dict[str, Any]:  # noqa: N802 - reads as a part of SPACE
    """The part of a search space whose candidates go wrong."""
    return {"max_depth": 2, "learning_rate": 0.1, "subsample": 0.6, "fault": list(faults), **params}


def sweep_file(data: Path, *, seconds: float = 0.3, bad: Sequence[Any] = (), **keys: Any) -> dict[str, Any]:
    """A sweep of `FITS` fits that take `seconds` each, and of the candidates that go wrong."""
    space: Any = {**SPACE, "seconds": seconds}
    if bad:
        space = [{**space, "fault": ""}, *bad]
    return {
        "name": "chaos",
        "data": {"path": str(data), "target": "label"},
        "estimator": "tests.chaos.estimators.Learner",
        "search_space": space,
        "objective": {"primary_metric": "neg_log_loss"},
        "cv": FOLDS,
        "engine": "serial",
        **keys,
    }


def local_spark(master: str = LOCAL, **settings: str) -> dict[str, Any]:
    """The keys of a sweep file for Spark on this machine."""
    named = {key.replace("_", "."): value for key, value in settings.items()}
    return {"engine": "spark", "spark": {"master": master, "spark.ui.enabled": "false", **named}}


@dataclass(frozen=True)
class Done:
    """What came of a process."""

    code: int
    output: str
    errors: str
    seconds: float
    out: Path

    @property
    def error(self) -> str:
        """The one line of the error."""
        lines = [line for line in self.errors.splitlines() if line.startswith("hptune: error: ")]
        assert len(lines) == 1, self.errors
        return lines[0]

    @property
    def table(self) -> Table:
        assert self.code in (0, 5, 9), f"exit code {self.code}: {self.errors[-3000:]}"
        return read_table(self.out)

    @property
    def journal(self) -> list[dict[str, Any]]:
        return journal_outcomes(self.out)


class Run:
    """A process that runs a sweep."""

    def __init__(
        self,
        process: subprocess.Popen[bytes] | Forked,
        processes: Processes,
        streams: tuple[Path, Path],
        out: Path,
    ) -> None:
        self.process = process
        self.processes = processes
        self.streams = streams
        self.out = out
        self.started = time.monotonic()

    @property
    def driver(self) -> psutil.Process:
        """The Python process itself, under spark-submit too."""
        mine = psutil.Process(self.process.pid)
        if "python" in mine.name():  # whose own children may look like drivers
            return mine
        return next((p for p in mine.children(recursive=True) if p in self.processes.drivers()), mine)

    @property
    def ended(self) -> bool:
        return self.process.poll() is not None

    def send(self, number: int) -> None:
        """A signal for it, unless it has ended."""
        with suppress(ProcessLookupError):
            os.kill(self.process.pid, number)

    def wait(self, seconds: float = 900) -> Done:
        """Its end; the test fails where that does not come."""
        try:
            code = wait_until(lambda: _ended(self.process), seconds, "the end of the sweep")[0]
        except AssertionError as error:
            raise AssertionError(f"{error}: {self.errors[-2000:]}") from None
        return Done(code, self.output, self.errors, time.monotonic() - self.started, self.out)

    def wait_for_outcomes(self, number: int) -> None:
        """Until so many fits are in the journal, or the process has ended."""
        wait_until(
            lambda: len(journal_outcomes(self.out)) >= number or self.ended,
            what=f"{number} fits",
        )

    @property
    def output(self) -> str:
        return _text(self.streams[0])

    @property
    def errors(self) -> str:
        return _text(self.streams[1])


def _text(path: Path) -> str:
    return path.read_text(errors="replace") if path.exists() else ""


def _ended(process: Any) -> tuple[int] | None:
    code = process.poll()
    return None if code is None else (code,)


class Home:
    """A directory in which a test's sweeps run, and the mark of their processes."""

    def __init__(self, directory: Path, data: Path, warm: Warm | None) -> None:
        self.directory = directory
        self.data = data
        self.processes = Processes(f"{directory}")
        self._warm = warm
        self._files = 0
        self._runs: list[Run] = []

    def start(
        self,
        config: Mapping[str, Any] | None,
        *arguments: str,
        out: str = "out",
        env: Mapping[str, str] | None = None,
        how: str = "python",
        verb: str = "sweep",
        module: str = "hptune.cli",
    ) -> Run:
        """Start ``hptune sweep`` on a sweep file.

        Parameters
        ----------
        how : {"python", "warm", "submit"}
            As a process of its own, forked from one that has everything loaded, or by spark-submit.
        verb : str
            Another command than ``sweep``.
        module : str
            What stands for the command line, where the driver itself is to go wrong.
        """
        words = [*arguments]
        if config is not None:
            words = ["--config", str(self.written(config)), "--out", str(self.directory / out), *arguments]
        if verb == "sweep":
            words += ["--cache", str(self.directory / "cache")]
        environment = environment_of(self.processes.mark, env or {})
        if how == "warm":
            return self._forked([verb, *words], environment, out)
        python = [sys.executable, "-m", module, verb]
        submit = [spark_program("spark-submit"), str(ROOT / "jobs" / "distributed_sweep.py")]
        return self._popen([*(submit if how == "submit" else python), *words], environment, out)

    def sweep(self, config: Mapping[str, Any], *arguments: str, seconds: float = 900, **options: Any) -> Done:
        """Run it to its end."""
        return self.start(config, *arguments, **options).wait(seconds)

    def quick(self, config: Mapping[str, Any], *arguments: str, **options: Any) -> Done:
        """Run it to its end, forked from the warm process."""
        return self.sweep(config, *arguments, how="warm", **options)

    def written(self, config: Mapping[str, Any]) -> Path:
        """The sweep file on disk."""
        self._files += 1
        path = self.directory / f"sweep{self._files}.yaml"
        path.write_text(yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True))
        return path

    def _streams(self) -> tuple[Path, Path]:
        self._files += 1
        return self.directory / f"{self._files}.out", self.directory / f"{self._files}.err"

    def _popen(self, command: list[str], environment: dict[str, str], out: str) -> Run:
        streams = self._streams()
        with streams[0].open("wb") as output, streams[1].open("wb") as errors:
            process = subprocess.Popen(
                command,
                cwd=self.directory,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                start_new_session=True,
            )
        return self._kept(Run(process, self.processes, streams, self.directory / out))

    def _forked(self, argv: list[str], environment: dict[str, str], out: str) -> Run:
        streams = self._streams()
        assert self._warm is not None
        process = self._warm.start(
            argv, cwd=self.directory, output=streams[0], errors=streams[1], env=environment
        )
        return self._kept(Run(process, self.processes, streams, self.directory / out))

    def _kept(self, run: Run) -> Run:
        self._runs.append(run)
        return run

    def close(self) -> None:
        """Nothing that was started may be left, not even by a driver that was killed."""
        for run in self._runs:
            if run.process.poll() is None:
                run.send(signal.SIGKILL)
                run.wait()
        self.processes.assert_gone()


def environment_of(mark: str, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of whatever a test starts."""
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith(("SPARK_", "PYTEST_"))},
        "PYTHONPATH": str(ROOT),
        "PYSPARK_PYTHON": sys.executable,
        "PYSPARK_DRIVER_PYTHON": sys.executable,
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_SUBMIT_OPTS": SHORT_LIVED_JVM,
        "OMP_WAIT_POLICY": "PASSIVE",
        MARK: mark,
        **(more or {}),
    }


def spark_program(name: str) -> str:
    import pyspark

    return str(Path(pyspark.__file__).parent / "bin" / name)


@contextmanager
def stopped(process: psutil.Process) -> Iterator[None]:
    """The process does nothing while this is open."""
    send(process, signal.SIGSTOP)
    try:
        yield
    finally:
        send(process, signal.SIGCONT)


def kill_workers_until_the_end(run: Run, processes: Processes, seed: int) -> int:
    """SIGKILL for a random worker every 3 s; the number of kills.

    Where starting a worker takes longer than that, on a busy machine, no fit would ever end: the next kill comes
    when at least one has ended since the last.
    """
    chosen, kills = random.Random(seed), 0
    while not run.ended:
        run.wait_for_outcomes(len(journal_outcomes(run.out)) + 1)
        workers = sorted(processes.workers(), key=lambda process: process.pid)
        if workers and not run.ended:
            send(chosen.choice(workers), signal.SIGKILL)
            kills += 1
        next_kill = time.monotonic() + 3
        wait_until(lambda end=next_kill: time.monotonic() > end or run.ended)
    return kills
