"""A Spark session that ends in the middle of the work: one error that says so, and nothing left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from sklearn.base import BaseEstimator, RegressorMixin

from hptune.records import FitTask, Outcome
from tests.conftest import ROOT

pytestmark = pytest.mark.spark

_SEARCH = """
import sys
from hptune.engine import active_session, engine_of
from hptune.errors import ClusterError
from tests.builders import tasks
from tests.sessions import spark_session
from tests.engine.test_ended_session import deadly, harmless

ending, bound = sys.argv[1:]
with spark_session("local[2,4]") as session:
    engine = engine_of(session, int(bound) or None)

    def told(call):
        try:
            call()
        except ClusterError as error:
            print(error)

    def run():
        for _ in engine.run(tasks(30), deadly if ending == "killed" else harmless, "test"):
            if ending == "stopped":
                session.stop()

    told(run)
    told(lambda: engine_of(session))
    told(active_session)
"""
_COMMAND = "import sys; from hptune.cli import main; sys.exit(main())"
_ENDED = "the Spark session ended: Spark's own log tells why; run again in a new session"


def harmless(task: FitTask) -> list[Outcome]:
    return [Outcome(rung.candidate, task.fold, "ok", {"score": 1.0}, fit_id=task.id) for rung in task.rungs]


def deadly(task: FitTask) -> list[Outcome]:
    """The twentieth task kills Spark's Java process."""
    if task.id == 20:
        kill_spark()
    return harmless(task)


def kill_spark() -> None:
    """In a worker: its parent is Spark's Python daemon, and that one's parent is Java."""
    status = Path(f"/proc/{os.getppid()}/status").read_text()
    java = next(line.split()[1] for line in status.splitlines() if line.startswith("PPid:"))
    os.kill(int(java), signal.SIGKILL)


class KillsSpark(RegressorMixin, BaseEstimator):
    """Kills Spark's Java process where it is told to."""

    def __init__(self, deadly: bool = False) -> None:
        self.deadly = deadly

    def fit(self, X: Any, y: Any) -> KillsSpark:
        if self.deadly:
            kill_spark()
        return self

    def predict(self, X: Any) -> Any:
        return np.zeros(len(X))


@pytest.fixture
def temporary(tmp_path: Path) -> Path:
    directory = tmp_path / "temporary"
    directory.mkdir()
    return directory


def ended(arguments: list[Any], temporary: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "PYSPARK_PYTHON": sys.executable,
        "SPARK_LOCAL_IP": "127.0.0.1",
        "TMPDIR": str(temporary),
    }
    done = subprocess.run(
        [sys.executable, *arguments],
        env=environment,
        cwd=temporary.parent,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert [path.name for path in temporary.iterdir() if path.name.startswith("hptune")] == []
    return done


# After `stop` there simply is no active session; a killed one is still thought to be there.
@pytest.mark.parametrize(
    ("ending", "bound", "times_told"),
    [("killed", "0", 3), ("stopped", "1", 2)],
)
@pytest.mark.slow
def test_a_search_says_that_the_session_ended(
    ending: str, bound: str, times_told: int, temporary: Path
) -> None:
    script = temporary.parent / "search.py"
    script.write_text(_SEARCH)
    done = ended([script, ending, bound], temporary)
    assert done.stdout.splitlines() == [_ENDED] * times_told, done.stderr


@pytest.mark.slow
def test_the_command_ends_with_the_clusters_exit_code(temporary: Path) -> None:
    rows = "\n".join(f"{number},{number % 7}.5" for number in range(40))
    (temporary.parent / "rows.csv").write_text(f"x,y\n{rows}\n")
    sweep = {
        "data": {"path": "rows.csv", "target": "y"},
        "estimator": {"class": f"{__name__}.KillsSpark"},
        "search_space": {"deadly": [False, True]},
        "objective": {"primary_metric": "r2"},
        "cv": 2,
        "engine": "spark",
        "spark": {"master": "local[2,4]"},
    }
    (temporary.parent / "sweep.yaml").write_text(yaml.safe_dump(sweep))
    done = ended(["-c", _COMMAND, "sweep", "--config", "sweep.yaml", "--out", "out"], temporary)
    assert done.returncode == 8, done.stderr
    assert done.stderr.splitlines()[-1] == f"hptune: error: {_ENDED}"
