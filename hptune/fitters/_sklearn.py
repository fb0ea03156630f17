"""Any scikit-learn estimator: one fit for each candidate and fold."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.utils.class_weight import compute_class_weight

from hptune.fitters._apart import fit_apart
from hptune.fitters._base import Evaluation, Ladder, LongFit, TrainingRows, apply_params, whole_number
from hptune.fitters._climb import climb
from hptune.records import FitTask, Outcome

__all__ = ["SklearnFitter", "fit_in_passes", "goes_in_passes"]


class SklearnFitter:
    """Accepts every estimator and shares nothing."""

    def accepts(self, estimator: Any) -> bool:
        """True."""
        return True

    def watches(self, estimator: Any) -> bool:
        """Whether it can be fitted pass by pass."""
        return goes_in_passes(estimator)

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
        """One outcome for each rung of the task, each from a fit of its own; pass by pass where one watches."""
        try:
            if data.watch is not None and goes_in_passes(apply_params(data.estimator, task.params)):
                return climb(task, data, _fit_watched)
        except Exception:  # noqa: S110 - scikit-learn's way below decides what becomes of an error
            pass
        return [fit_apart(task.alone(rung), data) for rung in task.rungs]


def goes_in_passes(estimator: Any) -> bool:
    """Whether an estimator has ``partial_fit``, and a number of passes over the rows to make.

    Examples
    --------
    >>> from sklearn.linear_model import Ridge, SGDClassifier
    >>> goes_in_passes(SGDClassifier()), goes_in_passes(SGDClassifier(early_stopping=True)), goes_in_passes(Ridge())
    (True, False, False)
    """
    passes = whole_number(getattr(estimator, "max_iter", None))
    has_end_of_its_own = getattr(estimator, "early_stopping", False) is not False
    return hasattr(estimator, "partial_fit") and passes is not None and passes >= 1 and not has_end_of_its_own


def fit_in_passes(
    estimator: Any,
    X: Any,
    y: Any,
    fit_params: Mapping[str, Any],
    after: Callable[[int], bool] = lambda passes: False,
) -> int:
    """Call ``partial_fit`` on all rows ``max_iter`` times, or until `after` says stop; returns how often.

    It is not what ``fit`` does with the same number of epochs: each pass shuffles anew, and none is left out because
    the loss has settled.
    """
    classes = {"classes": np.unique(y)} if is_classifier(estimator) else {}
    with _weights_in_numbers(estimator, y):
        for passes in range(1, 1 + estimator.max_iter):
            estimator.partial_fit(X, y, **classes, **fit_params)
            if after(passes):
                return passes
    return int(estimator.max_iter)


@contextmanager
def _weights_in_numbers(estimator: Any, y: Any) -> Iterator[None]:
    """While open, ``class_weight="balanced"`` is what ``fit`` makes of it for these rows.

    scikit-learn's ``partial_fit``, which need not see all rows, refuses the word.
    """
    is_scikit_learns = type(estimator).__module__.startswith("sklearn.")
    if not is_scikit_learns or getattr(estimator, "class_weight", None) != "balanced":
        yield
        return
    labels = np.unique(y)
    weights = compute_class_weight("balanced", classes=labels, y=y)
    estimator.set_params(class_weight=dict(zip(labels, weights, strict=True)))
    try:
        yield
    finally:
        estimator.set_params(class_weight="balanced")


def _fit_watched(estimator: Any, rows: TrainingRows) -> LongFit:
    """All passes, or as many as the watch lets it make."""
    watched, seconds, stopped = 0.0, 0.0, False

    def after(passes: int) -> bool:
        nonlocal watched, seconds, stopped
        now = time.perf_counter()
        seconds = now - rows.started - watched
        if rows.watch is not None:
            stopped = rows.watch(passes, lambda: estimator)
            watched += time.perf_counter() - now
        return stopped

    passes = fit_in_passes(estimator, rows.X, rows.y, rows.fit_params, after)
    return LongFit(
        model_of=lambda n: estimator,
        seconds_at=lambda n: seconds,
        rounds=passes,
        stopped=stopped and passes < estimator.max_iter,
    )
