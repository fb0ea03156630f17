"""The ways to run a grid that are compared: each returns the scores, of shape (candidates, folds)."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import joblib
import joblibspark
import numpy as np
import numpy.typing as npt
from pyspark.sql import SparkSession
from sklearn.base import clone
from sklearn.metrics import check_scoring
from sklearn.model_selection import GridSearchCV

from benchmarks.workloads import Workload
from hptune.engine import Engine
from hptune.matrix import FeatureMatrix
from hptune.sweep import Sweep, run

__all__ = ["SLOTS", "Contender", "Scores", "contenders", "hptune_on", "scikit_learn"]

SLOTS = 2
Scores: TypeAlias = npt.NDArray[np.float64]
Contender: TypeAlias = Callable[[Workload], Scores]


def contenders(spark: SparkSession, engine: Engine) -> dict[str, Contender]:
    """All of them, by name; hptune stands last."""
    joblibspark.register_spark()
    return {
        "scikit-learn n_jobs=2": scikit_learn,
        "joblibspark": joblib_spark,
        "one fit a Spark task": one_fit_a_task(spark),
        "hptune": hptune_on(engine),
    }


def scikit_learn(workload: Workload) -> Scores:
    """GridSearchCV in its own worker processes."""
    search = GridSearchCV(
        workload.estimator,
        dict(workload.grid),
        scoring=workload.scoring,
        cv=workload.folds,
        n_jobs=SLOTS,
        refit=False,
        error_score="raise",
    )
    results = search.fit(workload.X, workload.y).cv_results_
    return np.column_stack([results[f"split{fold}_test_score"] for fold in range(len(workload.folds))])


def joblib_spark(workload: Workload) -> Scores:
    """The same GridSearchCV on joblib's Spark backend."""
    with joblib.parallel_backend("spark", n_jobs=SLOTS):
        return scikit_learn(workload)


def one_fit_a_task(spark: SparkSession) -> Contender:
    """As spark-sklearn did it: data by broadcast, an RDD with one task for each candidate and fold."""

    def search(workload: Workload) -> Scores:
        folds, candidates = workload.folds, workload.candidates
        scorer = check_scoring(workload.estimator, scoring=workload.scoring)
        shared = spark.sparkContext.broadcast((workload.estimator, workload.X, workload.y, folds, scorer))

        def fit(cell: tuple[dict[str, Any], int]) -> float:
            estimator, X, y, all_folds, score = shared.value
            params, fold = cell
            train, test = all_folds[fold]
            model = clone(estimator).set_params(**params).fit(X[train], y[train])
            return float(score(model, X[test], y[test]))

        cells = [(params, fold) for params in candidates for fold in range(len(folds))]
        scores = spark.sparkContext.parallelize(cells, len(cells)).map(fit).collect()
        shared.destroy()
        return np.array(scores).reshape(len(candidates), len(folds))

    return search


def hptune_on(engine: Engine) -> Contender:
    """A sweep as users run it, with its output directory, less the refit that the others do not make."""

    def search(workload: Workload) -> Scores:
        columns = tuple(f"c{number}" for number in range(workload.X.shape[1]))
        sweep = Sweep(
            name=workload.name,
            train=FeatureMatrix(workload.X, columns, y=workload.y),
            estimator=workload.estimator,
            candidates=workload.candidates,
            folds=workload.folds,
            scorer=check_scoring(workload.estimator, scoring=workload.scoring),
            refit=False,
        )
        with tempfile.TemporaryDirectory() as out:
            results = run(sweep, engine, out=Path(out)).cv_results_
        return np.column_stack([results[f"split{fold}_test_score"] for fold in range(len(workload.folds))])

    return search
