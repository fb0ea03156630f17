"""Runs on an MLflow server, found again by their tags: what was sent before, by whom ever, is not sent again."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import sys
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = [
    "CandidateRun",
    "Ending",
    "MlflowRuns",
    "SweepRun",
    "autologging_off",
    "has_mlflow",
    "settings_kept",
]

_SWEEP = "hptune.sweep"
_CANDIDATE = "hptune.candidate"
_STATUS = "hptune.status"
_ERROR = "hptune.error"
_BEST = "hptune.best_candidate"
_FILES = "hptune.files"  # checksum of the files that were sent
_EXPERIMENT = "MLFLOW_EXPERIMENT_ID"
_PARENT = "mlflow.parentRunId"
_SOURCE = {"mlflow.source.name": "hptune"}

_STATUSES = {"ok": "FINISHED", "stopped": "KILLED"}  # as MLflow calls them; all others have failed
_NOT_IN_A_NAME = re.compile(r"[^\w.\- :]")
_NAME_CHARACTERS = 250
_VALUE_CHARACTERS = 500  # MLflow takes 6,000, Azure ML 500
_PAGE = 1000

# Set before MLflow is imported, where the environment does not say otherwise: its own defaults report its usage to
# its makers, print a line for each run, and try a server that is away for minutes.
_SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}


@dataclass(frozen=True)
class SweepRun:
    """A sweep as the parent run of its candidates.

    Parameters
    ----------
    id : str
        The same in all its sessions, and of no other sweep.
    name : str
        The run's name.
    started : float
        In seconds since the epoch.
    params : mapping
        Texts.
    """

    id: str
    name: str
    started: float
    params: Mapping[str, str]


@dataclass(frozen=True)
class CandidateRun:
    """A candidate whose fits are all done.

    Parameters
    ----------
    key : str
        The same in all sessions of the sweep, and of no other candidate of it.
    name : str
        The run's name.
    started, ended : float
        In seconds since the epoch.
    params : mapping
        Texts.
    metrics : sequence of (name, step, value)
        Finite numbers, each step of a name once.
    status : str
        As in the table of results.
    error : str, optional
        As in the table of results.
    """

    key: str
    name: str
    started: float
    ended: float
    params: Mapping[str, str]
    metrics: Sequence[tuple[str, int, float]]
    status: str
    error: str | None = None


@dataclass(frozen=True)
class Ending:
    """What the parent run gets in the end.

    Parameters
    ----------
    status : {"FINISHED", "FAILED", "KILLED"}
        As MLflow calls it.
    ended : float
        In seconds since the epoch.
    metrics : mapping
        Of the best candidate.
    best : str, optional
        The name of the best candidate's run.
    files : sequence of Path
        What is kept with the run: files, and directories with all that is in them.
    config : mapping
        The configuration, kept with them as ``sweep.yaml``.
    """

    status: str
    ended: float
    metrics: Mapping[str, float]
    best: str | None
    files: Sequence[Path]
    config: Mapping[str, Any]


def has_mlflow() -> bool:
    """Whether MLflow is installed, as ``mlflow`` or ``mlflow-skinny``."""
    return importlib.util.find_spec("mlflow") is not None


@contextmanager
def autologging_off() -> Iterator[None]:
    """While open, no fit of this process is logged by MLflow itself, which may have been asked for that."""
    if "mlflow" not in sys.modules:
        yield
        return
    from mlflow.utils.autologging_utils import disable_autologging

    with disable_autologging():
        yield


@contextmanager
def settings_kept() -> Iterator[None]:
    """Afterwards MLflow's functions log in this process, and in those that it starts, where they did before."""
    import mlflow

    experiment = os.environ.get(_EXPERIMENT)
    uri = mlflow.get_tracking_uri() if mlflow.is_tracking_uri_set() else None
    try:
        yield
    finally:
        mlflow.set_tracking_uri(uri)
        os.environ.pop(_EXPERIMENT, None)
        if experiment is not None:
            os.environ[_EXPERIMENT] = experiment


class MlflowRuns:
    """The runs of one sweep.

    Parameters
    ----------
    uri : str
        Of the tracking server; whatever MLflow understands.
    experiment : str
        Its name; it is made where there is none.
    """

    def __init__(self, uri: str, experiment: str) -> None:
        self._uri = uri
        self._experiment = experiment
        self._names: dict[str, tuple[str, str]] = {}  # of finished children: id and name, by key
        self._begun: dict[str, str] = {}  # ids of the others, by key

    @property
    def known(self) -> Collection[str]:
        """Keys of the candidates that are there and complete."""
        return self._names.keys()

    def open(self, sweep: SweepRun) -> None:
        """Find the sweep's run and its children, or begin it."""
        self._client = _client(self._uri)
        self._in = self._experiment_id()
        found = self._found(_SWEEP, sweep.id)
        self._drop(found[1:])
        if found:
            run, had = found[0], found[0].data.params
            self._client.update_run(run.info.run_id, status="RUNNING")
        else:
            tags = {_SWEEP: sweep.id, **_SOURCE}
            run, had = self._created(sweep.name, sweep.started, tags), {}
        self._parent = run.info.run_id
        self._client.log_batch(self._parent, params=_params(sweep.params, had))
        self._look()

    def begin(self, key: str, name: str) -> str | None:
        """The id of a child that begins only now, or was begun before; None where it is complete."""
        if key in self._names:
            return None
        if key not in self._begun:
            self._begun[key] = self._created(name, time.time(), self._tags_of(key)).info.run_id
        return self._begun[key]

    @contextmanager
    def active(self, run_id: str) -> Iterator[None]:
        """While open, what this thread logs by MLflow's own functions goes to the run, and runs nest below it."""
        import mlflow

        mlflow.set_tracking_uri(self._uri)
        mlflow.set_experiment(experiment_id=self._in)
        with mlflow.start_run(run_id=run_id):
            yield

    def send(self, child: CandidateRun) -> None:
        """Make the child's run complete; one that is, is only renamed where its candidate has another number now."""
        run_id, name = self._names.get(child.key, ("", child.name))
        if name != child.name:
            self._client.update_run(run_id, name=child.name)
        if not run_id:
            run_id = self._completed(child)
        self._names[child.key] = run_id, child.name

    def close(self, ending: Ending) -> None:
        """End the sweep's run, with its files; what was sent twice is there once."""
        self._look()
        run = self._client.get_run(self._parent)
        milliseconds = _milliseconds(ending.ended)
        metrics = [(name, 0, value) for name, value in ending.metrics.items()]
        news = [item for item in metrics if run.data.metrics.get(_name(item[0])) != item[2]]
        tags = {} if ending.best is None else {_BEST: ending.best}
        self._send_files(ending, run.data.tags.get(_FILES))
        self._client.log_batch(self._parent, metrics=_metrics(news, milliseconds), tags=_tags(tags))
        self._client.set_terminated(self._parent, ending.status, milliseconds)

    def _completed(self, child: CandidateRun) -> str:
        """The id of the child's run, with everything in it."""
        run_id, had_params, had = self._begun.pop(child.key, ""), {}, set()
        if run_id:
            data = self._client.get_run(run_id).data
            had_params = data.params
            history = (self._client.get_metric_history(run_id, key) for key in data.metrics)
            had = {(point.key, point.step) for points in history for point in points}
        else:
            run_id = self._created(child.name, child.started, self._tags_of(child.key)).info.run_id
        ended = _milliseconds(child.ended)
        points = [point for point in child.metrics if (_name(point[0]), point[1]) not in had]
        error = {} if child.error is None else {_ERROR: _value(child.error)}
        tags = _tags({_STATUS: child.status, **error})  # what marks the run as complete
        self._client.log_batch(run_id, _metrics(points, ended), _params(child.params, had_params), tags)
        self._client.set_terminated(run_id, _STATUSES.get(child.status, "FAILED"), ended)
        return run_id

    def _created(self, name: str, started: float, tags: Mapping[str, str]) -> Any:
        return self._client.create_run(self._in, _milliseconds(started), dict(tags), name)

    def _tags_of(self, key: str) -> dict[str, str]:
        return {_PARENT: self._parent, _CANDIDATE: key, **_SOURCE}

    def _experiment_id(self) -> str:
        found = self._client.get_experiment_by_name(self._experiment)
        return str(self._client.create_experiment(self._experiment) if found is None else found.experiment_id)

    def _look(self) -> None:
        """See which children are there. A request that was answered too late was made again: one run of two goes."""
        self._names, self._begun = {}, {}
        twice = []
        for run in self._found(_PARENT, self._parent):
            key = run.data.tags.get(_CANDIDATE)
            if key is None:
                continue  # another's
            if key in self._names or key in self._begun:
                twice.append(run)
            elif run.info.end_time and _STATUS in run.data.tags:
                self._names[key] = run.info.run_id, run.info.run_name
            else:
                self._begun[key] = run.info.run_id
        self._drop(twice)

    def _found(self, tag: str, value: str) -> list[Any]:
        """Runs with a tag: complete ones first, then in the order of their ids."""
        where = f"tags.`{tag}` = '{value}'"
        page = self._client.search_runs([self._in], where, max_results=_PAGE)
        runs = list(page)
        while page.token:
            page = self._client.search_runs([self._in], where, max_results=_PAGE, page_token=page.token)
            runs += page
        return sorted(runs, key=lambda run: (_STATUS not in run.data.tags, run.info.run_id))

    def _drop(self, runs: Sequence[Any]) -> None:
        for run in runs:
            self._client.delete_run(run.info.run_id)

    def _send_files(self, ending: Ending, sent: str | None) -> None:
        digest = hashlib.sha256(repr(dict(ending.config)).encode())
        for path in (file for each in ending.files for file in _files_in(each)):
            digest.update(f"{path.name}:{hashlib.sha256(path.read_bytes()).hexdigest()}".encode())
        if digest.hexdigest() == sent:
            return
        for path in ending.files:
            if path.is_dir():
                self._client.log_artifacts(self._parent, str(path), path.name)
            else:
                self._client.log_artifact(self._parent, str(path))
        self._client.log_dict(self._parent, dict(ending.config), "sweep.yaml")
        self._client.set_tag(self._parent, _FILES, digest.hexdigest())


def _files_in(path: Path) -> list[Path]:
    return sorted(each for each in path.rglob("*") if each.is_file()) if path.is_dir() else [path]


def _client(uri: str) -> Any:
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    from mlflow import MlflowClient  # takes seconds, in the thread that needs it

    return MlflowClient(uri)


def _name(name: str) -> str:
    """A name that MLflow takes."""
    return _NOT_IN_A_NAME.sub("_", name)[:_NAME_CHARACTERS]


def _value(text: str) -> str:
    return text[:_VALUE_CHARACTERS]


def _milliseconds(seconds: float) -> int:
    return round(1000 * seconds)


def _params(params: Mapping[str, str], had: Mapping[str, str]) -> list[Any]:
    """What a run lacks: a parameter that was sent cannot be changed."""
    from mlflow.entities import Param

    named = {_name(name): _value(text) for name, text in params.items()}
    return [Param(name, text) for name, text in named.items() if name not in had]


def _metrics(points: Sequence[tuple[str, int, float]], milliseconds: int) -> list[Any]:
    from mlflow.entities import Metric

    return [Metric(_name(name), value, milliseconds, step) for name, step, value in points]


def _tags(tags: Mapping[str, str]) -> list[Any]:
    from mlflow.entities import RunTag

    return [RunTag(name, text) for name, text in tags.items()]
