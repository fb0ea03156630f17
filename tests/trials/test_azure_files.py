"""Azure ML's own sweep files, as they are."""

from __future__ import annotations

from pathlib import Path

import pytest

import hptune
from hptune.cli import main
from hptune.config import TrialSweepConfig, load_config, parse_config

HELLO = Path(__file__).parent / "azure" / "hello-sweep.yml"


def test_a_file_is_understood_as_it_is() -> None:
    config = parse_config(load_config(HELLO))
    assert isinstance(config, TrialSweepConfig)
    assert config.name == "hello-sweep-example"
    assert (config.objective.metric, config.objective.goal) == ("random_metric", "minimize")
    assert config.trial.literals == {"A": "0.5"}
    assert config.trial.code == str(HELLO.parent / "src")
    assert config.sampling.type == "random" and config.limits.max_concurrent_trials == 2
    assert config.notice == (
        "these keys mean nothing here: $schema, type, display_name, description, compute, trial.environment"
    )
    again = parse_config(config.to_mapping())
    assert isinstance(again, TrialSweepConfig)
    assert again.trial == config.trial and again.objective == config.objective


def test_a_job_of_another_type_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        main(["sweep", "--config", str(HELLO), "--set", "type=command", "--out", str(tmp_path / "out")]) == 2
    )
    assert "type is 'command'" in capsys.readouterr().err


@pytest.mark.slow
def test_what_a_script_logs_with_mlflow_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    file = load_config(HELLO)
    file["limits"]["max_total_trials"] = 2
    result = hptune.run_sweep(file, engine="serial", out=str(tmp_path / "out"))
    assert [child.metrics.keys() for child in result.children()] == [{"random_metric"}] * 2
    assert result.best_score == -min(child.metrics["random_metric"] for child in result.children())
