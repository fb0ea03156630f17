"""What a trial's predictions are worth: regression's four metrics in one pass, NDCG, or any evaluator of
``pyspark.ml``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pyspark.ml.evaluation import (
    BinaryClassificationEvaluator,
    Evaluator,
    MulticlassClassificationEvaluator,
    RegressionEvaluator,
)
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from hptune.errors import ConfigurationError, did_you_mean
from hptune.records import Objective
from hptune.trials.distributed._estimators import with_columns
from hptune.trials.distributed._ranking import QUERY_COLUMNS, Ndcg

__all__ = ["REGRESSION", "Metrics", "metrics_of"]

REGRESSION: Mapping[str, bool] = {"MSE": False, "RMSE": False, "R^2": True, "MAE": False}
"""The metrics that one pass gives, and whether larger is better."""

_NAMED: Mapping[str, type[Evaluator]] = {
    **dict.fromkeys(("rmse", "mse", "r2", "mae", "var"), RegressionEvaluator),
    **dict.fromkeys(("areaUnderROC", "areaUnderPR"), BinaryClassificationEvaluator),
    **dict.fromkeys(
        (
            "f1", "accuracy", "weightedPrecision", "weightedRecall", "weightedFMeasure", "logLoss", "hammingLoss",
        ),
        MulticlassClassificationEvaluator,
    ),
}  # fmt: skip
_NDCG = re.compile(r"ndcg(?:@([1-9]\d*))?")


@dataclass(frozen=True)
class Metrics:
    """What is told of predictions, and which of it ranks.

    Parameters
    ----------
    objective : Objective
        What ranks; its goal is the metric's own.
    evaluators : mapping of str to Evaluator
        By the metrics' names; those of `REGRESSION` need none.
    columns : mapping of str to str
        Names of columns by the parameter of an evaluator that tells them; ``labelCol`` and ``predictionCol`` always,
        `QUERY_COLUMNS` for rankers.
    """

    objective: Objective
    evaluators: Mapping[str, Evaluator]
    columns: Mapping[str, str]

    def of(self, predictions: DataFrame) -> dict[str, float]:
        """Every metric by its name."""
        told = _regression(predictions, self.columns) if self.objective.metric in REGRESSION else {}
        return told | {name: float(each.evaluate(predictions)) for name, each in self.evaluators.items()}


def metrics_of(
    primary: str | None, more: Sequence[str], columns: Mapping[str, str], load: Callable[[str], Any]
) -> Metrics:
    """The metrics that a sweep file names.

    Parameters
    ----------
    primary : str, optional
        ``MSE``, ``RMSE``, ``R^2`` or ``MAE``, a metric of an evaluator of ``pyspark.ml`` such as
        ``areaUnderROC``, for rankers ``ndcg`` or ``ndcg@10``, or ``package.Class`` or ``package.module:factory``
        of an evaluator. ``R^2`` by default, ``ndcg`` for rankers.
    more : sequence of str
        Others, which are only told.
    columns : mapping
        As in `Metrics`.
    load : callable
        Gives what ``package.Class`` names.

    Raises
    ------
    ConfigurationError
        There is no such metric.
    """
    ranks = not columns.keys().isdisjoint(QUERY_COLUMNS)
    first = primary or ("ndcg" if ranks else "R^2")
    evaluators = {
        name: with_columns(_evaluator(name, load, ranks=ranks), columns)
        for name in dict.fromkeys((first, *more))
        if not (name in REGRESSION and first in REGRESSION)
    }
    larger = REGRESSION[first] if first in REGRESSION else evaluators[first].isLargerBetter()
    return Metrics(Objective(first, "maximize" if larger else "minimize"), evaluators, columns)


def _evaluator(name: str, load: Callable[[str], Any], *, ranks: bool) -> Any:
    if ndcg := _NDCG.fullmatch(name):
        if not ranks:
            raise ConfigurationError(f"metric {name!r} is for rankers", "name another")
        return Ndcg(int(ndcg[1] or 0))
    spelled = {"MSE": "mse", "RMSE": "rmse", "R^2": "r2", "MAE": "mae"}.get(name, name)
    if spelled in _NAMED:
        evaluator: Any = _NAMED[spelled]()
        return evaluator.set(evaluator.getParam("metricName"), spelled) or evaluator
    if "." not in name and ":" not in name:
        known = [*REGRESSION, *_NAMED, *(["ndcg"] if ranks else [])]
        raise ConfigurationError(
            f"unknown metric {name!r}", did_you_mean(name, known, f"the metrics are {', '.join(known)}")
        )
    made = load(name)()
    if not isinstance(made, Evaluator):
        raise ConfigurationError(f"metric {name!r} is no evaluator of pyspark.ml", "name one")
    return made


def _regression(predictions: DataFrame, columns: Mapping[str, str]) -> dict[str, float]:
    """The four of regression; an undefined R^2, where all labels are the same, is NaN."""
    label = F.col(columns["labelCol"]).cast("double")
    error = label - F.col(columns["predictionCol"]).cast("double")
    row = predictions.select(
        F.avg(error * error).alias("mse"), F.avg(F.abs(error)).alias("mae"), F.var_pop(label).alias("spread")
    ).first()
    if row is None or row["mse"] is None:
        return dict.fromkeys(REGRESSION, math.nan)
    mse, spread = row["mse"], row["spread"]
    r2 = 1.0 - mse / spread if spread else math.nan
    return {"MSE": mse, "RMSE": math.sqrt(mse), "R^2": r2, "MAE": row["mae"]}
