"""Distributed XGBoost on a real cluster of two executors: its workers run at the same time, its trials in turn."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from pyspark.sql import SparkSession
from sklearn.datasets import make_regression

from hptune import run_sweep
from tests.chaos.processes import Descendants, send, wait_until
from tests.sessions import spark_session

pytestmark = [pytest.mark.spark, pytest.mark.slow]
CLASS = "xgboost.spark.SparkXGBRegressor"


@pytest.fixture(scope="module")
def cluster() -> Iterator[SparkSession]:
    with spark_session("local-cluster[2,1,1024]", **{"spark.sql.shuffle.partitions": "2"}) as session:
        yield session


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    X, y = make_regression(400, 5, noise=1.0, random_state=0)
    path = tmp_path_factory.mktemp("data") / "rows.csv"
    pd.DataFrame(X, columns=list("abcde")).assign(y=y).to_csv(path, index=False)
    return path


def config(table: Path, **keys: Any) -> dict[str, Any]:
    return {
        "data": {"path": str(table), "target": "y"},
        "estimator": {"class": CLASS, "params": {"num_workers": 2, "max_depth": 3, "verbose": False}},
        "search_space": {"n_estimators": [1, 20]},
        "objective": {"primary_metric": "RMSE"},
        "cv": {"type": "holdout", "validation": 0.2, "test": 0.2},
        "refit": False,
        **keys,
    }


def test_two_trials_at_once_where_one_fits_go_one_after_the_other(
    cluster: SparkSession, table: Path, tmp_path: Path
) -> None:
    limits = {"max_concurrent_trials": 2}
    result = run_sweep(config(table, limits=limits), out=str(tmp_path / "out"))
    assert result.table["status"].tolist() == ["ok", "ok"]
    assert result.best_params == {"n_estimators": 20}


def test_the_ranking_is_that_of_fits_on_one_machine(
    cluster: SparkSession, table: Path, tmp_path: Path
) -> None:
    space = {"n_estimators": [1, 5, 40], "learning_rate": 0.3, "tree_method": "hist"}
    spread = run_sweep(config(table, search_space=space, cv=2), out=str(tmp_path / "spread"))
    alone = run_sweep(
        config(
            table,
            search_space=space,
            estimator={"class": "xgboost.XGBRegressor", "params": {"max_depth": 3}},
            objective={"primary_metric": "neg_root_mean_squared_error"},
            cv={"type": "KFold", "n_splits": 2, "shuffle": True, "random_state": 0},
        ),
        engine="serial",
        out=str(tmp_path / "alone"),
    )
    assert spread.table["param_n_estimators"].tolist() == [40, 5, 1]
    assert alone.table["param_n_estimators"].tolist() == [40, 5, 1]


def test_an_executor_that_is_killed_costs_its_trial_alone(
    cluster: SparkSession, table: Path, tmp_path: Path
) -> None:
    out, killed = tmp_path / "out", threading.Event()

    def kill() -> None:
        tracker = cluster.sparkContext.statusTracker()
        journal = out / "journal.jsonl"
        wait_until(lambda: journal.exists() and tracker.getActiveStageIds(), 300, "a trial's first job")
        send(Descendants().executors()[0], signal.SIGKILL)
        killed.set()

    threading.Thread(target=kill, daemon=True).start()
    space = {"n_estimators": [200, 210, 220]}
    result = run_sweep(config(table, search_space=space), out=str(out))
    assert killed.is_set()
    assert result.table["status"].isin(["ok", "failed"]).all()
    assert (result.table["status"] == "ok").sum() >= 2
