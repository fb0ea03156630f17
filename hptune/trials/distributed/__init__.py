"""Trials that are Spark jobs themselves: estimators of ``pyspark.ml`` over DataFrames."""

from hptune.trials.distributed._estimators import (
    check_names,
    is_estimator,
    is_pipeline,
    returns_estimator,
    takes_missing,
    with_columns,
)
from hptune.trials.distributed._metrics import Metrics, metrics_of
from hptune.trials.distributed._ranking import is_ranker
from hptune.trials.distributed._rows import Rows, Source, open_rows
from hptune.trials.distributed._trial import (
    DistributedTrial,
    allocates_dynamically,
    check_workers,
    distributed_trial,
)

__all__ = [
    "DistributedTrial",
    "Metrics",
    "Rows",
    "Source",
    "allocates_dynamically",
    "check_names",
    "check_workers",
    "distributed_trial",
    "is_estimator",
    "is_pipeline",
    "is_ranker",
    "metrics_of",
    "open_rows",
    "returns_estimator",
    "takes_missing",
    "with_columns",
]
