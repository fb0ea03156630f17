"""The grids that are compared, and the data they are run on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from sklearn.model_selection import ParameterGrid, StratifiedKFold
from xgboost import XGBClassifier

__all__ = ["BY_NAME", "Workload"]

_FOLDS = 3
_CLASSES = 12
_ROWS = 6_000
_BLOCKS = (131, 1_599, 19_237, 284)  # brands, models, apps, labels: 21,251 columns
_WITH_EVENTS = 0.312  # share of devices that have any app or label
_APPS, _LABELS = 36, 24  # entries of such a device


@dataclass(frozen=True)
class Workload:
    """One grid on one data set, its folds drawn beforehand so that all contenders use the same."""

    name: str
    X: Any
    y: npt.NDArray[np.int64]
    estimator: Any
    grid: Mapping[str, Sequence[Any]]
    scoring: str = "neg_log_loss"

    @property
    def candidates(self) -> list[dict[str, Any]]:
        """Parameter settings in scikit-learn's order."""
        return list(ParameterGrid(self.grid))

    @property
    def folds(self) -> list[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
        """Row numbers of each fold, the same at every call."""
        splitter = StratifiedKFold(_FOLDS, shuffle=True, random_state=0)
        return list(splitter.split(self.X, self.y))

    @property
    def unique_fits(self) -> list[dict[str, Any]]:
        """The parameter settings left when those that differ in rounds only keep their longest."""
        longest: dict[str, dict[str, Any]] = {}
        for params in sorted(self.candidates, key=lambda params: params.get("n_estimators", 0)):
            rest = {name: value for name, value in params.items() if name != "n_estimators"}
            longest[repr(sorted(rest.items()))] = params
        return list(longest.values())

    def with_grid(self, grid: Mapping[str, Sequence[Any]]) -> Workload:
        """Another grid on the same data."""
        return Workload(self.name, self.X, self.y, self.estimator, grid, self.scoring)


def ladder() -> Workload:
    """Four ladders of five rungs on sparse rows: the reference's 300 to 700 rounds, divided by nine."""
    grid = {
        "n_estimators": [33, 44, 55, 66, 77],
        "subsample": [0.5, 0.7],
        "colsample_bylevel": [0.5, 1.0],
    }
    return Workload("ladder", *_sparse_rows(), _classifier(max_depth=4), grid)


def no_ladder() -> Workload:
    """Eight candidates on the same rows, no two of which differ in their rounds only."""
    grid = {"max_depth": [3, 4], "subsample": [0.5, 0.7], "colsample_bylevel": [0.5, 1.0]}
    return Workload("no_ladder", *_sparse_rows(), _classifier(n_estimators=60), grid)


def short() -> Workload:
    """Many fits of about 50 ms on a small dense table, again without ladders."""
    grid = {
        "max_depth": [2, 3, 4],
        "learning_rate": [0.05, 0.1, 0.2, 0.3],
        "subsample": [0.5, 0.6, 0.7, 0.8, 0.9],
        "min_child_weight": [1, 5],
    }
    return Workload("short", *_dense_rows(2_000, 20), _classifier(n_estimators=30), grid)


def smoke() -> Workload:
    """Four fits of a few milliseconds, for tests."""
    return Workload("smoke", *_dense_rows(120, 4), _classifier(), {"n_estimators": [2, 4]})


BY_NAME = {"ladder": ladder, "no_ladder": no_ladder, "short": short, "smoke": smoke}


def _classifier(**params: Any) -> XGBClassifier:
    return XGBClassifier(**{"learning_rate": 0.1, "random_state": 0, "n_jobs": 1} | params)


def _sparse_rows() -> tuple[sp.csr_matrix, npt.NDArray[np.int64]]:
    """Rows like TalkingData's: a brand and a model each, apps and labels where there are events."""
    rng = np.random.default_rng(0)
    brand = _popular(rng, _BLOCKS[0], (_ROWS, 1))
    model = _popular(rng, _BLOCKS[1], (_ROWS, 1))
    apps = _popular(rng, _BLOCKS[2], (_ROWS, _APPS))
    labels = _popular(rng, _BLOCKS[3], (_ROWS, _LABELS))
    active = rng.random(_ROWS) < _WITH_EVENTS
    phones = sp.hstack([_one_hot(brand, _BLOCKS[0]), _one_hot(model, _BLOCKS[1])])
    events = sp.hstack([_one_hot(apps, _BLOCKS[2]), _one_hot(labels, _BLOCKS[3])])
    X = sp.hstack([phones, sp.diags_array(active.astype(np.float32)) @ events]).tocsr()
    X.eliminate_zeros()
    signal = brand[:, 0] + np.where(active, apps[:, 0], 0) + rng.integers(0, 6, _ROWS)
    return sp.csr_matrix(X, dtype=np.float32), signal % _CLASSES


def _popular(rng: np.random.Generator, n: int, shape: tuple[int, int]) -> npt.NDArray[np.int64]:
    """Numbers below `n` whose popularity falls like Zipf's law."""
    weights = 1 / np.arange(1, n + 1)
    return rng.choice(n, size=shape, p=weights / weights.sum())


def _one_hot(columns: npt.NDArray[np.int64], width: int) -> sp.csr_matrix:
    rows = np.repeat(np.arange(len(columns)), columns.shape[1])
    ones = np.ones(columns.size, dtype=np.float32)
    counts = sp.csr_matrix((ones, (rows, columns.ravel())), shape=(len(columns), width))
    return sp.csr_matrix(counts.minimum(1))


def _dense_rows(rows: int, columns: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(rows, columns))
    return X, (X[:, 0] + X[:, 1] * X[:, 2] + rng.normal(size=rows) > 0).astype(np.int64)
