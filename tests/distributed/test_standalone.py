"""Distributed XGBoost on a standalone cluster of two hosts, each with room for one of two workers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import hptune
from tests.chaos.cluster import HOSTS, Cluster
from tests.chaos.sweeps import Home

pytestmark = [pytest.mark.spark, pytest.mark.slow]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    made = Cluster(tmp_path_factory.mktemp("cluster"))
    try:
        yield made.start()
    finally:
        made.stop()


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty queries of ten rows, told by names."""
    random = np.random.default_rng(0)
    frame = pd.DataFrame(random.normal(size=(400, 3)).round(3), columns=list("abc"))
    frame["grade"] = np.digitize(frame["a"] - frame["b"] ** 2 + random.normal(size=400), [-2, 0])
    frame["query"] = [f"query {number % 40}" for number in range(400)]
    path = tmp_path_factory.mktemp("data") / "rows.csv"
    frame.to_csv(path, index=False)
    return path


@pytest.mark.parametrize(
    ("class_name", "metric"),
    [("SparkXGBRegressor", "R^2"), ("SparkXGBRanker", "ndcg")],
)
def test_two_workers_train_a_trial_on_two_hosts(
    cluster: Cluster, table: Path, tmp_path: Path, class_name: str, metric: str
) -> None:
    params = {"num_workers": 2, "max_depth": 2, "verbose": False}
    config: dict[str, Any] = {
        "data": {"path": str(table), "target": "grade", "group": "query"},
        "estimator": {"class": f"xgboost.spark.{class_name}", "params": params},
        "search_space": {"n_estimators": [1, 20]},
        "limits": {"max_concurrent_trials": 2},
        "cv": {"type": "holdout", "validation": 0.3, "test": 0.3},
        **cluster.settings(spark_sql_shuffle_partitions="2"),
    }
    home = Home(tmp_path, table, None)
    done = home.sweep(config)
    home.close()
    assert done.code == 0, done.errors
    result = hptune.load(done.out)
    assert result.table["status"].tolist() == ["ok", "ok"]
    assert result.best_params == {"n_estimators": 20}
    compared = json.loads((done.out / "test_metrics.json").read_text())
    assert compared.keys() == {"untuned", "tuned"} and metric in compared["tuned"]
    assert (done.out / "model" / "stages").is_dir()
    assert {path.parent.name for path in cluster.directory.glob("work-*/app-*")} == {
        f"work-{host}" for host in HOSTS
    }
