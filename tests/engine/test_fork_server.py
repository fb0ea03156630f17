"""Processes for fits: forked from one that has the libraries, or, where there is but one at a time, started alone."""

from __future__ import annotations

import functools
import json
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from hptune.engine import ProcessesEngine, _fork_server, _forks
from hptune.engine._children import Child, Pool, _living, fits_in
from hptune.engine._payload import lay_down
from hptune.records import FitTask, Outcome
from tests.builders import flat, scored, tasks
from tests.chaos.processes import wait_until
from tests.conftest import ROOT
from tests.meeting import meet


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


def handles_of_parent() -> Any:
    parent = psutil.Process(os.getppid())
    return parent.num_fds(), len(parent.children())


def test_how_it_ended_is_told_and_nothing_is_left(slots: int) -> None:
    work = functools.partial(ending, how=[functools.partial(os._exit, 3), segfault])
    run(scored, 4, slots)
    before = psutil.Process().num_fds(), told(handles_of_parent, slots)
    outcomes = {outcome.candidate: outcome for outcome in run(work, 5, slots)}
    run(scored, 4, slots)
    assert (psutil.Process().num_fds(), told(handles_of_parent, slots)) == before
    assert [outcomes[number].status for number in range(5)] == ["crashed"] * 2 + ["ok"] * 3
    assert str(outcomes[0].error).endswith("exit code 3")
    assert str(outcomes[1].error).endswith("Segmentation fault (SIGSEGV)")


def ending_its_process(task: FitTask) -> list[Outcome]:
    os._exit(3)


@pytest.mark.parametrize("fork", [pytest.param(False, marks=pytest.mark.slow), True])
def test_a_fit_that_has_ended_its_process_when_it_is_given_up_is_a_row(directory: Path, fork: bool) -> None:
    child, (task,) = Child({}, fork=fork), tasks(1)
    child.begin(lay_down(ending_its_process, directory), task)
    assert child.ending(task) is None  # it has begun
    wait_until(lambda: has_ended(child._process.pid), what="the end of the fit's process")
    ending = child.give_up(task, 1.0)
    assert ending.status == "timeout" and len(ending.outcomes) == 1


def has_ended(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def meeting(task: FitTask, *, directory: Path, count: int) -> list[Outcome]:
    meet(directory, count)
    return scored(task)


def test_threads_that_begin_at_once_do_not_disturb_each_other(directory: Path) -> None:
    """All of their fits run at the same time: none ends before the last has begun."""
    payload = lay_down(functools.partial(meeting, directory=directory, count=6), directory)
    together = threading.Barrier(3)

    def endings(number: int) -> set[tuple[str, int]]:
        with closing(Pool(2, environment={"HPTUNE_TEST_THREADS": "at once"})) as pool:
            together.wait()
            return {(each.status, each.attempts) for each in flat(fits_in(pool, payload, tasks(2)))}

    with ThreadPoolExecutor(3) as threads:
        assert [*threads.map(endings, range(3))] == [{("ok", 1)}] * 3


ODD = """
import os, resource, signal, time
from hptune.engine import ProcessesEngine
from tests.builders import scored, tasks

signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
opened = [open(os.devnull) for _ in range(1100)]
outcomes = [o for arrived in ProcessesEngine(2).run(tasks(4), scored, "test") for o in arrived]
if not os.fork():
    time.sleep(600)
print([o.status for o in outcomes], flush=True)
"""


@pytest.mark.slow
def test_many_open_files_a_blocked_signal_and_a_fork_of_the_parent_do_no_harm(directory: Path) -> None:
    driver = subprocess.Popen(
        [sys.executable, "-c", ODD],
        stdout=subprocess.PIPE,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert driver.stdout is not None
    with driver.stdout:
        assert driver.stdout.readline() == b"['ok', 'ok', 'ok', 'ok']\n"
        assert driver.wait(60) == 0
    os.killpg(driver.pid, signal.SIGKILL)  # the fork


def test_a_fork_that_the_system_refuses_is_that_processes_end_and_no_others(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def refuse() -> int:
        raise BlockingIOError("no more processes")

    told, tell = Pipe(duplex=False)
    handles = [os.dup(1), os.dup(1), os.dup(tell.fileno())]
    monkeypatch.setattr(os, "fork", refuse)
    _fork_server._fork(_fork_server.Order([], [], "", {}), handles, living := {}, 0)
    tell.close()
    process = _forks._Forked(told, _forks._Server.__new__(_forks._Server))
    assert (process.pid, process.wait()) == (0, 1)
    assert told.closed
    assert not living
    assert "no more processes" in capfd.readouterr().err


def test_an_order_that_cannot_be_sent_is_not_waited_for(directory: Path) -> None:
    server = _forks._Server({})
    server.forget()
    with open(os.devnull) as one, open(os.devnull) as two:
        process = server.fork(_fork_server.Order([], [], "", {}), (one.fileno(), two.fileno()))
    assert process.wait() == -signal.SIGKILL
    assert process.pid == 0


SAYING = """
from hptune.engine import ProcessesEngine
from tests.builders import scored, tasks
list(ProcessesEngine(2).run(tasks(6), scored, "test"))
"""


def test_what_the_server_has_to_say_is_said_once(directory: Path) -> None:
    (directory / "sitecustomize.py").write_text("print('loaded', __import__('os').getpid())\n")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    said = subprocess.run(
        [sys.executable, "-c", SAYING],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env={**environment, "PYTHONPATH": f"{directory}:{ROOT}"},
    ).stdout.splitlines()
    assert len(said) == len(set(said)) == 2  # the command's own, and the server's


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
    return parent.num_threads(), "libxgboost.so" in mapped


def test_what_forks_has_the_libraries_and_one_thread(directory: Path) -> None:
    work = functools.partial(telling, what=server)
    (outcome,) = flat(ProcessesEngine(2).run(tasks(1), work, "test"))
    assert json.loads(str(outcome.error)) == [1, True]


def killing_the_server(task: FitTask, *, driver: int, mark: str) -> list[Outcome]:
    if task.id == 2 and os.getppid() != driver and not Path(mark).exists():
        Path(mark).touch()
        os.kill(os.getppid(), signal.SIGKILL)
        signal.pause()
    return scored(task)


def test_a_child_that_has_ended_while_it_had_nothing_to_do_gets_no_task(directory: Path) -> None:
    pool, payload = Pool(2), lay_down(scored, directory)
    with closing(pool):
        (first,) = flat(fits_in(pool, payload, tasks(1)))
        (child,) = pool._idle
        os.kill(first.pid, signal.SIGKILL)
        wait_until(lambda: not child.lives, what="the end of the idle process")
        (second,) = flat(fits_in(pool, payload, tasks(1)))
    assert second.pid != first.pid
    assert (second.status, second.attempts) == ("ok", 1)


class Idle:
    """What `Child` has of it; when somebody asks whether it lives, another thread takes all that are there."""

    def __init__(self, there: list[Any], lives: bool) -> None:
        self._there = there
        self._lives = lives

    @property
    def lives(self) -> bool:
        self._there.clear()
        return self._lives

    def kill(self) -> None:
        pass


def test_a_child_that_another_thread_takes_is_not_taken_twice() -> None:
    children: list[Any] = []
    children += [Idle(children, lives=True), Idle(children, lives=False)]
    assert _living(children) is None


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


def test_a_process_that_could_not_be_forked_is_not_signalled(monkeypatch: pytest.MonkeyPatch) -> None:
    signalled: list[int] = []
    monkeypatch.setattr(os, "kill", lambda pid, sig: signalled.append(pid))
    told, tell = Pipe(duplex=False)
    process = _forks._Forked(told, _forks._Server.__new__(_forks._Server))
    with tell:
        tell.send(-1)
        process.kill()
        process.send_signal(signal.SIGUSR1)
    assert not signalled
    assert process.wait() == 1


def test_entries_of_the_search_path_that_are_no_text_do_no_harm(
    slots: int, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_forks, "_SERVERS", _forks._Servers())  # a server starts with the path, too
    monkeypatch.setattr(sys, "path", [directory, *sys.path, np.str_(directory)])
    try:
        assert told(surroundings, slots)[1] == str(directory)
    finally:
        _forks._SERVERS.end()


def test_processes_that_have_ended_while_they_were_idle_leave_nothing(
    slots: int, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    this, handles, killed = psutil.Process(), list[int](), set[int]()
    for number in range(4):  # which takes another process each time
        (directory / f"{number}").mkdir()
        monkeypatch.chdir(directory / f"{number}")
        (outcome,) = run(scored, 1, slots)
        handles.append(this.num_fds())
        assert killed.isdisjoint(child.pid for child in this.children())
        os.kill(outcome.pid, signal.SIGKILL)
        killed.add(outcome.pid)
        wait_until(lambda pid=outcome.pid: has_ended(pid), what="the end of the idle process")
    assert handles[1:] == [handles[1]] * 3
