"""Trials on a standalone cluster, whose executors are other processes with directories of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import yaml

import hptune
from hptune.children import ChildRun
from hptune.summary import SweepResult
from tests.chaos.cluster import HOSTS, Cluster
from tests.conftest import ROOT

pytestmark = [pytest.mark.spark, pytest.mark.slow]

SCRIPTS = Path(__file__).parent / "scripts"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Four slots on two hosts."""
    made = Cluster(tmp_path_factory.mktemp("cluster"))
    try:
        made.start()
        for host in HOSTS:
            made.start_worker(host)
        yield made
    finally:
        made.stop()


def swept(config: dict[str, Any], directory: Path) -> SweepResult:
    """What ``hptune sweep`` finds, run in that directory."""
    (directory / "sweep.yaml").write_text(yaml.safe_dump(config))
    done = subprocess.run(
        [sys.executable, "-m", "hptune.cli", "sweep", "-q", "--config", "sweep.yaml", "--out", "out"],
        cwd=directory,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "PYSPARK_PYTHON": sys.executable,
            "SPARK_LOCAL_IP": HOSTS[0],
        },
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return hptune.load(directory / "out")


def test_a_function_of_this_directory_runs_where_its_module_is_not(cluster: Cluster, tmp_path: Path) -> None:
    (tmp_path / "objectives.py").write_text(
        "from hptune import Run\nMIDDLE = 3\n\n\ndef squared(params):\n"
        "    Run.get_context().log('loss', 100)\n    return (params['x'] - MIDDLE) ** 2\n"
    )
    config = {
        "trial": {"function": "objectives:squared"},
        "search_space": {"x": [1, 2, 3]},
        **cluster.settings(spark_scheduler_maxRegisteredResourcesWaitingTime="120s"),
    }
    result = swept(config, tmp_path)
    assert [child.metrics["loss"] for child in result.children()] == [4.0, 1.0, 0.0]
    assert result.best_run().steps == {"loss": [100.0]}


def at_once(children: list[ChildRun]) -> int:
    """The most runs that were under way together."""
    ends = [(child.started, 1) for child in children]
    ends += [(child.started + child.seconds, -1) for child in children]
    running = np.cumsum([step for _, step in sorted(ends)])
    return int(running.max())


def test_six_children_of_the_tutorials_script_four_at_a_time(cluster: Cluster, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    X = random.normal(size=(200, 4)).round(3)
    rows = "".join(f"{a},{b},{c},{d},{int(a + b > 0)}\n" for a, b, c, d in X)
    (tmp_path / "patients.csv").write_text(f"feature1,feature2,feature3,feature4,label\n{rows}")
    config = {
        "name": "patients",
        "trial": {
            "command": "python train.py",
            "code": str(SCRIPTS),
            "inputs": {"training_data": str(tmp_path / "patients.csv")},
        },
        "search_space": {"--regularization": [777, 666, 0.01, 0.1, 1.0, 10.0]},
        "objective": {"primary_metric": "Accuracy", "goal": "maximize"},
        "limits": {"max_total_trials": 6, "max_concurrent_trials": 4, "trial_timeout": 20},
        **cluster.settings(spark_scheduler_maxRegisteredResourcesWaitingTime="120s"),
    }
    result = swept(config, tmp_path)
    children = result.children()
    assert [child.status for child in children] == ["timeout", "crashed", "ok", "ok", "ok", "ok"]
    assert "SIGSEGV" in str(children[1].error)
    assert at_once(children) == 4
    best = result.best_run()
    assert best.metrics["Accuracy"] == result.best_score > 0.8
    assert best.steps["Accuracy"] == [result.best_score]
    model = joblib.load(best.files["outputs/model.pkl"])
    assert (model.predict(X) == (X[:, 0] + X[:, 1] > 0)).mean() > 0.8
    assert best.files["stdout.txt"].read_text().startswith("trained with")
    assert [child.directory is not None for child in children] == [False, False, True, True, True, True]
    left = [path.name for path in (tmp_path / "out" / "children").iterdir() if path.name.startswith(".")]
    assert not left
