"""scikit-learn's histogram gradient boosting: the first n iterations of a longer fit are the shorter fit."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import sklearn
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from hptune._sklearn_compat import hist_model_of_iterations
from hptune.fitters._apart import fit_apart
from hptune.fitters._base import Evaluation, LongFit, TrainingRows, apply_params, whole_number
from hptune.fitters._climb import LadderFitter
from hptune.records import FitTask, Outcome

__all__ = ["HistGradientBoostingFitter", "same_on_any_threads"]

_EARLY_STOPPING_ROWS = 10_000  # more than these, and early_stopping="auto" draws validation rows
_BINNED_ROWS = 200_000  # more than these, and bins are found on drawn rows


class HistGradientBoostingFitter(LadderFitter):
    """Exactly HistGradientBoostingClassifier and HistGradientBoostingRegressor.

    Times: scikit-learn does not tell when an iteration ends, so a rung's fit time is the whole fit's in
    proportion to its iterations; the binning before the first is spread over them.
    """

    classes = (HistGradientBoostingClassifier, HistGradientBoostingRegressor)
    parameter = "max_iter"

    def shares(self, params: Mapping[str, Any]) -> bool:
        """Seeded by an int, or nothing to draw as far as the parameters tell."""
        seed = params["random_state"]
        return (
            params["warm_start"] is False
            and isinstance(params["loss"], str)
            and (params["scoring"] is None or isinstance(params["scoring"], str))
            and (_draws_nothing(params, rows=0) if seed is None else whole_number(seed) is not None)
        )

    def cost(self, estimator: Any) -> float:
        """Number of iterations."""
        return float(self.rounds_asked(estimator))

    def fit_and_score(self, task: FitTask, data: Evaluation) -> list[Outcome]:
        """As every ladder; without a seed only where so many rows leave nothing to draw."""
        estimator = apply_params(data.estimator, task.params)
        rows = len(data.folds[task.fold][0])
        if estimator.random_state is None and not _draws_nothing(estimator.get_params(deep=False), rows):
            return [fit_apart(task.alone(rung), data, self.rounds_of) for rung in task.rungs]
        return super().fit_and_score(task, data)

    def fit(self, estimator: Any, rows: TrainingRows) -> LongFit:
        """All iterations, or as many as it takes until it stops early."""
        estimator.fit(rows.X, rows.y, **rows.fit_params)
        seconds = time.perf_counter() - rows.started
        trained = int(estimator.n_iter_)

        def seconds_at(n: int | None) -> float:
            return seconds * (trained if n is None else min(n, trained)) / trained

        def model_of(n: int | None) -> Any:
            return estimator if n is None else hist_model_of_iterations(estimator, n)

        return LongFit(model_of, seconds_at, trained)

    def rounds_of(self, fitted: Any) -> int:
        """Iterations before it stopped."""
        return int(fitted.n_iter_)


def same_on_any_threads(estimator: Any) -> bool:
    """Whether a fit has the same bits on any number of OpenMP threads, and has no parameter for that number.

    From scikit-learn 1.9 on its threads share out columns, leaves and rows but no sum; before, they shared out
    the sum of all gradients.
    """
    version = tuple(int(part) for part in sklearn.__version__.split(".")[:2])
    return type(estimator) in HistGradientBoostingFitter.classes and version >= (1, 9)


def _draws_nothing(params: Mapping[str, Any], rows: int) -> bool:
    """Whether `random_state` has no effect on a fit to this many rows."""
    stops_early = params["early_stopping"]
    draws_validation = rows > _EARLY_STOPPING_ROWS if stops_early == "auto" else stops_early is not False
    return not draws_validation and params["max_features"] == 1.0 and rows <= _BINNED_ROWS
