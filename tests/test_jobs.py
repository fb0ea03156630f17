"""The reference workload's files and jobs: the published grids, each run in small by its own command."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import xgboost

from hptune.config import load_config, parse_config
from hptune.sample import write_sample

ROOT = Path(__file__).resolve().parents[1]
CONSTANTS = {"objective": "multi:softprob", "reg_alpha": 1, "reg_lambda": 1, "colsample_bytree": 1}
TENTHS = [0.5, 0.6, 0.7, 0.8, 0.9, 1.0]
GRIDS: dict[str, dict[str, Any]] = {
    "talkingdata_small": {
        "n_estimators": [300, 400],
        "max_depth": [3, 4],
        "colsample_bylevel": [0.1],
        "subsample": [0.5],
    },
    "talkingdata_single_vm": {
        "n_estimators": [300, 400],
        "max_depth": [3, 4],
        "colsample_bylevel": [0.1],
        "subsample": [0.5],
    },
    "talkingdata_single_vm_older": {
        "n_estimators": [400, 500],
        "max_depth": [4],
        "colsample_bylevel": [0.1, 1],
        "subsample": [0.5, 1],
    },
    "talkingdata_spark": {
        "n_estimators": [300, 400],
        "max_depth": [3, 4],
        "colsample_bylevel": [0.01, 0.1],
        "subsample": [0.5, 0.7],
    },
    "talkingdata_spark_older": {
        "n_estimators": [300, 400, 500, 600, 700],
        "max_depth": [4],
        "colsample_bylevel": [0.01, 0.1, 0.5, 1],
        "subsample": TENTHS,
    },
    "demo": {
        "n_estimators": [30, 40],
        "max_depth": [3, 4],
        "colsample_bylevel": [0.01, 0.1],
        "subsample": [0.5, 0.7],
    },
}
SMALL = {"brand", "model", "weekday", "hour", "weekday_hour"}
ALL = SMALL | {"app", "label", "category", "category_word"}


@pytest.mark.parametrize("name", GRIDS)
def test_the_published_grids_are_the_shipped_ones(name: str) -> None:
    config = parse_config(load_config(ROOT / "configs" / f"{name}.yaml"))
    candidates = list(config.search_space.grid())
    assert all(params.items() >= {**CONSTANTS, "learning_rate": 0.1}.items() for params in candidates)
    for key, values in GRIDS[name].items():
        assert sorted({params[key] for params in candidates}) == values
    assert (config.data.format, config.data.encoding) == ("talkingdata", "indicator")
    assert config.estimator_params == {"seed": 0}


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_file_can_be_read(path: Path) -> None:
    assert parse_config(load_config(path)).search_space


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("jobs") / "raw"
    write_sample(directory, scale=0.01)
    return directory


@pytest.mark.parametrize(
    ("job", "candidates", "sets"),
    [("single_vm_small", 4, SMALL), ("single_vm", 4, ALL), ("distributed_sweep", 16, ALL)],
)
def test_a_job_ends_in_the_table_of_its_grid(
    job: str, candidates: int, sets: set[str], raw: Path, tmp_path: Path
) -> None:
    smaller = ["--cv", "2", "--set", "search_space.n_estimators=[2, 3]", "--engine", "serial"]
    places = ["--data", str(raw), "--cache", str(raw.parent / "cache"), "--out", str(tmp_path / "out")]
    done = subprocess.run(
        [sys.executable, str(ROOT / "jobs" / f"{job}.py"), *places, *smaller],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    table = pd.read_csv(tmp_path / "out" / "results.csv")
    assert table["status"].tolist() == ["ok"] * candidates
    model = xgboost.Booster(model_file=tmp_path / "out" / "model.ubj")
    assert {name.partition("=")[0] for name in model.feature_names or ()} == sets
