"""Limits of a sweep: its time, failed candidates, the time of a fit, fits at once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from hptune.cli import main
from hptune.config import parse_config
from hptune.errors import ConfigurationError

pytestmark = pytest.mark.shares_session
SWEEP: dict[str, Any] = {
    "data": "rows.csv",
    "estimator": "sklearn.linear_model.Ridge",
    "search_space": {"alpha": [1]},
}


@pytest.mark.parametrize(
    ("written", "seconds"), [(20, 20), (0.5, 0.5), ("90", 90), ("90s", 90), ("30m", 1800), ("1.5 h", 5400)]
)
def test_a_time_is_seconds_or_has_a_unit(written: Any, seconds: float) -> None:
    limits = parse_config({**SWEEP, "limits": {"timeout": written, "trial_timeout": written}}).limits
    assert (limits.timeout, limits.trial_timeout) == (seconds, seconds)


@pytest.mark.parametrize(
    "written", [0, -1, "soon", "5d", "1h30m", True, [1], float("nan"), float("inf"), 1e12]
)
def test_what_is_no_time_is_refused(written: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"limits\.timeout must be a time"):
        parse_config({**SWEEP, "limits": {"timeout": written}})


@pytest.mark.parametrize("key", ["max_concurrent_trials", "max_failed_trials"])
@pytest.mark.parametrize("written", [0, 1.5, "many", True])
def test_what_is_no_count_is_refused(key: str, written: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"limits.{key} must be a whole number from 1"):
        parse_config({**SWEEP, "limits": {key: written}})


def test_the_resolved_file_has_the_same_limits() -> None:
    limits = {"timeout": "2h", "trial_timeout": 30, "max_failed_trials": 3, "max_concurrent_trials": 2}
    config = parse_config({**SWEEP, "limits": limits})
    assert parse_config(config.to_mapping()).limits == config.limits


@pytest.fixture
def sweep(tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """`hptune sweep` in this process over candidates that go wrong."""
    monkeypatch.chdir(tmp_path)

    def run(space: dict[str, Any], *arguments: str) -> int:
        keys = {
            "data": {"path": str(data), "target": "label"},
            "estimator": "tests.chaos.estimators.Learner",
            "search_space": space,
            "cv": 2,
        }
        (tmp_path / "sweep.yaml").write_text(yaml.safe_dump(keys))
        return main(["sweep", "--config", "sweep.yaml", "--cache", "cache", "--out", "out", *arguments])

    return run


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rows = "".join(f"{number},{number % 3},{number % 2}\n" for number in range(40))
    path = tmp_path_factory.mktemp("data") / "table.csv"
    path.write_text(f"a,b,label\n{rows}")
    return path


def finished(directory: Path) -> list[dict[str, Any]]:
    lines = (directory / "out" / "journal.jsonl").read_text().splitlines()
    return [record for line in lines if (record := json.loads(line))["record"] == "outcome"]


@pytest.mark.spark
def test_on_spark_the_deadline_ends_a_sweep_and_its_jobs(
    sweep: Any, spark: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = sweep({"fault": ["", "hang"], "max_depth": 2}, "--engine", "spark", "--deadline", "8s")
    assert code == 9
    assert "stopped early: the deadline of 8 s has passed" in capsys.readouterr().err
    assert [record["status"] for record in finished(tmp_path)] == ["ok", "ok"]
    assert not spark.sparkContext.statusTracker().getActiveJobsIds()


@pytest.mark.parametrize(
    ("engine", "seconds"), [("serial", 6), pytest.param("processes", 15, marks=pytest.mark.slow)]
)
def test_the_deadline_ends_a_sweep_and_what_was_finished_stays(
    engine: str, seconds: int, sweep: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    space = {"fault": ["", "hang"], "seconds": [0.0], "max_depth": 2}
    code = sweep(
        space, "--engine", engine, "--deadline", f"{seconds}s", "--set", "limits.max_concurrent_trials=1"
    )
    assert code == 9
    assert f"stopped early: the deadline of {seconds} s has passed" in capsys.readouterr().err
    assert [record["status"] for record in finished(tmp_path)] == ["ok"]


def test_a_sweep_in_which_too_much_fails_ends_early(
    sweep: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    space = {"fault": "raise", "max_depth": [2, 3, 4, 5]}
    assert sweep(space, "--engine", "serial", "--max-failures", "2") == 9
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("hptune: stopped early: 2 candidates failed, the last: ValueError: the test asks")
    assert len({record["candidate"] for record in finished(tmp_path)}) == 2


def test_fewer_failures_than_the_limit_change_nothing(sweep: Any, tmp_path: Path) -> None:
    space = {"fault": ["raise", ""], "max_depth": [2]}
    assert sweep(space, "--engine", "serial", "--max-failures", "2", "-q") == 0
    assert len(finished(tmp_path)) == 4


def test_a_fit_that_takes_too_long_is_a_row(sweep: Any, tmp_path: Path) -> None:
    space = {"fault": ["", "hang"], "max_depth": [2]}
    assert sweep(space, "--engine", "processes", "--trial-timeout", "2s", "-q") == 0
    assert sorted(record["status"] for record in finished(tmp_path)) == ["ok", "ok", "timeout", "timeout"]


def test_a_limit_on_fits_is_refused_where_they_have_no_process_of_their_own(
    sweep: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sweep({"max_depth": [2]}, "--engine", "serial", "--trial-timeout", "2s") == 2
    assert "limits.trial_timeout needs fits in processes of their own" in capsys.readouterr().err
