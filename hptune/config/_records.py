"""A checked sweep file as a value."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from hptune.config._limits import LimitsConfig
from hptune.policies import Policy, written
from hptune.records import EarlyStopping, Objective
from hptune.space import SearchSpace

__all__ = [
    "AnyConfig",
    "CommonConfig",
    "DataConfig",
    "SamplingConfig",
    "SweepConfig",
    "TrackingConfig",
    "TrialConfig",
    "TrialSweepConfig",
]


_OF_ONE_MACHINE = ("catboost", "lightgbm", "sklearn")


@dataclass(frozen=True)
class DataConfig:
    """The `data` key: where the rows are, and how features are made of them."""

    path: str
    test: str | None = None
    format: str = "auto"
    target: str | None = None
    id: str | None = None
    weight: str | None = None
    group: str | None = None
    categories: str | None = None
    features: str | tuple[str, ...] = "all"
    encoding: str = "fraction"
    strict: bool = True


@dataclass(frozen=True)
class SamplingConfig:
    """The `sampling_algorithm` key: the sampler's name, the seed that it draws with, and what it learns from."""

    type: str = "grid"
    seed: int = 0
    warm_start_from: tuple[str, ...] = ()

    def to_mapping(self) -> dict[str, Any]:
        """The key's content."""
        learned = {"warm_start_from": list(self.warm_start_from)} if self.warm_start_from else {}
        return {"type": self.type, "seed": self.seed, **learned}


@dataclass(frozen=True)
class TrackingConfig:
    """The `tracking` key: an MLflow server's address, and the experiment, by default the sweep's name."""

    mlflow: str
    experiment: str | None = None


@dataclass(frozen=True)
class TrialConfig:
    """The `trial` key: what runs for a candidate where that is no fit on folds; one of the first two is given.

    Parameters
    ----------
    function : str, optional
        ``package.module:function``.
    command : str, optional
        A script and its arguments.
    code : str, optional
        The directory that goes along with the script.
    inputs : mapping of str to str
        Names of files and directories, and where they are.
    literals : mapping of str to str
        Values that the command's placeholders may name beside them.
    place : {"executors", "driver"}
        Where it runs.
    """

    function: str | None = None
    command: str | None = None
    code: str | None = None
    inputs: Mapping[str, str] = field(default_factory=dict)
    literals: Mapping[str, str] = field(default_factory=dict)
    place: Literal["executors", "driver"] = "executors"

    def to_mapping(self) -> dict[str, Any]:
        """The key's content, with what is not the default."""
        given = {name: value for name, value in dataclasses.asdict(self).items() if value}
        return {name: value for name, value in given.items() if name != "literals"}


@dataclass(frozen=True, kw_only=True)
class CommonConfig:
    """What all sweeps have: candidates, limits, and where they run. Key names are the sweep file's own."""

    search_space: SearchSpace
    constraints: tuple[str, ...] = ()
    sampling: SamplingConfig = SamplingConfig()
    deterministic: bool = False
    limits: LimitsConfig = LimitsConfig()
    name: str = "sweep"
    metrics: tuple[str, ...] = ()
    early_termination: Policy | None = None
    seed: int = 0
    engine: str = "spark"
    spark: Mapping[str, str] = field(default_factory=lambda: {"master": "local[*,4]"})
    tracking: TrackingConfig | None = None
    out: str | None = None

    def to_mapping(self) -> dict[str, Any]:
        """The file that gives this configuration again."""
        raise NotImplementedError

    def _candidates_keys(self) -> dict[str, Any]:
        return {
            "search_space": self.search_space.written(),
            "constraints": list(self.constraints),
            "sampling_algorithm": self.sampling.to_mapping(),
            "deterministic": self.deterministic,
        }

    def _termination_keys(self) -> dict[str, Any]:
        policy = self.early_termination
        return {"early_termination": None if policy is None else written(policy)}

    def _running_keys(self) -> dict[str, Any]:
        return {
            "seed": self.seed,
            "engine": self.engine,
            "spark": dict(self.spark),
            "tracking": None if self.tracking is None else dataclasses.asdict(self.tracking),
            "out": self.out,
        }


@dataclass(frozen=True, kw_only=True)
class SweepConfig(CommonConfig):
    """A checked sweep file of fits on folds, with every default filled in."""

    data: DataConfig
    estimator: str
    estimator_params: Mapping[str, Any] = field(default_factory=dict)
    primary_metric: str | None = None
    cv: Any = 5
    early_stopping: EarlyStopping | None = None
    refit: bool | str = True

    @property
    def is_of_one_machine(self) -> bool:
        """Whether names alone tell that each fit is one machine's, without an import that takes seconds."""
        package, _, name = self.estimator.replace(":", ".").partition(".")
        is_plain = package in _OF_ONE_MACHINE or (package == "xgboost" and "." not in name)
        return is_plain and not self.has_holdout

    @property
    def has_holdout(self) -> bool:
        """Whether one validation part ranks, which only trials that are Spark jobs have."""
        return isinstance(self.cv, Mapping) and self.cv.get("type") == "holdout"

    def to_mapping(self) -> dict[str, Any]:
        """The file that gives this configuration again."""
        data = {name: value for name, value in dataclasses.asdict(self.data).items() if value is not None}
        data["features"] = data["features"] if isinstance(data["features"], str) else list(data["features"])
        return {
            "name": self.name,
            "data": data,
            "estimator": {"class": self.estimator, "params": dict(self.estimator_params)},
            **self._candidates_keys(),
            "objective": {"primary_metric": self.primary_metric, "goal": "maximize"},
            "limits": self.limits.to_mapping(),
            "metrics": list(self.metrics),
            "cv": self.cv,
            "early_stopping": _early_stopping_keys(self.early_stopping),
            **self._termination_keys(),
            "refit": self.refit,
            **self._running_keys(),
        }


@dataclass(frozen=True, kw_only=True)
class TrialSweepConfig(CommonConfig):
    """A checked sweep file whose trials are functions or scripts, with every default filled in.

    `notice` names the keys that are not heeded; empty where there are none.
    """

    trial: TrialConfig
    objective: Objective
    notice: str = ""

    def to_mapping(self) -> dict[str, Any]:
        """The file that gives this configuration again."""
        literals = {"inputs": dict(self.trial.literals)} if self.trial.literals else {}
        return {
            "name": self.name,
            "trial": self.trial.to_mapping(),
            **literals,
            **self._candidates_keys(),
            "objective": {"primary_metric": self.objective.metric, "goal": self.objective.goal},
            "limits": self.limits.to_mapping(),
            "metrics": list(self.metrics),
            **self._termination_keys(),
            **self._running_keys(),
        }


AnyConfig: TypeAlias = SweepConfig | TrialSweepConfig


def _early_stopping_keys(value: EarlyStopping | None) -> dict[str, Any] | None:
    if value is None:
        return None
    return {"rounds": value.rounds, "validation_fraction": value.validation_fraction}
