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
# The system ends the script when the process that attends to it is killed, even where that cannot do it itself.
_WITH_PARENT = (
    "import ctypes, os, sys; ctypes.CDLL(None).prctl(1, 9); "
    "sys.argv[1:] and os.execvp(sys.argv[1], sys.argv[1:])"
)


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
    launcher = [sys.executable, "-I", "-S", "-c", _WITH_PARENT] if sys.platform == "linux" else []
    with output.open("wb") as stdout, errors.open("wb") as stderr:
        process = subprocess.Popen(  # noqa: S603 - the user's own program, without a shell
            [*launcher, *words],
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
