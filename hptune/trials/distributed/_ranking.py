"""What learning to rank needs beside rows: queries that an estimator can be told, and NDCG."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
from pyspark.ml import Estimator
from pyspark.ml.evaluation import Evaluator
from pyspark.ml.feature import StringIndexer
from pyspark.ml.param import Param, TypeConverters
from pyspark.ml.param.shared import HasLabelCol, HasPredictionCol
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import IntegralType
from sklearn.metrics import ndcg_score

from hptune.errors import InputDataError
from hptune.trials.distributed._estimators import stages_of

__all__ = ["QUERY_COLUMNS", "Ndcg", "is_ranker", "with_queries"]

QUERY_COLUMNS = ("qid_col", "groupCol")
"""How estimators and evaluators call the column of queries: xgboost.spark's, SynapseML's and ours."""

_RANKERS = {"SparkXGBRanker", "LightGBMRanker"}  # regressors have a qid_col too, but no use for it
_QUERY_BITS = 32  # of the numbers by which XGBoost knows queries


def is_ranker(estimator: Estimator[Any]) -> bool:
    """Whether it, or a stage of the pipeline, learns the order of the rows of queries."""
    return any(base.__name__ in _RANKERS for stage in stages_of(estimator) for base in type(stage).__mro__)


def with_queries(frame: DataFrame, column: str) -> DataFrame:
    """The rows of a query in one partition: a worker that saw some of them would take them for all.

    Parameters
    ----------
    frame : DataFrame
        In any order.
    column : str
        Of whole numbers, texts or whatever else. What is no whole number from 0 to 4294967295 becomes one.

    Raises
    ------
    InputDataError
        A row has no query.
    """
    return _numbered(frame, column).repartition(frame.rdd.getNumPartitions(), F.col(f"`{column}`"))


def _numbered(frame: DataFrame, column: str) -> DataFrame:
    query = F.col(f"`{column}`")
    if not frame.where(query.isNull()).isEmpty():
        raise InputDataError(f"column {column[:60]!r} has missing values", "give every row a query")
    if isinstance(frame.schema[column].dataType, IntegralType):
        told = frame.select(F.min(query), F.max(query)).first()
        if told and told[0] is not None and told[0] >= 0 and told[1] < 2**_QUERY_BITS:
            return frame
    text, number = f"{column}_text", f"{column}_number"
    texts = frame.withColumn(text, query.cast("string"))
    indexed = StringIndexer(inputCol=text, outputCol=number, stringOrderType="alphabetAsc").fit(texts)
    numbers = indexed.transform(texts).withColumn(column, F.col(f"`{number}`").cast("long"))
    return numbers.drop(text, number)


class Ndcg(HasLabelCol, HasPredictionCol, Evaluator):
    """scikit-learn's `ndcg_score` of each query, averaged over those of two rows or more; NaN without any.

    Parameters
    ----------
    k : int, default 0
        Rows of a query's ranking that count, from its top; 0 for all.
    """

    def __init__(self, k: int = 0) -> None:
        super().__init__()
        self.groupCol: Param[str] = Param(self, "groupCol", "column of queries", TypeConverters.toString)
        self.k: Param[int] = Param(self, "k", "rows that count, 0 for all", TypeConverters.toInt)
        self.set(self.k, k)

    def _evaluate(self, dataset: DataFrame) -> float:
        k = self.getOrDefault(self.k) or None

        def score(query: pd.DataFrame) -> pd.DataFrame:
            scores = [ndcg_score([query["label"]], [query["prediction"]], k=k)] if len(query) > 1 else []
            return pd.DataFrame({"ndcg": scores}, dtype=float)

        columns = {"query": self.groupCol, "label": self.labelCol, "prediction": self.predictionCol}
        rows = dataset.select(
            *(F.col(f"`{self.getOrDefault(at)}`").alias(name) for name, at in columns.items())
        )
        mean = rows.groupBy("query").applyInPandas(score, "ndcg double").agg(F.avg("ndcg")).first()
        return math.nan if mean is None or mean[0] is None else float(mean[0])
