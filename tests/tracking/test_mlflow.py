"""What a real MLflow server holds after a sweep, whatever happened to it meanwhile."""

from __future__ import annotations

import os
import socket
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
import yaml
from sklearn.linear_model import Ridge
from xgboost import XGBRegressor

from hptune.cli import main
from hptune.config import TrackingConfig
from hptune.engine import SerialEngine
from hptune.history import read_children
from hptune.locks import held
from hptune.observers import Observer
from hptune.plan import Plan
from hptune.policies import SuccessiveHalvingPolicy
from hptune.records import Outcome
from hptune.sweep import Sweep, run
from hptune.tracking import tracked
from tests.builders import Case, numbers_table, sweep_of
from tests.test_resume import Recorded, answer, table_of
from tests.tracking.server import MlflowServer, running_server

GRID = {"alpha": [0.01, 1.0, 100.0], "solver": ["svd", "lsqr"]}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    with running_server(tmp_path_factory.mktemp("mlflow")) as started:
        yield started


@pytest.fixture
def experiment() -> str:
    return f"test {uuid.uuid4().hex}"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 3))
    path = tmp_path / "table.csv"
    pd.DataFrame({"a": X[:, 0], "b": X[:, 1], "price": X @ [1, 2, 3]}).to_csv(path, index=False)
    return path


def sweep_file(table: Path, server: MlflowServer, experiment: str, **keys: Any) -> Path:
    content = {
        "name": "homes",
        "data": {"path": str(table), "target": "price"},
        "estimator": "sklearn.linear_model.Ridge",
        "search_space": {**GRID, "solver": ["svd", "lsqr", "none"]},
        "objective": {"primary_metric": "r2"},
        "cv": 3,
        "engine": "serial",
        "tracking": {"mlflow": server.uri, "experiment": experiment},
        **keys,
    }
    path = table.parent / "sweep.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


class Runs:
    """What the server holds of an experiment."""

    def __init__(self, server: MlflowServer, experiment: str) -> None:
        self.client = mlflow.MlflowClient(server.uri)
        found = self.client.get_experiment_by_name(experiment)
        self._all = list(self.client.search_runs([found.experiment_id])) if found else []

    @property
    def parents(self) -> list[Any]:
        return [each for each in self._all if "mlflow.parentRunId" not in each.data.tags]

    @property
    def parent(self) -> Any:
        (only,) = self.parents
        return only

    @property
    def children(self) -> dict[str, Any]:
        """Those of the parent, by name."""
        found, parent = self.all_children, self.parent.info.run_id
        return {name: run for name, run in found.items() if run.data.tags["mlflow.parentRunId"] == parent}

    @property
    def all_children(self) -> dict[str, Any]:
        """By name, which no two have in common."""
        found = [each for each in self._all if "mlflow.parentRunId" in each.data.tags]
        names = [each.info.run_name for each in found]
        assert len(set(names)) == len(names)
        return dict(zip(names, found, strict=True))

    def artifact(self, name: str, where: Path) -> bytes:
        return Path(self.client.download_artifacts(self.parent.info.run_id, name, str(where))).read_bytes()


def assert_same_as_table(runs: Runs, out: Path, metric: str) -> None:
    """Every row of results.csv is a child with its parameters, scores and status."""
    rows = table_of(out).to_dict("records")
    children = runs.children
    assert set(children) == {f"candidate {row['candidate']}" for row in rows}
    for row in rows:
        child = children[f"candidate {row['candidate']}"]
        given = {name.removeprefix("param_"): text for name, text in row.items() if name.startswith("param_")}
        assert child.data.params == {name: text for name, text in given.items() if text}
        scores = {name: text for name, text in row.items() if "_test_" in name and "rank" not in name}
        told = {name.replace("_test_score", f"_test_{metric}"): float(v) for name, v in scores.items() if v}
        assert {name: v for name, v in child.data.metrics.items() if "_test_" in name} == told
        assert child.data.metrics["work_time"] == float(row["work_time"])
        assert child.data.tags["hptune.status"] == row["status"]
        assert child.info.status == ("FINISHED" if row["status"] == "ok" else "FAILED")


def test_the_server_holds_what_results_csv_holds(
    table: Path, server: MlflowServer, experiment: str, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    file = sweep_file(table, server, experiment)
    assert main(["sweep", "--config", str(file), "--out", str(out), "-q"]) == 0
    runs = Runs(server, experiment)
    assert_same_as_table(runs, out, "r2")
    assert len(runs.children) == 9
    best = table_of(out).iloc[0]
    data = runs.parent.data
    assert (runs.parent.info.status, runs.parent.info.run_name) == ("FINISHED", "homes")
    assert data.metrics == {"best_mean_test_r2": float(best["mean_test_score"])}
    assert data.tags["hptune.best_candidate"] == f"candidate {best['candidate']}"
    assert data.params["search_space.alpha"] == "[0.01, 1.0, 100.0]"
    assert data.params["estimator.class"] == "sklearn.linear_model.Ridge"
    assert data.params["versions.scikit-learn"] and len(data.params["data.fingerprint"]) >= 32
    for name in ("results.csv", "best_params.json", "model.skops", "sweeping_results.txt"):
        assert runs.artifact(name, tmp_path) == (out / name).read_bytes()
    assert yaml.safe_load(runs.artifact("sweep.yaml", tmp_path))["cv"] == 3
    failed = runs.children["candidate 2"]
    assert failed.data.tags["hptune.status"] == "failed" and "solver" in failed.data.tags["hptune.error"]


def ridge_sweep(server: MlflowServer, experiment: str, **grid: Any) -> Sweep:
    config = {"tracking": {"mlflow": server.uri, "experiment": experiment}}
    return sweep_of(Case(Ridge(), {**GRID, **grid}, *numbers_table()), config=config)


def told(
    sweep: Sweep, out: Path, *others: Observer, engine: SerialEngine | None = None, **how: Any
) -> list[str]:
    """What is said of a sweep that MLflow is told of."""
    said: list[str] = []
    tracking = TrackingConfig(**sweep.config["tracking"])
    place = engine or SerialEngine()
    with tracked(tracking, sweep.name, out, str(out), said.append, place) as (observers, on):
        run(sweep, on, out=out, observers=[*observers, *others], **how)
    return said


class AfterChild(Observer):
    """Does something once the server holds a child, which is so when all cells but a few are done."""

    def __init__(self, server: MlflowServer, experiment: str, action: Callable[[], None]) -> None:
        self._runs = lambda: Runs(server, experiment)
        self._action = action
        self._left = 2 * len(GRID["alpha"]) * len(GRID["solver"]) + 1

    def on_outcome(self, outcome: Outcome) -> None:
        self._left -= 1
        if self._left:
            return
        end = time.monotonic() + 60
        while not self._runs().parents or not self._runs().children:
            assert time.monotonic() < end, "no child arrived"
            time.sleep(0.1)
        self._action()


def test_a_server_that_is_killed_in_mid_sweep(
    server: MlflowServer, experiment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hptune.tracking._tracked._PATIENCE", {"patience": 0.5, "longest": 0.5})
    out, sweep = tmp_path / "out", ridge_sweep(server, experiment)
    reference, quiet = tmp_path / "reference", ridge_sweep(server, experiment)
    for directory in (out, reference):
        directory.mkdir()
    run(quiet, SerialEngine(), out=reference)
    try:
        said = told(sweep, out, AfterChild(server, experiment, server.kill))
    finally:
        server.start()
    assert answer(table_of(out)).equals(answer(table_of(reference)))
    assert len(said) == 1 and "MLflow lacks a part of this sweep" in said[0]
    assert f"hptune mlflow {out} sends it" in said[0]
    before = Runs(server, experiment)
    assert 0 < len(before.children) < 6 and before.parent.info.status == "RUNNING"
    assert main(["mlflow", str(out)]) == 0
    runs = Runs(server, experiment)
    assert_same_as_table(runs, out, "score")
    assert runs.parent.info.status == "FINISHED"
    assert set(before.children) <= set(runs.children)
    assert before.parent.info.run_id == runs.parent.info.run_id


def test_sending_again_changes_nothing(
    server: MlflowServer, experiment: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    run(ridge_sweep(server, experiment), SerialEngine(), out=out)
    assert main(["mlflow", str(out)]) == 0
    assert "6 candidates sent, 6 are there" in capsys.readouterr().err
    before = Runs(server, experiment)
    assert main(["mlflow", str(out)]) == 0
    assert "0 candidates sent, 6 are there" in capsys.readouterr().err
    after = Runs(server, experiment)
    assert {name: each.to_dictionary() for name, each in after.children.items()} == {
        name: each.to_dictionary() for name, each in before.children.items()
    }
    assert after.parent.data.to_dictionary() == before.parent.data.to_dictionary()


def test_a_child_that_is_there_twice_or_half_is_there_once_and_whole(
    server: MlflowServer, experiment: str, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    run(ridge_sweep(server, experiment), SerialEngine(), out=out)
    assert main(["mlflow", str(out)]) == 0
    runs = Runs(server, experiment)
    children = runs.children
    client, where = runs.client, runs.parent.info.experiment_id
    whole, half = children["candidate 1"], children["candidate 4"]
    tags = {name: dict(run.data.tags) for name, run in (("whole", whole), ("half", half))}
    for each in tags.values():
        del each["hptune.status"]  # the last that a run gets
    client.create_run(where, tags=tags["whole"])  # its answer never came
    client.delete_run(half.info.run_id)
    begun = client.create_run(where, tags=tags["half"])
    client.log_metric(begun.info.run_id, "split0_test_score", half.data.metrics["split0_test_score"], 1, 0)
    client.log_param(begun.info.run_id, "alpha", half.data.params["alpha"])
    assert main(["mlflow", str(out)]) == 0
    again = Runs(server, experiment)
    assert_same_as_table(again, out, "score")
    assert again.children["candidate 1"].info.run_id == whole.info.run_id
    assert again.children["candidate 4"].info.run_id == begun.info.run_id
    history = client.get_metric_history(begun.info.run_id, "split0_test_score")
    assert [point.timestamp for point in history] == [1]


def test_a_child_has_the_curve_that_the_policy_saw(
    server: MlflowServer, experiment: str, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    grid = {"n_estimators": [5, 10], "learning_rate": [0.3, 0.001]}
    case = Case(XGBRegressor(max_depth=2), grid, *numbers_table(), scoring="r2")
    policy = SuccessiveHalvingPolicy(min_resource=1, reduction_factor=2)
    config = {"tracking": {"mlflow": server.uri, "experiment": experiment}}
    assert told(sweep_of(case, config=config, early_termination=policy), out) == []
    runs, found = Runs(server, experiment), read_children(out)
    assert {child.status for child in found} == {"ok", "stopped"}
    for child in found:
        there = runs.children[f"candidate {child.number}"].info
        history = runs.client.get_metric_history(there.run_id, "r2")
        assert [(point.step, point.value) for point in history] == list(child.curves["r2"])
        assert there.status == ("FINISHED" if child.status == "ok" else "KILLED")


def test_a_wider_grid_goes_on_with_the_same_run(
    server: MlflowServer, experiment: str, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(KeyboardInterrupt):
        told(ridge_sweep(server, experiment), out, engine=Recorded(14))
    assert main(["mlflow", str(out)]) == 0
    before = Runs(server, experiment)
    assert before.parent.info.status == "KILLED" and len(before.children) == 2
    wider = ridge_sweep(server, experiment, alpha=[0.001, 0.01, 1.0, 100.0])
    assert told(wider, out, resume=True, extend=True) == []
    runs = Runs(server, experiment)
    assert runs.parent.info.run_id == before.parent.info.run_id
    assert runs.parent.info.status == "FINISHED" and len(runs.children) == 8
    assert_same_as_table(runs, out, "score")
    ids = {each.info.run_id for each in runs.children.values()}
    assert ids >= {each.info.run_id for each in before.children.values()}


@pytest.mark.parametrize("silent", [False, True], ids=["away", "silent"])
def test_a_server_that_does_not_answer_hurts_nothing(
    silent: bool, experiment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hptune.tracking._tracked._PATIENCE", {"patience": 0.5, "longest": 0.5})
    out = tmp_path / "out"
    out.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        nobody = MlflowServer(tmp_path)
        nobody.port = listening.getsockname()[1]
        if not silent:
            listening.close()
        said = told(ridge_sweep(nobody, experiment), out)
    assert len(table_of(out)) == 6
    assert len(said) == 1 and "hptune mlflow" in said[0]


def test_a_server_that_is_away_is_told_in_one_line(
    experiment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    out = tmp_path / "out"
    out.mkdir()
    run(ridge_sweep(MlflowServer(tmp_path), experiment), SerialEngine(), out=out)
    assert main(["mlflow", str(out)]) == 4
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("hptune: error: MLflow did not take everything (")


def test_fits_are_not_logged_by_mlflow_itself(server: MlflowServer, experiment: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    seen: list[bool] = []

    class Fitting(Observer):
        """Fits as a user's code would."""

        def on_start(self, plan: Plan) -> None:
            Ridge().fit([[0.0], [1.0]], [0.0, 1.0])
            seen.append(mlflow.active_run() is None)

    mlflow.set_tracking_uri(server.uri)
    mlflow.set_experiment(experiment)
    mlflow.sklearn.autolog(silent=True, log_models=False, log_datasets=False)
    try:
        assert told(ridge_sweep(server, experiment), out, Fitting()) == []
        assert len(Runs(server, experiment).children) == 6 and seen == [True]
        Ridge().fit([[0.0], [1.0]], [0.0, 1.0])
        assert len(Runs(server, experiment).parents) == 2  # its logging is on again
    finally:
        mlflow.sklearn.autolog(disable=True, silent=True)
        mlflow.set_tracking_uri(None)
        del os.environ["MLFLOW_EXPERIMENT_ID"]  # set_experiment left it


def test_what_a_function_in_this_process_logs_itself_lands_in_its_child(
    server: MlflowServer, experiment: str, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    content = {
        "name": "functions",
        "trial": {"function": "tests.tracking.functions:logging_itself", "place": "driver"},
        "search_space": {"x": [1.0, 2.0]},
        "limits": {"max_concurrent_trials": 2},
        "tracking": {"mlflow": server.uri, "experiment": experiment},
    }
    file = tmp_path / "sweep.yaml"
    file.write_text(yaml.safe_dump(content))
    before = dict(os.environ)
    assert main(["sweep", "--config", str(file), "--out", str(out), "-q"]) == 0
    changed = {name for name, _ in before.items() ^ os.environ.items()}
    assert not changed & {"MLFLOW_EXPERIMENT_ID", "MLFLOW_TRACKING_URI"}
    runs = Runs(server, experiment)
    inner = {name: each for name, each in runs.all_children.items() if name.startswith("inner")}
    assert set(runs.children) == {"candidate 0", "candidate 1"} and set(inner) == {"inner 1.0", "inner 2.0"}
    for number, x in enumerate((1.0, 2.0)):
        child = runs.children[f"candidate {number}"]
        assert (child.data.metrics["own"], child.data.metrics["loss"]) == (10 * x, x)
        assert child.data.params == {"x": str(x)} and child.data.tags["hptune.status"] == "ok"
        nested = inner[f"inner {x}"]
        assert nested.data.tags["mlflow.parentRunId"] == child.info.run_id
        assert nested.info.experiment_id == child.info.experiment_id
    assert main(["mlflow", str(out)]) == 0
    assert len(Runs(server, experiment).all_children) == 4


def test_what_cannot_be_sent(
    server: MlflowServer, experiment: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    assert main(["mlflow", str(out)]) == 3
    run(sweep_of(Case(Ridge(), GRID, *numbers_table())), SerialEngine(), out=out)
    assert main(["mlflow", str(out)]) == 2
    assert "add --tracking-uri" in capsys.readouterr().err
    assert main(["mlflow", "az://account/container/out"]) == 2
    assert main(["mlflow", str(out), "--tracking-uri", "http://me:s3cret@localhost"]) == 2
    assert "s3cret" not in capsys.readouterr().err
    with held(out, "out"):
        assert main(["mlflow", str(out), "--tracking-uri", server.uri]) == 6
