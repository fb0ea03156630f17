"""The only place where an estimator meets its fitter."""

from __future__ import annotations

import functools
import os
import socket
import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import sklearn
from threadpoolctl import ThreadpoolController, threadpool_limits

from hptune.fitters._base import Evaluation, Fitter, StepFitter, apply_params, thread_caps
from hptune.fitters._forest import ForestFitter
from hptune.fitters._gradient_boosting import GradientBoostingFitter
from hptune.fitters._hist_gradient_boosting import HistGradientBoostingFitter, same_on_any_threads
from hptune.fitters._lockstep import in_lockstep
from hptune.fitters._pipeline import PipelineFitter
from hptune.fitters._sklearn import SklearnFitter, fit_in_passes, goes_in_passes
from hptune.fitters._xgboost import XGBoostFitter
from hptune.records import FitTask, Outcome

__all__ = ["BY_NAME", "evaluate", "fit_alone", "fitter_for", "trains_in_passes"]

_LAST_STEPS: dict[str, StepFitter] = {
    "xgboost": XGBoostFitter(),
    "forest": ForestFitter(),
    "gradient boosting": GradientBoostingFitter(),
    "histogram gradient boosting": HistGradientBoostingFitter(),
    "scikit-learn": SklearnFitter(),  # accepts every estimator, so it stands last
}
BY_NAME: dict[str, Fitter] = {"pipeline": PipelineFitter([*_LAST_STEPS.values()]), **_LAST_STEPS}


def fitter_for(estimator: Any) -> Fitter:
    """The first member that accepts the estimator."""
    return next(fitter for fitter in BY_NAME.values() if fitter.accepts(estimator))


def fit_alone(
    estimator: Any,
    params: Mapping[str, Any],
    X: Any,
    y: Any,
    fit_params: Mapping[str, Any],
    *,
    watched: bool = False,
) -> Any:
    """A model fitted with the whole machine to itself, and otherwise exactly as `evaluate` fits.

    Thread parameters that ask for all cores get them for the fit and keep the user's value afterwards. OpenMP's
    threads are free where no bit depends on their number; BLAS has one always. `watched` says that fits were
    watched, for which some of them go in passes.
    """
    model, cores = apply_params(estimator, params), os.cpu_count() or 1
    caps = thread_caps(model, cores)
    kept = {name: model.get_params()[name] for name in caps}
    with threadpool_limits(limits={"blas": 1, "openmp": cores if same_on_any_threads(model) else 1}):
        model.set_params(**caps)
        if not watched or not trains_in_passes(model) or not _goes_through(model, X, y, fit_params):
            model = apply_params(estimator, params).set_params(**caps)  # without passes that were begun
            model.fit(X, y, **fit_params)
    return model.set_params(**kept)


def _goes_through(model: Any, X: Any, y: Any, fit_params: Mapping[str, Any]) -> bool:
    """Fit a model in passes; False where they fail, for which folds are fitted by ``fit`` too."""
    try:
        fit_in_passes(model, X, y, fit_params)
    except Exception:
        return False
    return True


def trains_in_passes(estimator: Any) -> bool:
    """Whether fits that are watched go by ``partial_fit``, and so differ from what ``fit`` does."""
    return type(fitter_for(estimator)) is SklearnFitter and goes_in_passes(estimator)


def evaluate(data: Evaluation, task: FitTask) -> list[Outcome]:
    """Fit and score one task.

    Native thread pools are held at one thread, because the last bit of BLAS results depends on their number;
    estimators with a thread parameter of their own get ``data.threads`` through it.
    """
    host, pid = socket.gethostname(), os.getpid()
    libraries = _native_libraries(len(sys.modules))
    with libraries.limit(limits=1), sklearn.config_context(**data.config):
        fitter = fitter_for(data.estimator)
        outcomes = (
            in_lockstep(fitter, task, data, libraries) if task.folds else fitter.fit_and_score(task, data)
        )
        return [replace(outcome, host=host, pid=pid, fit_id=task.id) for outcome in outcomes]


@functools.lru_cache(maxsize=1)
def _native_libraries(n_modules: int) -> ThreadpoolController:
    """The thread pools of this process, looked for again only after an import may have loaded another one.

    Looking for them reads all of the process's memory maps, which costs as much as a small fit.
    """
    return ThreadpoolController()
