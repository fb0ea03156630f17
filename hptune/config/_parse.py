"""From a sweep file's content to a checked configuration."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from hptune.config._files import overridden
from hptune.config._limits import limits_section
from hptune.config._records import SweepConfig
from hptune.config._sections import (
    check_keys,
    data_section,
    early_stopping_section,
    estimator_section,
    primary_metric,
    required,
    sampling_section,
    search_space_section,
    spark_settings,
    with_seed,
)
from hptune.config._tracking import tracking_section
from hptune.engine import BY_NAME as ENGINES
from hptune.errors import ConfigurationError, did_you_mean

__all__ = ["parse_config"]

_NOT_YET = ("early_termination", "trial")
_PLAIN: Mapping[str, tuple[type, ...]] = {
    "name": (str,),
    "constraints": (list, tuple),
    "metrics": (list, tuple),
    "cv": (int, dict),
    "refit": (bool, str),
    "seed": (int,),
    "deterministic": (bool,),
    "engine": (str,),
    "spark": (dict,),
    "out": (str,),
}
_TOP_LEVEL = (
    "data",
    "early_stopping",
    "estimator",
    "limits",
    "search_space",
    "sampling_algorithm",
    "objective",
    "tracking",
    *_PLAIN,
)


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
    merged = overridden(dict(raw), overrides)
    check_keys("", merged, (*_TOP_LEVEL, *_NOT_YET))
    for key in _NOT_YET:
        if merged.get(key):
            raise ConfigurationError(f"key {key!r} is not supported yet", "take it out")
    given = {name: merged[name] for name in _PLAIN if merged.get(name) is not None}
    _check_types(given)
    for name in given.keys() & {"constraints", "metrics"}:
        given[name] = tuple(given[name])
    given["cv"] = with_seed(given.get("cv", 5), given.get("seed", 0))
    if "spark" in given:
        given["spark"] = spark_settings(given["spark"])
    space = search_space_section(required(merged, "search_space"))
    limits = limits_section(merged.get("limits") or {})
    sampling = sampling_section(merged.get("sampling_algorithm"), space, limits, given.get("seed", 0))
    if limits.trial_timeout is not None and given.get("engine") == "serial":
        raise ConfigurationError(
            "limits.trial_timeout needs fits in processes of their own", "use the engine processes or spark"
        )
    estimator, params = estimator_section(required(merged, "estimator"))
    return SweepConfig(
        data=data_section(required(merged, "data")),
        search_space=space,
        sampling=sampling,
        limits=limits,
        estimator=estimator,
        estimator_params=params,
        primary_metric=primary_metric(merged.get("objective") or {}),
        early_stopping=early_stopping_section(merged.get("early_stopping"), given.get("seed", 0)),
        tracking=tracking_section(merged.get("tracking")),
        **given,
    )


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
