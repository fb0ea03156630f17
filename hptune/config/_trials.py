"""The key ``trial``, and what Azure ML's sweep files have beside it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hptune.config._records import TrialConfig
from hptune.config._sections import check_keys
from hptune.errors import ConfigurationError, did_you_mean
from hptune.records import Objective

__all__ = ["IGNORED", "ignored_keys", "objective_section", "trial_section"]

IGNORED = (
    "$schema",
    "type",
    "display_name",
    "description",
    "tags",
    "compute",
    "resources",
    "identity",
    "properties",
    "queue_settings",
)
_IGNORED_IN_TRIAL = ("environment", "resources", "distribution")
_KEYS = ("function", "command", "code", "inputs", "place")
_PLACES = ("executors", "driver")
_OBJECTIVE_KEYS = ("primary_metric", "goal")
_GOALS = ("maximize", "minimize")
_SHELL = ("&&", "||", ";", "|", ">", ">>", "<", "&")


def trial_section(value: Any, inputs: Any = None) -> TrialConfig:
    """`trial`, and Azure's `inputs` at the top.

    Raises
    ------
    ConfigurationError
        A key is unknown, or its value cannot be meant.

    Examples
    --------
    >>> trial_section({"command": "python train.py", "inputs": {"rows": "rows.csv"}}).inputs
    {'rows': 'rows.csv'}
    """
    if not isinstance(value, Mapping):
        raise ConfigurationError("trial must be a map", "as in trial: {command: python train.py}")
    given = {key: item for key, item in value.items() if key not in _IGNORED_IN_TRIAL and item is not None}
    check_keys("trial.", given, _KEYS)
    if ("function" in given) == ("command" in given):
        raise ConfigurationError("trial must have either a function or a command", "give one of them")
    for key in ("function", "command", "code"):
        if not isinstance(given.get(key, ""), (str, Path)) or not str(given.get(key, "x")).strip():
            raise ConfigurationError(f"trial.{key} must be a text but is {given[key]!r}", f"correct {key}")
    if "function" in given:
        _check_function(given)
    else:
        _check_command(str(given["command"]))
    place = given.get("place", "executors")
    if place not in _PLACES:
        raise ConfigurationError(
            f"trial.place must not be {place!r}", did_you_mean(str(place), _PLACES, "use executors or driver")
        )
    files, literals = _inputs("trial.inputs", given.get("inputs"), literal_texts=False)
    more_files, more_literals = _inputs("inputs", inputs, literal_texts=True)
    return TrialConfig(
        function=given.get("function"),
        command=given.get("command"),
        code=None if given.get("code") is None else str(given["code"]),
        inputs={**more_files, **files},
        literals={**more_literals, **literals},
        place=place,
    )


def objective_section(value: Any, *, default: Objective | None) -> Objective:
    """`objective`: the metric that ranks, and which of its values are better."""
    if value is None and default is not None:
        return default
    example = "as in objective: {primary_metric: Accuracy, goal: maximize}"
    if not isinstance(value, Mapping):
        what = "key 'objective' is missing" if value is None else "objective must be a map"
        raise ConfigurationError(what, example)
    check_keys("objective.", value, _OBJECTIVE_KEYS)
    metric, goal = value.get("primary_metric"), value.get("goal")
    if not isinstance(metric, str) or not metric:
        raise ConfigurationError("objective.primary_metric must be the name of a metric", example)
    if goal is None:
        raise ConfigurationError("key 'objective.goal' is missing", "say maximize or minimize")
    if goal not in _GOALS:
        mend = did_you_mean(str(goal), _GOALS, "use maximize or minimize")
        raise ConfigurationError(f"objective.goal must not be {goal!r}", mend)
    return Objective(metric, goal)


def ignored_keys(merged: Mapping[str, Any]) -> list[str]:
    """The keys of an Azure ML file that mean nothing here."""
    trial = merged.get("trial")
    inside = [key for key in _IGNORED_IN_TRIAL if isinstance(trial, Mapping) and key in trial]
    return [*(key for key in IGNORED if key in merged), *(f"trial.{key}" for key in inside)]


def _check_function(given: Mapping[str, Any]) -> None:
    if ":" not in str(given["function"]):
        raise ConfigurationError(
            f"trial.function {given['function']!r} names no function", "write package.module:function"
        )
    for key in ("code", "inputs"):
        if key in given:
            raise ConfigurationError(
                f"trial.{key} goes with a command", "take it out: a function is imported"
            )


def _check_command(command: str) -> None:
    """No shell reads the command, so its signs would be arguments."""
    for word in command.split():
        if word in _SHELL:
            raise ConfigurationError(
                f"trial.command has {word!r}, but no shell reads it",
                "put both steps into a script of their own",
            )


def _inputs(key: str, value: Any, *, literal_texts: bool) -> tuple[dict[str, str], dict[str, str]]:
    """Files by name, and literals by name."""
    if value is None:
        return {}, {}
    if not isinstance(value, Mapping):
        raise ConfigurationError(f"{key} must be a map of names to files", f"as in {key}: {{data: rows.csv}}")
    files: dict[str, str] = {}
    literals: dict[str, str] = {}
    for name, item in value.items():
        if isinstance(item, Mapping) and isinstance(item.get("path"), (str, Path)):
            files[str(name)] = str(item["path"])
        elif isinstance(item, (str, Path)) and not literal_texts:
            files[str(name)] = str(item)
        elif isinstance(item, (str, int, float)):
            literals[str(name)] = str(item)
        else:
            raise ConfigurationError(f"{key}.{name} must be a file or a value", "write its path")
    return files, literals
