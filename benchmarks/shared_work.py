"""Measures what sharing saves: `python benchmarks/shared_work.py`."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from sklearn.datasets import make_classification
from sklearn.decomposition import PCA
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import check_scoring
from sklearn.model_selection import GridSearchCV, ParameterGrid, StratifiedKFold
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits

from hptune.engine import SerialEngine
from hptune.matrix import FeatureMatrix
from hptune.sweep import Sweep, run

X, y = make_classification(800, 100, n_informative=20, random_state=0)
FOLDS = list(StratifiedKFold(5).split(X, y))
PIPELINE = Pipeline([("pca", PCA(random_state=0)), ("classify", LogisticRegression())])
CASES: dict[str, tuple[Any, dict[str, Any]]] = {
    "forest, 5 sizes": (RandomForestClassifier(random_state=0), {"n_estimators": [10, 20, 30, 40, 50]}),
    "boosting, 5 lengths": (
        GradientBoostingClassifier(random_state=0, max_features=0.1),
        {"n_estimators": [10, 20, 30, 40, 50]},
    ),
    "PCA with 3 settings x classifier with 8": (
        PIPELINE,
        {"pca__n_components": [10, 20, 40], "classify__C": list(np.logspace(-3, 3, 8))},
    ),
}


def main() -> None:
    for name, (estimator, grid) in CASES.items():
        start = time.perf_counter()
        with threadpool_limits(limits=1):
            search = GridSearchCV(estimator, grid, cv=FOLDS, refit=False).fit(X, y)
        apart = time.perf_counter() - start
        columns = tuple(f"x{number}" for number in range(X.shape[1]))
        train = FeatureMatrix(X, columns, y=y)
        candidates = list(ParameterGrid(grid))
        sweep = Sweep(name, train, estimator, candidates, FOLDS, check_scoring(estimator), refit=False)
        start = time.perf_counter()
        result = run(sweep, SerialEngine())
        shared = time.perf_counter() - start
        equal = np.array_equal(result.cv_results_["mean_test_score"], search.cv_results_["mean_test_score"])
        table = result.table
        counts = f"{result.savings.fits} fits, {table.rounds_trained.sum()} rounds or trees"
        print(f"{name}: scikit-learn {apart:.1f} s, hptune {shared:.1f} s, equal: {equal}, {counts},")
        print(f"  prefix fits {table.prefix_fits.sum()}, work shared {result.savings.factor:.1f}x")


if __name__ == "__main__":
    main()
