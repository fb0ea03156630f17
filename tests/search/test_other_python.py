"""A session whose workers are of a Python without our libraries is refused at once, not fit after fit."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from tests import SHORT_LIVED_JVM

PROGRAM = """
from pyspark.sql import SparkSession
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
import hptune
SparkSession.builder.master("local[2]").config("spark.log.level", "OFF").config(
    "spark.ui.enabled", "false"
).getOrCreate()
for search in (
    lambda: hptune.GridSearchCV(LogisticRegression(), {"C": [0.1, 1]}).fit(*load_iris(return_X_y=True)),
    lambda: hptune.minimize(float, {"x": [1, 2]}, max_evals=2, sampler="grid"),
):
    try:
        search()
    except hptune.errors.ClusterError as error:
        print(error)
"""


@pytest.mark.spark
def test_workers_without_the_libraries_are_named_with_the_way_out(tmp_path: Path) -> None:
    venv.create(tmp_path / "bare", with_pip=False, symlinks=True)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=os.environ
        | {
            "PYSPARK_PYTHON": str(tmp_path / "bare" / "bin" / "python"),
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "SPARK_LOCAL_IP": "127.0.0.1",
            "JDK_JAVA_OPTIONS": SHORT_LIVED_JVM,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    told = done.stdout.splitlines()
    assert len(told) == 2, done.stderr
    for line in told:
        assert "cannot fit (ModuleNotFoundError" in line
        assert line.endswith(
            "set the environment's PYSPARK_PYTHON to sys.executable before the session is started"
        )
