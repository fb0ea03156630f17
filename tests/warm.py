"""A process that has imported everything and forks one process a command: a sweep starts in milliseconds.

``python -m tests.warm`` reads a JSON line for each request and answers with one.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["Forked", "Warm"]

ROOT = Path(__file__).resolve().parents[1]


class Warm:
    """The client's side."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._server = subprocess.Popen(
            [sys.executable, "-m", "tests.warm"],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def start(
        self, argv: Sequence[str], *, cwd: Path, output: Path, errors: Path, env: Mapping[str, str]
    ) -> Forked:
        """``hptune`` with `argv` as its arguments, in a process of its own."""
        request = {
            "argv": list(argv),
            "cwd": str(cwd),
            "out": str(output),
            "err": str(errors),
            "env": dict(env),
        }
        return Forked(self, int(self.ask(request)))

    def ask(self, request: Mapping[str, Any]) -> Any:
        assert self._server.stdin is not None and self._server.stdout is not None
        self._server.stdin.write(json.dumps(request) + "\n")
        self._server.stdin.flush()
        return json.loads(self._server.stdout.readline())

    def close(self) -> None:
        """End the server; what it started has ended before."""
        assert self._server.stdin is not None and self._server.stdout is not None
        self._server.stdin.close()
        self._server.wait(60)
        self._server.stdout.close()


class Forked:
    """A process that the server forked, to be handled like one of `subprocess`."""

    def __init__(self, warm: Warm, pid: int) -> None:
        self._warm = warm
        self.pid = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        if self.returncode is None:
            self.returncode = self._warm.ask({"poll": self.pid})
        return self.returncode

    def wait(self, timeout: float) -> int:
        """Its exit code; it is killed where that takes more than `timeout` seconds."""
        end = time.monotonic() + timeout
        while (code := self.poll()) is None:
            if time.monotonic() > end:
                os.kill(self.pid, signal.SIGKILL)
                raise AssertionError(f"{self.pid} did not end within {timeout:g} s")
            time.sleep(0.02)
        return code


def _serve() -> None:
    import azure.storage.blob  # noqa: F401 - all are loaded here, once

    from hptune.cli import main  # noqa: F401
    from hptune.search import GridSearchCV  # noqa: F401
    from tests.chaos import estimators  # noqa: F401

    answers = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        request = json.loads(line)
        if "poll" in request:
            answer = _exit_code(request["poll"])
        else:
            answer = os.fork()
            if answer == 0:
                _become(request)
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _exit_code(pid: int) -> int | None:
    ended, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if ended else None


def _become(request: Mapping[str, Any]) -> None:
    from hptune.cli import main

    code = 1
    try:
        os.setsid()
        for number, name in ((1, request["out"]), (2, request["err"])):
            file = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            os.dup2(file, number)
            os.close(file)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.chdir(request["cwd"])
        os.environ.update(request["env"])
        code = main(request["argv"])
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(code)


if __name__ == "__main__":
    _serve()
