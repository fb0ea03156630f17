"""From a sweep file's content to a checked configuration."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from hptune.config._files import overridden
from hptune.config._limits import limits_section
from hptune.config._records import AnyConfig, SweepConfig, TrialSweepConfig
from hptune.config._sections import (
    check_keys,
    data_section,
    early_stopping_section,
    early_termination_section,
    estimator_section,
    primary_metric,
    required,
    sampling_section,
    search_space_section,
    spark_settings,
    with_seed,
)
from hptune.config._tracking import tracking_section
from hptune.config._trials import IGNORED, ignored_keys, objective_section, trial_section
from hptune.engine import BY_NAME as ENGINES
from hptune.errors import ConfigurationError, did_you_mean
from hptune.records import Objective

__all__ = ["parse_config"]

_PLAIN: Mapping[str, tuple[type, ...]] = {
    "name": (str,),
    "constraints": (list, tuple),
    "metrics": (list, tuple),
    "seed": (int,),
    "deterministic": (bool,),
    "engine": (str,),
    "spark": (dict,),
    "out": (str,),
}
_OF_FITS: Mapping[str, tuple[type, ...]] = {"cv": (int, dict), "refit": (bool, str)}
_FITS_ONLY = ("data", "estimator", "early_stopping", *_OF_FITS)
_TRIALS_ONLY = ("inputs", "experiment_name", *IGNORED)
_TOP_LEVEL = (
    "trial",
    "early_termination",
    "limits",
    "search_space",
    "sampling_algorithm",
    "objective",
    "tracking",
    *_PLAIN,
)
_DEFAULT_OBJECTIVE = Objective("loss", "minimize")  # of functions, as Hyperopt has it


def parse_config(raw: Mapping[str, Any], overrides: Iterable[str] = ()) -> AnyConfig:
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
        A key is unknown, missing or of the wrong type.

    Examples
    --------
    >>> raw = {"data": "d", "estimator": "sklearn.linear_model.Ridge", "search_space": {"alpha": [1, 2]}}
    >>> parse_config(raw, ["cv=3"]).cv
    3
    """
    merged = overridden(dict(raw), overrides)
    return _of_fits(merged) if merged.get("trial") is None else _of_trials(merged)


def _of_fits(merged: Mapping[str, Any]) -> SweepConfig:
    check_keys("", merged, (*_TOP_LEVEL, *_FITS_ONLY))
    common = _common(merged)
    given = {name: merged[name] for name in _OF_FITS if merged.get(name) is not None}
    _check_types(given, _OF_FITS)
    given["cv"] = with_seed(given.get("cv", 5), common.get("seed", 0))
    estimator, params = estimator_section(required(merged, "estimator"))
    config = SweepConfig(
        data=data_section(required(merged, "data")),
        estimator=estimator,
        estimator_params=params,
        primary_metric=primary_metric(merged.get("objective") or {}),
        early_stopping=early_stopping_section(merged.get("early_stopping"), common.get("seed", 0)),
        **given,
        **common,
    )
    if config.limits.trial_timeout is not None and config.engine == "serial":
        raise _no_timeout("fits", "processes or spark")
    return config


def _of_trials(merged: Mapping[str, Any]) -> TrialSweepConfig:
    for key in _FITS_ONLY:
        if merged.get(key) is not None:
            raise ConfigurationError(f"key {key!r} does not go with a trial", "take one of them out")
    check_keys("", merged, (*_TOP_LEVEL, *_TRIALS_ONLY))
    if merged.get("type", "sweep") != "sweep":
        raise ConfigurationError(f"type is {merged['type']!r}", "give a sweep job's file")
    common = _common(merged)
    if merged.get("experiment_name") is not None:
        common["name"] = str(merged["experiment_name"])
    trial = trial_section(merged["trial"], merged.get("inputs"))
    default = _DEFAULT_OBJECTIVE if trial.function is not None else None
    ignored = ignored_keys(merged)
    config = TrialSweepConfig(
        trial=trial,
        objective=objective_section(merged.get("objective"), default=default),
        notice=f"these keys mean nothing here: {', '.join(ignored)}" if ignored else "",
        **common,
    )
    in_this_process = config.engine == "serial" and trial.place == "executors"
    if config.limits.trial_timeout is not None and in_this_process and trial.function is not None:
        raise _no_timeout("functions", "processes or spark")
    return config


def _common(merged: Mapping[str, Any]) -> dict[str, Any]:
    """What all sweeps have, checked."""
    given = {name: merged[name] for name in _PLAIN if merged.get(name) is not None}
    _check_types(given, _PLAIN)
    for name in given.keys() & {"constraints", "metrics"}:
        given[name] = tuple(given[name])
    if "spark" in given:
        given["spark"] = spark_settings(given["spark"])
    space = search_space_section(required(merged, "search_space"))
    limits = limits_section(merged.get("limits") or {})
    sampling = sampling_section(merged.get("sampling_algorithm"), space, limits, given.get("seed", 0))
    return {
        **given,
        "search_space": space,
        "limits": limits,
        "sampling": sampling,
        "tracking": tracking_section(merged.get("tracking")),
        "early_termination": early_termination_section(merged.get("early_termination")),
    }


def _no_timeout(what: str, engines: str) -> ConfigurationError:
    return ConfigurationError(
        f"limits.trial_timeout needs {what} in processes of their own", f"use the engine {engines}"
    )


def _check_types(given: Mapping[str, Any], types: Mapping[str, tuple[type, ...]]) -> None:
    for name, value in given.items():
        allowed = types[name]
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
