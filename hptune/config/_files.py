"""Sweep files: read, and changed by flags and settings before anything in them is checked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from hptune._yaml import load_yaml
from hptune.errors import ConfigurationError

__all__ = ["SHORT_KEYS", "load_config", "overridden", "with_values"]

_FILE_BYTES = 1 << 20  # a sweep file larger than this is something else
SHORT_KEYS = {name: f"data.{name}" for name in ("test", "target", "id", "weight", "group")} | {
    "scoring": "objective.primary_metric",
    "deadline": "limits.timeout",
    "trial_timeout": "limits.trial_timeout",
    "max_failures": "limits.max_failed_trials",
}
"""What the command line's flags are called, and ``run_sweep``'s keywords may be, in the sweep file."""
_SHORT_FOR = {"data": "path", "early_termination": "type", "estimator": "class", "sampling_algorithm": "type"}


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
    return {"name": path.stem, **_beside(content, path.parent)}


def _beside(content: dict[str, Any], directory: Path) -> dict[str, Any]:
    """The content with the files of its trials found from the sweep file's own directory, where they are not found
    from this one. Azure ML's paths are relative to the file."""
    trial, inputs = content.get("trial"), content.get("inputs")
    changed = dict(content)
    if isinstance(trial, dict):
        own = {"code": _found_beside(trial.get("code"), directory)} if "code" in trial else {}
        files = {"inputs": _inputs_beside(trial["inputs"], directory)} if "inputs" in trial else {}
        changed["trial"] = {**trial, **own, **files}
        if isinstance(inputs, dict):
            changed["inputs"] = {
                name: _inputs_beside(item, directory) if isinstance(item, dict) else item
                for name, item in inputs.items()
            }
    return changed


def _inputs_beside(value: Any, directory: Path) -> Any:
    if isinstance(value, dict):
        return {
            key: _inputs_beside(item, directory) if key != "type" else item for key, item in value.items()
        }
    return _found_beside(value, directory)


def _found_beside(value: Any, directory: Path) -> Any:
    """The path from here; the same, where it leads to nothing from there either."""
    if not isinstance(value, str) or Path(value).exists() or not (directory / value).exists():
        return value
    return str(directory / value)


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
        if key == "data" and not isinstance(value, (str, Path, Mapping, type(None))):
            what = f"data must be a path or a map but is of type {type(value).__name__}"
            raise ConfigurationError(what, "write the table to a file, or give it to hptune.GridSearchCV")
        if key == "data" and isinstance(value, (str, Path)) and isinstance(changed.get("data"), Mapping):
            key = "data.path"  # the other keys of data stay
        changed = _with_value(changed, key.split("."), value, name)
    return changed


def overridden(raw: dict[str, Any], overrides: Iterable[str]) -> dict[str, Any]:
    """The content with the values of ``KEY=VALUE`` settings under their dotted keys."""
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
    short_for = _SHORT_FOR.get(key)
    return {short_for: value} if short_for and isinstance(value, (str, Path)) else value
