"""One writer for a directory, whatever becomes of the processes that want it."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hptune.errors import ConfigurationError, OutputError, OutputInUseError
from hptune.locks import LOCK, held, holder_of

ROOT = Path(__file__).resolve().parents[1]
HOLD = """
import sys
from pathlib import Path
from hptune.locks import held
with held(Path(sys.argv[1]), "out"):
    {then}
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def holder(directory: Path, then: str = "pass") -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the directory until its standard input is closed."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD.format(then=then), str(directory)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert process.stdin is not None and process.stdout is not None
    assert process.stdout.readline() == "held\n"
    with process, process.stdin:
        yield process


def test_a_second_one_is_refused_by_name_and_the_first_is_not_disturbed(tmp_path: Path) -> None:
    with holder(tmp_path) as process:
        for _ in range(2):
            with pytest.raises(OutputInUseError) as told, held(tmp_path, "the place"):
                pass
            assert told.value.exit_code == 6
            assert f"the place is in use by process {process.pid} on {socket.gethostname()}" in str(
                told.value
            )
        assert holder_of(tmp_path) is not None
    with held(tmp_path, "out"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_killed_holder_holds_no_more(tmp_path: Path) -> None:
    with holder(tmp_path) as process:
        process.kill()
        process.wait()
        assert holder_of(tmp_path) is None
        with held(tmp_path, "out"):
            now = holder_of(tmp_path)
            assert now is not None and now.pid == os.getpid()


def test_a_stopped_holder_is_told_to_be_stopped(tmp_path: Path) -> None:
    with holder(tmp_path) as process:
        os.kill(process.pid, signal.SIGSTOP)
        os.waitpid(process.pid, os.WUNTRACED)
        with pytest.raises(OutputInUseError, match=r"which is stopped: continue it with kill -CONT"):
            held(tmp_path, "out").__enter__()
        os.kill(process.pid, signal.SIGCONT)
        os.waitpid(process.pid, os.WCONTINUED)
        with pytest.raises(OutputInUseError, match="wait for it"):
            held(tmp_path, "out").__enter__()


FORKED = """
    import os, time
    if not os.fork():
        os.close(0), os.close(1), os.close(2)
        time.sleep(60)
        os._exit(0)"""
STARTED = """
    import subprocess
    child = subprocess.Popen(["sleep", "60"], close_fds=False, stdin=-3, stdout=-3)"""


@pytest.mark.parametrize("then", [FORKED, STARTED], ids=["forked", "started"])
def test_children_that_outlive_the_holder_hold_nothing(tmp_path: Path, then: str) -> None:
    with holder(tmp_path, then) as process:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        process.kill()
        process.wait()
        try:
            assert len(children) == 1 and Path(f"/proc/{children[0]}").exists()
            with held(tmp_path, "out"):
                pass
        finally:
            os.kill(int(children[0]), signal.SIGKILL)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of forks where another test left a thread
def test_a_forked_child_does_not_take_the_lock_away(tmp_path: Path) -> None:
    with held(tmp_path, "out"):
        child = os.fork()
        if not child:
            os._exit(0)
        os.waitpid(child, 0)
        assert holder_of(tmp_path) is not None
        assert (tmp_path / LOCK).exists()


def test_a_thread_of_the_same_process_is_refused_too(tmp_path: Path) -> None:
    with held(tmp_path, "out"), pytest.raises(OutputInUseError), held(tmp_path, "out"):
        pass


def test_of_many_that_come_and_go_never_two_hold(tmp_path: Path) -> None:
    """Each writes its name into the directory while it holds it, and finds nobody else's."""
    script = """
import os, sys
from pathlib import Path
from hptune.errors import OutputInUseError
from hptune.locks import held
out, entered = Path(sys.argv[1]), 0
while entered < 300:
    try:
        with held(out, "out"):
            entered += 1
            mine = os.open(out / "inside", os.O_CREAT | os.O_EXCL)
            os.unlink(out / "inside")
            os.close(mine)
    except OutputInUseError:
        pass
"""
    rivals = [subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], cwd=ROOT) for _ in range(4)]
    seen, end = 0, time.monotonic() + 300
    try:
        while any(rival.poll() is None for rival in rivals):
            seen += holder_of(tmp_path) is not None  # looking does not hold anybody up
            assert time.monotonic() < end
    finally:
        for rival in rivals:
            rival.kill()
    assert [rival.wait() for rival in rivals] == [0] * 4
    assert seen


def test_a_lock_on_a_file_that_is_gone_is_no_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between opening and locking, the holder lets go and another one takes the directory."""
    rivals: list[int] = []
    flock = fcntl.flock

    def late(file: int, kind: int) -> None:
        if not rivals:
            (tmp_path / LOCK).unlink()
            rivals.append(os.open(tmp_path / LOCK, os.O_RDWR | os.O_CREAT, 0o600))
            flock(rivals[0], fcntl.LOCK_EX)
        flock(file, kind)

    monkeypatch.setattr(fcntl, "flock", late)
    with pytest.raises(OutputInUseError):
        held(tmp_path, "out").__enter__()
    os.close(rivals[0])


def test_a_look_at_the_lock_is_no_rival(tmp_path: Path) -> None:
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set():
            holder_of(tmp_path)

    (tmp_path / LOCK).write_text("what a killed holder left")
    looker = threading.Thread(target=look)
    looker.start()
    try:
        for _ in range(50):
            with held(tmp_path, "out"):
                pass
    finally:
        stop.set()
        looker.join()


@pytest.mark.parametrize("content", ["", "{", "[]", "[" * 3000, '{"pid": 1, "who": 2}', "\x00" * 99])
def test_whatever_the_lock_file_holds_the_holder_is_told(tmp_path: Path, content: str) -> None:
    with held(tmp_path, "out"):
        (tmp_path / LOCK).write_text(content)
        with pytest.raises(OutputInUseError, match="another process"):
            held(tmp_path, "out").__enter__()


def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("mine")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / LOCK).symlink_to(target)
    with pytest.raises(OutputError, match="cannot use the output directory"):
        held(tmp_path / "out", "out").__enter__()
    assert target.read_text() == "mine"
    assert holder_of(tmp_path / "out") is None


@pytest.mark.parametrize("name", ["x" * 300, "nul\0nul"])
def test_a_directory_that_cannot_be_is_one_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(OutputError, match="cannot use the output directory"):
        held(tmp_path / name, name).__enter__()


def test_a_file_is_no_directory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ConfigurationError, match="is a file"):
        held(tmp_path / "file", "file").__enter__()
