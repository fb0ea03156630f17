"""What the journal costs while a sweep runs, and how long one of a million records takes to open.

python -m benchmarks.journal [--records 1000000]
"""

from __future__ import annotations

import argparse
import hashlib
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.metrics import check_scoring

from hptune.engine import SerialEngine
from hptune.journal import FORMAT, KEY_DIGITS, Journal, encode_outcome, key_of, read_journal
from hptune.matrix import FeatureMatrix
from hptune.records import Outcome
from hptune.sweep import Sweep, run

HEADER = {"record": "header", "format": FORMAT, "grid": [], "identity": {}}
FOLDS = 5


class Waiting(RegressorMixin, BaseEstimator):
    """A fit of one second that leaves the processor alone."""

    def __init__(self, number: int = 0) -> None:
        self.number = number

    def fit(self, X: Any, y: Any) -> Waiting:
        time.sleep(1)
        return self

    def predict(self, X: Any) -> Any:
        return np.zeros(len(X))


def record(number: int) -> tuple[str, Outcome]:
    """A cell's key and an outcome whose record has about 300 bytes."""
    key = hashlib.sha256(str(number).encode()).hexdigest()[:KEY_DIGITS]
    score = -np.pi / (number + 1)
    outcome = Outcome(
        number // FOLDS,
        number % FOLDS,
        "ok",
        {"score": score},
        n_test_samples=14930,
        fit_time=score + 7,
        score_time=-score / 9,
        work_time=score + 7 - score / 9,
        rounds_trained=400,
        fit_id=number // 2,
        host="worker-12",
        pid=31415,
    )
    return key, outcome


@contextmanager
def timed(owner: Any, name: str) -> Iterator[list[float]]:
    """The seconds that each call of a function takes while this is open."""
    seconds: list[float] = []
    function: Callable[..., Any] = getattr(owner, name)

    def call(*arguments: Any) -> Any:
        start = time.perf_counter()
        try:
            return function(*arguments)
        finally:
            seconds.append(time.perf_counter() - start)

    with mock.patch.object(owner, name, call):
        yield seconds


def appending(directory: Path, batch: int, count: int = 2_000) -> None:
    records = [record(number) for number in range(count)]
    size = sum(len(encode_outcome(outcome, key)) for key, outcome in records) / count
    with Journal(directory / f"batch{batch}", HEADER) as journal, timed(os, "fsync") as synced:
        start = time.perf_counter()
        for first in range(0, count, batch):
            journal.append(records[first : first + batch])
        seconds = time.perf_counter() - start
    own = 1e3 * (seconds - sum(synced)) / count
    disk = 1e3 * sum(synced) / count
    print(f"records of {size:.0f} bytes, {batch} at a time: {own:.3f} ms each, beside {disk:.3f} ms of fsync")


def share_of_a_sweep(directory: Path, fits: int = 20) -> None:
    X = np.zeros((20, 1))
    rows = np.arange(20)
    folds = [(rows[:10], rows[10:]), (rows[10:], rows[:10])]
    candidates = [{"number": number} for number in range(fits // 2)]
    sweep = Sweep("waiting", FeatureMatrix(X, ("x",), y=X[:, 0]), Waiting(), candidates, folds,
                  check_scoring(Waiting()), refit=False)  # fmt: skip
    with timed(Journal, "append") as appended:
        start = time.perf_counter()
        run(sweep, SerialEngine(), out=directory)
        seconds = time.perf_counter() - start
    share = 100 * sum(appended) / seconds
    print(f"{fits} fits of one second in one slot: {share:.2f} % of {seconds:.1f} s went into the journal")


def opening(path: Path, count: int) -> None:
    with Journal(path, HEADER) as journal:
        for first in range(0, count, 10_000):
            journal.append(map(record, range(first, min(first + 10_000, count))))
    command = [sys.executable, "-m", "benchmarks.journal", "--open", str(path)]
    subprocess.run(command, check=True, cwd=Path(__file__).resolve().parents[1])  # noqa: S603


def opened(path: Path) -> None:
    """In a process of its own, whose memory is measured."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start, worked = time.perf_counter(), time.process_time()
    kept = read_journal(path)
    lines = {key_of(line): line for session in kept.sessions for line in session.outcomes}
    seconds, worked = time.perf_counter() - start, time.process_time() - worked
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    size = path.stat().st_size
    print(
        f"{len(lines):,} records, {size / 1e6:.0f} MB: verified and open in {seconds:.1f} s"
        f" ({worked:.1f} s of processor time), {peak / 1e6:.2f} GB at most ({before / 1e6:.2f} before)"
    )


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--open", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    if arguments.open:
        opened(arguments.open)
        return
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".journal-") as name:
        directory = Path(name)
        appending(directory, 1)
        appending(directory, 50)
        (directory / "sweep").mkdir()
        share_of_a_sweep(directory / "sweep")
        opening(directory / "large", arguments.records)


if __name__ == "__main__":
    main()
