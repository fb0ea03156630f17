"""XGBoost: candidates that differ only in boosting rounds share one fit, folds share one quantised matrix.

In a ``gbtree`` booster the first n rounds of a longer fit are the shorter fit, bit for bit, whatever rows and
columns are sampled. A ladder is therefore one fit at its longest rung, sliced and scored at each.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Hashable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import xgboost as xgb

from hptune.fitters._base import Evaluation, LongFit, TrainingRows
from hptune.fitters._climb import LadderFitter, climb
from hptune.fitters._early_stopping import fit_arguments
from hptune.fitters._matrix_cache import WORKER_CACHE, BuiltMatrix, nbytes_of
from hptune.fitters._xgboost_compat import model_in_training, model_of_rounds, shared_matrix
from hptune.records import FitTask, Outcome
from hptune.space import Uncanonical, canonical

__all__ = ["XGBoostFitter"]

_MATRIX_PARAMS = (
    "booster",
    "device",
    "enable_categorical",
    "feature_types",
    "feature_weights",
    "max_bin",
    "missing",
    "tree_method",
)
_DEFAULT_DEPTH = 6


class XGBoostFitter(LadderFitter):
    """Exactly XGBClassifier, XGBRegressor and XGBRanker.

    Times: a rung's fit time is the time until the end of its round, its matrix included. XGBRF* fit a forest in
    one round and are left to scikit-learn's way, as every subclass is.
    """

    classes = (xgb.XGBClassifier, xgb.XGBRegressor, xgb.XGBRanker)
    fit_params = frozenset({"sample_weight", "base_margin", "feature_weights", "qid", "group"})
    default_rounds = 100
    watched = True

    def shares(self, params: Mapping[str, Any]) -> bool:
        """Plain ``gbtree`` boosting from the first round to the last."""
        return (
            params.get("booster") in (None, "gbtree")
            and params.get("early_stopping_rounds") is None
            and not params.get("callbacks")
            and not callable(params.get("objective"))
            and params.get("process_type") in (None, "default")
        )

    def cost(self, estimator: Any) -> float:
        """Rounds x trees a round x levels x share of columns looked at."""
        params = estimator.get_params(deep=False)
        trees = params.get("num_parallel_tree") or 1
        levels = params.get("max_depth") or _DEFAULT_DEPTH
        columns = (params.get("colsample_bytree") or 1.0) * (params.get("colsample_bylevel") or 1.0)
        return float(self.rounds_asked(estimator) * trees * levels * (0.5 + 0.5 * columns))

    def fit_and_score(self, task: FitTask, data: Evaluation) -> list[Outcome]:
        """As every ladder; with early stopping each candidate is fitted apart, for its rounds depend on its rows."""
        early_stopping = data.early_stopping
        if early_stopping is None:
            return super().fit_and_score(task, data)
        train, _ = data.folds[task.fold]
        groups = None if data.groups is None else np.asarray(data.groups)[train]

        def fit(estimator: Any, rows: TrainingRows) -> LongFit:
            X, y, arguments = fit_arguments(estimator, rows, early_stopping, groups)
            long_fit = self.fit(estimator, replace(rows, X=X, y=y, fit_params=arguments))
            return replace(long_fit, best_iteration=int(estimator.best_iteration) + 1)

        return climb(task, data, fit)

    def fit(self, estimator: Any, rows: TrainingRows) -> LongFit:
        """All rounds, with a clock on each, from the worker's matrix of these rows where it has one."""
        callbacks = estimator.callbacks
        clock = _Clock(rows, estimator)
        entry: list[tuple[BuiltMatrix, bool]] = []

        def cached(build: Any) -> Any:
            key = _matrix_key(estimator, rows.key)
            entry.append(WORKER_CACHE.get(rows.run_id, key, build, nbytes_of(rows.X)))
            return entry[0][0].matrix

        # As set_params would, without reading all signatures again.
        estimator.callbacks = [*(callbacks or ()), clock]
        with shared_matrix(estimator, cached):
            estimator.fit(rows.X, rows.y, **rows.fit_params)
        estimator.callbacks = callbacks
        matrix, built = entry[0]
        return LongFit(
            model_of=lambda n: estimator if n is None else model_of_rounds(estimator, n),
            seconds_at=lambda n: clock.seconds[-1 if n is None else n - 1],
            rounds=len(clock.seconds),
            reused_seconds=0.0 if built else matrix.seconds,
            matrices_built=int(built),
            stopped=clock.stopped and len(clock.seconds) < self.rounds_asked(estimator),
        )

    def rounds_of(self, fitted: Any) -> int:
        """Boosted rounds."""
        return int(fitted.get_booster().num_boosted_rounds())


class _Clock(xgb.callback.TrainingCallback):
    """Seconds since the start at the end of each boosting round; it counts the rounds really trained.

    What watches the rounds takes no part in the seconds.
    """

    def __init__(self, rows: TrainingRows, estimator: Any) -> None:
        self.start = rows.started
        self.watch = rows.watch
        self.estimator = estimator
        self.seconds: list[float] = []
        self.stopped = False

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
        now = time.perf_counter()
        self.seconds.append(now - self.start)
        if self.watch is not None:
            self.stopped = self.watch(epoch + 1, lambda: model_in_training(self.estimator, model))
            self.start += time.perf_counter() - now
        return self.stopped


def _matrix_key(estimator: Any, rows: Hashable) -> Hashable:
    """Everything that reaches the matrix and may differ between the candidates of a run."""
    params = estimator.get_params(deep=False)
    if _cuts_follow_the_fit(params):
        return rows, uuid.uuid4().hex
    try:
        return rows, type(estimator).__name__, canonical({name: params.get(name) for name in _MATRIX_PARAMS})
    except Uncanonical:  # feature weights in a list of ours, a data frame: shared with no other fit
        return rows, uuid.uuid4().hex


def _cuts_follow_the_fit(params: Mapping[str, Any]) -> bool:
    """Whether a matrix takes something from the fit that uses it first.

    ``approx`` cuts columns by the hessians of the rows that the first round drew, and keeps these cuts in the matrix
    where the objective's hessian is constant: squared errors of the next candidate would be cut by another sample.
    """
    return params.get("tree_method") == "approx" or "grow_histmaker" in str(params.get("updater"))
