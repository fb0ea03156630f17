"""A sweep's directory told to MLflow: while the sweep runs, and later what was not told then.

Everything is read from the journal, by both: what is sent later is what would have been sent at once.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from hptune.children import ChildRun, children_of
from hptune.config import TrackingConfig
from hptune.errors import ConfigurationError, HptuneError, InputDataError, StorageError
from hptune.history import folds_of, outcomes_of
from hptune.identity import plain_params
from hptune.journal import Kept, decode_outcome, read_journal
from hptune.locks import held
from hptune.observers import (
    Background,
    CandidateRun,
    Ending,
    MlflowRuns,
    Observer,
    SweepRun,
    autologging_off,
    has_mlflow,
)
from hptune.outputs import JOURNAL
from hptune.records import Outcome
from hptune.results import Cells, cv_table, ranked_table

__all__ = ["check_tracking", "send_missing", "tracked"]

Say = Callable[[str], None]

_KEPT_FILES = (
    "results.csv",
    "sweeping_results.txt",
    "best_params.json",
    "report.html",
    "model.ubj",
    "model.skops",
)
_NOT_TOLD = (
    "name",
    "out",
    "spark",
    "tracking",
)  # keys of the configuration that may hold secrets, or tell nothing
_TOLD = re.compile(r"(split\d+|mean|std)_|rounds_trained$|work_time$")  # columns of the table
_PATIENCE = {"patience": 10.0, "longest": 60.0}  # seconds, after the last fit
_LITTLE = {"patience": 1.0, "longest": 3.0}  # and after a stop


def check_tracking(tracking: TrackingConfig | None) -> None:
    """Refuse to track without a client.

    Raises
    ------
    ConfigurationError
        MLflow is not installed.
    """
    if tracking is not None and not has_mlflow():
        raise ConfigurationError(
            "tracking needs MLflow", "install hptune[mlflow], or take the key tracking out"
        )


@contextmanager
def tracked(
    tracking: TrackingConfig | None, name: str, directory: Path, out: str, say: Say
) -> Iterator[list[Observer]]:
    """Tell MLflow of the sweep that runs meanwhile, by the observer that is yielded; MLflow's own logging is off.

    Nothing that the server does or fails to do is an error here. What it lacks in the end is told in one line.

    Parameters
    ----------
    tracking : TrackingConfig, optional
        Without it nothing is told.
    name : str
        The sweep's.
    directory : Path
        Where it writes.
    out : str
        What the user calls that.
    say : callable
        Gets the line.
    """
    if tracking is None:
        yield []
        return
    sender = _Sender(directory, MlflowRuns(tracking.mlflow, tracking.experiment or name))
    background = Background(sender.steps)
    wait = _LITTLE
    try:
        with autologging_off():
            yield [background]
        wait = _PATIENCE
    finally:
        background.close(**wait)
        if not background.finished:
            say(
                f"note: MLflow lacks a part of this sweep ({background.failure}): hptune mlflow {out} sends it"
            )


def send_missing(directory: Path, uri: str | None, say: Say) -> None:
    """``hptune mlflow``: send what MLflow lacks of the sweep in a directory.

    Parameters
    ----------
    directory : Path
        It is held for this process meanwhile.
    uri : str, optional
        Another server than the sweep's.
    say : callable
        Gets a line about what was sent.

    Raises
    ------
    ConfigurationError
        There is no server, or no client.
    InputDataError
        There is no sweep.
    OutputInUseError
        The sweep runs: it tells MLflow itself.
    StorageError
        The server does not answer, or refuses.
    """
    if not (directory / JOURNAL).is_file():
        raise InputDataError(f"{directory} holds no sweep", "name the --out of a sweep")
    with held(directory, str(directory)):
        ledger = _Ledger(directory)
        if not ledger.read():
            raise InputDataError(f"{directory} holds a sweep without a beginning", "run it again")
        tracking = _tracking(ledger, directory, uri)
        check_tracking(tracking)
        runs = MlflowRuns(tracking.mlflow, tracking.experiment or ledger.name)
        sender = _Sender(directory, runs)
        try:
            for _ in sender.steps(last=True):
                pass
        except HptuneError:
            raise
        except Exception as error:  # of the client, and of whatever it uses
            reason = str(error).splitlines()[0] if str(error) else ""
            raise StorageError(
                f"MLflow did not take everything ({type(error).__name__}: {reason})",
                "give the command again when the server answers",
            ) from error
    say(f"{sender.sent} candidates sent, {len(runs.known)} are there")


def _tracking(ledger: _Ledger, directory: Path, uri: str | None) -> TrackingConfig:
    given = TrackingConfig(**ledger.tracking) if ledger.tracking else None
    if uri is not None:
        return TrackingConfig(uri, given.experiment if given else None)
    if given is None:
        raise ConfigurationError(f"{directory} names no MLflow server", "add --tracking-uri")
    return given


class _Sender:
    """Sends what the server lacks of the sweep in a directory, step by step.

    A failure forgets what was read and what the server had: both are looked up again, in the journal and by tags.
    """

    def __init__(self, directory: Path, runs: MlflowRuns) -> None:
        self._directory = directory
        self._runs = runs
        self._ledger: _Ledger | None = None
        self.sent = 0

    def steps(self, last: bool) -> Iterator[None]:
        """Send what is new; with `last` the end too. The journal has the sweep's first record already."""
        ledger, self._ledger = self._ledger, None  # until all went well
        if ledger is None:
            ledger = _Ledger(self._directory)
            ledger.read()
            self._runs.open(ledger.sweep)
            yield
        else:
            ledger.read()
        for child in ledger.finished():
            self.sent += child.key not in self._runs.known
            self._runs.send(child)
            yield
        if last:
            self._runs.close(ledger.ending)
            yield
        self._ledger = ledger


class _Ledger:
    """What a sweep's journal tells, read on as it grows."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._kept = Kept([], 0, False)
        self._read = 0  # outcomes of the last session
        self._folds: dict[int, dict[int, Outcome]] = defaultdict(dict)  # of candidates that were not told
        self._told: set[int] = set()
        self._best: tuple[float, int] | None = None

    def read(self) -> bool:
        """Take in what came since the last time; whether there is a sweep at all."""
        first = not self._kept.sessions
        self._kept = read_journal(self._directory / JOURNAL, self._kept)
        if not self._kept.sessions:
            return False
        lines = self._kept.sessions[-1].outcomes
        news = outcomes_of(self._kept.sessions) if first else map(decode_outcome, lines[self._read :])
        self._read = len(lines)
        for outcome in news:
            if outcome.candidate not in self._told:
                self._folds[outcome.candidate].setdefault(outcome.fold, outcome)
        return True

    @property
    def name(self) -> str:
        """The sweep's."""
        return str(self._about["name"])

    @property
    def tracking(self) -> Mapping[str, Any] | None:
        """The configuration's key."""
        found: Mapping[str, Any] | None = self._about["config"].get("tracking")
        return found

    @property
    def sweep(self) -> SweepRun:
        """The parent run."""
        header = self._header
        digest = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
        identity = header["identity"]
        versions = {f"versions.{library}": str(of) for library, of in identity.get("versions", {}).items()}
        params = {**_flat(self._config), "data.fingerprint": str(identity.get("data")), **versions}
        return SweepRun(digest.hexdigest()[:32], self.name, header["started"], params)

    def finished(self) -> Iterator[CandidateRun]:
        """Candidates whose folds have all come in since the last time."""
        n_folds = folds_of(self._kept)
        numbers = [number for number, folds in self._folds.items() if len(folds) == n_folds]
        if not numbers:
            return
        self._told.update(numbers)
        found = {n: [each for _, each in sorted(self._folds.pop(n).items())] for n in numbers}
        cells: Cells = [[*row] for row in found.values()]
        grid, written = self._kept.grid, (self._directory / JOURNAL).stat().st_mtime
        keys = _keys(grid)
        given = [plain_params(grid[number]) for number in numbers]
        about = self._about
        table = ranked_table(cv_table(given, cells, about["metrics"]), cells, about["ranking_metric"])
        ranked = about["ranking_metric"], about["shown_metric"]
        children = children_of(self.name, given, cells, *ranked, self._directory)
        for row in table.to_dict("records"):
            number, child = numbers[row["candidate"]], children[row["candidate"]]
            self._see(number, row)
            ended = child.started + child.seconds if child.started else written
            scores = ((self._shown(name), 0, value) for name, value in _numbers(row))
            yield CandidateRun(
                key=keys[number],
                name=_run_name(number),
                started=ended - child.seconds,
                ended=ended,
                params={name: str(value) for name, value in child.params.items()},
                metrics=[*scores, *(_logged(child) if any(cell.metrics for cell in found[number]) else ())],
                status=row["status"],
                error=None if pd.isna(row["error"]) else row["error"],
            )

    @property
    def ending(self) -> Ending:
        """What the parent run gets in the end."""
        endings = self._kept.sessions[-1].endings
        stopped = not endings or endings[-1]["record"] != "finished"
        best = self._best
        status = "KILLED" if stopped else "FAILED" if best is None else "FINISHED"
        return Ending(
            status=status,
            ended=(self._directory / JOURNAL).stat().st_mtime,
            metrics={} if best is None else {f"best_{self._shown(self._ranked)}": best[0]},
            best=None if best is None else _run_name(-best[1]),
            files=[self._directory / name for name in _KEPT_FILES if (self._directory / name).is_file()],
            config=self._config,
        )

    def _see(self, number: int, row: Mapping[str, Any]) -> None:
        if math.isfinite(row[self._ranked]):
            self._best = max(self._best or (-math.inf, 0), (row[self._ranked], -number))

    def _shown(self, column: str) -> str:
        """A column of the table, with the name that people give the only metric."""
        return column if not column.endswith("_test_score") else f"{column[:-5]}{self._about['shown_metric']}"

    @property
    def _ranked(self) -> str:
        return f"mean_test_{self._about['ranking_metric']}"

    @property
    def _header(self) -> Mapping[str, Any]:
        return self._kept.sessions[0].first

    @property
    def _about(self) -> Mapping[str, Any]:
        return self._kept.sessions[-1].first

    @property
    def _config(self) -> dict[str, Any]:
        return {name: value for name, value in self._about["config"].items() if name not in _NOT_TOLD}


def _run_name(candidate: int) -> str:
    return f"candidate {candidate}"


def _keys(grid: Sequence[str]) -> list[str]:
    """For each candidate what it is known by, whatever its number: its parameters; the second of two is that."""
    seen: Counter[str] = Counter()
    keys = []
    for text in grid:
        seen[text] += 1
        keys.append(hashlib.sha256(f"{seen[text]}:{text}".encode()).hexdigest()[:32])
    return keys


def _flat(value: Any, prefix: str = "") -> dict[str, str]:
    """Dotted keys, as ``--set`` takes them, with what is set.

    Examples
    --------
    >>> _flat({"cv": 3, "data": {"path": "a.csv", "test": None}, "metrics": []})
    {'cv': '3', 'data.path': 'a.csv'}
    """
    if isinstance(value, Mapping):
        nested = (_flat(item, f"{prefix}.{name}" if prefix else str(name)) for name, item in value.items())
        return {name: text for found in nested for name, text in found.items()}
    return {} if value is None or value == [] else {prefix: str(value)}


def _logged(child: ChildRun) -> Iterator[tuple[str, int, float]]:
    """What a trial told under its own names: every value of what it logged, and the rest once."""
    values = {**{name: [value] for name, value in child.metrics.items()}, **child.steps}
    for name, each in values.items():
        yield from ((name, step, value) for step, value in enumerate(each) if math.isfinite(value))


def _numbers(row: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    for name, value in row.items():
        if _TOLD.match(name) and not pd.isna(value) and math.isfinite(value):
            yield name, float(value)
