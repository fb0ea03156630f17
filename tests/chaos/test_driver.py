"""The driver is killed, its JVM is killed, it is asked to stop: what was finished is kept and not fitted again."""

from __future__ import annotations

import random
import signal
import time
from typing import Any

import pytest

from hptune.results import UNFINISHED
from tests.chaos.processes import send, wait_until
from tests.chaos.rows import Figures, row
from tests.chaos.sweeps import FITS, Done, Home, Run, local_spark, sweep_file
from tests.chaos.tables import Table, journal_outcomes, read_table

SECONDS = 0.4
BETWEEN_SECONDS = 0.2  # two signals that nearly coincide are taken for one


def sweep_on(home: Home, engine: str) -> dict[str, Any]:
    keys = local_spark() if engine == "spark" else {"engine": engine}
    return sweep_file(home.data, seconds=SECONDS, **keys)


def resumed(home: Home, engine: str = "spark", **options: str) -> Done:
    return home.sweep(sweep_on(home, engine), "--resume", **options)


def cells(run: Run) -> list[tuple[int, int]]:
    return [(record["candidate"], record["fold"]) for record in journal_outcomes(run.out)]


def assert_nothing_twice(run: Run, before: list[tuple[int, int]], done: Done, ref: Table) -> None:
    """The table of the undisturbed sweep; what was in the journal is there once."""
    assert done.code == 0, done.errors[-3000:]
    assert done.table.sha256 == ref.sha256
    after = cells(run)
    assert after[: len(before)] == before
    assert len(after) == len(set(after)) == FITS


@pytest.mark.spark
@row(7, "SIGKILL the driver at random points, resume each; Spark", tries=20)
def test_a_killed_driver_loses_nothing(home: Home, ref: Table, seed: int, figures: Figures) -> None:
    """Every second one is resumed without Spark, while what is left of the killed one's may still live."""
    killed_and_resumed(home, ref, seed, ("spark", ("spark", "processes")[seed % 2]), figures)


@row(7, "SIGKILL the driver at random points, resume each; serial", tries=20, short=1)
def test_a_killed_serial_driver_loses_nothing(home: Home, ref: Table, seed: int, figures: Figures) -> None:
    killed_and_resumed(home, ref, seed, ("serial", "serial"), figures)


def killed_and_resumed(home: Home, ref: Table, seed: int, engines: tuple[str, str], figures: Figures) -> None:
    point = random.Random(seed)
    run = home.start(sweep_on(home, engines[0]), how="warm")
    run.wait_for_outcomes(point.randrange(FITS))
    time.sleep(point.random() * SECONDS)
    run.send(signal.SIGKILL)
    run.wait()
    before = cells(run)
    done = resumed(home, engines[1], how="warm")
    figures["finished before"] = len(before)
    figures["fitted again"] = len(cells(run)) - FITS
    assert_nothing_twice(run, before, done, ref)


@row(7, "SIGKILL the driver five times, resume it each time; serial")
def test_a_driver_killed_again_and_again_loses_nothing(home: Home, ref: Table) -> None:
    times = 5
    config = sweep_file(home.data, seconds=0.1)
    run = home.start(config, how="warm")
    for number in range(1, times + 1):
        run.wait_for_outcomes(number * FITS // (times + 1))
        run.send(signal.SIGKILL)
        run.wait()
        before = cells(run)
        run = home.start(config, "--resume", how="warm")
    assert_nothing_twice(run, before, run.wait(), ref)


@pytest.mark.spark
@row(8, "SIGKILL the JVM, resume at once", tries=4)
def test_a_dead_jvm_leaves_one_writer_at_most(home: Home, ref: Table, seed: int, figures: Figures) -> None:
    how = ("submit", "python")[seed % 2]
    run = home.start(sweep_file(home.data, seconds=SECONDS, **local_spark()), how=how)
    run.wait_for_outcomes(FITS // 3)
    killed = time.monotonic()
    for jvm in home.processes.jvms():
        send(jvm, signal.SIGKILL)
    done = resumed(home)
    if done.code == 6:
        assert "process" in done.error or "pid" in done.error
        first = wait_until(lambda: run.ended and not home.processes.drivers(), what="the orphan's end")
        assert first
        figures["orphan gone after s"] = time.monotonic() - killed
        done = resumed(home)
    before = cells(run)
    assert_nothing_twice(run, before, done, ref)
    run.wait()


@pytest.mark.spark
@row(8, "SIGKILL the JVM, resume at once")
def test_the_driver_of_a_dead_jvm_says_so(home: Home, figures: Figures) -> None:
    run = home.start(sweep_file(home.data, seconds=SECONDS, **local_spark()))
    run.wait_for_outcomes(FITS // 3)
    killed = time.monotonic()
    for jvm in home.processes.jvms():
        send(jvm, signal.SIGKILL)
    done = run.wait()
    figures["driver out after s"] = time.monotonic() - killed
    assert done.code == 8
    assert done.error  # one line of ours, whatever Spark's own threads say on their way out


@pytest.mark.spark
@row(9, "SIGTERM, SIGINT, each in mid-sweep", short=1)
@pytest.mark.parametrize(
    ("number", "then"),
    [pytest.param(signal.SIGTERM, "spark", marks=pytest.mark.slow), (signal.SIGINT, "processes")],
)
def test_a_signal_ends_a_sweep_with_partial_results(
    home: Home, ref: Table, number: signal.Signals, then: str, figures: Figures
) -> None:
    run = home.start(sweep_on(home, "spark"), how="warm")
    run.wait_for_outcomes(FITS // 3)
    asked = time.monotonic()
    run.send(number)
    stopped = run.wait()
    seconds = time.monotonic() - asked
    assert stopped.code == 128 + number, stopped.errors
    assert "Traceback" not in stopped.errors
    assert "partial" in stopped.errors.lower() or "partial" in stopped.output.lower()
    before = cells(run)
    assert 0 < len(before) < FITS
    assert not read_table(run.out).statuses.keys().isdisjoint(UNFINISHED)
    assert_nothing_twice(run, before, resumed(home, then, how="warm"), ref)
    figures.bounded(f"out after s, {number.name}", seconds, 10)


@pytest.mark.spark
@row(9, "SIGINT twice")
def test_a_second_interrupt_ends_a_sweep_at_once(home: Home, ref: Table, figures: Figures) -> None:
    run = home.start(sweep_on(home, "spark"))
    run.wait_for_outcomes(FITS // 3)
    run.send(signal.SIGINT)
    time.sleep(BETWEEN_SECONDS)
    asked = time.monotonic()
    run.send(signal.SIGINT)
    assert run.wait().code in (130, -signal.SIGINT)
    seconds = time.monotonic() - asked
    assert_nothing_twice(run, cells(run), resumed(home), ref)
    figures.bounded("out after s, twice", seconds, 2)
