"""A script's process, with everything that it starts: begun, attended, and ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

__all__ = ["Ended", "attended"]

_PATIENCE = 2.0  # seconds between asking a process to end and ending it
_LOOK_SECONDS = 0.1
# Stands between the script and the process that attends to it. When that one is killed, the system signals this
# one, which ends the whole group.
_SUPERVISOR = """
import ctypes, os, resource, signal, subprocess, sys
signal.signal(signal.SIGUSR1, lambda *_: os.killpg(0, signal.SIGKILL))
signal.signal(signal.SIGTERM, lambda *_: None)  # for the script alone
ctypes.CDLL(None).prctl(1, signal.SIGUSR1)  # PR_SET_PDEATHSIG
if os.getppid() != int(sys.argv[1]):
    sys.exit("nobody attends to this script any more")
try:
    code = subprocess.Popen(sys.argv[2:]).wait()
except OSError as error:
    sys.exit(f"{sys.argv[2]}: {error.strerror}")
if code < 0:  # end as the script has ended
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if -code != signal.SIGKILL:
        signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)
sys.exit(code)
"""


@dataclass(frozen=True)
class Ended:
    """How a process ended: its exit code, negative for a signal, and whether it was ended for some reason."""

    code: int
    reason: Literal["itself", "timeout", "stopped"] = "itself"


def attended(
    words: Sequence[str],
    *,
    directory: Path,
    environment: Mapping[str, str],
    output: Path,
    errors: Path,
    seconds: float | None,
    stops: Callable[[], bool] | None,
) -> Ended:
    """Run a program to its end, and end all processes of its group whatever happens.

    Parameters
    ----------
    words : sequence of str
        The program and its arguments.
    directory : Path
        Where it works.
    environment : mapping
        All its variables.
    output, errors : Path
        Files for what it prints.
    seconds : float, optional
        How long it may take.
    stops : callable, optional
        Asked several times a second whether the program should be ended.
    """
    supervisor = [sys.executable, "-I", "-S", "-c", _SUPERVISOR, str(os.getpid())]
    with output.open("wb") as stdout, errors.open("wb") as stderr:
        process = subprocess.Popen(  # noqa: S603 - the user's own program, without a shell
            [*(supervisor if sys.platform == "linux" else ()), *words],
            cwd=directory,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
        )
    until = None if seconds is None else time.monotonic() + seconds
    try:
        return _waited(process, until, stops)
    finally:
        _end(process)


def _waited(process: subprocess.Popen[bytes], until: float | None, stops: Callable[[], bool] | None) -> Ended:
    while True:
        left = None if until is None else until - time.monotonic()
        if left is not None and left <= 0:
            _ask(process)
            return Ended(process.returncode, "timeout")
        if stops is not None and stops():
            _ask(process)
            return Ended(process.returncode, "stopped")
        look = left if stops is None else min(_LOOK_SECONDS, left or _LOOK_SECONDS)
        with suppress(subprocess.TimeoutExpired):
            return Ended(process.wait(look))


def _ask(process: subprocess.Popen[bytes]) -> None:
    """Ask the group to end, then end it."""
    _signal(process, signal.SIGTERM)
    try:
        process.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        _signal(process, signal.SIGKILL)
        process.wait()


def _end(process: subprocess.Popen[bytes]) -> None:
    """End what is left of the group, which outlives its first process where that started others."""
    _signal(process, signal.SIGKILL)
    process.wait()


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)
