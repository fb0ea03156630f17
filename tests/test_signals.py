"""SIGINT and SIGTERM: the command ends with their exit code, and nothing that it started lives on."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.commands import Running, command, stubborn_sweep

ENGINES = ["serial", "processes", pytest.param("spark", marks=pytest.mark.spark)]


def wait_for_a_fit(running: Running, directory: Path) -> None:
    running.wait_for((directory / "fitting").exists)


def assert_ended(running: Running, exit_code: int) -> None:
    assert running.exit_code() == exit_code, running.text()
    assert "Traceback" not in running.text()
    running.wait_until_all_are_gone()


@pytest.mark.parametrize("engine", ENGINES)
def test_sigterm_ends_the_command_while_fits_are_in_native_code(engine: str, tmp_path: Path) -> None:
    arguments = stubborn_sweep(tmp_path, "native", constants=3)
    with command(tmp_path, "sweep", *arguments, "--engine", engine) as running:
        wait_for_a_fit(running, tmp_path)
        running.process.send_signal(signal.SIGTERM)
        assert_ended(running, 143)


@pytest.mark.parametrize("engine", ENGINES)
def test_ctrl_c_ends_the_command(engine: str, tmp_path: Path) -> None:
    arguments = stubborn_sweep(tmp_path, "sleeping", constants=3)
    with command(tmp_path, "sweep", *arguments, "--engine", engine) as running:
        wait_for_a_fit(running, tmp_path)
        running.interrupt()
        assert_ended(running, 130)
        assert running.text().splitlines()[-1] == "hptune: stopped early: SIGINT was received"


@pytest.mark.spark
@pytest.mark.slow
@pytest.mark.parametrize(("name", "exit_code"), [("TERM", 143), ("INT", 130)])
def test_a_signal_to_spark_submit_ends_the_driver_too(name: str, exit_code: int, tmp_path: Path) -> None:
    with command(tmp_path, *stubborn_sweep(tmp_path, "native", constants=3), submit=True) as running:
        wait_for_a_fit(running, tmp_path)
        if name == "INT":
            running.interrupt()
        else:
            running.process.send_signal(signal.SIGTERM)
        assert running.exit_code() == exit_code, running.text()
        running.wait_until_all_are_gone()
