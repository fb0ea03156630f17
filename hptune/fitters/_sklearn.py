"""Any scikit-learn estimator: one fit for each candidate and fold."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from hptune.fitters._apart import fit_apart
from hptune.fitters._base import Evaluation, Ladder, LongFit, TrainingRows
from hptune.records import FitTask, Outcome

__all__ = ["SklearnFitter"]


class SklearnFitter:
    """Accepts every estimator and shares nothing."""

    def accepts(self, estimator: Any) -> bool:
        """True."""
        return True

    def watches(self, estimator: Any) -> bool:
        """False: a fit is one piece."""
        return False

    def ladder(self, estimator: Any, fit_params: Mapping[str, Any]) -> Ladder | None:
        """None."""
        return None

    def cost(self, estimator: Any) -> float:
        """1: nothing is known about the estimator."""
        return 1.0

    def fit(self, estimator: Any, rows: TrainingRows) -> LongFit:
        """A plain fit."""
        estimator.fit(rows.X, rows.y, **rows.fit_params)
        seconds = time.perf_counter() - rows.started
        return LongFit(model_of=lambda n: estimator, seconds_at=lambda n: seconds)

    def rounds_of(self, fitted: Any) -> int:
        """0."""
        return 0

    def fit_and_score(self, task: FitTask, data: Evaluation) -> list[Outcome]:
        """One outcome for each rung of the task, each from a fit of its own."""
        return [fit_apart(task.alone(rung), data) for rung in task.rungs]
