"""HyperDrive's names (Azure ML SDK v1) over hptune's: a notebook written for it changes its imports.

::

    from azureml.core import Experiment, Run, ScriptRunConfig      ->  from hptune.hyperdrive import ...
    from azureml.train.hyperdrive import BanditPolicy, choice, ... ->  from hptune.hyperdrive import ...

Runs go to this machine or to one's own Spark: a `Workspace` says where, instead of a compute target.
"""

from __future__ import annotations

import json
import math
import shlex
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from hptune.api import run_sweep
from hptune.children import ChildRun, best_first
from hptune.context import Run
from hptune.engine import active_session
from hptune.history import read_children
from hptune.interrupts import Stopped
from hptune.policies import BanditPolicy, MedianStoppingPolicy, Policy, TruncationSelectionPolicy, written
from hptune.space import (
    choice,
    lognormal,
    loguniform,
    normal,
    qlognormal,
    qloguniform,
    qnormal,
    quniform,
    randint,
    uniform,
)

__all__ = [
    "BanditPolicy",
    "BayesianParameterSampling",
    "Experiment",
    "GridParameterSampling",
    "HyperDriveChildRun",
    "HyperDriveConfig",
    "HyperDriveRun",
    "MedianStoppingPolicy",
    "NoTerminationPolicy",
    "PrimaryMetricGoal",
    "RandomParameterSampling",
    "Run",
    "ScriptRunConfig",
    "TruncationSelectionPolicy",
    "Workspace",
    "choice",
    "lognormal",
    "loguniform",
    "normal",
    "qlognormal",
    "qloguniform",
    "qnormal",
    "quniform",
    "randint",
    "uniform",
]

_STATUSES = {"ok": "Completed", "stopped": "Canceled", "not run": "NotStarted", "partial": "Canceled"}


class PrimaryMetricGoal:
    """Which values of the metric are better."""

    MAXIMIZE = "maximize"
    MINIMIZE = "minimize"


class NoTerminationPolicy:
    """No run is stopped early; the same as ``policy=None``."""


@dataclass(frozen=True)
class _Sampling:
    """Which candidates are tried.

    Parameters
    ----------
    parameter_space : mapping
        Expressions by the names of the script's arguments, such as ``--batch_size``.
    seed : int, default 0
        Of what is drawn.
    """

    algorithm: ClassVar[str]

    parameter_space: Mapping[str, Any]
    seed: int = 0


class GridParameterSampling(_Sampling):
    """Every combination of listed values."""

    algorithm = "grid"


class RandomParameterSampling(_Sampling):
    """Values are drawn."""

    algorithm = "random"


class BayesianParameterSampling(_Sampling):
    """Values are chosen by what runs with others scored, of all expressions, and with early termination."""

    algorithm = "bayesian"


@dataclass(frozen=True)
class ScriptRunConfig:
    """A script, without the hyperparameters.

    Parameters
    ----------
    source_directory : str or Path
        What goes along with the script.
    script : str
        Its path in there.
    arguments : sequence, optional
        Arguments that do not vary.
    inputs : mapping, optional
        Files or directories, which the script finds as ``run.input_datasets[name]``; the SDK's
        ``as_named_input``.
    """

    source_directory: str | Path
    script: str
    arguments: Sequence[Any] = ()
    inputs: Mapping[str, str | Path] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class HyperDriveConfig:
    """A tuning experiment.

    Parameters
    ----------
    run_config : ScriptRunConfig
        What a run is.
    hyperparameter_sampling : GridParameterSampling, RandomParameterSampling or BayesianParameterSampling
        What is tried.
    primary_metric_name : str
        The metric that the script logs.
    primary_metric_goal : {"maximize", "minimize"}
        One of `PrimaryMetricGoal`.
    max_total_runs : int
        Runs at most.
    max_concurrent_runs : int, optional
        Runs at once; as many as there are slots where it is not given.
    max_duration_minutes : float, optional
        When the experiment is ended with what is done; in the main thread only.
    policy : Policy, optional
        Early termination.
    """

    run_config: ScriptRunConfig
    hyperparameter_sampling: _Sampling
    primary_metric_name: str
    primary_metric_goal: str
    max_total_runs: int
    max_concurrent_runs: int | None = None
    max_duration_minutes: float | None = None
    policy: Policy | NoTerminationPolicy | None = None

    def to_mapping(self) -> dict[str, Any]:
        """The sweep file that says the same."""
        script, sampling = self.run_config, self.hyperparameter_sampling
        words = ["python", script.script, *map(str, script.arguments)]
        limits = {
            "max_total_trials": self.max_total_runs,
            "max_concurrent_trials": self.max_concurrent_runs,
            "timeout": None if self.max_duration_minutes is None else 60 * self.max_duration_minutes,
        }
        return {
            "trial": {
                "command": " ".join(map(_quoted, words)),
                "code": str(script.source_directory),
                "inputs": {name: str(path) for name, path in script.inputs.items()},
            },
            "search_space": dict(sampling.parameter_space),
            "sampling_algorithm": {"type": sampling.algorithm, "seed": sampling.seed},
            "objective": {"primary_metric": self.primary_metric_name, "goal": str(self.primary_metric_goal)},
            "early_termination": written(self.policy) if isinstance(self.policy, Policy) else None,
            "limits": limits,
        }


@dataclass(frozen=True)
class Workspace:
    """Where runs go, and where their files are kept.

    Parameters
    ----------
    engine : {"spark", "processes", "serial"}, optional
        By default Spark's active session where there is one, else processes of this machine.
    spark : mapping, optional
        ``master`` and ``spark.*`` settings, for a session that is started.
    directory : str or Path, default "runs"
        Each experiment's files go to a new directory in it.
    """

    engine: str | None = None
    spark: Mapping[str, Any] | None = None
    directory: str | Path = "runs"


@dataclass(frozen=True)
class Experiment:
    """Runs of one kind.

    Parameters
    ----------
    workspace : Workspace, optional
        Where they run.
    name : str
        Which they have in their ids.
    """

    workspace: Workspace | None = None
    name: str = "experiment"

    def submit(self, config: HyperDriveConfig) -> HyperDriveRun:
        """Run the experiment to its end.

        Raises
        ------
        HptuneError
            As `hptune.run_sweep`: the configuration cannot be meant, or no run logged a number.
        """
        place = self.workspace or Workspace()
        out = (
            Path(place.directory)
            / f"{self.name}-{time.strftime('%Y%m%d-%H%M%S')}-{time.time_ns() % 10**6:06}"
        )
        engine = place.engine or ("spark" if place.spark or active_session() is not None else "processes")
        keys: dict[str, Any] = {"name": self.name, "engine": engine, "out": str(out)}
        if place.spark is not None:
            keys["spark"] = dict(place.spark)
        try:
            run_sweep({**config.to_mapping(), **keys})
        except Stopped:
            return HyperDriveRun(out, config, "Canceled")
        return HyperDriveRun(out, config, "Completed")


@dataclass(frozen=True)
class HyperDriveChildRun:
    """One run of the script; `run` has all that is known of it."""

    run: ChildRun

    @property
    def id(self) -> str:
        """The experiment's name and the run's number."""
        return self.run.id

    def get_status(self) -> str:
        """Azure's word for how it ended."""
        return _STATUSES.get(self.run.status, "Failed")

    def get_metrics(self, name: str | None = None) -> dict[str, Any]:
        """Each metric's value; a list where several were logged."""
        several = {metric: list(values) for metric, values in self.run.steps.items() if len(values) > 1}
        metrics = {**self.run.metrics, **several}
        return metrics if name is None else {key: value for key, value in metrics.items() if key == name}

    def get_file_names(self) -> list[str]:
        """The files that it left, such as ``outputs/model.pkl``."""
        return list(self.run.files)

    def download_file(self, name: str, output_file_path: str | Path | None = None) -> None:
        """Copy one of its files; into this directory where no other path is given."""
        files = self.run.files
        if name not in files:
            raise FileNotFoundError(f"run {self.id} left no {name!r}, only {', '.join(files) or 'nothing'}")
        shutil.copyfile(files[name], output_file_path or Path(name).name)

    def get_details(self) -> dict[str, Any]:
        """Id, status, times, and the hyperparameters as the script's arguments."""
        arguments = [str(part) for pair in self.run.params.items() for part in pair]
        return {
            "runId": self.id,
            "status": self.get_status(),
            "startTimeUtc": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.run.started)),
            "runDefinition": {"arguments": arguments},
            "error": self.run.error,
        }

    def __str__(self) -> str:
        return f"Run(id={self.id}, status={self.get_status()}, metrics={dict(self.run.metrics)})"


@dataclass(frozen=True)
class HyperDriveRun:
    """An experiment that has ended.

    Parameters
    ----------
    directory : Path
        Its files: `hptune.load`, ``hptune runs`` and ``hptune show`` read them too.
    config : HyperDriveConfig
        What was asked for.
    status : str
        "Completed", or "Canceled" by its time limit.
    """

    directory: Path
    config: HyperDriveConfig
    status: str

    def wait_for_completion(self, show_output: bool = False) -> dict[str, Any]:
        """Nothing is left to wait for: `Experiment.submit` has waited."""
        return {"status": self.status}

    def get_status(self) -> str:
        """How it ended."""
        return self.status

    def get_children(self) -> list[HyperDriveChildRun]:
        """The runs, in the order in which they were thought of."""
        return [HyperDriveChildRun(child) for child in read_children(self.directory)]

    def get_metrics(self) -> dict[str, dict[str, Any]]:
        """Each run's metrics by its id."""
        return {child.id: child.get_metrics() for child in self.get_children()}

    def get_children_sorted_by_primary_metric(
        self, top: int = 0, reverse: bool = False, discard_no_metric: bool = False
    ) -> list[dict[str, Any]]:
        """The runs as the SDK tells them, best first; `top` of them where that is not 0."""
        runs = best_first(read_children(self.directory))
        if discard_no_metric:
            runs = [run for run in runs if math.isfinite(run.score)]
        told = [
            {
                "run_id": run.id,
                "hyperparameters": json.dumps(dict(run.params), default=str),
                "best_primary_metric": run.metrics.get(self.config.primary_metric_name),
                "status": HyperDriveChildRun(run).get_status(),
            }
            for run in (reversed(runs) if reverse else runs)
        ]
        return told[:top] if top else told

    def get_best_run_by_primary_metric(self) -> HyperDriveChildRun | None:
        """The best run; None where none has a value of the metric."""
        best = best_first(read_children(self.directory))[:1]
        return HyperDriveChildRun(best[0]) if best and math.isfinite(best[0].score) else None


def _quoted(word: str) -> str:
    """A word of a command, its placeholders left as they are."""
    return word if "${{" in word else shlex.quote(word)
