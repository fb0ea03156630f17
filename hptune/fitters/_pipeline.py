"""Pipelines: steps that candidates have in common are fitted once a fold, the last step climbs its own ladder.

What is reused must be what a fit of its own would have made, bit for bit. So the steps before the last are
scikit-learn's own classes, whose parameters tell all that they do, and a step that turns out to draw from an
unseeded generator is fitted apart: scikit-learn draws from numpy's global one then, which is looked at.
"""

from __future__ import annotations

import copy
import random
import time
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import scipy.sparse as sp
import sklearn
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.pipeline import Pipeline

from hptune._sklearn_compat import aligned_fit_params, has_callbacks, reads_predictions_only, safe_split
from hptune.fitters._apart import fit_apart
from hptune.fitters._base import Evaluation, Ladder, LongFit, StepFitter, TrainingRows, whole_number
from hptune.fitters._climb import ScoredRows, estimator_for, score_rungs
from hptune.fitters._matrix_cache import WORKER_CACHE, nbytes_of
from hptune.records import FitTask, Outcome
from hptune.space import Uncanonical, canonical

__all__ = ["PipelineFitter"]

_TRUSTED_FUNCTIONS = ("numpy", "scipy", "sklearn")
T = TypeVar("T")

_UNSEEDED_BY_ROWS = (HistGradientBoostingClassifier, HistGradientBoostingRegressor)


class _NotReusable(Exception):
    """A step without a seed drew random numbers, or made what can be neither locked nor copied."""


@dataclass(frozen=True)
class _Prefix:
    """Fitted steps, what they made of a fold's training rows, and the seconds it took."""

    steps: tuple[Any, ...]
    X: Any
    seconds: float


class PipelineFitter:
    """Exactly Pipeline, whose last step is left to another member.

    Parameters
    ----------
    members : sequence of StepFitter
        Those for the last step; one of them accepts it.
    """

    def __init__(self, members: Sequence[StepFitter]) -> None:
        self._members = members

    def accepts(self, estimator: Any) -> bool:
        """Whether the estimator is a Pipeline, and no subclass."""
        return type(estimator) is Pipeline and bool(estimator.steps)

    def watches(self, estimator: Any) -> bool:
        """False: nothing is reported of a pipeline's last step."""
        return False

    def ladder(self, estimator: Any, fit_params: Mapping[str, Any]) -> Ladder | None:
        """The last step's ladder, where all steps before it can be reused."""
        name, last = estimator.steps[-1]
        own_params = _last_step_params(estimator, fit_params)
        if own_params is None or not _can_be_reused(estimator):
            return None
        ladder = self._for(last).ladder(last, own_params)
        return None if ladder is None else replace(ladder, parameter=f"{name}__{ladder.parameter}")

    def cost(self, estimator: Any) -> float:
        """The last step's."""
        last = estimator.steps[-1][1]
        return self._for(last).cost(last)

    def rounds_of(self, fitted: Any) -> int:
        """The last step's."""
        last = fitted.steps[-1][1]
        return self._for(last).rounds_of(last)

    def fit_and_score(self, task: FitTask, data: Evaluation) -> list[Outcome]:
        """One fit of the last step on what the steps before it made, or each rung apart where that is not sure."""
        try:
            shared = self._shared(task, data)
        except (
            Exception
        ):  # any error of a step, the fit or a scorer: scikit-learn's way decides what it means
            shared = None
        return shared or [fit_apart(task.alone(rung), data, self.rounds_of) for rung in task.rungs]

    def _shared(self, task: FitTask, data: Evaluation) -> list[Outcome] | None:
        started = time.perf_counter()
        pipeline = estimator_for(task, data)
        fit_params = _last_step_params(pipeline, data.fit_params)
        if fit_params is None or not _can_be_reused(pipeline):
            return None
        last = pipeline.steps[-1][1]
        if isinstance(last, _UNSEEDED_BY_ROWS) and last.random_state is None:
            return None  # whether it draws depends on the number of rows
        train, _ = data.folds[task.fold]
        X, y = safe_split(pipeline, data.X, data.y, train)
        keys = [canonical(step) for _, step in pipeline.steps[:-1]]
        prefix, fitted_seconds = _fitted_prefix(pipeline, keys, X, y, task.fold, data.run_id)
        if prefix is None:
            return None
        rows = TrainingRows(
            prefix.X,
            y,
            aligned_fit_params(data.X, fit_params, train),
            (task.fold, *keys),
            data.run_id,
            started,
        )
        fit = self._for(last).fit(last, rows)
        fit = replace(
            fit,
            reused_seconds=fit.reused_seconds + prefix.seconds - sum(fitted_seconds),
            prefix_fits=len(fitted_seconds),
        )
        return _score(task, data, pipeline, prefix, keys, fit)

    def _for(self, last: Any) -> StepFitter:
        return next(member for member in self._members if member.accepts(last))


def _last_step_params(pipeline: Pipeline, fit_params: Mapping[str, Any]) -> dict[str, Any] | None:
    """The fit parameters by their names in the last step; None where one of them is not, or may not be, its."""
    if fit_params and sklearn.get_config()["enable_metadata_routing"]:
        return None
    start = f"{pipeline.steps[-1][0]}__"
    if not all(name.startswith(start) for name in fit_params):
        return None
    return {name.removeprefix(start): value for name, value in fit_params.items()}


def _can_be_reused(pipeline: Pipeline) -> bool:
    """Whether the parameters of the steps before the last tell all that the steps do."""
    *before, (_, last) = pipeline.steps
    if not before or pipeline.memory is not None or pipeline.get_params(deep=False).get("transform_input"):
        return False
    if last is None or isinstance(last, str) or _writes_into_its_input(last):
        return False
    if has_callbacks(pipeline) or has_callbacks(last):
        return False
    return all(_tells_all(step) and not _writes_into_its_input(step) for _, step in before)


def _tells_all(step: Any) -> bool:
    try:
        canonical(step)
    except Uncanonical:
        return False
    return all(_is_known(name, value) for name, value in _parts(step))


def _parts(step: Any) -> Iterator[tuple[str, Any]]:
    """The step itself and all its parameters, nested ones too, by their own names."""
    yield "", step
    if hasattr(step, "get_params"):
        for name, value in step.get_params(deep=True).items():
            yield name.rpartition("__")[2], value
            yield from (("", item) for item in _items(value))


def _items(value: Any) -> Iterator[Any]:
    """What lists, tuples and mappings hold, nested ones too."""
    if isinstance(value, (list, tuple, Mapping)):
        for item in value.values() if isinstance(value, Mapping) else value:
            yield item
            yield from _items(item)


def _is_known(name: str, value: Any) -> bool:
    if name == "random_state":
        return value is None or whole_number(value) is not None
    if hasattr(value, "get_params") or callable(value):
        kind = value if isinstance(value, type) or not hasattr(value, "get_params") else type(value)
        return str(getattr(kind, "__module__", "")).split(".")[0] in _TRUSTED_FUNCTIONS
    return True


def _writes_into_its_input(step: Any) -> bool:
    return any(name.startswith("copy") and value is False for name, value in _parts(step))


def _fitted_prefix(
    pipeline: Pipeline, keys: Sequence[str], X: Any, y: Any, fold: int, run_id: str
) -> tuple[_Prefix | None, list[float]]:
    """The fitted steps before the last, and the seconds of each that had to be fitted now.

    None where a step draws random numbers without a seed. Each step's output is kept, so that candidates that
    differ in a later step still share the earlier ones.
    """
    fitted_seconds: list[float] = []

    def up_to(n: int) -> _Prefix | None:
        if n == 0:
            return _Prefix((), X, 0.0)
        entry, _ = WORKER_CACHE.get(run_id, ("prefix", fold, *keys[:n]), partial(extended, n), _nbytes)
        prefix: _Prefix | None = entry.matrix
        return prefix

    def extended(n: int) -> _Prefix | None:
        before, step = up_to(n - 1), pipeline.steps[n - 1][1]
        if before is None or step is None or step == "passthrough":
            return None if before is None else replace(before, steps=(*before.steps, step))
        start = time.perf_counter()
        try:
            made = _without_drawing(partial(_fit_transform, step, before.X, y))
        except _NotReusable:
            return None
        fitted_seconds.append(time.perf_counter() - start)
        return _Prefix((*before.steps, step), _read_only(made), before.seconds + fitted_seconds[-1])

    prefix = up_to(len(keys))
    return (None if prefix is None else replace(prefix, X=_lent(prefix.X))), fitted_seconds


def _fit_transform(step: Any, X: Any, y: Any) -> Any:
    return step.fit_transform(X, y) if hasattr(step, "fit_transform") else step.fit(X, y).transform(X)


def _without_drawing(work: Callable[[], T]) -> T:
    """What `work` returns; raises where it drew from a global random generator."""
    before = _generators()
    result = work()
    if _generators() != before:
        raise _NotReusable
    return result


def _generators() -> Any:
    kind, keys, *rest = np.random.get_state()
    return random.getstate(), kind, np.asarray(keys).tobytes(), rest


def _lent(X: Any) -> Any:
    """X for one candidate, which must not see what another writes: a frame cannot be locked, so it is a copy of it."""
    if isinstance(X, pd.DataFrame):
        return X.copy()
    if type(X) is np.ndarray or sp.issparse(X):
        return _read_only(X)  # where all steps pass through, these are the fold's own rows
    raise _NotReusable


def _read_only(X: Any) -> Any:
    """X, whose arrays can no longer be written: a fit that tries fails here and is then made apart."""
    arrays = [X] if isinstance(X, np.ndarray) else []
    if sp.issparse(X):
        arrays = [getattr(X, name) for name in ("data", "indices", "indptr") if hasattr(X, name)]
    for array in arrays:
        array.flags.writeable = False
    return X


def _nbytes(prefix: _Prefix | None) -> int:
    return 0 if prefix is None else nbytes_of(prefix.X)


def _score(
    task: FitTask, data: Evaluation, pipeline: Pipeline, prefix: _Prefix, keys: Sequence[str], fit: LongFit
) -> list[Outcome]:
    """Scorers of predictions get the last step and transformed rows; any other gets the pipeline and X."""
    train, test = data.folds[task.fold]
    parts = {"test": test, "train": train} if data.return_train_score else {"test": test}
    directly = reads_predictions_only(data.scorer) and not sklearn.get_config()["enable_metadata_routing"]
    scored = {}
    for part, numbers in parts.items():
        X, y = safe_split(pipeline, data.X, data.y, numbers, train)
        rows = ScoredRows(X, y, aligned_fit_params(data.X, data.score_params, numbers))
        name = ("scored", part, task.fold, *keys)
        scored[part] = _transformed(prefix, rows, data.run_id, name) if directly else rows
    if directly:
        return score_rungs(task, data, fit, scored)
    whole = replace(fit, model_of=lambda n: _whole(pipeline, prefix, fit.model_of(n)))
    return score_rungs(task, data, whole, scored)


def _transformed(prefix: _Prefix, rows: ScoredRows, run_id: str, name: Hashable) -> ScoredRows:
    """The rows as the last step sees them, which candidates share under that name."""
    made = partial(_without_drawing, partial(_transform, prefix.steps, rows.X))
    entry, fresh = WORKER_CACHE.get(run_id, name, made, nbytes_of)
    return replace(rows, X=_lent(entry.matrix), seconds=entry.seconds, fresh=fresh)


def _transform(steps: Sequence[Any], X: Any) -> Any:
    for step in steps:
        if step is not None and step != "passthrough":
            X = step.transform(X)
    return X


def _whole(pipeline: Pipeline, prefix: _Prefix, last: Any) -> Pipeline:
    """The fitted pipeline, as a fit of its own would have left it."""
    fitted = (*prefix.steps, last)
    model = copy.copy(pipeline)
    model.steps = [(name, step) for (name, _), step in zip(pipeline.steps, fitted, strict=True)]
    return model
