"""A sweep file: its keys, their defaults, and one clear line for each that cannot be meant."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from hptune._yaml import load_yaml
from hptune.engine import BY_NAME as ENGINES
from hptune.errors import ConfigurationError, did_you_mean
from hptune.records import EarlyStopping
from hptune.space import SearchSpace, parse_space

__all__ = ["SHORT_KEYS", "DataConfig", "SweepConfig", "load_config", "parse_config", "with_values"]

_FILE_BYTES = 1 << 20  # a sweep file larger than this is something else
_NOT_YET = (
    "deterministic",
    "early_termination",
    "limits",
    "tracking",
    "trial",
)
_DATA_NAMES = ("test", "target", "id", "weight", "group")
_DATA_CHOICES = {
    "format": ("auto", "talkingdata", "csv", "parquet", "libsvm", "npz"),
    "categories": ("native", "onehot"),
}
_ESTIMATOR_KEYS = ("class", "params")
_EARLY_STOPPING_KEYS = ("rounds", "validation_fraction")
_OBJECTIVE_KEYS = ("primary_metric", "goal")
SHORT_KEYS = {name: f"data.{name}" for name in _DATA_NAMES} | {"scoring": "objective.primary_metric"}
"""What the command line's flags are called, and ``run_sweep``'s keywords may be, in the sweep file."""


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
class SweepConfig:
    """A checked sweep file with every default filled in. Key names are the file's own."""

    data: DataConfig
    search_space: SearchSpace
    estimator: str
    estimator_params: Mapping[str, Any] = field(default_factory=dict)
    constraints: tuple[str, ...] = ()
    name: str = "sweep"
    primary_metric: str | None = None
    metrics: tuple[str, ...] = ()
    cv: Any = 5
    early_stopping: EarlyStopping | None = None
    refit: bool | str = True
    seed: int = 0
    engine: str = "spark"
    spark: Mapping[str, str] = field(default_factory=lambda: {"master": "local[*,4]"})
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
            "sampling_algorithm": "grid",
            "objective": {"primary_metric": self.primary_metric, "goal": "maximize"},
            "metrics": list(self.metrics),
            "cv": self.cv,
            "early_stopping": _early_stopping_keys(self.early_stopping),
            "refit": self.refit,
            "seed": self.seed,
            "engine": self.engine,
            "spark": dict(self.spark),
            "out": self.out,
        }


def load_config(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file; its `name` defaults to the file's.

    Raises
    ------
    ConfigurationError
        The file is absent, too large, no YAML, or no mapping.
    """
    try:
        if path.stat().st_size > _FILE_BYTES:
            raise ConfigurationError(f"{path} is larger than 1 MiB", "give a sweep file to --config")
        content = load_yaml(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ConfigurationError(
            f"cannot read {path} ({error.strerror})", "give a sweep file to --config"
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path} is not UTF-8 text", "give a sweep file to --config") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)
        problem = getattr(error, "problem", None) or "not YAML"
        raise ConfigurationError(f"{where}: {problem}", "mend the YAML there") from error
    except (ValueError, RecursionError) as error:  # a date in month 13, a thousand brackets
        raise ConfigurationError(f"{path}: {error}", "mend the YAML") from error
    if not isinstance(content, dict):
        raise ConfigurationError(f"{path} holds no keys", "see the README for a sweep file's keys")
    return {"name": path.stem, **content}


def parse_config(raw: Mapping[str, Any], overrides: Iterable[str] = ()) -> SweepConfig:
    """A checked configuration.

    Parameters
    ----------
    raw : mapping
        A sweep file's content.
    overrides : iterable of str
        ``KEY=VALUE``: a dotted key and a YAML value, which win over `raw`.

    Raises
    ------
    ConfigurationError
        A key is unknown, missing, of the wrong type or not supported yet.

    Examples
    --------
    >>> raw = {"data": "d", "estimator": "sklearn.linear_model.Ridge", "search_space": {"alpha": [1, 2]}}
    >>> parse_config(raw, ["cv=3"]).cv
    3
    """
    merged = _overridden(dict(raw), overrides)
    _check_keys("", merged, (*_TOP_LEVEL, *_NOT_YET))
    for key in _NOT_YET:
        if merged.get(key):
            raise ConfigurationError(f"key {key!r} is not supported yet", "take it out")
    _check_sampling(merged.get("sampling_algorithm", "grid"))
    given = {name: merged[name] for name in _PLAIN if merged.get(name) is not None}
    _check_types(given)
    for name in given.keys() & {"constraints", "metrics"}:
        given[name] = tuple(given[name])
    given["cv"] = _cv(given.get("cv", 5), given.get("seed", 0))
    if "spark" in given:
        given["spark"] = _spark_settings(given["spark"])
    estimator, params = _estimator(_required(merged, "estimator"))
    return SweepConfig(
        data=_data(_required(merged, "data")),
        search_space=_search_space(_required(merged, "search_space")),
        estimator=estimator,
        estimator_params=params,
        primary_metric=_primary_metric(merged.get("objective") or {}),
        early_stopping=_early_stopping(merged.get("early_stopping"), given.get("seed", 0)),
        **given,
    )


def with_values(raw: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """A sweep file's content with `values` under their keys, which are dotted or of `SHORT_KEYS`.

    Raises
    ------
    ConfigurationError
        A key leads through what is no map.

    Examples
    --------
    >>> with_values({"data": "rows.csv"}, {"target": "price", "search_space.max_depth": [3, 4]})
    {'data': {'path': 'rows.csv', 'target': 'price'}, 'search_space': {'max_depth': [3, 4]}}
    """
    changed = dict(raw)
    for name, value in values.items():
        key = SHORT_KEYS.get(name, name)
        if key == "data" and isinstance(value, str) and isinstance(changed.get("data"), Mapping):
            key = "data.path"  # the other keys of data stay
        changed = _with_value(changed, key.split("."), value, name)
    return changed


_PLAIN: Mapping[str, tuple[type, ...]] = {
    "name": (str,),
    "constraints": (list, tuple),
    "metrics": (list, tuple),
    "cv": (int, dict),
    "refit": (bool, str),
    "seed": (int,),
    "engine": (str,),
    "spark": (dict,),
    "out": (str,),
}
_TOP_LEVEL = (
    "data",
    "early_stopping",
    "estimator",
    "search_space",
    "sampling_algorithm",
    "objective",
    *_PLAIN,
)


def _overridden(raw: dict[str, Any], overrides: Iterable[str]) -> dict[str, Any]:
    for override in overrides:
        key, equals, text = override.partition("=")
        if not equals or not key:
            raise ConfigurationError(f"--set {override} has no value", "write --set KEY=VALUE")
        try:
            value = load_yaml(text)
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            raise ConfigurationError(f"--set {override} is no YAML value", "quote what is text") from error
        raw = _with_value(raw, key.split("."), value, f"--set {key}")
    return raw


def _with_value(node: Any, path: Sequence[str], value: Any, shown: str) -> dict[str, Any]:
    if not isinstance(node, (dict, type(None))):
        raise ConfigurationError(f"{shown}: there is no such key", "name a key of the sweep file")
    changed: dict[str, Any] = dict(node or {})
    first, *rest = path
    changed[first] = (
        value if not rest else _with_value(_as_map(first, changed.get(first)), rest, value, shown)
    )
    return changed


def _as_map(key: str, value: Any) -> Any:
    """The value; where it is the text that stands for a map, the map."""
    short_for = {"data": "path", "estimator": "class"}.get(key)
    return {short_for: value} if short_for and isinstance(value, str) else value


def _check_keys(prefix: str, given: Mapping[str, Any], known: Sequence[str]) -> None:
    for key in given:
        if key not in known:
            listed = f"the keys are {', '.join(known)}"
            raise ConfigurationError(f"unknown key '{prefix}{key}'", did_you_mean(str(key), known, listed))


def _check_types(given: Mapping[str, Any]) -> None:
    for name, value in given.items():
        allowed = _PLAIN[name]
        if not isinstance(value, allowed) or (isinstance(value, bool) and bool not in allowed):
            wanted = " or ".join(kind.__name__ for kind in allowed)
            raise ConfigurationError(
                f"{name} must be {wanted} but is {type(value).__name__}", f"correct {name}"
            )
    if not all(isinstance(metric, str) for metric in given.get("metrics", ())):
        raise ConfigurationError("metrics must be scorers' names", "as in metrics: [r2]")
    if not all(isinstance(name, str) and ":" in name for name in given.get("constraints", ())):
        raise ConfigurationError(
            "constraints must be functions' names", "as in constraints: [module:function]"
        )
    if given.get("engine", "spark") not in ENGINES:
        mend = did_you_mean(given["engine"], ENGINES, f"the engines are {', '.join(ENGINES)}")
        raise ConfigurationError(f"unknown engine {given['engine']!r}", mend)


def _required(merged: Mapping[str, Any], key: str) -> Any:
    value = merged.get(key)
    if value is None:
        raise ConfigurationError(f"key {key!r} is missing", _HOW_TO_GIVE[key])
    return value


_HOW_TO_GIVE = {
    "data": "give --data PATH or set it in the sweep file",
    "estimator": "set it in the sweep file, as in estimator: xgboost.XGBClassifier",
    "search_space": "set it in the sweep file, as in search_space: {max_depth: [3, 4]}",
}


def _data(value: Any) -> DataConfig:
    given = {"path": value} if isinstance(value, (str, Path)) else value
    if not isinstance(given, Mapping):
        raise ConfigurationError("data must be a path or a map", "write data: PATH or data: {path: PATH}")
    _check_keys("data.", given, [f.name for f in dataclasses.fields(DataConfig)])
    if not given.get("path"):
        raise ConfigurationError("key 'data.path' is missing", _HOW_TO_GIVE["data"])
    if given.get("strict", True) is not True:
        raise ConfigurationError("data.strict: false is not supported yet", "take it out")
    _check_choices(given)
    features = given.get("features", "all")
    fixed = {
        "path": str(given["path"]),
        **{key: str(given[key]) for key in _DATA_NAMES if given.get(key) is not None},
        "features": tuple(features) if isinstance(features, list) else features,
    }
    return DataConfig(**{**given, **fixed})


def _check_choices(given: Mapping[str, Any]) -> None:
    for key, choices in _DATA_CHOICES.items():
        value = given.get(key)
        if value is not None and value not in choices:
            mend = did_you_mean(str(value), choices, f"choose from {', '.join(choices)}")
            raise ConfigurationError(f"data.{key} must not be {value!r}", mend)


def _estimator(value: Any) -> tuple[str, dict[str, Any]]:
    given: Any = {"class": value} if isinstance(value, str) else value
    if not isinstance(given, Mapping) or not isinstance(given.get("class"), str):
        raise ConfigurationError("estimator must name a class", _HOW_TO_GIVE["estimator"])
    _check_keys("estimator.", given, _ESTIMATOR_KEYS)
    params = given.get("params") or {}
    if not isinstance(params, Mapping) or not all(isinstance(name, str) for name in params):
        raise ConfigurationError("estimator.params must be a map of names to values", "correct it")
    return given["class"], dict(params)


def _search_space(value: Any) -> SearchSpace:
    grids = value if isinstance(value, list) else [value]
    if not all(isinstance(grid, Mapping) for grid in grids):
        raise ConfigurationError("search_space must be a map or a list of maps", _HOW_TO_GIVE["search_space"])
    return parse_space(value)


def _cv(value: Any, seed: int) -> Any:
    if not isinstance(value, Mapping) or value.get("random_state") is not None:
        return value
    from hptune.splits import seeded  # scikit-learn knows which splitters draw, and is slow to import

    return seeded(value, seed)


def _check_sampling(value: Any) -> None:
    kind = value.get("type") if isinstance(value, Mapping) else value
    if kind != "grid":
        raise ConfigurationError(f"sampling_algorithm {kind!r} is not supported yet", "use grid")


def _early_stopping(value: Any, seed: int) -> EarlyStopping | None:
    if value is None:
        return None
    example = "write early_stopping: {rounds: 50, validation_fraction: 0.1}"
    if not isinstance(value, Mapping):
        raise ConfigurationError("early_stopping must be a map", example)
    _check_keys("early_stopping.", value, _EARLY_STOPPING_KEYS)
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


def _early_stopping_keys(value: EarlyStopping | None) -> dict[str, Any] | None:
    if value is None:
        return None
    return {"rounds": value.rounds, "validation_fraction": value.validation_fraction}


def _primary_metric(objective: Any) -> str | None:
    if not isinstance(objective, Mapping):
        raise ConfigurationError("objective must be a map", "write objective: {primary_metric: neg_log_loss}")
    _check_keys("objective.", objective, _OBJECTIVE_KEYS)
    if objective.get("goal", "maximize") != "maximize":
        raise ConfigurationError(
            "objective.goal must be maximize for a scorer", "larger is better for all scorers"
        )
    metric = objective.get("primary_metric")
    if metric is not None and not isinstance(metric, str):
        raise ConfigurationError("objective.primary_metric must be a scorer's name", "as in neg_log_loss")
    return metric


def _spark_settings(value: Mapping[str, Any]) -> dict[str, str]:
    for key in value:
        if key != "master" and not str(key).startswith("spark."):
            raise ConfigurationError(
                f"unknown key 'spark.{key}'", "use master, or a setting that starts with spark."
            )
    return {
        str(key): str(item).lower() if isinstance(item, bool) else str(item) for key, item in value.items()
    }
