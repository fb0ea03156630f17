"""Random forests and extra trees: the first n trees of a larger forest are the smaller forest.

Trees draw their seeds one after the other from ``random_state``, so that a tree does not know how many follow.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Mapping
from typing import Any

from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)

from hptune.fitters._base import LongFit, TrainingRows, whole_number
from hptune.fitters._climb import LadderFitter

__all__ = ["ForestFitter"]


class ForestFitter(LadderFitter):
    """Exactly RandomForest* and ExtraTrees*.

    Times: scikit-learn does not tell when a tree is ready, so a rung's fit time is the whole fit's in proportion
    to its trees.
    """

    classes = (RandomForestClassifier, RandomForestRegressor, ExtraTreesClassifier, ExtraTreesRegressor)

    def shares(self, params: Mapping[str, Any]) -> bool:
        """Seeded by an int, and no attribute depends on all trees."""
        return (
            whole_number(params["random_state"]) is not None
            and params["warm_start"] is False
            and params["oob_score"] is False
        )

    def cost(self, estimator: Any) -> float:
        """Number of trees."""
        return float(self.rounds_asked(estimator))

    def fit(self, estimator: Any, rows: TrainingRows) -> LongFit:
        """All trees; fitted with the threads given, scored with one, for sums over trees keep no order else."""
        estimator.fit(rows.X, rows.y, **rows.fit_params)
        seconds = time.perf_counter() - rows.started
        trees = len(estimator.estimators_)

        def model_of(n: int | None) -> Any:
            model = copy.copy(estimator)
            model.estimators_ = estimator.estimators_[:n]
            threads = {} if estimator.n_jobs is None else {"n_jobs": 1}
            return model.set_params(n_estimators=len(model.estimators_), **threads)

        return LongFit(model_of, lambda n: seconds * (trees if n is None else n) / trees, trees)

    def rounds_of(self, fitted: Any) -> int:
        """Number of trees."""
        return len(fitted.estimators_)
