"""Processes for fits: forked from one that has the libraries, or, where there is but one at a time, started alone."""

from __future__ import annotations

import functools
import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from hptune.engine import ProcessesEngine
from hptune.engine._children import Pool, fits_in
from hptune.engine._payload import lay_down
from hptune.records import FitTask, Outcome
from tests.builders import flat, tasks
from tests.conftest import ROOT
from tests.engine.test_contract import scored


@pytest.fixture(params=[pytest.param(2, id="forked"), pytest.param(1, id="alone", marks=pytest.mark.slow)])
def slots(request: pytest.FixtureRequest) -> int:
    return int(request.param)


def run(work: Callable[[FitTask], list[Outcome]], count: int, slots: int = 2) -> list[Outcome]:
    pool = Pool(slots, environment={"HPTUNE_TEST_SLOTS": f"{slots}"})  # none is taken for the other's
    directory = Path(os.environ["PYTEST_DIRECTORY"])
    with closing(pool):
        return flat(fits_in(pool, lay_down(work, directory), tasks(count)))


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What a test's processes are started in: none that an earlier test has left is of use there."""
    monkeypatch.setenv("PYTEST_DIRECTORY", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def telling(task: FitTask, *, what: Callable[[], Any]) -> list[Outcome]:
    (outcome,) = scored(task)
    return [Outcome(outcome.candidate, task.fold, "failed", {}, fit_id=task.id, error=json.dumps(what()))]


def told(what: Callable[[], Any], slots: int) -> Any:
    (outcome,) = run(functools.partial(telling, what=what), 1, slots)
    return json.loads(str(outcome.error))


def surroundings() -> Any:
    return os.getcwd(), sys.path[-1], os.environ.get("LATE"), os.environ.get("HPTUNE_TEST_SLOTS")


def test_it_is_like_its_parent_just_now(slots: int, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert told(surroundings, slots)[2:] == [None, f"{slots}"]
    elsewhere = directory / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    monkeypatch.syspath_prepend(str(directory))
    monkeypatch.setattr(sys, "path", [*sys.path, str(elsewhere)])
    monkeypatch.setenv("LATE", "yes")
    assert told(surroundings, slots) == [str(elsewhere), str(elsewhere), "yes", f"{slots}"]


def ending(task: FitTask, *, how: list[Callable[[], Any]]) -> list[Outcome]:
    if task.id < len(how):
        how[task.id]()
    return scored(task)


def segfault() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def test_how_it_ended_is_told_and_no_handle_is_left(slots: int) -> None:
    work = functools.partial(ending, how=[functools.partial(os._exit, 3), segfault])
    run(scored, 4, slots)
    before = len(os.listdir("/proc/self/fd"))
    outcomes = {outcome.candidate: outcome for outcome in run(work, 5, slots)}
    run(scored, 4, slots)
    assert len(os.listdir("/proc/self/fd")) == before
    assert [outcomes[number].status for number in range(5)] == ["crashed"] * 2 + ["ok"] * 3
    assert str(outcomes[0].error).endswith("exit code 3")
    assert str(outcomes[1].error).endswith("Segmentation fault (SIGSEGV)")


def draws() -> Any:
    return random.random(), np.random.random()


def test_each_has_random_numbers_of_its_own(
    slots: int, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = told(draws, slots)
    (directory / "other").mkdir()
    monkeypatch.chdir(directory / "other")  # which takes another process
    assert set(first).isdisjoint(told(draws, slots))


def server() -> Any:
    parent = psutil.Process(os.getppid())
    mapped = {Path(each.path).name for each in parent.memory_maps()}
    return parent.num_threads(), "libxgboost.so" in mapped, any("sklearn" in path for path in sys.modules)


def test_what_forks_has_the_libraries_and_one_thread(directory: Path) -> None:
    work = functools.partial(telling, what=server)
    (outcome,) = flat(ProcessesEngine(2).run(tasks(1), work, "test"))
    assert json.loads(str(outcome.error)) == [1, True, True]


def killing_the_server(task: FitTask, *, driver: int, mark: str) -> list[Outcome]:
    if task.id == 2 and os.getppid() != driver and not Path(mark).exists():
        Path(mark).touch()
        os.kill(os.getppid(), signal.SIGKILL)
        signal.pause()
    return scored(task)


def test_a_server_that_is_killed_costs_an_attempt(directory: Path) -> None:
    mark = directory / "killed"
    work = functools.partial(killing_the_server, driver=os.getpid(), mark=str(mark))
    outcomes = {outcome.candidate: outcome for outcome in run(work, 6)}
    assert mark.exists()
    assert [outcomes[number].status for number in range(6)] == ["ok"] * 6
    assert outcomes[2].attempts == 2
    assert {outcome.attempts for outcome in outcomes.values()} <= {1, 2}


HANGING = """
import ctypes, os, threading
from hptune.engine import ProcessesEngine
from tests.builders import tasks

def hanging(task):
    os.write(1, b"here\\n")
    ctypes.PyDLL(None).sleep(600)  # native code that holds the interpreter

run = lambda: list(ProcessesEngine(2).run(tasks(2), hanging, "test"))
{started}
"""


@pytest.mark.parametrize(
    "started", [pytest.param("run()", marks=pytest.mark.slow), "threading.Thread(target=run).start()"]
)
def test_native_code_does_not_outlive_a_parent_that_is_killed(started: str) -> None:
    driver = subprocess.Popen(
        [sys.executable, "-c", HANGING.format(started=started)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert driver.stdout is not None
    with driver.stdout:
        assert [driver.stdout.readline() for _ in range(2)] == [b"here\n"] * 2
        processes = psutil.Process(driver.pid).children(recursive=True)
        assert len(processes) == 3  # the server and what it has forked
        driver.kill()
        driver.wait()
        _, left = psutil.wait_procs(processes, timeout=60)
    assert not left
