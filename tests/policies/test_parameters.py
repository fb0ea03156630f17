"""What policies are made of: the keys of a sweep file, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from hptune.errors import ConfigurationError
from hptune.policies import BY_NAME, History, Report, parse_policy, written

GIVEN: dict[str, dict[str, Any]] = {
    "asha": {"reduction_factor": 4, "min_resource": 20},
    "bandit": {"slack_factor": 0.1},
    "median_stopping": {},
    "racing": {"alpha": 0.1},
    "truncation_selection": {"truncation_percentage": 10, "exclude_finished": True},
}


@pytest.mark.parametrize("name", BY_NAME)
def test_every_policy_is_taken_from_a_map_and_written_to_one(name: str) -> None:
    raw = {"type": name, "evaluation_interval": 2, "delay_evaluation": 5, **GIVEN[name]}
    policy = parse_policy(raw)
    assert type(policy) is BY_NAME[name]
    assert {key: getattr(policy, key) for key in raw if key != "type"} == {
        key: value for key, value in raw.items() if key != "type"
    }
    assert parse_policy(written(policy)) == policy
    assert policy.shape in ("independent", "lockstep", "waves")


def test_a_name_alone_has_the_defaults() -> None:
    assert written(parse_policy("asha")) == {
        "type": "asha",
        "evaluation_interval": 1,
        "delay_evaluation": 0,
        "reduction_factor": 3,
        "min_resource": 1,
    }


def test_azures_name_of_excluding_finished_jobs_is_understood() -> None:
    azure = {"type": "truncation_selection", "truncation_percentage": 20, "exclude_finished_jobs": True}
    assert parse_policy(azure) == parse_policy(
        {"type": "truncation_selection", "truncation_percentage": 20, "exclude_finished": True}
    )


REFUSED: dict[str, tuple[Any, str]] = {
    "no map": (3, "must name a type"),
    "no type": ({"slack_factor": 0.1}, "must name a type"),
    "unknown type": ({"type": "bandt"}, "unknown early_termination.type 'bandt': did you mean 'bandit'"),
    "unknown key": (
        {"type": "bandit", "slack_facto": 1},
        "unknown key 'early_termination.slack_facto': did you mean",
    ),
    "both slacks": (
        {"type": "bandit", "slack_factor": 1, "slack_amount": 1},
        "both slack_factor and slack_amount",
    ),
    "no slack": ({"type": "bandit"}, "has no slack: give slack_factor or slack_amount"),
    "negative slack": (
        {"type": "bandit", "slack_amount": -1},
        "slack_amount must be a number from 0 but is -1",
    ),
    "slack of text": (
        {"type": "bandit", "slack_factor": "a"},
        "slack_factor must be a number from 0 but is 'a'",
    ),
    "endless slack": ({"type": "bandit", "slack_factor": float("nan")}, "must be a number from 0 but is nan"),
    "no percentage": (
        {"type": "truncation_selection"},
        "'early_termination.truncation_percentage' is missing",
    ),
    "percentage of 0": (
        {"type": "truncation_selection", "truncation_percentage": 0},
        "from 1 to 99 but is 0",
    ),
    "percentage of 100": (
        {"type": "truncation_selection", "truncation_percentage": 100},
        "from 1 to 99 but is 100",
    ),
    "fraction": ({"type": "truncation_selection", "truncation_percentage": 0.2}, "from 1 to 99 but is 0.2"),
    "flag": (
        {"type": "truncation_selection", "truncation_percentage": 5, "exclude_finished": 1},
        "must be true or false but is 1",
    ),
    "interval": (
        {"type": "asha", "evaluation_interval": 0},
        "evaluation_interval must be a whole number from 1",
    ),
    "delay": ({"type": "asha", "delay_evaluation": -1}, "delay_evaluation must be a whole number from 0"),
    "reduction": ({"type": "asha", "reduction_factor": 1}, "reduction_factor must be a whole number from 2"),
    "resource": (
        {"type": "asha", "min_resource": 0.5},
        "min_resource must be a whole number from 1 but is 0.5",
    ),
    "level": ({"type": "racing", "alpha": 1}, "alpha must lie between 0 and 1 but is 1"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_meant_is_refused(case: str) -> None:
    raw, said = REFUSED[case]
    with pytest.raises(ConfigurationError, match=said):
        parse_policy(raw)


def test_a_runs_reports_come_in_order() -> None:
    history = History()
    history.add(Report(0, 1, 0.5))
    with pytest.raises(ValueError, match="run 0 reports step 1 after 1"):
        history.add(Report(0, 1, 0.5))
