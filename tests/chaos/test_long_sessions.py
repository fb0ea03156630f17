"""Many sweeps in one Spark session, undisturbed and disturbed: equal tables, flat memory, handles and files."""

from __future__ import annotations

import json
import random
import signal
import statistics
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import psutil
import pytest

from tests.chaos.processes import send, wait_until
from tests.chaos.rows import TRIES, Figures, row
from tests.chaos.sweeps import BAD, FITS, Home, Run, local_spark, sweep_file
from tests.chaos.tables import Table

pytestmark = pytest.mark.spark
FIRST = 5  # until then a session warms up


def many(home: Home, number: int, *bad: Sequence[Any]) -> Run:
    """`number` sweeps in one process, those of each of `bad` in turn, its temporary files apart."""
    temporary = home.directory / "temporary"
    temporary.mkdir()
    configs = [sweep_file(home.data, seconds=0.0, bad=each, **local_spark()) for each in bad or [()]]
    words = [str(home.directory / "many"), str(number), *(str(home.written(config)) for config in configs)]
    settings = {"TMPDIR": str(temporary), "SPARK_LOCAL_DIRS": str(temporary)}
    return home.start(None, *words, verb="many", module="tests.chaos.many", env=settings)


def lines(run: Run) -> list[dict[str, Any]]:
    return [json.loads(line) for line in run.output.splitlines() if line.startswith("{")]


def growth(values: list[float]) -> float:
    """The last values' median over the median of those from the fifth sweep on, in per cent."""
    early, late = values[FIRST - 1 : FIRST + 2], values[-3:]
    return 100 * (statistics.median(late) / max(statistics.median(early), 1) - 1)


@row(32, "many sweeps in one Spark session", tries=2)
def test_a_session_stays_flat(home: Home, ref: Table, seed: int, figures: Figures) -> None:
    number = (10, 50)[seed]
    run = many(home, number)
    done = run.wait(3600)
    assert done.code == 0, done.errors[-3000:]
    seen = lines(run)
    figures["sweeps"] = len(seen)
    assert [line["sha256"] for line in seen] == [ref.sha256] * number
    assert_flat(seen, figures)
    ends = set.intersection(*(set(line["workers"]) for line in seen[FIRST - 1 :]))
    for worker in ends:
        grown = growth([line["workers"].get(worker, 0) for line in seen])
        figures["workers' memory, % grown"] = grown
        assert grown < 5
    assert ends


def assert_flat(seen: list[dict[str, Any]], figures: Figures) -> None:
    for name, most in (("driver", 5), ("handles", 10), ("temporary files", 10)):
        grown = growth([line[name] for line in seen])
        figures[f"{name}, % grown"] = grown
        assert grown < most, name


@row(46, "short sweeps in one session, at a random point of each a worker or their daemon is killed", tries=2)
def test_random_faults_change_no_table(home: Home, ref: Table, seed: int, figures: Figures) -> None:
    """Some have parameter sets that raise or end their process, too."""
    number = (6, 50)[seed]
    chosen = random.Random(seed)
    raising, ending = [BAD("raise", "sys.exit", "raise emoji")], [BAD("exit")]
    run = many(home, number, [], raising, [], raising, [], ending)
    kills = 0
    for sweep in range(number):
        run.out = home.directory / "many" / str(sweep)
        point = chosen.randrange(FITS)
        wait_until(lambda n=sweep: run.out.exists() or len(lines(run)) > n or run.ended, 900)
        run.wait_for_outcomes(point)
        victims = chosen.choice([home.processes.workers, home.processes.workers, home.processes.daemons])()
        if victims:
            send(chosen.choice(victims), signal.SIGKILL)
            kills += 1
    done = run.wait(3600)
    assert done.code == 0, done.errors[-3000:]
    seen = lines(run)
    figures[TRIES] = number
    figures["kills"] = kills
    assert [line["sha256"] for line in seen] == [ref.sha256] * number
    if number > 2 * FIRST:
        assert_flat(seen, figures)


def mapped_bytes(worker: psutil.Process) -> int:
    """What a worker maps of the sweep's data and has in memory; pages that several have are divided among them."""
    with suppress(psutil.Error):
        return sum(each.pss for each in worker.memory_maps() if each.path.endswith(".buffers"))
    return 0


@row(31, "a matrix of 2.2 GiB")
def test_a_large_matrix_is_resident_once(home: Home, figures: Figures) -> None:
    rows, columns = 1_180_000, 250
    X = np.lib.format.open_memmap(
        home.directory / "X.npy", mode="w+", dtype=np.float64, shape=(rows, columns)
    )
    for start in range(0, rows, 20_000):
        stop = min(rows, start + 20_000)
        X[start:stop] = np.random.default_rng(start).random((stop - start, columns))
    np.savez(home.directory / "large.npz", X=X, y=(X[:, 0] > 0.5).astype(int))
    config = sweep_file(home.directory / "large.npz", cv={"type": "KFold", "n_splits": 2})
    config |= {
        "data": {"path": str(home.directory / "large.npz"), "target": "y"},
        "estimator": "sklearn.dummy.DummyClassifier",
        "search_space": {"strategy": ["prior", "most_frequent"]},
        "refit": False,
    }
    run = home.start(config | local_spark())
    most = 0
    while not run.ended:
        most = max(most, sum(map(mapped_bytes, home.processes.workers())))
        time.sleep(0.2)
    done = run.wait(3600)
    assert done.code == 0, done.errors
    figures["resident in all workers together, GiB"] = most / (1 << 30)
    assert 0.95 * X.nbytes < most < 1.05 * X.nbytes
    undisturbed = home.sweep(config, out="serial", seconds=3600)
    assert done.table.sha256 == undisturbed.table.sha256
