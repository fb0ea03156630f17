"""Policies of early termination on what trials log: one logged value is one interval."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import hptune
from hptune.children import ChildRun
from hptune.cli import main
from hptune.engine import DriverEngine, Engine, ProcessesEngine, SerialEngine
from hptune.policies import BanditPolicy
from hptune.records import Objective
from hptune.sweep import TrialSweep, run
from hptune.trials import FunctionTrial
from tests.trials import functions

pytestmark = pytest.mark.shares_session

SCRIPTS = Path(__file__).parent / "scripts"
SCORE = Objective("score")


@pytest.mark.parametrize(
    "engine", [SerialEngine(), ProcessesEngine(1), DriverEngine(1)], ids=lambda engine: engine.name
)
def test_a_function_that_falls_behind_is_stopped(engine: Engine, tmp_path: Path) -> None:
    sweep = TrialSweep(
        "climbs",
        FunctionTrial(functions.climbing, SCORE),
        [{"start": 0.5}, {"start": 0.1}, {"start": 0.45}],
        SCORE,
        early_termination=BanditPolicy(slack_amount=0.2, delay_evaluation=3),
    )
    result = run(sweep, engine, out=tmp_path)
    children = result.children()
    assert [child.status for child in children] == ["ok", "stopped", "ok"]
    assert [len(child.steps["score"]) for child in children[::2]] == [10, 10]
    assert 3 <= len(children[1].steps["score"]) < 10
    assert result.best_params == {"start": 0.5}
    assert children[1].score != children[1].score  # no score of its own: it is not ranked


def test_nothing_is_stopped_without_a_policy() -> None:
    sweep = TrialSweep(
        "climbs", FunctionTrial(functions.climbing, SCORE), [{"start": 0.5}, {"start": 0.1}], SCORE
    )
    assert run(sweep, SerialEngine()).table["status"].tolist() == ["ok", "ok"]


def climbs(out: Path, engine: str, *, deaf: bool = False) -> tuple[ChildRun, ChildRun]:
    """A run that is soon done, and one that would go on for minutes with lower scores."""
    config: dict[str, Any] = {
        "trial": {"command": "python climb.py", "code": str(SCRIPTS)},
        "search_space": {"--start": [0.9, 0.1], "--deaf": deaf},
        "objective": {"primary_metric": "score", "goal": "maximize"},
        "early_termination": {"type": "bandit", "slack_amount": 0.2, "delay_evaluation": 2},
        "engine": engine,
        "out": str(out),
    }
    good, bad = hptune.run_sweep(config).children()
    assert (good.status, bad.status) == ("ok", "stopped")
    assert len(bad.steps["score"]) < len(good.steps["score"]) == 2000
    return good, bad


def test_a_script_that_falls_behind_hears_it_and_stops(tmp_path: Path) -> None:
    _, bad = climbs(tmp_path / "out", "processes")
    assert bad.files["stdout.txt"].read_text().startswith("stopped after")


@pytest.mark.slow
def test_a_script_that_does_not_listen_is_ended(tmp_path: Path) -> None:
    _, bad = climbs(tmp_path / "out", "processes", deaf=True)
    assert "stdout.txt" not in bad.files


@pytest.mark.spark
@pytest.mark.usefixtures("spark")
def test_a_script_on_an_executor_is_stopped(tmp_path: Path) -> None:
    _, bad = climbs(tmp_path / "out", "spark")
    assert bad.files["stdout.txt"].read_text().startswith("stopped after")


def test_a_policy_that_compares_folds_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "sweep.yaml"
    file.write_text(
        f"trial: {{command: python climb.py, code: {SCRIPTS}}}\n"
        "search_space: {--start: [0.9]}\n"
        "objective: {primary_metric: score, goal: maximize}\n"
        "early_termination: racing\n"
    )
    assert main(["sweep", "--config", str(file), "--out", str(tmp_path / "out")]) == 2
    assert "early_termination racing compares fits over folds" in capsys.readouterr().err
