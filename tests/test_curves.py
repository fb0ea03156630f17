"""What a policy saw of fits on folds, by round, wherever a child run is looked at."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import root_mean_squared_error
from xgboost import XGBRegressor

from hptune import run_sweep
from hptune.children import ChildRun
from hptune.cli import main
from hptune.engine import ProcessesEngine, SerialEngine
from hptune.history import read_children
from hptune.policies import BanditPolicy, Policy, RacingPolicy, SuccessiveHalvingPolicy
from hptune.sweep import Sweep, run
from tests.builders import Case, StopAfter, numbers_table, sweep_of

METRIC = "neg_root_mean_squared_error"
GRID = {"n_estimators": [6, 12], "learning_rate": [0.3, 0.1, 0.001]}
CASE = Case(XGBRegressor(max_depth=3, subsample=0.5, seed=0), GRID, *numbers_table(), scoring=METRIC)
PATIENT = BanditPolicy(slack_amount=1e9)  # reads every round and stops nobody


def sweep(policy: Policy | None = PATIENT, **grid: Any) -> Sweep:
    return sweep_of(replace(CASE, grid={**GRID, **grid}), early_termination=policy)


def curves(children: Sequence[ChildRun]) -> dict[str, Mapping[str, Any]]:
    """By the parameters."""
    return {json.dumps(dict(child.params), sort_keys=True): child.curves for child in children}


def test_a_curve_is_the_mean_over_the_folds_after_each_round() -> None:
    for child in run(sweep(), SerialEngine()).children():
        rounds, scores = child.params["n_estimators"], []
        for train, scored in CASE.folds:
            model = XGBRegressor(max_depth=3, subsample=0.5, seed=0, n_jobs=1, **child.params)
            model.fit(CASE.X[train], CASE.y[train])
            predicted = [model.predict(CASE.X[scored], iteration_range=(0, n + 1)) for n in range(rounds)]
            scores.append([-root_mean_squared_error(CASE.y[scored], each) for each in predicted])
        ((name, curve),) = child.curves.items()
        assert name == METRIC and [step for step, _ in curve] == list(range(1, rounds + 1))
        assert [value for _, value in curve] == pytest.approx(np.mean(scores, axis=0), rel=1e-12)
        assert child.steps == {METRIC: [value for _, value in curve]}
        assert curve[-1][1] == child.score


def test_the_curve_of_a_stopped_candidate_ends_where_it_was_stopped() -> None:
    result = run(sweep(SuccessiveHalvingPolicy(min_resource=2)), SerialEngine())
    table = result.table.set_index("candidate")
    stopped = [child for child in result.children() if child.status == "stopped"]
    assert stopped
    for child in stopped:
        row, (step, value) = table.loc[child.number], child.curves[METRIC][-1]
        assert (step, value) == (row["stopped_after"], pytest.approx(row["last_score"]))


def test_where_no_rounds_are_read_there_is_no_curve() -> None:
    for policy in (None, RacingPolicy()):
        assert [child.curves for child in run(sweep(policy), SerialEngine()).children()] == [{}] * 6


@pytest.mark.parametrize("engine", [SerialEngine(), ProcessesEngine(2)], ids=["serial", "processes"])
def test_the_directory_tells_the_same_as_the_result(engine: Any, tmp_path: Path) -> None:
    result = run(sweep(), engine, out=tmp_path)
    assert all(result.children()[number].curves for number in range(6))
    assert curves(read_children(tmp_path)) == curves(result.children())


def test_a_shared_fit_that_takes_too_long_leaves_the_curves_of_its_shorter_rungs(tmp_path: Path) -> None:
    endless = sweep(n_estimators=[6, 12, 10_000_000], learning_rate=[0.3])
    result = run(endless, ProcessesEngine(1, trial_timeout=1), out=tmp_path)
    children = {child.params["n_estimators"]: child for child in result.children()}
    assert [children[rounds].status for rounds in children] == ["ok", "ok", "timeout"]
    assert [len(children[rounds].curves[METRIC]) for rounds in (6, 12)] == [6, 12]
    assert curves(read_children(tmp_path)) == curves(result.children())


def test_a_sweep_that_goes_on_with_a_wider_grid_keeps_its_curves(tmp_path: Path) -> None:
    expected = curves(run(sweep(learning_rate=[0.2, 0.1, 0.3, 0.001]), SerialEngine()).children())
    with pytest.raises(KeyboardInterrupt):
        run(sweep(), SerialEngine(), out=tmp_path, observers=[StopAfter(6)])
    partial = [child for child in read_children(tmp_path) if child.curves]
    assert [child.status for child in partial] == ["ok", "ok"]
    wider = sweep(learning_rate=[0.2, 0.1, 0.3, 0.001])
    result = run(wider, SerialEngine(), out=tmp_path, resume=True, extend=True)
    assert curves(result.children()) == curves(read_children(tmp_path)) == expected
    again = run(wider, SerialEngine(), out=tmp_path, resume=True)
    assert curves(again.children()) == expected


def test_candidates_that_are_found_meanwhile_have_curves(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = np.column_stack([CASE.X, CASE.y])
    table, out = tmp_path / "rows.csv", tmp_path / "out"
    np.savetxt(table, rows, delimiter=",", header="a,b,c,d,e,f,y", comments="")
    config = {
        "name": "found",
        "data": {"path": str(table), "target": "y"},
        "estimator": {"class": "xgboost.XGBRegressor", "params": {"n_estimators": 12}},
        "search_space": {"learning_rate": "uniform(0.01, 0.5)"},
        "sampling_algorithm": "bayesian",
        "limits": {"max_total_trials": 4},
        "objective": {"primary_metric": METRIC},
        "early_termination": {"type": "median_stopping", "delay_evaluation": 4},
        "cv": 3,
        "engine": "serial",
    }
    result = run_sweep(config, out=str(out), cache=tmp_path / "cache")
    assert curves(read_children(out)) == curves(result.children())
    best = result.best_run()
    assert main(["show", str(out), "best"]) == 0
    shown = capsys.readouterr().out
    assert "by round, the mean over the folds:" in shown
    assert f"{METRIC}, 12 values: ..., 3: " in shown and f"12: {best.score:.6g}\n" in shown
    assert main(["runs", str(out), "--format", "json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told[0]["curves"][METRIC] == [list(point) for point in best.curves[METRIC]]
    assert {run["started"] for run in told} == {None}  # fits on folds do not tell


def test_a_stopped_candidate_is_shown_without_folds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = run(sweep(SuccessiveHalvingPolicy(min_resource=2)), SerialEngine(), out=tmp_path)
    stopped = next(child for child in result.children() if child.status == "stopped")
    assert main(["show", str(tmp_path), stopped.id]) == 0
    shown = capsys.readouterr().out
    assert "by round, the mean over the folds:" in shown and "folds:\n  0:" not in shown
