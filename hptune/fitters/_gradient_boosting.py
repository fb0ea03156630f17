"""scikit-learn's gradient boosting: the first n stages of a longer fit are the shorter fit.

Stages draw from one generator in their order, and early stopping (``n_iter_no_change``) looks back only, so
that a stage does not know how many may follow. Where a fit stops early, longer rungs are the same model.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Mapping
from typing import Any

from sklearn.ensemble import GradientBoostingClassifier, GradientBoostingRegressor

from hptune.fitters._base import LongFit, TrainingRows, whole_number
from hptune.fitters._climb import LadderFitter

__all__ = ["GradientBoostingFitter"]

_BY_STAGE = ("estimators_", "train_score_", "oob_improvement_", "oob_scores_")
_DEFAULT_DEPTH = 3


class GradientBoostingFitter(LadderFitter):
    """Exactly GradientBoostingClassifier and GradientBoostingRegressor.

    Times: a rung's fit time is the time until the end of its stage, seen through ``fit``'s own `monitor`.
    """

    classes = (GradientBoostingClassifier, GradientBoostingRegressor)
    watched = True

    def shares(self, params: Mapping[str, Any]) -> bool:
        """Seeded by an int; an `init` estimator of one's own may be random, so it rules sharing out."""
        return (
            whole_number(params["random_state"]) is not None
            and params["warm_start"] is False
            and (params["init"] is None or params["init"] == "zero")
        )

    def cost(self, estimator: Any) -> float:
        """Stages x levels."""
        levels = whole_number(estimator.max_depth) or _DEFAULT_DEPTH
        return float(self.rounds_asked(estimator) * levels)

    def fit(self, estimator: Any, rows: TrainingRows) -> LongFit:
        """All stages, with a clock on each."""
        ends: list[float] = []
        watched, stopped = 0.0, False

        def clock(stage: int, model: Any, variables: Mapping[str, Any]) -> bool:
            nonlocal watched, stopped
            now = time.perf_counter()
            ends.append(now - rows.started - watched)
            if rows.watch is not None:
                stopped = rows.watch(stage + 1, lambda: _model_of_stages(model, stage + 1))
                watched += time.perf_counter() - now
            return stopped

        estimator.fit(rows.X, rows.y, **rows.fit_params, monitor=clock)

        def seconds_at(n: int | None) -> float:
            return ends[-1 if n is None else min(n, len(ends)) - 1]

        stages = int(estimator.n_estimators_)
        return LongFit(
            model_of=lambda n: _model_of_stages(estimator, n),
            seconds_at=seconds_at,
            rounds=stages,
            stopped=stopped and stages < self.rounds_asked(estimator),
        )

    def rounds_of(self, fitted: Any) -> int:
        """Stages before it stopped."""
        return int(fitted.n_estimators_)


def _model_of_stages(fitted: Any, n: int | None) -> Any:
    """A copy cut to its first `n` stages, in every fitted attribute that has one entry a stage."""
    if n is None:
        return fitted
    model = copy.copy(fitted)
    for name in _BY_STAGE:
        if hasattr(fitted, name):
            setattr(model, name, getattr(fitted, name)[:n].copy())
    if hasattr(model, "oob_score_"):
        model.oob_score_ = model.oob_scores_[-1]
    model.n_estimators_ = len(model.estimators_)
    return model.set_params(n_estimators=n)
