"""A checked sweep file as a value."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hptune.config._limits import LimitsConfig
from hptune.records import EarlyStopping
from hptune.space import SearchSpace

__all__ = ["DataConfig", "SamplingConfig", "SweepConfig", "TrackingConfig"]


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
class SweepConfig:
    """A checked sweep file with every default filled in. Key names are the file's own."""

    data: DataConfig
    search_space: SearchSpace
    estimator: str
    estimator_params: Mapping[str, Any] = field(default_factory=dict)
    constraints: tuple[str, ...] = ()
    sampling: SamplingConfig = SamplingConfig()
    deterministic: bool = False
    limits: LimitsConfig = LimitsConfig()
    name: str = "sweep"
    primary_metric: str | None = None
    metrics: tuple[str, ...] = ()
    cv: Any = 5
    early_stopping: EarlyStopping | None = None
    refit: bool | str = True
    seed: int = 0
    engine: str = "spark"
    spark: Mapping[str, str] = field(default_factory=lambda: {"master": "local[*,4]"})
    tracking: TrackingConfig | None = None
    out: str | None = None

    def to_mapping(self) -> dict[str, Any]:
        """The file that gives this configuration again."""
        data = {name: value for name, value in dataclasses.asdict(self.data).items() if value is not None}
        data["features"] = data["features"] if isinstance(data["features"], str) else list(data["features"])
        return {
            "name": self.name,
            "data": data,
            "estimator": {"class": self.estimator, "params": dict(self.estimator_params)},
            "search_space": self.search_space.written(),
            "constraints": list(self.constraints),
            "sampling_algorithm": self.sampling.to_mapping(),
            "deterministic": self.deterministic,
            "objective": {"primary_metric": self.primary_metric, "goal": "maximize"},
            "limits": self.limits.to_mapping(),
            "metrics": list(self.metrics),
            "cv": self.cv,
            "early_stopping": _early_stopping_keys(self.early_stopping),
            "refit": self.refit,
            "seed": self.seed,
            "engine": self.engine,
            "spark": dict(self.spark),
            "tracking": None if self.tracking is None else dataclasses.asdict(self.tracking),
            "out": self.out,
        }


def _early_stopping_keys(value: EarlyStopping | None) -> dict[str, Any] | None:
    if value is None:
        return None
    return {"rounds": value.rounds, "validation_fraction": value.validation_fraction}
