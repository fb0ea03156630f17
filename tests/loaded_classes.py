"""What Spark's JVMs do in most tests: ``tests/run.sh`` archives the classes that it loads, for theirs to start from."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from pyspark.ml.feature import VectorAssembler
from pyspark.ml.regression import LinearRegression
from pyspark.sql import SparkSession

ROWS = 20


def main() -> int:
    """Run a job and queries in this JVM, and a job on executors of their own; 0 where all did what they should."""
    return 0 if all(map(_worked, ("local[2]", "local-cluster[1,1,1024]"))) else 1


def _worked(master: str) -> bool:
    settings = {"spark.ui.enabled": "false", "spark.executor.memory": "512m"}
    session = SparkSession.builder.master(master).config(map=settings).getOrCreate()
    try:
        return _total(session) == 6 and (not master.startswith("local[") or _rows(session) == ROWS)
    finally:
        session.stop()


def _total(session: SparkSession) -> int:
    total = session.sparkContext.accumulator(0)
    session.sparkContext.broadcast(range(4))
    session.sparkContext.parallelize(range(4), 2).foreach(total.add)
    return int(total.value)


def _rows(session: SparkSession) -> int:
    """How many rows a model has predicted, that has learned from a table."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "rows.csv")
        path.write_text("a,b\n" + "".join(f"{number},{number * 2}\n" for number in range(ROWS)))
        table = session.read.csv(str(path), header=True, inferSchema=True).repartition(2, "a").cache()
        rows = VectorAssembler(inputCols=["a"], outputCol="features").transform(table)
        model = LinearRegression(labelCol="b").fit(rows)
        predicted = model.transform(rows).selectExpr("prediction", "rand(0) as part").where("part >= 0")
        predicted.groupBy().sum().collect()
        return len(predicted.toPandas())


if __name__ == "__main__":
    sys.exit(main())
