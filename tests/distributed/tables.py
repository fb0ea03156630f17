"""Tables to learn from as files that Spark reads, and factories of pipelines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
from pyspark.ml import Pipeline
from pyspark.ml.feature import RFormula, VectorAssembler
from pyspark.ml.regression import GBTRegressor, LinearRegression
from sklearn.datasets import load_diabetes

__all__ = ["all_columns", "diabetes", "trees"]


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
