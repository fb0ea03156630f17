"""The keys of a sweep file that hold more than a plain value: each checked on its own."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hptune.config._limits import LimitsConfig
from hptune.config._records import DataConfig, SamplingConfig
from hptune.errors import ConfigurationError, did_you_mean
from hptune.policies import Policy, parse_policy
from hptune.records import EarlyStopping
from hptune.samplers import BY_NAME as SAMPLERS
from hptune.space import SearchSpace, parse_space, plain_value

__all__ = [
    "check_keys",
    "data_section",
    "early_stopping_section",
    "early_termination_section",
    "estimator_section",
    "primary_metric",
    "required",
    "sampling_section",
    "search_space_section",
    "spark_settings",
    "with_seed",
]

_DATA_NAMES = ("test", "target", "id", "weight", "group")
_DATA_CHOICES = {
    "format": ("auto", "talkingdata", "csv", "parquet", "libsvm", "npz"),
    "categories": ("native", "onehot"),
    "encoding": ("fraction", "indicator"),
}
_ESTIMATOR_KEYS = ("class", "params")
_EARLY_STOPPING_KEYS = ("rounds", "validation_fraction")
_OBJECTIVE_KEYS = ("primary_metric", "goal")
_SAMPLING_KEYS = ("type", "seed", "rule", "warm_start_from")
_MOST_CANDIDATES = 1_000_000
_HOW_TO_GIVE = {
    "data": "give --data PATH or set it in the sweep file",
    "estimator": "set it in the sweep file, as in estimator: xgboost.XGBClassifier",
    "search_space": "set it in the sweep file, as in search_space: {max_depth: [3, 4]}",
}


def check_keys(prefix: str, given: Mapping[str, Any], known: Sequence[str]) -> None:
    """Refuse a key that there is not."""
    for key in given:
        if key not in known:
            listed = f"the keys are {', '.join(known)}"
            raise ConfigurationError(f"unknown key '{prefix}{key}'", did_you_mean(str(key), known, listed))


def required(merged: Mapping[str, Any], key: str) -> Any:
    """The value of a key that must be there."""
    value = merged.get(key)
    if value is None:
        raise ConfigurationError(f"key {key!r} is missing", _HOW_TO_GIVE[key])
    return value


def data_section(value: Any) -> DataConfig:
    """`data`: a path, or a map."""
    given = {"path": value} if isinstance(value, (str, Path)) else value
    if not isinstance(given, Mapping):
        raise ConfigurationError("data must be a path or a map", "write data: PATH or data: {path: PATH}")
    check_keys("data.", given, [f.name for f in dataclasses.fields(DataConfig)])
    given = {key: item for key, item in given.items() if item is not None}
    if not given.get("path"):
        raise ConfigurationError("key 'data.path' is missing", _HOW_TO_GIVE["data"])
    if not isinstance(given.get("strict", True), bool):
        raise ConfigurationError(
            f"data.strict must be true or false but is {given['strict']!r}", "correct it"
        )
    _check_choices(given)
    fixed: dict[str, Any] = {
        "path": str(given["path"]),
        **{key: str(given[key]) for key in _DATA_NAMES if key in given},
        "features": _features(given.get("features", "all")),
    }
    return DataConfig(**{**given, **fixed})


def _features(value: Any) -> str | tuple[str, ...]:
    if isinstance(value, str):
        return value
    if isinstance(value, (list, tuple)) and all(isinstance(name, str) for name in value):
        return tuple(value)
    raise ConfigurationError(
        f"data.features must be all, small or a list of block names but is {value!r}", "correct it"
    )


def _check_choices(given: Mapping[str, Any]) -> None:
    for key, choices in _DATA_CHOICES.items():
        value = given.get(key, choices[0])
        if value not in choices:
            mend = did_you_mean(str(value), choices, f"choose from {', '.join(choices)}")
            raise ConfigurationError(f"data.{key} must not be {value!r}", mend)


def estimator_section(value: Any) -> tuple[str, dict[str, Any]]:
    """`estimator`: a name, or a map; the class and its parameters."""
    given: Any = {"class": value} if isinstance(value, str) else value
    if not isinstance(given, Mapping) or not isinstance(given.get("class"), str):
        raise ConfigurationError("estimator must name a class", _HOW_TO_GIVE["estimator"])
    check_keys("estimator.", given, _ESTIMATOR_KEYS)
    params = given.get("params") or {}
    if not isinstance(params, Mapping) or not all(isinstance(name, str) for name in params):
        raise ConfigurationError("estimator.params must be a map of names to values", "correct it")
    return given["class"], plain_value(dict(params))


def search_space_section(value: Any) -> SearchSpace:
    """`search_space`: a map, or a list of maps."""
    grids = value if isinstance(value, list) else [value]
    if not all(isinstance(grid, Mapping) for grid in grids):
        raise ConfigurationError("search_space must be a map or a list of maps", _HOW_TO_GIVE["search_space"])
    return parse_space(value).plain()


def sampling_section(value: Any, space: SearchSpace, limits: LimitsConfig, seed: int) -> SamplingConfig:
    """`sampling_algorithm`: a name, or a map; by default a grid where the space has one, else random."""
    given = {"type": value} if isinstance(value, (str, type(None))) else value
    if not isinstance(given, Mapping):
        raise ConfigurationError(
            "sampling_algorithm must be a name or a map", "write sampling_algorithm: random"
        )
    check_keys("sampling_algorithm.", given, _SAMPLING_KEYS)
    kind = given.get("type") or ("random" if space.endless else "grid")
    if given.get("rule", "random") != "random":  # Azure's spelling: {type: random, rule: sobol}
        kind = given["rule"]
    if not isinstance(kind, str) or kind not in SAMPLERS:
        mend = did_you_mean(str(kind), SAMPLERS, f"the algorithms are {', '.join(SAMPLERS)}")
        raise ConfigurationError(f"unknown sampling_algorithm {kind!r}", mend)
    own_seed = given.get("seed")
    if own_seed is not None and (not isinstance(own_seed, int) or isinstance(own_seed, bool) or own_seed < 0):
        raise ConfigurationError(
            f"sampling_algorithm.seed must be a whole number from 0 but is {own_seed!r}", "correct it"
        )
    _check_count(kind, space, limits)
    learned = _warm_start(kind, given.get("warm_start_from"))
    return SamplingConfig(kind, seed if own_seed is None else own_seed, learned)


def _warm_start(kind: str, value: Any) -> tuple[str, ...]:
    given = [value] if isinstance(value, (str, Path)) else value or []
    if not isinstance(given, (list, tuple)) or not all(isinstance(out, (str, Path)) for out in given):
        raise ConfigurationError(
            "sampling_algorithm.warm_start_from must be a list of output directories",
            "write warm_start_from: [runs/earlier]",
        )
    if given and not SAMPLERS[kind].adaptive:
        raise ConfigurationError(
            f"sampling_algorithm.warm_start_from teaches nothing to {kind}", "use bayesian, or take it out"
        )
    return tuple(map(str, given))


def _check_count(kind: str, space: SearchSpace, limits: LimitsConfig) -> None:
    """Refuse sampling that has no end."""
    if limits.max_total_trials is not None and (kind != "grid" or space.endless is None):
        return
    if kind != "grid":
        raise ConfigurationError(
            "key 'limits.max_total_trials' is missing",
            f"{kind} sampling needs it, as in max_total_trials: 64",
        )
    if space.checked_size() > _MOST_CANDIDATES:
        raise ConfigurationError(
            f"the grid has {space.size:,} candidates", "use random, or limits.max_total_trials"
        )


def with_seed(value: Any, seed: int) -> Any:
    """`cv`, with the sweep's seed where a splitter draws and has none of its own."""
    if not isinstance(value, Mapping) or value.get("random_state") is not None:
        return value
    from hptune.splits import seeded  # scikit-learn knows which splitters draw, and is slow to import

    return seeded(value, seed)


def early_stopping_section(value: Any, seed: int) -> EarlyStopping | None:
    """`early_stopping`, where it is given."""
    if value is None:
        return None
    example = "write early_stopping: {rounds: 50, validation_fraction: 0.1}"
    if not isinstance(value, Mapping):
        raise ConfigurationError("early_stopping must be a map", example)
    check_keys("early_stopping.", value, _EARLY_STOPPING_KEYS)
    rounds, fraction = value.get("rounds"), value.get("validation_fraction", 0.1)
    if not isinstance(rounds, int) or isinstance(rounds, bool) or rounds < 1:
        raise ConfigurationError(
            f"early_stopping.rounds must be a whole number from 1 but is {rounds}", example
        )
    if not isinstance(fraction, float) or not 0 < fraction < 1:
        raise ConfigurationError(
            f"early_stopping.validation_fraction must lie between 0 and 1 but is {fraction}", example
        )
    return EarlyStopping(rounds, fraction, seed)


def early_termination_section(value: Any) -> Policy | None:
    """`early_termination`, where it is given: a type, or a map."""
    return None if value is None else parse_policy(value)


def primary_metric(objective: Any) -> str | None:
    """`objective`: the name of the scorer that ranks."""
    if not isinstance(objective, Mapping):
        raise ConfigurationError("objective must be a map", "write objective: {primary_metric: neg_log_loss}")
    check_keys("objective.", objective, _OBJECTIVE_KEYS)
    if objective.get("goal", "maximize") != "maximize":
        raise ConfigurationError(
            "objective.goal must be maximize for a scorer", "larger is better for all scorers"
        )
    metric = objective.get("primary_metric")
    if metric is not None and not isinstance(metric, str):
        raise ConfigurationError("objective.primary_metric must be a scorer's name", "as in neg_log_loss")
    return metric


def spark_settings(value: Mapping[str, Any]) -> dict[str, str]:
    """`spark`: the master and settings, all as text."""
    for key in value:
        if key != "master" and not str(key).startswith("spark."):
            raise ConfigurationError(
                f"unknown key 'spark.{key}'", "use master, or a setting that starts with spark."
            )
    return {
        str(key): str(item).lower() if isinstance(item, bool) else str(item) for key, item in value.items()
    }
