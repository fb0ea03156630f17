"""How fast a grid could be at best: the boosting that nobody can avoid, spread evenly over the cores.

Measured without hptune and without Spark: each unique fit (longest rung of a ladder x fold) once by plain
XGBoost, as many at once as there are slots, so that caches and memory are shared as in the contenders. Only
the boosting rounds count, in seconds of processor time: time in which other programs held the core would
raise the limit and flatter everyone.
"""

from __future__ import annotations

import time
from typing import Any

import xgboost as xgb
from joblib import Parallel, delayed
from sklearn.base import clone

from benchmarks.contenders import SLOTS
from benchmarks.workloads import Workload

__all__ = ["lower_limit"]


class _Clock(xgb.callback.TrainingCallback):
    """Processor seconds of this process between the first round's start and the last one's end."""

    def before_training(self, model: Any) -> Any:
        self.start = time.process_time()
        return model

    def after_training(self, model: Any) -> Any:
        self.seconds = time.process_time() - self.start
        return model


def lower_limit(workload: Workload) -> float:
    """Seconds: the processor time of all unique boosting, divided by the slots."""
    fits = [(params, train) for params in workload.unique_fits for train, _ in workload.folds]
    with Parallel(n_jobs=SLOTS) as parallel:
        seconds = parallel(
            delayed(_boosting)(workload.estimator, params, workload.X, workload.y, train)
            for params, train in fits
        )
    return sum(seconds) / SLOTS


def _boosting(estimator: Any, params: dict[str, Any], X: Any, y: Any, train: Any) -> float:
    clock = _Clock()
    clone(estimator).set_params(**params, callbacks=[clock]).fit(X[train], y[train])
    return clock.seconds
