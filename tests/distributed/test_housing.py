"""The tuned model is better than the untuned one on rows that no trial saw."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pyspark.sql import SparkSession

from hptune import run_sweep
from tests.conftest import ROOT
from tests.distributed.tables import diabetes
from tests.sessions import spark_session

pytestmark = pytest.mark.spark


@pytest.fixture(scope="module")
def spark() -> Iterator[SparkSession]:
    with spark_session("local[2]", **{"spark.sql.shuffle.partitions": "2"}) as session:
        yield session


def compared(out: Path, data: dict[str, Any], **keys: Any) -> dict[str, Any]:
    """The metrics of the untuned and the tuned model on the test part, by the shipped sweep file."""
    shipped = yaml.safe_load((ROOT / "configs" / "housing_distributed.yaml").read_text())
    del shipped["spark"]
    run_sweep({**shipped, "data": data, **keys}, out=str(out))
    found: dict[str, Any] = json.loads((out / "test_metrics.json").read_text())
    return found


@pytest.mark.slow
def test_a_tuned_model_is_better_on_the_test_part(spark: SparkSession, tmp_path: Path) -> None:
    data = {"path": str(diabetes(tmp_path / "diabetes.csv")), "target": "target"}
    found = compared(tmp_path / "out", data, limits={"max_total_trials": 8})
    assert found["tuned"]["R^2"] > found["untuned"]["R^2"]
    assert found["tuned"]["RMSE"] < found["untuned"]["RMSE"]


@pytest.mark.slow
def test_housing_is_better_tuned_in_nine_of_ten_seeds(
    spark: SparkSession, real_data: Path, tmp_path: Path
) -> None:
    table = real_data / "housing" / "housing.csv"
    if not table.is_file():
        pytest.skip("no housing/housing.csv beside the real data")
    data = {"path": str(table), "target": "median_house_value"}
    found = [compared(tmp_path / str(seed), data, seed=seed) for seed in range(10)]
    assert sum(each["tuned"]["R^2"] > each["untuned"]["R^2"] for each in found) >= 9
