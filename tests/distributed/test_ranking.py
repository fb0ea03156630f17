"""Trials that learn to rank: queries stay whole, and reach the estimator and the metric."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from pyspark.ml import Pipeline
from pyspark.ml.evaluation import RegressionEvaluator
from pyspark.sql import DataFrame, SparkSession
from sklearn.metrics import ndcg_score
from xgboost import XGBRanker
from xgboost.spark import SparkXGBRanker, SparkXGBRegressor

from hptune import run_sweep
from hptune.cli import main
from hptune.errors import ConfigurationError, InputDataError
from hptune.trials.distributed import Source, is_ranker, metrics_of, open_rows
from tests.sessions import spark_session

pytestmark = pytest.mark.spark

CLASS = "xgboost.spark.SparkXGBRanker"
FEATURES = ["clicks", "age"]
HOLDOUT = {"type": "holdout", "validation": 0.3, "test": 0.2}


@pytest.fixture(scope="module")
def spark() -> Iterator[SparkSession]:
    settings = {"spark.sql.shuffle.partitions": "2", "spark.sql.files.maxPartitionBytes": "8k"}
    with spark_session("local[2]", **settings) as session:
        yield session


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty queries of ten rows, none of which stand together."""
    random = np.random.default_rng(0)
    frame = pd.DataFrame({"query": np.tile(np.arange(60), 10)})
    frame["clicks"], frame["age"] = random.normal(size=(2, 600)).round(3)
    level = random.normal(size=60)[frame["query"]]  # within a query alone are rows comparable
    grade = frame["clicks"] - 0.5 * frame["age"] ** 2 + random.normal(size=600)
    frame["grade"] = np.digitize(grade + level, [-1, 0, 1])
    path = tmp_path_factory.mktemp("data") / "rows.csv"
    frame.to_csv(path, index=False)
    return path


def config(table: Path, **keys: Any) -> dict[str, Any]:
    return {
        "data": {"path": str(table), "target": "grade", "group": "query"},
        "estimator": {"class": CLASS, "params": {"num_workers": 2, "max_depth": 3, "verbose": False}},
        "search_space": {"n_estimators": [1, 12]},
        "cv": HOLDOUT,
        **keys,
    }


def in_order(rows: DataFrame) -> pd.DataFrame:
    """Query by query, the features in columns of their own."""
    frame = pd.DataFrame([row.asDict() for row in rows.sort("query").collect()])
    frame[FEATURES] = np.vstack([vector.toArray() for vector in frame["features"]])
    return frame


def fitted_by_hand(train: DataFrame, scored: DataFrame, **params: Any) -> float:
    """The mean NDCG of XGBoost's own ranker on one machine."""
    learned, ranked = in_order(train), in_order(scored)
    model = XGBRanker(max_depth=3, **params)
    model.fit(learned[FEATURES], learned["grade"], qid=learned["query"])
    ranked["prediction"] = model.predict(ranked[FEATURES])
    queries = [query for _, query in ranked.groupby("query")]
    return float(np.mean([ndcg_score([each["grade"]], [each["prediction"]]) for each in queries]))


@pytest.mark.slow
def test_a_ranker_is_tuned_by_its_ndcg(spark: SparkSession, table: Path, tmp_path: Path) -> None:
    result = run_sweep(config(table), out=str(tmp_path / "out"))
    assert result.table["status"].tolist() == ["ok", "ok"] and result.metric == "ndcg"
    source = Source(str(table), target="grade", group="query", queries=True)
    rows = open_rows(spark, source, HOLDOUT, 0, assemble=True, missing=True)
    assert rows.test is not None
    parts = [in_order(part) for part in (rows.train(0), rows.scored(0), rows.test)]
    held = [set(part["query"]) for part in parts]
    assert sum(map(len, held)) == 60 == len(set.union(*held)) and sum(map(len, parts)) == 600
    for run in result.children():
        expected = fitted_by_hand(rows.train(0), rows.scored(0), **run.params)
        assert run.metrics == {"ndcg": pytest.approx(expected, rel=1e-6)}
    compared = yaml.safe_load((tmp_path / "out" / "test_metrics.json").read_text())
    expected = fitted_by_hand(rows.development, rows.test, **result.best_params)
    assert compared["tuned"]["ndcg"] == pytest.approx(expected, rel=1e-6)
    ranked = result.best_model.transform(spark.read.csv(str(table), header=True, inferSchema=True))
    assert ranked.count() == 600 and "prediction" in ranked.columns


def test_a_query_stands_in_one_partition_whatever_names_it(
    spark: SparkSession, table: Path, tmp_path: Path
) -> None:
    names = {
        "text": lambda query: f"q {query}",
        "large, half of them negative": lambda query: (-1) ** query * (query + 2**40),
    }
    written = pd.read_csv(table)
    for name, named in names.items():
        path = tmp_path / f"{name}.csv"
        written.assign(query=written["query"].map(named)).to_csv(path, index=False)
        source = Source(str(path), target="grade", group="query", queries=True)
        rows = open_rows(spark, source, 3, 0, assemble=True, missing=True)
        assert rows.frame.rdd.getNumPartitions() > 1
        inside = rows.frame.rdd.mapPartitions(lambda part: [{row["query"] for row in part}]).collect()
        assert sum(map(len, inside)) == 60
        assert set.union(*inside) == set(range(60))
        rows.close()


def test_a_table_without_its_queries_is_refused_in_a_line(
    spark: SparkSession, table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = config(table)
    del keys["data"]["group"]
    (tmp_path / "sweep.yaml").write_text(yaml.safe_dump(keys))
    assert (
        main(["sweep", "--config", str(tmp_path / "sweep.yaml"), "--out", str(tmp_path / "out"), "-q"]) == 2
    )
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("hptune: error: key 'data.group' is missing")
    with pytest.raises(ConfigurationError, match="weighs rows, but XGBoost's ranker weighs queries"):
        run_sweep(config(table), weight="clicks", out=str(tmp_path / "out"))
    with pytest.raises(InputDataError, match="no column 'session'"):
        run_sweep(config(table), group="session", out=str(tmp_path / "out"))
    holes = pd.read_csv(table)
    holes.loc[5, "query"] = None
    holes.to_csv(tmp_path / "holes.csv", index=False)
    with pytest.raises(InputDataError, match="'query' has missing values: give every row a query"):
        run_sweep(config(tmp_path / "holes.csv"), out=str(tmp_path / "out"))


def test_rankers_are_known_in_pipelines_and_regressors_are_none(spark: SparkSession) -> None:
    assert is_ranker(SparkXGBRanker()) and is_ranker(Pipeline(stages=[SparkXGBRanker()]))
    assert not is_ranker(SparkXGBRegressor()) and not is_ranker(Pipeline(stages=[SparkXGBRegressor()]))


@pytest.mark.slow
def test_ndcg_is_the_metric_of_rankers(spark: SparkSession) -> None:
    def load(name: str) -> Any:
        return RegressionEvaluator

    columns = {"labelCol": "grade", "predictionCol": "prediction"}
    with pytest.raises(ConfigurationError, match="'ndcg@5' is for rankers"):
        metrics_of("ndcg@5", [], columns, load)
    ranks = columns | {"groupCol": "query"}
    with pytest.raises(ConfigurationError, match="did you mean 'ndcg'"):
        metrics_of("ndgc", [], ranks, load)
    told = metrics_of(None, ["ndcg@2", "RMSE"], ranks, load)
    assert told.objective.metric == "ndcg" and told.objective.goal == "maximize"
    rows = [("a", 2.0, 0.1), ("a", 0.0, 0.7), ("a", 1.0, 0.4), ("b", 1.0, 0.9)]
    frame = spark.createDataFrame(rows, ["query", "grade", "prediction"])
    found, grades, ranked = told.of(frame), [[2, 0, 1]], [[0.1, 0.7, 0.4]]
    assert found["ndcg"] == pytest.approx(ndcg_score(grades, ranked))
    assert found["ndcg@2"] == pytest.approx(ndcg_score(grades, ranked, k=2))
    assert str(told.of(frame.where("query = 'b'"))["ndcg"]) == "nan"
