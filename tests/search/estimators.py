"""Estimators that show what a search does with them. They live in a module that workers can import."""

from __future__ import annotations

import json
import os
import time
import uuid
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

from tests.meeting import meet


def described(value: Any) -> str:
    """Type, shape, dtypes, memory order and content of an array, a sparse matrix or a table."""
    parts = [type(value).__name__, str(value.shape if hasattr(value, "shape") else len(value))]
    if sp.issparse(value):
        arrays = [value.data, value.indices, value.indptr]
        return " ".join([*parts, *map(_array, arrays), str(value.has_sorted_indices)])
    if hasattr(value, "iloc"):
        frame = value.to_frame() if value.ndim == 1 else value
        kinds = [
            type(value.index).__name__,
            str(value.index.dtype),
            *map(str, frame.dtypes),
            *map(str, frame),
        ]
        return " ".join([*parts, *kinds, frame.to_csv()])
    return " ".join([*parts, _array(np.asarray(value))])


def _array(values: np.ndarray) -> str:
    content = values.tolist() if values.dtype == object else values.tobytes()
    return f"{values.dtype} {values.flags.c_contiguous} {values.flags.f_contiguous} {content!r}"


class Witness(RegressorMixin, BaseEstimator):
    """Keeps a description of all that `fit` was given; `fingerprints` turns it into scores."""

    def __init__(self, setting: Any = None) -> None:
        self.setting = setting

    def fit(self, X: Any, y: Any = None, **params: Any) -> Witness:
        given = {"X": X, "y": y, **params}
        self.seen_ = {name: described(value) for name, value in given.items() if value is not None}
        self.n_features_in_ = X.shape[1]
        return self

    def predict(self, X: Any) -> Any:
        self.predicted_ = described(X)
        return np.zeros(X.shape[0])


def fingerprints(estimator: Any, X: Any, y: Any = None) -> dict[str, float]:
    """A number for each thing that the witness saw, the scored rows and its setting included."""
    estimator.predict(X)
    seen = {f"fit_{name}": text for name, text in sorted(estimator.seen_.items())}
    seen |= {"test_X": described(X), "predict_X": estimator.predicted_, "setting": repr(estimator.setting)}
    seen |= {} if y is None else {"test_y": described(y)}
    return {name: float(zlib.crc32(text.encode())) for name, text in seen.items()}


def work(X: Any, seconds: float) -> None:
    """Keeps its process busy."""
    end = time.time() + seconds
    while time.time() < end:
        np.linalg.norm(X)


class CannotBePickled(Exception):
    """It takes two arguments and passes one on, so that its pickle cannot be loaded."""

    def __init__(self, what: str, code: int) -> None:
        super().__init__(f"{what} ({code})")
        self.code = code


class Failing(ClassifierMixin, BaseEstimator):
    """Leaves a file in `traces` when it begins to fit; fails for the settings in `fails`."""

    def __init__(
        self,
        setting: int = 0,
        fails: tuple[int, ...] = (),
        error: Any = None,
        traces: str = "",
        seconds: float = 0.0,
    ) -> None:
        self.setting = setting
        self.fails = fails
        self.seconds = seconds
        self.error = error
        self.traces = traces

    def fit(self, X: Any, y: Any) -> Failing:
        if self.traces:
            Path(self.traces, uuid.uuid4().hex).touch()
        if self.setting in self.fails:
            raise ValueError("this setting fails") if self.error is None else self.error("told so", 7)
        work(X, self.seconds)
        self.classes_ = np.unique(y)
        return self

    def predict(self, X: Any) -> Any:
        return np.full(X.shape[0], self.classes_[self.setting % len(self.classes_)])


class Lethal(Failing):
    """Ends its process for the settings in `fails`."""

    def fit(self, X: Any, y: Any) -> Lethal:
        if self.setting in self.fails:
            os._exit(3)
        super().fit(X, y)
        return self


class Timed(ClassifierMixin, BaseEstimator):
    """Writes down from when to when each fit ran."""

    def __init__(self, setting: int = 0, traces: str = "", seconds: float = 0.0) -> None:
        self.setting = setting
        self.traces = traces
        self.seconds = seconds

    def fit(self, X: Any, y: Any) -> Timed:
        begin = time.time()
        work(X, self.seconds)
        self.classes_ = np.unique(y)
        Path(self.traces, uuid.uuid4().hex).write_text(json.dumps([begin, time.time()]))
        return self

    def predict(self, X: Any) -> Any:
        return np.full(X.shape[0], self.classes_[0])


class Meeting(ClassifierMixin, BaseEstimator):
    """Ends a fit only when `count` have begun."""

    def __init__(self, traces: str = "", count: int = 2) -> None:
        self.traces = traces
        self.count = count

    def fit(self, X: Any, y: Any) -> Meeting:
        meet(Path(self.traces), self.count)
        self.classes_ = np.unique(y)
        return self

    def predict(self, X: Any) -> Any:
        return np.full(X.shape[0], self.classes_[0])


class WritesIntoX(RegressorMixin, BaseEstimator):
    """Centres its rows in place, as estimators with ``copy=False`` do."""

    def __init__(self, setting: int = 0) -> None:
        self.setting = setting

    def fit(self, X: Any, y: Any = None) -> WritesIntoX:
        X -= X.mean(axis=0)
        X[0, 0] += self.setting
        self.sum_ = float(np.abs(X).sum())
        return self

    def predict(self, X: Any) -> Any:
        X *= 2.0
        return np.full(X.shape[0], self.sum_ + X.sum())
