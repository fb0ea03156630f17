"""HyperDrive's tutorial, walked through with changed imports."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from hptune.errors import ConfigurationError
from hptune.hyperdrive import (
    BanditPolicy,
    BayesianParameterSampling,
    Experiment,
    GridParameterSampling,
    HyperDriveConfig,
    MedianStoppingPolicy,
    NoTerminationPolicy,
    PrimaryMetricGoal,
    RandomParameterSampling,
    ScriptRunConfig,
    TruncationSelectionPolicy,
    Workspace,
    choice,
    normal,
    quniform,
    uniform,
)
from hptune.policies import parse_policy

SCRIPTS = Path(__file__).parent / "scripts"


@pytest.fixture
def script_config(tmp_path: Path) -> ScriptRunConfig:
    X = np.random.default_rng(0).normal(size=(120, 4)).round(3)
    rows = "".join(f"{a},{b},{c},{d},{int(a + b > 0)}\n" for a, b, c, d in X)
    (tmp_path / "patients.csv").write_text(f"feature1,feature2,feature3,feature4,label\n{rows}")
    return ScriptRunConfig(SCRIPTS, "train.py", inputs={"training_data": tmp_path / "patients.csv"})


def test_the_tutorial(
    script_config: ScriptRunConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ws = Workspace(engine="processes", directory=tmp_path / "runs")
    param_sampling = RandomParameterSampling({"--regularization": uniform(0.01, 2.0)})
    hyperdrive = HyperDriveConfig(
        run_config=script_config,
        hyperparameter_sampling=param_sampling,
        policy=None,
        primary_metric_name="Accuracy",
        primary_metric_goal=PrimaryMetricGoal.MAXIMIZE,
        max_total_runs=6,
        max_concurrent_runs=4,
    )
    experiment = Experiment(workspace=ws, name="hyperdrive_training")
    hyperdrive_run = experiment.submit(config=hyperdrive)

    for child_run in hyperdrive_run.get_children():
        print(child_run.id, child_run.get_metrics())
    assert capsys.readouterr().out.count("'Accuracy': 0.") == 6
    ranked = hyperdrive_run.get_children_sorted_by_primary_metric()
    values = [run["best_primary_metric"] for run in ranked]
    assert len(ranked) == 6 and values == sorted(values, reverse=True)
    best_run = hyperdrive_run.get_best_run_by_primary_metric()
    assert best_run is not None and best_run.get_metrics()["Accuracy"] == values[0]
    assert best_run.get_status() == "Completed"
    assert best_run.get_details()["runDefinition"]["arguments"][0] == "--regularization"
    assert "outputs/model.pkl" in best_run.get_file_names()
    best_run.download_file("outputs/model.pkl", tmp_path / "model.pkl")
    assert (tmp_path / "model.pkl").stat().st_size > 100
    assert hyperdrive_run.get_metrics().keys() == {f"hyperdrive_training_{n}" for n in range(6)}


@dataclass(frozen=True)
class _Within:
    """All numbers between two."""

    low: float
    high: float

    def __contains__(self, value: object) -> bool:
        return isinstance(value, float) and self.low <= value <= self.high


def config_of(script: ScriptRunConfig, **keys: Any) -> HyperDriveConfig:
    given: dict[str, Any] = {
        "run_config": script,
        "hyperparameter_sampling": GridParameterSampling({"--batch_size": choice(16, 32, 64)}),
        "primary_metric_name": "score",
        "primary_metric_goal": PrimaryMetricGoal.MINIMIZE,
        "max_total_runs": 2,
        **keys,
    }
    return HyperDriveConfig(**given)


BATCHES = (16, 32, 64)


@pytest.mark.parametrize(
    ("sampling", "allowed"),
    [
        (
            RandomParameterSampling({"--batch_size": choice(*BATCHES), "--learning_rate": normal(10, 3)}),
            {"--batch_size": BATCHES, "--learning_rate": _Within(-20.0, 40.0)},
        ),
        (
            GridParameterSampling(
                {"--batch_size": choice(*BATCHES), "--learning_rate": choice(0.01, 0.1, 1.0)}
            ),
            {"--batch_size": BATCHES, "--learning_rate": (0.01, 0.1, 1.0)},
        ),
        (
            GridParameterSampling({"--batch_size": choice(range(1, 10)), "--x": choice([10, 20, 30])}),
            {"--batch_size": range(1, 10), "--x": (10, 20, 30)},
        ),
        (
            BayesianParameterSampling({"--batch_size": choice(*BATCHES), "--x": quniform(1, 9, 2)}),
            {"--batch_size": BATCHES, "--x": (2, 4, 6, 8)},
        ),
    ],
    ids=["random", "grid", "grid of a range", "bayesian"],
)
def test_each_sampling_of_the_tutorial_runs_in_its_space(
    sampling: Any, allowed: dict[str, Container[Any]], tmp_path: Path
) -> None:
    script = ScriptRunConfig(SCRIPTS, "curious.py", arguments=["--fixed", "a b"])
    run = Experiment(Workspace("serial", directory=tmp_path)).submit(
        config_of(script, hyperparameter_sampling=sampling)
    )
    children = run.get_children()
    assert [child.get_metrics() for child in children] == [{"score": [0.25, 0.5]}] * 2
    drawn = [dict(child.run.params) for child in children]
    assert drawn[0] != drawn[1]
    for params in drawn:
        assert params.keys() == allowed.keys()
        assert all(value in allowed[name] for name, value in params.items()), params


@pytest.mark.parametrize(
    ("policy", "kind"),
    [
        (BanditPolicy(slack_amount=0.2, evaluation_interval=1, delay_evaluation=5), "bandit"),
        (MedianStoppingPolicy(evaluation_interval=1, delay_evaluation=5), "median_stopping"),
        (
            TruncationSelectionPolicy(truncation_percentage=10, evaluation_interval=1, delay_evaluation=5),
            "truncation_selection",
        ),
        (NoTerminationPolicy(), None),
    ],
    ids=lambda value: type(value).__name__,
)
def test_each_policy_of_the_tutorial_runs_and_is_the_written_sweeps(
    policy: Any, kind: str | None, tmp_path: Path
) -> None:
    script = ScriptRunConfig(SCRIPTS, "curious.py")
    run = Experiment(Workspace("serial", directory=tmp_path)).submit(config_of(script, policy=policy))
    assert {child.get_status() for child in run.get_children()} == {"Completed"}
    written = yaml.safe_load((run.directory / "sweep.yaml").read_text())["early_termination"]
    if kind is None:
        assert written is None
    else:
        assert written["type"] == kind
        assert parse_policy(written) == policy


def test_bounds_out_of_order_are_told_with_those_that_are_meant() -> None:
    with pytest.raises(ConfigurationError, match=r"uniform\(0\.1, 0\.5\)"):
        uniform(0.5, 0.1)
