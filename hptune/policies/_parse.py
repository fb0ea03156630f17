"""A sweep file's ``early_termination`` as a policy."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from hptune.errors import ConfigurationError, did_you_mean
from hptune.policies._asha import SuccessiveHalvingPolicy
from hptune.policies._base import Policy
from hptune.policies._hyperdrive import BanditPolicy, MedianStoppingPolicy, TruncationSelectionPolicy
from hptune.policies._racing import RacingPolicy

__all__ = ["BY_NAME", "parse_policy", "written"]

BY_NAME: dict[str, type[Policy]] = {
    "asha": SuccessiveHalvingPolicy,
    "bandit": BanditPolicy,
    "median_stopping": MedianStoppingPolicy,
    "racing": RacingPolicy,
    "truncation_selection": TruncationSelectionPolicy,
}
_AZURES = {"exclude_finished_jobs": "exclude_finished"}  # its names of parameters that ours call otherwise


def parse_policy(value: Any) -> Policy:
    """The policy that a map describes: its name as ``type``, its parameters beside it. A policy is itself.

    Raises
    ------
    ConfigurationError
        The type or a parameter is unknown, missing or out of its range.

    Examples
    --------
    >>> parse_policy({"type": "bandit", "slack_amount": 0.2, "delay_evaluation": 5}).slack_amount
    0.2
    """
    if isinstance(value, Policy):
        return value
    given = {"type": value} if isinstance(value, str) else value
    example = "as in early_termination: {type: bandit, slack_factor: 0.1}"
    if not isinstance(given, Mapping) or not isinstance(given.get("type"), str):
        raise ConfigurationError("early_termination must name a type", example)
    if given["type"] not in BY_NAME:
        mend = did_you_mean(given["type"], BY_NAME, f"the types are {', '.join(BY_NAME)}")
        raise ConfigurationError(f"unknown early_termination.type {given['type']!r}", mend)
    kind = BY_NAME[given["type"]]
    parameters: dict[str, Any] = {
        _AZURES.get(str(name), str(name)): item for name, item in given.items() if name != "type"
    }
    fields = {field.name: field for field in dataclasses.fields(kind)}
    for name in parameters:
        if name not in fields:
            mend = did_you_mean(name, fields, f"{given['type']} has {', '.join(fields)}")
            raise ConfigurationError(f"unknown key 'early_termination.{name}'", mend)
    for name, field in fields.items():
        if field.default is dataclasses.MISSING and name not in parameters:
            raise ConfigurationError(
                f"key 'early_termination.{name}' is missing", f"{given['type']} needs it"
            )
    return kind(**parameters)


def written(policy: Policy) -> dict[str, Any]:
    """The map that gives the policy again."""
    name = next(name for name, kind in BY_NAME.items() if type(policy) is kind)
    given = {key: value for key, value in dataclasses.asdict(policy).items() if value is not None}
    return {"type": name, **given}
