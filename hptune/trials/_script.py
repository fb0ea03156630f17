"""Training scripts as trials: each run is a process of its own."""

from __future__ import annotations

import functools
import json
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hptune.context import DIRECTORY_VARIABLE, MARKS, StepLog, begin_run, variable
from hptune.engine import Engine, Work
from hptune.fitters import Reports
from hptune.records import FitTask, Objective, Outcome
from hptune.trials._answer import never_logged_reason
from hptune.trials._base import Place, Trial
from hptune.trials._command import Command, environment
from hptune.trials._hooks import write_hooks
from hptune.trials._inputs import Inputs
from hptune.trials._package import Package
from hptune.trials._process import Ended, attended
from hptune.trials._runs import Clock, Shared, finished, shared_by, stopped, unfinished
from hptune.trials._watch import LogWatch, Watch

__all__ = ["ScriptTrial"]

_OUTPUT, _ERRORS, _OUTPUTS = "stdout.txt", "stderr.txt", "outputs"
_KEPT_BYTES = 1 << 20  # of what a script prints, the last
_READ_BYTES = 64 << 10  # of it, where a line of JSON is looked for
_ERROR_LINES = 20
_SAID = 200  # characters of the last of them


@dataclass(frozen=True)
class ScriptTrial(Trial):
    """A trial is a run of a script.

    Parameters
    ----------
    command : Command
        What runs.
    code : Package
        The files that go along; the script works in a copy of them.
    inputs : Inputs
        The files that it reads.
    objective : Objective
        What ranks.
    literals : mapping of str to str
        Values for the command's placeholders.
    place : {"executors", "driver"}
        Where it runs.
    sweep : str
        The sweep's name, of which its runs have theirs.
    trial_timeout : float, optional
        Seconds that a run may take.
    """

    kind = "script"

    command: Command
    code: Package
    inputs: Inputs
    objective: Objective
    literals: Mapping[str, str] = field(default_factory=dict)
    place: Place = "executors"
    sweep: str = "sweep"
    trial_timeout: float | None = None

    @property
    def content(self) -> Mapping[str, Any]:
        """The command, and digests of all files."""
        return {
            "trial": [*self.command.words, dict(self.literals)],
            "code": self.code.digest,
            "inputs": self.inputs.digests,
        }

    @property
    def shown(self) -> str:
        """The script's name."""
        words = self.command.words
        script = next((word for word in words[1:] if not word.startswith("-")), words[0])
        return f"script {Path(script).name}"

    @contextmanager
    def working(self, engine: Engine, out: Path | None, reports: Reports | None = None) -> Iterator[Work]:
        """Runs the script."""
        with shared_by(self.sweep, self.objective, engine, out, reports) as shared:
            inputs = self.inputs if engine.is_local else self.inputs.packed()
            yield functools.partial(
                _ran, _Order(shared, self.command, self.code, inputs, self.literals, self.trial_timeout)
            )


@dataclass(frozen=True)
class _Order:
    """What all runs of a session have in common."""

    shared: Shared
    command: Command
    code: Package
    inputs: Inputs
    literals: Mapping[str, str]
    trial_timeout: float | None


def _ran(order: _Order, task: FitTask) -> list[Outcome]:
    clock = Clock()
    with tempfile.TemporaryDirectory(prefix="hptune-run-", ignore_cleanup_errors=True) as name:
        code, directory, inputs, hooks = (Path(name, part) for part in ("code", "run", "inputs", "hooks"))
        code.mkdir()
        directory.mkdir()
        write_hooks(hooks)
        order.code.unpack(code)
        paths = order.inputs.here(inputs)
        begin_run(directory, order.shared.run_id(task), task.params, paths)
        watch = order.shared.watch(task)
        log = LogWatch(watch, directory)
        ended = attended(
            order.command.filled(task.params, {**order.literals, **paths}),
            directory=code,
            environment=_environment(task.params, paths, directory, hooks),
            output=directory / _OUTPUT,
            errors=directory / _ERRORS,
            seconds=order.trial_timeout,
            stops=log.look if watch.is_needed else None,
        )
        log.catch_up()
        watch.close()
        return _outcomes(order, task, clock, ended, watch, code, directory)


def _outcomes(
    order: _Order, task: FitTask, clock: Clock, ended: Ended, watch: Watch, code: Path, directory: Path
) -> list[Outcome]:
    log = StepLog(directory)
    logged, heeded = log.values(), log.heeded()
    left = _gathered(code, directory)
    if ended.reason == "stopped" or heeded:
        return stopped(order.shared, task, clock, watch, logged, left)
    if ended.reason == "timeout":
        reason = f"the script took longer than {order.trial_timeout:g} s"
        return unfinished(order.shared, task, clock, "timeout", reason, logged, left)
    if ended.code < 0:
        number = -ended.code
        reason = f"{_tail(directory)}the script was ended by {signal.strsignal(number)} ({signal.Signals(number).name})"
        return unfinished(order.shared, task, clock, "crashed", reason, logged, left)
    if ended.code:
        tail = _tail(directory)
        reason = f"{tail}the script ended with exit code {ended.code}{_last_words(tail)}"
        return unfinished(order.shared, task, clock, "failed", reason, logged, left)
    value = None if order.shared.objective.metric in logged else _printed(directory / _OUTPUT)
    if value is None and order.shared.objective.metric not in logged:
        reason = never_logged_reason(order.shared.objective.metric, logged)
        return unfinished(order.shared, task, clock, "failed", reason, logged, left)
    return finished(order.shared, task, clock, value, logged, left)


def _environment(
    params: Mapping[str, Any], inputs: Mapping[str, str], directory: Path, hooks: Path
) -> dict[str, str]:
    path = [str(hooks), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {
        **os.environ,
        **environment(params),
        **{f"HPTUNE_INPUT_{variable(name)}": place for name, place in inputs.items()},
        DIRECTORY_VARIABLE: str(directory),
        "PYTHONPATH": os.pathsep.join(path),
        "PYTHONUNBUFFERED": "1",  # what a script that is killed has printed is there
    }


def _gathered(code: Path, directory: Path) -> Path:
    """The run's directory with all that should be kept of it, and nothing else."""
    outputs = code / _OUTPUTS
    if outputs.is_dir() and not outputs.is_symlink():
        shutil.move(outputs, directory / _OUTPUTS)
    for name in (_OUTPUT, _ERRORS):
        _shorten(directory / name)
    for name in MARKS:
        (directory / name).unlink(missing_ok=True)
    return directory


def _shorten(path: Path) -> None:
    """Keep the end of what was printed, and no file where nothing was."""
    size = path.stat().st_size
    if not size:
        path.unlink()
    elif size > _KEPT_BYTES:
        path.write_bytes(_last(path, _KEPT_BYTES))


def _last(path: Path, count: int) -> bytes:
    with suppress(OSError), path.open("rb") as stream:
        stream.seek(max(0, path.stat().st_size - count))
        return stream.read()
    return b""


def _tail(directory: Path) -> str:
    """The last lines that a script printed as errors, each ended."""
    text = _last(directory / _ERRORS, _READ_BYTES).decode("utf-8", "replace")
    return "".join(f"{line}\n" for line in text.splitlines()[-_ERROR_LINES:])


def _last_words(tail: str) -> str:
    """The last line that was printed as an error, for the line that people read; a traceback's is found without."""
    lines = [] if "Traceback (most recent call last):" in tail else tail.split("\n")
    said = [line.strip() for line in lines if line.strip()]
    return f": {said[-1][:_SAID]}" if said else ""


def _printed(output: Path) -> Any:
    """The last line of JSON that was printed, where it is a number or a map; None where there is none."""
    text = _last(output, _READ_BYTES).decode("utf-8", "replace")
    for line in reversed(text.splitlines()):
        with suppress(ValueError, RecursionError):
            value = json.loads(line)
            if isinstance(value, (dict, int, float)) and not isinstance(value, bool):
                return value
    return None
