"""Every key of a sweep file: its type, its default, who wins, and what is said of one that is unknown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from hptune._yaml import load_yaml
from hptune.config import SweepConfig, load_config, parse_config
from hptune.errors import ConfigurationError

RAW: dict[str, Any] = {"data": "d", "estimator": "a.B", "search_space": {"x": [1, 2]}}

GIVEN: dict[str, Any] = {
    "name": "n",
    "constraints": ["m:f"],
    "metrics": ["r2"],
    "cv": {"type": "KFold", "n_splits": 3},
    "refit": False,
    "seed": 7,
    "deterministic": True,
    "engine": "serial",
    "spark": {"master": "local[1]", "spark.ui.enabled": "false"},
    "out": "o",
}


def test_defaults_are_the_documented_ones() -> None:
    config = parse_config(RAW)
    assert (config.cv, config.refit, config.seed, config.engine) == (5, True, 0, "spark")
    assert config.spark == {"master": "local[*,4]"}
    assert (config.data.features, config.data.encoding, config.metrics, config.out) == (
        "all",
        "fraction",
        (),
        None,
    )


def test_an_empty_key_of_data_is_its_default() -> None:
    keys = ("test", "format", "target", "categories", "features", "encoding", "strict")
    assert parse_config(RAW | {"data": {"path": "d", **dict.fromkeys(keys)}}) == parse_config(RAW)


@pytest.mark.parametrize("key", GIVEN)
def test_every_key_is_taken(key: str) -> None:
    value = getattr(parse_config(RAW | {key: GIVEN[key]}), key)
    assert (list(value) if isinstance(value, tuple) else value) == GIVEN[key]


@pytest.mark.parametrize("key", GIVEN)
def test_every_key_may_be_set(key: str) -> None:
    value = getattr(parse_config(RAW, [f"{key}={yaml.safe_dump(GIVEN[key], default_flow_style=True)}"]), key)
    assert (list(value) if isinstance(value, tuple) else value) == GIVEN[key]


WRONG = {
    "name": 5,
    "constraints": "m:f",
    "metrics": "r2",
    "cv": "five",
    "refit": 5,
    "seed": True,
    "deterministic": "yes",
    "engine": 1,
    "spark": "x",
    "out": 1,
}


@pytest.mark.parametrize("key", WRONG)
def test_a_value_of_the_wrong_type_is_refused(key: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{key} must be .* but is {type(WRONG[key]).__name__}"):
        parse_config(RAW | {key: WRONG[key]})


@pytest.mark.parametrize("key", [*GIVEN, *RAW, "objective", "sampling_algorithm"])
def test_a_misspelt_key_is_told_the_right_one(key: str) -> None:
    with pytest.raises(ConfigurationError, match=f"unknown key '{key}x': did you mean '{key}'"):
        parse_config(RAW | {f"{key}x": 1})


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ({"data": {"path": "d", "formt": "x"}}, "unknown key 'data.formt': did you mean 'format'"),
        (
            {"estimator": {"class": "a.B", "parms": {}}},
            "unknown key 'estimator.parms': did you mean 'params'",
        ),
        ({"objective": {"metric": "r2"}}, "unknown key 'objective.metric': did you mean 'primary_metric'"),
        ({"spark": {"mster": "x"}}, "unknown key 'spark.mster'"),
        ({"engine": "sprk"}, "unknown engine 'sprk': did you mean 'spark'"),
    ],
)
def test_a_misspelt_key_below_is_told_the_right_one(raw: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        parse_config(RAW | raw)


@pytest.mark.parametrize("key", RAW)
def test_a_required_key_that_is_missing_is_named(key: str) -> None:
    with pytest.raises(ConfigurationError, match=f"'{key}' is missing"):
        parse_config({name: value for name, value in RAW.items() if name != key})


def test_a_setting_wins_over_the_file_and_reaches_into_it() -> None:
    config = parse_config(
        RAW | {"cv": 3},
        ["cv=4", "search_space.y=[3.5]", "data.encoding=indicator", "estimator.params.seed=1"],
    )
    assert config.cv == 4
    assert config.search_space.written() == {"x": [1, 2], "y": [3.5]}
    assert (config.data.path, config.data.encoding) == ("d", "indicator")
    assert (config.estimator, config.estimator_params) == ("a.B", {"seed": 1})


def test_the_last_of_two_settings_wins_and_the_given_mapping_does_not_change() -> None:
    raw = {**RAW, "search_space": {"x": [1]}}
    assert parse_config(raw, ["search_space.x=[2]", "search_space.x=[3]"]).search_space.written() == {
        "x": [3]
    }
    assert raw["search_space"] == {"x": [1]}


@pytest.mark.parametrize("key", [None, *GIVEN])
def test_the_resolved_mapping_gives_the_same_configuration(key: str | None) -> None:
    config = parse_config(RAW | ({key: GIVEN[key]} if key else {}) | {"objective": {"primary_metric": "r2"}})
    written = yaml.safe_dump(config.to_mapping())
    again = parse_config(yaml.safe_load(written))
    assert isinstance(again, SweepConfig)
    assert again == config


def test_sparks_settings_are_text() -> None:
    assert parse_config(RAW | {"spark": {"spark.ui.enabled": False, "spark.task.cpus": 2}}).spark == {
        "spark.ui.enabled": "false",
        "spark.task.cpus": "2",
    }


@pytest.mark.parametrize(
    ("text", "value"), [("1e-3", 0.001), ("-2E5", -2e5), (".5e1", 5.0), ("1_0e1", 100.0)]
)
def test_numbers_with_an_exponent_are_numbers(text: str, value: float) -> None:
    assert load_yaml(f"[{text}]") == [value]


@pytest.mark.parametrize("text", ["e3", "1e", "1e3x", "1-e3"])
def test_what_only_looks_like_a_number_stays_text(text: str) -> None:
    assert load_yaml(f"[{text}]") == [text]


def test_a_key_that_stands_twice_is_refused_with_its_place(tmp_path: Path) -> None:
    file = tmp_path / "sweep.yaml"
    file.write_text("data: a\nsearch_space: {max_depth: [3], max_depth: [4]}\n")
    with pytest.raises(ConfigurationError, match=r"sweep\.yaml:2:\d+: .*'max_depth' stands here twice"):
        load_config(file)


def test_tracking_is_an_address_and_a_name() -> None:
    keys = {"mlflow": "http://localhost:5000", "experiment": "homes"}
    config = parse_config(RAW | {"tracking": keys})
    assert config.to_mapping()["tracking"] == keys
    assert parse_config(RAW).tracking is None


@pytest.mark.parametrize(
    "tracking",
    [
        "http://localhost:5000",
        {"mlflow": 5000},
        {"mlflow": "http://localhost:5000", "experiment": 1},
        {"mlflow": "http://localhost:5000", "experimnt": "x"},
        {"mlflow": "http://me:s3cret@localhost:5000"},
        {"mlflow": "https://s3cret@localhost"},
        {"mlflow": "https://localhost/?token=s3cret"},
        {"mlflow": "postgresql://me:s3cret@localhost/runs"},
        {"mlflow": "http://[s3cret"},
    ],
)
def test_tracking_that_cannot_be_meant_or_tells_a_secret_is_refused(tracking: Any) -> None:
    with pytest.raises(ConfigurationError, match="tracking") as refused:
        parse_config(RAW | {"tracking": tracking})
    assert "s3cret" not in str(refused.value)
