"""SIGINT and SIGTERM on every engine: the command ends with their exit code, and nothing that it started lives on."""

from __future__ import annotations

import os
import signal
import time

import pytest

from tests.chaos.processes import wait_until
from tests.chaos.rows import Figures, row
from tests.chaos.sweeps import BAD, Home, Run, local_spark, sweep_file

PROCESSES = pytest.param(
    "processes", marks=pytest.mark.slow
)  # in the default suite one signal is enough for it
SPARK = pytest.param("spark", marks=[pytest.mark.spark, pytest.mark.slow])


def hanging(home: Home, engine: str, **options: str) -> Run:
    """A sweep whose fits do nothing but hang in native code, once one of them has begun."""
    begun = home.directory / "begun"
    keys = local_spark() if engine == "spark" else {"engine": engine}
    config = sweep_file(home.data, **keys) | {"search_space": BAD("hang", seconds=0.0, begun=str(begun))}
    run = home.start(config, **options)
    wait_until(lambda: begun.exists() or run.ended, what="the first fit")
    return run


def assert_ended(home: Home, run: Run, exit_code: int, figures: Figures) -> None:
    """Just after a signal."""
    asked = time.monotonic()
    done = run.wait()
    seconds = time.monotonic() - asked
    assert done.code == exit_code, done.errors
    assert "Traceback" not in done.errors
    figures["then all processes gone after s"] = home.processes.assert_gone(30)
    figures.bounded("out after s", seconds, 10)


@row(9, "SIGTERM while fits hang in native code", short=1)
@pytest.mark.parametrize("engine", ["serial", "processes", SPARK])
def test_sigterm_ends_fits_that_do_not_hear_it(home: Home, engine: str, figures: Figures) -> None:
    run = hanging(home, engine)
    run.send(signal.SIGTERM)
    assert_ended(home, run, 143, figures)


@row(9, "Ctrl-C while fits hang in native code", short=1)
@pytest.mark.parametrize("engine", ["serial", PROCESSES, SPARK])
def test_ctrl_c_ends_the_command_and_its_group(home: Home, engine: str, figures: Figures) -> None:
    run = hanging(home, engine)
    os.killpg(run.process.pid, signal.SIGINT)  # as a terminal sends it
    assert_ended(home, run, 130, figures)


@row(9, "SIGTERM to spark-submit, Ctrl-C to its group")
@pytest.mark.spark
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_spark_submit_ends_the_driver_too(
    home: Home, number: signal.Signals, figures: Figures
) -> None:
    run = hanging(home, "spark", how="submit")
    if number == signal.SIGINT:
        os.killpg(run.process.pid, number)
    else:
        run.send(number)
    assert_ended(home, run, 128 + number, figures)
