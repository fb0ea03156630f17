"""Many sweeps in one Spark session, undisturbed and disturbed: equal tables, flat memory, handles and files."""

from __future__ import annotations

import json
import os
import random
import signal
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from tests.chaos.processes import send, wait_until
from tests.chaos.rows import TRIES, Figures, row
from tests.chaos.sweeps import BAD, FITS, Home, Run, local_spark, stopped, sweep_file
from tests.chaos.tables import Table, journal_outcomes, read_table

pytestmark = pytest.mark.spark
Kind = Callable[[], Sequence[psutil.Process]]
FAULTS = (
    "after 10 sweeps (32), in three of the same session, where a task has one attempt (4): a Python worker killed in a"
    " fit of each, parameter sets that are refused memory (22), or raise what cannot be pickled, 50 MiB or emoji (24)"
)
RAISING = ("raise unpicklable", "raise 50 MiB", "raise emoji")
FIRST = 5  # until then a session warms up
UNDISTURBED = 10


def many(home: Home, number: int, *bad: Sequence[Any], **settings: str) -> Run:
    """`number` sweeps in one session, those of each of `bad` in turn, its temporary files apart."""
    temporary = home.directory / "temporary"
    temporary.mkdir()
    spark = local_spark(**settings)
    configs = [sweep_file(home.data, seconds=0.0, bad=each, **spark) for each in bad or [()]]
    words = [str(home.directory / "many"), str(number), *(str(home.written(config)) for config in configs)]
    places = {"TMPDIR": str(temporary), "SPARK_LOCAL_DIRS": str(temporary)}
    return home.start(None, *words, verb="many", module="tests.chaos.many", env=places)


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
    assert_workers_flat(seen, figures)


def assert_workers_flat(seen: list[dict[str, Any]], figures: Figures) -> None:
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


def each_sweep_loses_one(home: Home, run: Run, sweeps: range, chosen: random.Random, *kinds: Kind) -> int:
    """At a random point of each sweep a process of a random kind is killed, where there is one; how many were."""
    kills = 0
    for sweep in sweeps:
        run.out = home.directory / "many" / str(sweep)
        point = chosen.randrange(FITS)
        wait_until(lambda n=sweep: run.out.exists() or len(lines(run)) > n or run.ended, 900)
        run.wait_for_outcomes(point)
        victims = chosen.choice(kinds)()
        if victims:
            send(chosen.choice(victims), signal.SIGKILL)
            kills += 1
    return kills


@row(46, "50 short sweeps in one session, at a random point of each a worker or their daemon is killed")
def test_random_faults_change_no_table(home: Home, ref: Table, figures: Figures) -> None:
    """Some have parameter sets that raise or end their process, too."""
    number = 50
    raising, ending = [BAD("raise", "sys.exit", "raise emoji")], [BAD("exit")]
    run = many(home, number, [], raising, [], raising, [], ending)
    kinds = home.processes.workers, home.processes.workers, home.processes.daemons
    kills = each_sweep_loses_one(home, run, range(number), random.Random(1), *kinds)
    done = run.wait(3600)
    assert done.code == 0, done.errors[-3000:]
    seen = lines(run)
    figures[TRIES] = number
    figures["kills"] = kills
    assert kills > number // 2
    calm = [sweep for sweep in range(number) if sweep % 6 != 5]  # in which no fit ends its process by itself
    struck = [sweep for sweep in calm if tried_again(home.directory / "many" / f"{sweep}")]
    figures["of them in a fit, at least"] = len(struck)
    assert struck
    assert [line["sha256"] for line in seen] == [ref.sha256] * number
    assert_flat(seen, figures)


@row(46, FAULTS, short=1)
def test_a_few_sweeps_outlive_one_fault_after_the_other(home: Home, ref: Table, figures: Figures) -> None:
    places = [home.directory / f"struck{each}" for each in range(3)]
    for place in places:
        place.mkdir()
    hanging = [BAD("hang once, then raise", place=str(place)) for place in places]
    bad = [[hanging[0]], [hanging[1], BAD(*RAISING)], [hanging[2], BAD("memory")]]
    number = UNDISTURBED + len(bad)
    run = many(home, number, *[[]] * UNDISTURBED, *bad, master="local[2]")
    wait_until(home.processes.daemons, what="Python's daemon")
    # Workers are looked for once the daemon has its limit, which later ones inherit: none may escape.
    for kind in (home.processes.daemons, home.processes.workers):
        for process in kind():
            process.rlimit(psutil.RLIMIT_AS, (3 << 29, 3 << 29))
    for place in places:
        kill_what_hangs(run, place)
    done = run.wait()
    assert done.code == 0, done.errors[-3000:]
    seen = lines(run)
    assert [line["sha256"] for line in seen] == [ref.sha256] * number
    assert_flat(seen[:UNDISTURBED], figures)
    assert_workers_flat(seen[:UNDISTURBED], figures)
    outs = [home.directory / "many" / f"{each}" for each in range(UNDISTURBED, number)]
    figures["fits begun again in each, at least"] = min(map(tried_again, outs))
    assert all(map(tried_again, outs))
    raised, refused = map(read_table, outs[1:])
    assert {raised.of_fault(fault)["status"] for fault in RAISING} == {"failed"}
    error = refused.of_fault("memory")["error"].splitlines()[-1]
    assert error.startswith("MemoryError") or "Unable to allocate" in error


def kill_what_hangs(run: Run, place: Path) -> None:
    """SIGKILL for the Python worker whose fit hangs, which has left a note in `place`."""
    note = place / "hangs"
    wait_until(lambda: run.ended or (note.exists() and note.read_text()), what="a fit that hangs")
    assert not run.ended, run.errors[-3000:]
    os.kill(int(note.read_text()), signal.SIGKILL)


def tried_again(out: Path) -> int:
    """The fits of a sweep that were begun more than once: a worker was lost while it fitted."""
    return sum(outcome.get("attempts", 1) > 1 for outcome in journal_outcomes(out))


def mapped_at_once(workers: Sequence[psutil.Process]) -> int:
    """What all map together. They stand still meanwhile: a page that one reads first is shared only from then on."""
    with ExitStack() as still:
        for worker in workers:
            still.enter_context(stopped(worker))
        return sum(map(mapped_bytes, workers))


def mapped_bytes(worker: psutil.Process) -> int:
    """What a worker maps of the sweep's data and has in memory; pages that several have are divided among them."""
    with suppress(psutil.Error):
        return sum(each.pss for each in worker.memory_maps() if each.path.endswith(".buffers"))
    return 0


@row(31, "a matrix of 0.2 GiB", short=1)
def test_a_matrix_is_resident_once(home: Home, figures: Figures) -> None:
    resident_once(home, 118_000, figures)


@row(31, "a matrix of 2.2 GiB")
def test_a_large_matrix_is_resident_once(home: Home, figures: Figures) -> None:
    resident_once(home, 1_180_000, figures)


def resident_once(home: Home, rows: int, figures: Figures) -> None:
    columns = 250
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
    run = home.start(config | local_spark(), how="warm")
    most = 0
    while not run.ended:
        most = max(most, mapped_at_once(home.processes.workers()))
        time.sleep(0.1)
    done = run.wait(3600)
    assert done.code == 0, done.errors
    figures["resident in all workers together, GiB"] = most / (1 << 30)
    assert 0.95 * X.nbytes < most < 1.05 * X.nbytes
    undisturbed = home.quick(config, out="serial", seconds=3600)
    assert done.table.sha256 == undisturbed.table.sha256
