"""What stops a sweep from outside: one exception in the main thread, and an end for a process that does not hear it."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hptune.errors import ConfigurationError
from hptune.interrupts import Stopped, deadline, redelivered, stoppable, undisturbed
from tests.builders import Signalled

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def no_handler_is_left() -> Iterator[None]:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)
    before = [signal.getsignal(number) for number in numbers]
    yield
    assert [signal.getsignal(number) for number in numbers] == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_raised_with_its_exit_code(number: signal.Signals) -> None:
    with pytest.raises(Stopped) as stopped, stoppable():
        signal.raise_signal(number)
    assert stopped.value.exit_code == 128 + number
    assert number.name in stopped.value.reason


def test_nothing_that_deals_with_errors_takes_a_stop_for_one() -> None:
    with pytest.raises(Stopped), stoppable():
        try:
            signal.raise_signal(signal.SIGTERM)
        except Exception:
            pytest.fail("a stop is no error")


def test_the_deadline_is_raised_as_results_that_are_partial() -> None:
    with pytest.raises(Stopped, match="the deadline of 0.05 s has passed") as stopped, deadline(0.05):
        time.sleep(60)
    assert stopped.value.exit_code == 9


def test_a_deadline_that_is_kept_and_none_at_all_change_nothing() -> None:
    with deadline(60), deadline(None):
        pass
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_a_deadline_elsewhere_than_in_the_main_thread_is_refused_not_forgotten() -> None:
    raised: list[BaseException] = []

    def run() -> None:
        try:
            with stoppable(), deadline(1.0):
                pass
        except ConfigurationError as error:
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert "main thread" in str(raised[0])


def test_what_must_not_be_disturbed_ends_before_the_stop() -> None:
    done: list[str] = []
    with pytest.raises(Stopped), stoppable(), undisturbed():
        with undisturbed():
            signal.raise_signal(signal.SIGTERM)
            done.append("inner")
        done.append("outer")
    assert done == ["inner", "outer"]


def test_an_error_in_what_must_not_be_disturbed_is_not_lost_and_the_stop_neither() -> None:
    with pytest.raises(Stopped), stoppable():
        with pytest.raises(OSError), undisturbed():
            signal.raise_signal(signal.SIGTERM)
            raise OSError
        with undisturbed():
            pass


def test_the_first_stop_is_the_only_one_that_is_raised() -> None:
    with pytest.raises(Stopped, match="SIGTERM"), stoppable():
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            signal.raise_signal(signal.SIGINT)  # while everything is being closed


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_stop_that_python_drops_is_raised_at_the_end() -> None:
    done: list[str] = []
    with pytest.raises(Stopped, match="SIGTERM"), stoppable(), redelivered():
        Signalled()
        done.append("went on")
    assert done


def test_a_stop_that_becomes_another_error_is_raised_all_the_same() -> None:
    with pytest.raises(Stopped, match="the deadline"), deadline(0.05), redelivered():
        try:
            time.sleep(60)
        except Stopped:
            raise ValueError from None


def test_a_stop_is_raised_in_its_own_section_only() -> None:
    with pytest.raises(Stopped), stoppable():
        signal.raise_signal(signal.SIGTERM)
    with redelivered():
        pass


# Signals a process when its main thread has computed for 0.2 s: what Python itself still has to do takes far less.
SIGNAL_IN_NATIVE_CODE = """
computed() { cut -d" " -f14 "/proc/$1/task/$1/stat"; }
begun=$(computed "$1")
while now=$(computed "$1") && [ $((now - begun)) -lt 20 ]; do sleep 0.05; done
kill "-$2" "$1"
"""


def ended(script: str) -> subprocess.CompletedProcess[str]:
    program = "\n".join(
        [
            "import hashlib, os, signal, subprocess, time",
            "from hptune.interrupts import Stopped, stoppable",
            "child = subprocess.Popen(['sleep', '600'])",
            "print(child.pid, flush=True)",
            "native = lambda: hashlib.pbkdf2_hmac('sha256', b'', b'', 1 << 30)  # minutes; Python is not asked",
            f"words = ['sh', '-c', {SIGNAL_IN_NATIVE_CODE!r}, 'sh', str(os.getpid())]",
            "signal_soon = lambda name: subprocess.Popen([*words, name])",
            script,
        ]
    )
    return subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )


def is_gone(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z"


def wait_until_gone(pid: int) -> None:
    give_up = time.monotonic() + 30
    while not is_gone(pid):
        assert time.monotonic() < give_up, f"process {pid} is still there"
        time.sleep(0.05)


def test_a_second_signal_ends_a_process_that_is_closing_and_its_children() -> None:
    done = ended(
        """
try:
    with stoppable():
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(60)
        finally:
            signal_soon("INT")
            native()
except Stopped:
    print("closed")
"""
    )
    assert done.returncode == 130
    assert "closed" not in done.stdout
    wait_until_gone(int(done.stdout.split()[0]))


def test_a_process_whose_main_thread_is_in_native_code_ends_all_the_same() -> None:
    done = ended(
        """
with stoppable():
    signal_soon("TERM")
    native()
"""
    )
    assert done.returncode == 143
    wait_until_gone(int(done.stdout.split()[0]))


def test_the_end_of_the_parent_counts_as_a_signal(tmp_path: Path) -> None:
    orphan = """
import os, sys, time
from hptune.interrupts import Stopped, stoppable
try:
    with stoppable(with_parent=True):
        open(sys.argv[1] + "started", "w").close()
        time.sleep(600)
except Stopped as stopped:
    open(sys.argv[1] + str(stopped.exit_code), "w").close()
"""
    parent = (
        "import os, subprocess, sys, time\n"
        f"subprocess.Popen([sys.executable, '-c', {orphan!r}, sys.argv[1]])\n"
        "while not os.path.exists(sys.argv[1] + 'started'): time.sleep(0.05)\n"
    )
    subprocess.run([sys.executable, "-c", parent, f"{tmp_path}/"], cwd=ROOT, check=True, timeout=60)
    give_up = time.monotonic() + 60
    while not (tmp_path / "143").exists():
        assert time.monotonic() < give_up
        time.sleep(0.05)
