"""Sampled sweeps from the command line to the table: drawn, shared, written and run again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from hptune.cli import main

SPACE = {
    "n_estimators": [2, 4, 6],
    "learning_rate": "float(0.05, 0.5, log=true)",
    "max_depth": {"type": "randint", "upper": 3},
    "reg_lambda": "loguniform(-3, 2)",
    "booster": [{"booster": "gbtree", "subsample": "uniform(0.5, 1)"}, {"booster": ["dart"]}],
    "seed": 0,
}


@pytest.fixture()
def sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """Runs a sweep on a small table; what its directory holds."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.normal(size=(60, 3)), columns=["a", "b", "c"])
    table.assign(y=table["a"] + 0.1 * table["b"]).to_csv("rows.csv", index=False)

    def run(out: str, *arguments: str) -> dict[str, Any]:
        assert main(["sweep", "--out", out, "--cache", "cache", "-q", *arguments]) == 0
        table = pd.read_csv(tmp_path / out / "results.csv").sort_values("candidate")
        return {"file": tmp_path / out / "sweep.yaml", "table": table, "params": table["params"].tolist()}

    return run


def file_of(tmp_path: Path, space: Any, **keys: Any) -> str:
    content = {
        "data": {"path": "rows.csv", "target": "y"},
        "estimator": "xgboost.XGBRegressor",
        "search_space": space,
        "objective": {"primary_metric": "r2"},
        "cv": 2,
        "engine": "serial",
        **keys,
    }
    path = tmp_path / "sampled.yaml"
    path.write_text(yaml.safe_dump(content))
    return str(path)


@pytest.mark.parametrize("name", ["random", "sobol"])
def test_a_sampled_sweep_runs_again_from_what_it_wrote(
    name: str, sweep: Callable[..., Any], tmp_path: Path
) -> None:
    file = file_of(
        tmp_path, SPACE, sampling_algorithm={"type": name, "seed": 5}, limits={"max_total_trials": 6}
    )
    first = sweep("one", "--config", file)
    again = sweep("two", "--config", str(first["file"]))
    assert len(set(first["params"])) == 6
    assert first["params"] == again["params"]
    scores = [f"split{fold}_test_score" for fold in range(2)]
    assert first["table"][scores].equals(again["table"][scores])
    written = [yaml.safe_load(result["file"].read_text()) for result in (first, again)]
    assert written[0] | {"out": "two"} == written[1] | {"out": "two"}
    assert written[0]["sampling_algorithm"] == {"type": name, "seed": 5}


def test_every_candidate_has_its_constants_and_its_own_maps_parameters(
    sweep: Callable[..., Any], tmp_path: Path
) -> None:
    file = file_of(tmp_path, SPACE, sampling_algorithm="random", limits={"max_total_trials": 8})
    for row in sweep("out", "--config", file)["table"].to_dict("records"):
        assert row["param_seed"] == 0 and row["status"] == "ok"
        assert 0.05 <= row["param_learning_rate"] <= 0.5
        assert np.isnan(row["param_subsample"]) == (row["param_booster"] == "dart")


def test_candidates_that_differ_in_rounds_only_share_a_fit(sweep: Callable[..., Any], tmp_path: Path) -> None:
    space = {"n_estimators": "int(2, 8)", "max_depth": [1, 2]}
    file = file_of(tmp_path, space, sampling_algorithm="random", limits={"max_total_trials": 10})
    table = sweep("out", "--config", file)["table"]
    assert len(table) == 10
    assert table["fit_id"].nunique() == 2


def test_flags_and_settings_make_a_sampled_sweep_without_a_file(sweep: Callable[..., Any]) -> None:
    found = sweep(
        *("out", "--data", "rows.csv", "--target", "y", "--estimator", "sklearn.linear_model.Ridge"),
        *("--engine", "serial", "--cv", "2", "--set", "search_space.alpha=float(0.01, 100, log=true)"),
        *("--set", "sampling_algorithm.seed=3", "--set", "limits.max_total_trials=4"),
    )
    assert yaml.safe_load(found["file"].read_text())["sampling_algorithm"] == {"type": "random", "seed": 3}
    assert found["table"]["param_alpha"].between(0.01, 100).all() and len(found["table"]) == 4


def test_the_range_of_each_parameter_is_told(
    sweep: Callable[..., Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    space = {"n_estimators": [2, 3], "learning_rate": "loguniform(-3, -1)", "reg_lambda": "normal(2, 0.1)"}
    file = file_of(tmp_path, space, sampling_algorithm="random", limits={"max_total_trials": 2})
    assert main(["sweep", "--config", file, "--out", "out", "--cache", "cache"]) == 0
    told = capsys.readouterr().err
    assert "hptune: learning_rate: 0.0497871 to 0.367879, evenly in logarithms\n" in told
    assert "hptune: n_estimators: 2, 3\n" in told
    assert "hptune: reg_lambda: 95 % lie between 1.804 and 2.196\n" in told


def test_a_grid_may_be_cut_and_a_small_space_is_told_of(
    sweep: Callable[..., Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = file_of(tmp_path, {"n_estimators": [2, 3, 4]}, limits={"max_total_trials": 2})
    assert sweep("cut", "--config", file)["table"]["param_n_estimators"].tolist() == [2, 3]
    assert main(["sweep", "--config", file, "--out", "all", "--set", "limits.max_total_trials=9"]) == 0
    assert "search_space has only 3 candidates, not 9" in capsys.readouterr().err


def small_trees(params: dict[str, Any]) -> bool:
    return bool(params["n_estimators"] * params["max_depth"] <= 8)


def test_constraints_are_named_functions(sweep: Callable[..., Any], tmp_path: Path) -> None:
    space = {"n_estimators": "int(2, 8)", "max_depth": "int(1, 4)"}
    keys = {"constraints": [f"{__name__}:small_trees"], "limits": {"max_total_trials": 9}}
    table = sweep("out", "--config", file_of(tmp_path, space, sampling_algorithm="random", **keys))["table"]
    assert (table["param_n_estimators"] * table["param_max_depth"] <= 8).all() and len(table) == 9


def test_the_winners_parameters_are_exact(sweep: Callable[..., Any], tmp_path: Path) -> None:
    file = file_of(
        tmp_path, {"learning_rate": "uniform(0.1, 0.9)", "n_estimators": 3}, limits={"max_total_trials": 3}
    )
    table = sweep("out", "--config", file)["table"]
    best = json.loads((tmp_path / "out" / "best_params.json").read_text())["params"]
    assert str(best) in table["params"].tolist()
