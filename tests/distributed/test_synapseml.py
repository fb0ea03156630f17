"""SynapseML's LightGBM, fetched by Spark, in a process of its own: it needs Spark 3.5."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.distributed.tables import diabetes

PYTHON = "HPTUNE_SYNAPSEML_PYTHON"


@pytest.mark.slow
def test_synapsemls_lightgbm_is_tuned(tmp_path: Path) -> None:
    python = os.environ.get(PYTHON)
    if not python:
        pytest.skip(f"set {PYTHON} to a Python with constraints/python3.11-spark3.5.txt")
    table, out = diabetes(tmp_path / "diabetes.csv"), tmp_path / "out"
    command = [
        python, "-m", "hptune.cli", "sweep", "--config", str(ROOT / "configs" / "housing_synapseml.yaml"),
        "--data", str(table), "--target", "target", "--out", str(out), "--set", "spark.master=local[2,4]",
        "--set", "limits.max_total_trials=3", "-q",
    ]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYSPARK_PYTHON": python}
    subprocess.run(command, cwd=tmp_path, env=environment, check=True, timeout=900)
    compared = json.loads((out / "test_metrics.json").read_text())
    assert set(compared) == {"untuned", "tuned"} and (out / "model").is_dir()
