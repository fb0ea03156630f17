"""Under Spark's dynamic allocation workers that must run at the same time may wait for ever: refused at once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pyspark import SparkConf
from pyspark.sql import SparkSession

from hptune.cli import main
from hptune.trials.distributed import allocates_dynamically
from tests.distributed.tables import diabetes
from tests.sessions import spark_session

pytestmark = pytest.mark.spark


@pytest.fixture(scope="module")
def spark() -> Iterator[SparkSession]:
    settings = {
        "spark.sql.shuffle.partitions": "2",
        "spark.dynamicAllocation.enabled": "True",
        "spark.dynamicAllocation.testing": "true",  # by which it counts for a local master too
    }
    with spark_session("local[2]", **settings) as session:
        yield session


def sweep(directory: Path, estimator: str, space: dict[str, Any]) -> int:
    """The exit code of a sweep of an estimator over a small table."""
    content = {
        "data": {"path": str(diabetes(directory / "diabetes.csv")), "target": "target"},
        "estimator": estimator,
        "search_space": space,
        "cv": {"type": "holdout", "validation": 0.2, "test": 0.2},
        "refit": False,
    }
    file = directory / "sweep.yaml"
    file.write_text(yaml.safe_dump(content))
    return main(["sweep", "--config", str(file), "--out", str(directory / "out"), "-q"])


def test_workers_that_must_run_together_are_refused_before_the_first_trial(
    spark: SparkSession, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sweep(tmp_path, "xgboost.spark.SparkXGBRegressor", {"num_workers": [1, 2]}) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("hptune: error: the workers of a trial must run at the same time")
    assert "set spark.dynamicAllocation.enabled to false and spark.executor.instances" in line
    assert not list((tmp_path / "out").glob("journal*"))
    assert not spark.sparkContext._jsc.getPersistentRDDs()  # the rows were not even read


@pytest.mark.parametrize(
    ("master", "settings", "expected"),
    [
        ("spark://host:7077", {"enabled": "True"}, True),
        ("yarn", {"enabled": "true"}, True),
        ("yarn", {"enabled": "false"}, False),
        ("yarn", {}, False),
        ("local-cluster[2,1,1024]", {"enabled": "true"}, True),
        ("local[2]", {"enabled": "true"}, False),
        ("local", {"enabled": "true"}, False),
        ("local[*,4]", {"enabled": "true", "testing": "true"}, True),
    ],
)
def test_a_local_master_has_no_executors_to_allocate(
    spark: SparkSession, master: str, settings: dict[str, str], expected: bool
) -> None:
    conf = SparkConf(loadDefaults=False).setMaster(master)
    for name, value in settings.items():
        conf.set(f"spark.dynamicAllocation.{name}", value)
    assert allocates_dynamically(conf) is expected
    utils = spark._jvm.org.apache.spark.util.Utils  # Spark's own answer
    assert utils.isDynamicAllocationEnabled(conf._jconf) is expected


@pytest.mark.slow
def test_an_estimator_whose_tasks_run_whenever_there_is_room_is_not(
    spark: SparkSession, tmp_path: Path
) -> None:
    assert sweep(tmp_path, "pyspark.ml.regression.LinearRegression", {"regParam": [0.0]}) == 0
