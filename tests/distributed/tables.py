"""Tables to learn from as files that Spark reads, factories of pipelines, and an estimator that does not end."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pandas as pd
from pyspark.ml import Estimator, Pipeline
from pyspark.ml.feature import RFormula, VectorAssembler
from pyspark.ml.param import Param, Params, TypeConverters
from pyspark.ml.regression import GBTRegressor, LinearRegression
from pyspark.sql import DataFrame
from sklearn.datasets import load_diabetes

__all__ = ["Stuck", "all_columns", "diabetes", "trees"]


def diabetes(path: Path) -> Path:
    """scikit-learn's diabetes data, 442 rows, with a text column."""
    data = load_diabetes(as_frame=True, scaled=False)
    table: pd.DataFrame = data.frame
    table["sex"] = table["sex"].map({1.0: "a", 2.0: "b"})
    table.to_csv(path, index=False)
    return path


def trees() -> Pipeline:
    """Small trees over two columns."""
    features: Any = VectorAssembler(inputCols=["bmi", "bp"], outputCol="features")
    return Pipeline(stages=[features, GBTRegressor(labelCol="target", maxIter=2, seed=0)])


def all_columns() -> Pipeline:
    """A linear model over whatever columns there are."""
    features: Any = RFormula(formula="target ~ .", labelCol="number")
    return Pipeline(stages=[features, LinearRegression(labelCol="target")])


class Stuck(Estimator[Any]):
    """A linear model; with ``waits`` its Spark job takes all slots of two, and ends when it is cancelled only."""

    waits: Param[bool] = Param(Params._dummy(), "waits", "whether it never ends", TypeConverters.toBoolean)

    def __init__(self, *, waits: bool = False) -> None:
        super().__init__()
        self._set(waits=waits)

    def _fit(self, dataset: DataFrame) -> Any:
        def wait(numbers: Any) -> None:
            threading.Event().wait()

        if self.getOrDefault(self.waits):
            dataset.sparkSession.sparkContext.parallelize(range(2), 2).foreachPartition(wait)
        return LinearRegression(labelCol="target").fit(dataset)
