"""The same search by scikit-learn's class and by ours, compared to the last bit."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import sklearn.model_selection
from threadpoolctl import threadpool_limits

import hptune

OURS = {"GridSearchCV": hptune.GridSearchCV, "RandomizedSearchCV": hptune.RandomizedSearchCV}
TIMES = ("_fit_time", "_score_time", "refit_time_")


@dataclass(frozen=True)
class Case:
    """A search and what it is fitted on."""

    estimator: Any
    grid: Any
    X: Any
    y: Any = None
    options: Mapping[str, Any] = field(default_factory=dict)
    fit_params: Mapping[str, Any] = field(default_factory=dict)
    kind: str = "GridSearchCV"

    def scikit_learns(self) -> Any:
        """scikit-learn's own search, fitted with as many native threads as ours."""
        search = getattr(sklearn.model_selection, self.kind)(self.estimator, self.grid, **self._options())
        with threadpool_limits(limits=1):
            return search.fit(self.X, self.y, **self.fit_params)

    def ours(self, place: Any) -> Any:
        """Our search at `place`, fitted."""
        search = OURS[self.kind](self.estimator, self.grid, spark=place, **self._options())
        with threadpool_limits(limits=1):
            return search.fit(self.X, self.y, **self.fit_params)

    def _options(self) -> dict[str, Any]:
        """Iterables of splits can be read only once, so each search gets its own."""
        return {"cv": 3} | {
            name: value() if name == "cv" and callable(value) else value
            for name, value in self.options.items()
        }


def assert_same_search(ours: Any, theirs: Any, rows: Any) -> None:
    """Everything that a fitted search shows is equal, but for measured times."""
    assert_same_results(ours.cv_results_, theirs.cv_results_)
    attributes = set(vars(theirs)) - {"estimator", "cv", "refit_time_"}
    assert set(vars(ours)) - {"spark", "out", "estimator", "cv", "refit_time_"} == attributes
    for name in ("best_index_", "best_score_", "best_params_", "n_splits_", "multimetric_"):
        assert_same_attribute(ours, theirs, name)
    for method in ("predict", "predict_proba", "decision_function", "transform"):
        assert hasattr(ours, method) == hasattr(theirs, method), method
        if hasattr(theirs, method):
            assert_same_values(*(getattr(search, method)(copy.deepcopy(rows)) for search in (ours, theirs)))


def assert_same_results(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> None:
    assert list(ours) == list(theirs)
    assert repr(ours["params"]) == repr(theirs["params"])
    for name, column in theirs.items():
        if name == "params" or name.endswith(TIMES):
            continue
        assert type(ours[name]) is type(column), name
        assert ours[name].dtype == column.dtype, name
        assert_same_column(ours[name], column, name)


def assert_same_column(ours: Any, theirs: Any, name: str) -> None:
    if not isinstance(theirs, np.ma.MaskedArray):
        np.testing.assert_array_equal(ours, theirs, err_msg=name)
        return
    np.testing.assert_array_equal(ours.mask, theirs.mask, err_msg=name)
    assert repr(ours.compressed().tolist()) == repr(theirs.compressed().tolist()), name


def assert_same_attribute(ours: Any, theirs: Any, name: str) -> None:
    assert hasattr(ours, name) == hasattr(theirs, name), name
    if hasattr(theirs, name):
        assert repr(getattr(ours, name)) == repr(getattr(theirs, name)), name


def assert_same_values(ours: Any, theirs: Any) -> None:
    assert type(ours) is type(theirs)
    if hasattr(theirs, "toarray"):
        ours, theirs = ours.toarray(), theirs.toarray()
    np.testing.assert_array_equal(np.asarray(ours), np.asarray(theirs))
