"""The run that a training script, or a function, is: its parameters and inputs, and what it logs.

Scripts import this, so it needs nothing but the standard library.
"""

from __future__ import annotations

import json
import math
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["DIRECTORY_VARIABLE", "LOG", "MARKS", "Input", "Run", "StepLog", "active", "begin_run", "variable"]

DIRECTORY_VARIABLE = "HPTUNE_RUN"  # where a script finds what belongs to its run
LOG = "metrics.jsonl"
_ABOUT = "run.json"
_STOP = "stop"
_HEEDED = "heeded"
_COMPLETE = "complete"
MARKS = (_ABOUT, _STOP, _HEEDED, _COMPLETE)  # files that only the run itself needs
_INPUT_VARIABLE = "HPTUNE_INPUT_"
_TEXT = 200  # characters of a logged text


@dataclass(frozen=True)
class Input:
    """A file or directory that a sweep gives to its runs.

    Attributes
    ----------
    path : Path
        Where it is on the host of the run.
    """

    path: Path

    def to_pandas_dataframe(self) -> Any:
        """The table in the file, or in all files of the directory together: CSV, TSV, Parquet, JSON or JSON lines."""
        import pandas as pd

        readers: dict[str, Callable[[Path], Any]] = {
            ".csv": pd.read_csv,
            ".tsv": lambda path: pd.read_csv(path, sep="\t"),
            ".parquet": pd.read_parquet,
            ".json": pd.read_json,
            ".jsonl": lambda path: pd.read_json(path, lines=True),
        }
        files = sorted(self.path.rglob("*.*")) if self.path.is_dir() else [self.path]
        tables = [readers[file.suffix.lower()](file) for file in files if file.suffix.lower() in readers]
        if not tables:
            raise ValueError(f"{self.path} holds no table: it must be one of {', '.join(readers)}")
        return tables[0] if len(tables) == 1 else pd.concat(tables, ignore_index=True)


class Run:
    """A child run of a sweep, seen from inside.

    Attributes
    ----------
    id : str
        The sweep's name and the candidate's number; ``offline`` outside of a sweep.
    params : mapping
        The candidate's parameters, under the names of the search space.
    input_datasets : mapping of str to Input
        The sweep's inputs by name.

    Examples
    --------
    Outside of a sweep a run only prints what it logs:

    >>> run = Run.get_context()
    >>> run.id
    'offline'
    >>> run.log("Accuracy", 0.75)
    Accuracy: 0.75
    >>> run.should_stop()
    False
    """

    def __init__(
        self,
        id: str = "offline",
        params: Mapping[str, Any] | None = None,
        inputs: Mapping[str, str] | None = None,
        log: StepLog | None = None,
        stops: Callable[[], bool] | None = None,
    ) -> None:
        self.id = id
        self.params = dict(params or {})
        self.input_datasets = _Inputs({name: Input(Path(path)) for name, path in (inputs or {}).items()})
        self._log = log
        self._stops = stops

    @classmethod
    def get_context(cls, allow_offline: bool = True) -> Run:
        """The run that this code is part of; outside of a sweep one that only prints.

        Raises
        ------
        RuntimeError
            This code is part of none, and `allow_offline` is false.
        """
        run = _ACTIVE.get()
        if run is not None:
            return run
        directory = os.environ.get(DIRECTORY_VARIABLE)
        if directory:
            return _run_in(Path(directory))
        if not allow_offline:
            raise RuntimeError("this is no run of a sweep")
        prefix = len(_INPUT_VARIABLE)
        given = {name[prefix:]: path for name, path in os.environ.items() if name.startswith(_INPUT_VARIABLE)}
        return cls(inputs=given)

    def log(self, name: str, value: Any, description: str = "", step: int | None = None) -> None:
        """Log a value of a metric; each value of the metric that ranks is an interval for early termination.

        Parameters
        ----------
        name : str
            The metric's.
        value : number
            Anything else is kept as a text, which nothing can be ranked by.
        description : str, default ""
            Not kept.
        step : int, optional
            Kept with the value; by default values are numbered in their order.
        """
        if self._log is None:
            print(f"{name}: {value}")
        else:
            self._log.add(str(name), value, step)

    def log_list(self, name: str, value: Iterable[Any], description: str = "") -> None:
        """Log several values of a metric, one after the other."""
        for each in value:
            self.log(name, each)

    def should_stop(self) -> bool:
        """Whether the sweep has no use for the rest of this run; a script that goes on is ended soon after."""
        return self._stops is not None and self._stops()

    def complete(self) -> None:
        """Say that the run is done. It is also done when the script ends."""
        if self._log is not None:
            self._log.complete()


class StepLog:
    """Values in the order in which they are logged, each a line of a file as soon as it is.

    Parameters
    ----------
    directory : Path
        The run's own.
    seen : callable, optional
        Called with each name and number that is logged here.
    """

    def __init__(self, directory: Path, seen: Callable[[str, float], None] | None = None) -> None:
        self._directory = directory
        self._seen = seen

    def add(self, name: str, value: Any, step: int | None = None) -> None:
        """Log a value."""
        number = _number(value)
        told: dict[str, Any] = {"name": name, "time": round(time.time(), 3)}
        if step is not None:
            told["step"] = step
        if number is None:
            told["text"] = str(value)[:_TEXT]
        else:
            told["value"] = number if math.isfinite(number) else str(number)
        line = json.dumps(told, ensure_ascii=False).encode("utf-8", "replace") + b"\n"
        file = os.open(self._directory / LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(file, line)  # at once, whoever else logs to it
        finally:
            os.close(file)
        if number is not None and self._seen is not None:
            self._seen(name, number)

    def complete(self) -> None:
        """Mark the run as done."""
        (self._directory / _COMPLETE).touch()

    def values(self) -> dict[str, list[float]]:
        """All numbers that were logged, by metric."""
        found: dict[str, list[float]] = {}
        for name, value in self.read()[0]:
            found.setdefault(name, []).append(value)
        return found

    def read(self, start: int = 0) -> tuple[list[tuple[str, float]], int]:
        """The numbers that were logged from a byte of the file on, and the byte to go on from."""
        try:
            with (self._directory / LOG).open("rb") as stream:
                stream.seek(start)
                whole, end, _ = stream.read().rpartition(b"\n")  # the last line may be under way
        except OSError:
            return [], start
        found = []
        for line in whole.splitlines():
            with suppress(ValueError, KeyError, TypeError, RecursionError):  # a text, or not ours
                told = json.loads(line)
                found.append((str(told["name"]), float(told["value"])))
        return found, start + len(whole) + len(end)

    def stop(self) -> None:
        """Let the run know that it should stop."""
        (self._directory / _STOP).touch()

    def stops(self) -> bool:
        """Whether the run should stop; that it asked is noted where it should."""
        told = (self._directory / _STOP).exists()
        if told:
            (self._directory / _HEEDED).touch()
        return told

    def heeded(self) -> bool:
        """Whether the run knows that it should stop."""
        return (self._directory / _HEEDED).exists()


def begin_run(directory: Path, id: str, params: Mapping[str, Any], inputs: Mapping[str, str]) -> None:
    """Leave in a run's directory what `Run.get_context` finds there in another process."""
    about = {"id": id, "params": dict(params), "inputs": dict(inputs)}
    (directory / _ABOUT).write_text(json.dumps(about, default=str), "utf-8")


def variable(name: str) -> str:
    """A parameter's or input's name as a part of a variable's: ``--batch-size`` is ``batch_size``.

    Examples
    --------
    >>> variable("--batch-size")
    'batch_size'
    """
    return re.sub(r"\W", "_", name.lstrip("-"))


@contextmanager
def active(run: Run) -> Iterator[None]:
    """While open, `Run.get_context` gives this run here."""
    token = _ACTIVE.set(run)
    try:
        yield
    finally:
        _ACTIVE.reset(token)


class _Inputs(dict[str, Input]):
    """Tells which inputs there are where one is not."""

    def __missing__(self, name: str) -> Input:
        there = ", ".join(self) or "none"
        raise KeyError(f"the run has no input {name!r}; its inputs: {there}")


_ACTIVE: ContextVar[Run | None] = ContextVar("hptune_run", default=None)


def _run_in(directory: Path) -> Run:
    about = json.loads((directory / _ABOUT).read_text("utf-8"))
    log = StepLog(directory)
    return Run(about["id"], about["params"], about["inputs"], log, log.stops)


def _number(value: Any) -> float | None:
    if isinstance(value, (str, bytes)):
        return None
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return None
