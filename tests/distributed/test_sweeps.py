"""Sweeps whose trials are Spark jobs: what they find, and what is refused."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from pyspark.ml import PipelineModel
from pyspark.ml.evaluation import RegressionEvaluator
from pyspark.ml.regression import LinearRegression
from pyspark.sql import SparkSession
from sklearn.linear_model import LinearRegression as SkLinearRegression

from hptune import run_sweep
from hptune.build import build_distributed
from hptune.cli import main
from hptune.config import parse_config
from hptune.errors import ConfigurationError, InputDataError
from hptune.readying import own_engine
from hptune.status import read_status
from hptune.trials.distributed import Source, metrics_of, open_rows
from tests.distributed.tables import diabetes
from tests.sessions import spark_session

pytestmark = pytest.mark.spark
THREE_WORKERS = {"class": "xgboost.spark.SparkXGBRegressor", "params": {"num_workers": 3}}
TOO_MANY_WORKERS = "3 workers, which must run at the same time, but there are 2 slots"


@pytest.fixture(scope="module")
def spark() -> Iterator[SparkSession]:
    with spark_session("local[2]", **{"spark.sql.shuffle.partitions": "2"}) as session:
        yield session


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return diabetes(tmp_path_factory.mktemp("große Tabellen, 50 %") / "diabetes.csv")


def config(table: Path, **keys: Any) -> dict[str, Any]:
    return {
        "name": "diabetes",
        "data": {"path": str(table), "target": "target"},
        "estimator": {"class": "pyspark.ml.regression.LinearRegression", "params": {"maxIter": 5}},
        "search_space": {"regParam": [0.0, 1000.0], "elasticNetParam": 0.0},
        "cv": {"type": "holdout", "validation": 0.15, "test": 0.25},
        **keys,
    }


def test_a_holdout_sweep_keeps_what_pyspark_itself_finds(
    spark: SparkSession, table: Path, tmp_path: Path
) -> None:
    out = tmp_path / "mein Größter, 100 %"
    result = run_sweep(config(table), out=str(out))
    assert result.best_params == {"regParam": 0.0, "elasticNetParam": 0.0}
    rows = pd.read_csv(out / "results.csv")
    assert rows["status"].tolist() == ["ok", "ok"] and rows["mean_test_R^2"].is_monotonic_decreasing
    best = result.best_run()
    assert set(best.metrics) == {"MSE", "RMSE", "R^2", "MAE"}
    raw = Source(str(table), target="target")
    parts = open_rows(
        spark, raw, {"type": "holdout", "validation": 0.15, "test": 0.25}, 0, assemble=True, missing=False
    )
    model = LinearRegression(labelCol="target", maxIter=5, regParam=0.0).fit(parts.train(0))
    scored = model.transform(parts.scored(0))
    for name, spelled in {"MSE": "mse", "RMSE": "rmse", "R^2": "r2", "MAE": "mae"}.items():
        evaluator = RegressionEvaluator(labelCol="target", metricName=spelled)
        assert best.metrics[name] == pytest.approx(evaluator.evaluate(scored), rel=1e-9)
    compared = json.loads((out / "test_metrics.json").read_text())
    assert set(compared) == {"untuned", "tuned"}
    loaded = PipelineModel.load(f"file://{out / 'model'}")
    assert (out / "model" / "stages").is_dir()
    untouched = spark.read.csv(str(table), header=True, inferSchema=True)
    assert loaded.transform(untouched).count() == 442
    tuned = parts.test
    assert tuned is not None
    predicted = result.best_model.stages[-1].transform(tuned)
    r2 = RegressionEvaluator(labelCol="target", metricName="r2").evaluate(predicted)
    assert compared["tuned"]["R^2"] == pytest.approx(r2)


def test_xgboost_learns_with_two_workers_at_once(spark: SparkSession, table: Path, tmp_path: Path) -> None:
    params = {"num_workers": 2, "max_depth": 2, "verbose": False}
    keys = config(
        table,
        estimator={"class": "xgboost.spark.SparkXGBRegressor", "params": params},
        search_space={"n_estimators": [20]},
        refit=False,
    )
    result = run_sweep(keys, out=str(tmp_path / "out"))
    assert result.table["status"].tolist() == ["ok"]
    assert result.best_score > 0.3  # R^2, of which a model that has learned nothing has none


@pytest.mark.slow
def test_a_model_of_ones_own_is_not_overwritten(
    spark: SparkSession, table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "out" / "model" / "metadata" / "part-00000"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    keys = config(table, search_space={"regParam": [0.0]})
    (tmp_path / "sweep.yaml").write_text(yaml.safe_dump(keys))
    command = ["sweep", "--config", str(tmp_path / "sweep.yaml"), "--out", str(tmp_path / "out"), "-q"]
    for more in ([], ["--resume"]):
        assert main([*command, *more]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert "holds a 'model' of no sweep" in line and "add --overwrite or choose another --out" in line
        assert mine.read_text() == "mine" and not (tmp_path / "out" / "journal.jsonl").exists()
    assert main([*command, "--set", "refit=false"]) == 0  # writes none
    assert mine.read_text() == "mine"
    assert main([*command, "--overwrite"]) == 0
    assert PipelineModel.load(f"file://{mine.parents[1]}").stages


def test_a_sweep_over_folds_of_a_pipeline_goes_on_where_it_was(
    spark: SparkSession, table: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    keys = config(
        table,
        estimator="tests.distributed.tables:trees",
        search_space={"maxDepth": [1, 3]},
        cv=2,
        objective={"primary_metric": "RMSE"},
        refit=False,
    )
    first = run_sweep(keys, out=str(out))
    assert first.metric == "neg_RMSE" and first.best_score < 0
    assert [len(run.fold_metrics) for run in first.children()] == [2, 2]
    again = run_sweep(keys, out=str(out), resume=True)
    assert again.table.equals(first.table)
    assert read_status(out).state == "finished"
    wider = run_sweep(
        {**keys, "search_space": {"GBTRegressor__maxDepth": [2], "maxDepth": 2}},
        out=str(tmp_path / "wider"),
    )
    assert len(wider.table) == 1


@pytest.mark.parametrize("named", ["class", pytest.param("pipeline", marks=pytest.mark.slow)])
def test_folds_of_ones_own_are_the_values_of_a_column_that_is_no_feature(
    spark: SparkSession, tmp_path: Path, named: str
) -> None:
    frame = pd.read_csv(diabetes(tmp_path / "diabetes.csv"))[["bmi", "bp", "age", "target"]]
    frame["fold"] = [(7, 20, 3)[number % 3] for number in range(len(frame))]
    frame.loc[:99, "fold"] = 20
    frame.to_csv(tmp_path / "rows.csv", index=False)
    keys = config(tmp_path / "rows.csv", cv={"type": "LeaveOneGroupOut"}, refit=False)
    keys["data"]["group"] = "fold"
    if named == "pipeline":
        keys |= {"estimator": "tests.distributed.tables:all_columns", "search_space": {"regParam": [0.0]}}
    result = run_sweep(keys, out=str(tmp_path / "out"))
    expected = []
    for fold in (3, 7, 20):
        train, scored = (
            frame[rows].drop(columns="fold") for rows in (frame.fold != fold, frame.fold == fold)
        )
        model = SkLinearRegression().fit(train.drop(columns="target"), train["target"])
        expected.append(model.score(scored.drop(columns="target"), scored["target"]))
    best = result.best_run()
    assert [fold["R^2"] for fold in best.fold_metrics] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("cv", [2, pytest.param({"type": "LeaveOneGroupOut"}, marks=pytest.mark.slow)])
def test_other_groups_are_another_sweep_though_their_parts_are_as_large(
    spark: SparkSession, table: Path, tmp_path: Path, cv: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    frame = pd.read_csv(table)[["bmi", "bp", "target"]].iloc[:440]
    for name, shift in (("house", 0), ("street", 3)):
        frame[name] = (np.arange(440) + shift) % 8
    frame.to_csv(tmp_path / "rows.csv", index=False)
    (tmp_path / "sweep.yaml").write_text(yaml.safe_dump(config(tmp_path / "rows.csv", cv=cv, refit=False)))
    out = str(tmp_path / "out")
    command = ["sweep", "--config", str(tmp_path / "sweep.yaml"), "--out", out, "-q", "--group"]
    assert main([*command, "house"]) == 0
    kept = (tmp_path / "out" / "journal.jsonl").read_bytes()
    capsys.readouterr()
    assert main([*command, "street", "--resume"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"data.group is street, but {out} was started with house" in line
    assert (tmp_path / "out" / "journal.jsonl").read_bytes() == kept


def test_columns_that_are_no_folds_are_refused(spark: SparkSession, table: Path, tmp_path: Path) -> None:
    by_group = {"type": "LeaveOneGroupOut"}
    with pytest.raises(ConfigurationError, match="name the column as data.group"):
        run_sweep(config(table, cv=by_group), out=str(tmp_path / "out"))
    with pytest.raises(ConfigurationError, match="has more than a type"):
        run_sweep(config(table, cv=by_group | {"n_splits": 3}), group="sex", out=str(tmp_path / "out"))
    frame = pd.read_csv(table).assign(one=1, row=range(442))
    frame["holes"] = (frame["row"] % 3).where(frame["row"] > 2)
    frame.to_csv(tmp_path / "rows.csv", index=False)
    for column, what in (("one", "the same value"), ("row", "more than 100 values"), ("holes", "missing")):
        with pytest.raises(InputDataError, match=what):
            run_sweep(config(tmp_path / "rows.csv", cv=by_group), group=column, out=str(tmp_path / "out"))


def test_the_jobs_of_a_trial_that_takes_too_long_are_gone(spark: SparkSession, table: Path) -> None:
    keys = config(
        table,
        estimator="tests.distributed.tables.Stuck",
        search_space={"waits": [True]},
        limits={"trial_timeout": 2, "max_concurrent_trials": 1},
    )
    parsed = parse_config(keys)
    sweep = build_distributed(parsed, slots=2)
    engine = own_engine(sweep, parsed)
    assert engine is not None
    tasks = sweep.plan(sweep.candidates).tasks
    with sweep.working(engine, 1, None) as work, closing(engine.run(tasks, work, "one trial")) as stream:
        (outcome,) = next(stream)
        assert (outcome.status, outcome.error) == ("timeout", "the trial took longer than 2 s")
        for thread in [each for each in threading.enumerate() if each.name == f"hptune-{tasks[0].id}"]:
            thread.join(60)  # it waits for its job
            assert not thread.is_alive()
        assert spark.sparkContext.parallelize(range(2), 2).count() == 2
        assert not spark.sparkContext.statusTracker().getActiveJobsIds()


def test_parts_depend_on_rows_and_seed_alone(spark: SparkSession, table: Path, tmp_path: Path) -> None:
    keys: dict[str, Any] = {"assemble": False, "missing": False}
    source = Source(str(table), target="target")
    holdout = {"type": "holdout", "validation": 0.15, "test": 0.25}
    one = open_rows(spark, source, holdout, 0, **keys)
    lines = table.read_text().splitlines()
    (tmp_path / "apart").mkdir()
    for part in range(3):
        text = "\n".join([lines[0], *lines[:0:-1][part::3]])
        (tmp_path / "apart" / f"{part}.csv").write_text(text + "\n")
    elsewhere = Source(str(tmp_path / "apart"), "csv", target="target")
    other = open_rows(spark, elsewhere, holdout, 0, **keys)
    assert one.fingerprint == other.fingerprint

    def content(frame: Any) -> set[tuple[Any, ...]]:
        return {tuple(row) for row in frame.collect()}

    assert content(one.train(0)) == content(other.train(0))
    assert content(one.scored(0)) == content(other.scored(0))
    parts = [content(one.train(0)), content(one.scored(0)), content(one.test)]
    assert sum(map(len, parts)) == 442 == len(set.union(*parts))
    assert 0.18 < len(parts[2]) / 442 < 0.32 and 0.10 < len(parts[1]) / (442 - len(parts[2])) < 0.20
    assert content(open_rows(spark, source, holdout, 1, **keys).test) != parts[2]
    folds = open_rows(spark, source, 3, 0, **keys)
    scored = [content(folds.scored(fold)) for fold in range(3)]
    assert len(set.union(*scored)) == 442 and all(
        scored[f].isdisjoint(content(folds.train(f))) for f in range(3)
    )


@pytest.mark.parametrize(
    ("keys", "what"),
    [
        ({"search_space": {"regParm": [0.1]}}, "did you mean 'regParam'"),
        ({"objective": {"primary_metric": "RSME"}}, "did you mean 'RMSE'"),
        ({"cv": {"type": "holdout", "validation": 1.5}}, "must lie between 0 and 1"),
        ({"engine": "serial"}, "use the spark engine"),
        ({"early_stopping": {"rounds": 3}}, "early_stopping"),
        ({"estimator": "sklearn.linear_model.Ridge"}, "is no estimator of pyspark.ml"),
        ({"estimator": THREE_WORKERS, "search_space": {"n_estimators": [1]}}, TOO_MANY_WORKERS),
        ({"estimator": {"class": "pyspark.ml.regression.LinearRegression", "params": {"x": 1}}}, "params"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    spark: SparkSession, table: Path, tmp_path: Path, keys: dict[str, Any], what: str
) -> None:
    with pytest.raises(ConfigurationError) as refused:
        run_sweep(config(table, **keys), out=str(tmp_path / "out"))
    assert what in str(refused.value)


def test_a_table_that_cannot_be_learned_from(spark: SparkSession, table: Path, tmp_path: Path) -> None:
    frame = pd.read_csv(table)
    frame.loc[3, "bmi"] = None
    frame.to_csv(tmp_path / "holes.csv", index=False)
    with pytest.raises(InputDataError, match="'bmi' has missing values"):
        run_sweep(config(tmp_path / "holes.csv"), out=str(tmp_path / "out"))
    with pytest.raises(InputDataError, match="no column 'price'"):
        run_sweep(config(table), target="price", out=str(tmp_path / "out"))
    with pytest.raises(InputDataError, match="cannot be read"):
        run_sweep(config(tmp_path / "absent.csv"), out=str(tmp_path / "out"))


def test_a_failing_trial_is_a_row(spark: SparkSession, table: Path, tmp_path: Path) -> None:
    result = run_sweep(
        config(table, search_space={"regParam": [0.1, -1.0]}, refit=False), out=str(tmp_path / "out")
    )
    assert result.table["status"].tolist() == ["ok", "failed"]
    assert "regParam" in result.table["error"].iloc[1]


def test_an_evaluator_of_any_kind(spark: SparkSession) -> None:
    def load(name: str) -> Any:
        return RegressionEvaluator

    columns = {"labelCol": "target", "predictionCol": "prediction"}
    named = metrics_of("rmse", ["MAE"], columns, load)
    assert named.objective.goal == "minimize" and set(named.evaluators) == {"rmse", "MAE"}
    assert metrics_of("areaUnderROC", [], columns, load).objective.goal == "maximize"
    assert (
        metrics_of("pyspark.ml.evaluation.RegressionEvaluator", [], columns, load).objective.goal
        == "minimize"
    )
    frame = spark.createDataFrame([(1.0, 1.5), (2.0, 2.0)], ["target", "prediction"])
    assert named.of(frame) == {"rmse": pytest.approx(0.125**0.5), "MAE": 0.25}
    constant = spark.createDataFrame([(1.0, 1.5), (1.0, 2.0)], ["target", "prediction"])
    assert str(metrics_of(None, [], columns, load).of(constant)["R^2"]) == "nan"
