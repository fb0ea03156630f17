"""What several test packages build: tables to learn from, sweeps, scikit-learn's answer."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import settings
from sklearn.base import is_classifier
from sklearn.datasets import make_classification, make_regression
from sklearn.metrics import check_scoring
from sklearn.model_selection import GridSearchCV, check_cv
from threadpoolctl import threadpool_limits

from hptune.engine import Engine
from hptune.fitters import Evaluation
from hptune.matrix import FeatureMatrix
from hptune.observers import Observer
from hptune.records import FitTask, Outcome, Rung
from hptune.space import grid_candidates
from hptune.summary import SweepResult
from hptune.sweep import Sweep, run

Grid = Mapping[str, Any] | Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Case:
    """One grid search, to be run by scikit-learn and by hptune."""

    estimator: Any
    grid: Grid
    X: Any
    y: Any
    scoring: Any = None
    cv: int = 3
    weights: Any = None

    @property
    def folds(self) -> list[tuple[Any, Any]]:
        return list(check_cv(self.cv, self.y, classifier=is_classifier(self.estimator)).split(self.X, self.y))


def classes_table(rows: int = 120, columns: int = 6, classes: int = 2, seed: int = 0) -> tuple[Any, Any]:
    X, y = make_classification(
        n_samples=rows,
        n_features=columns,
        n_informative=columns,
        n_redundant=0,
        n_classes=classes,
        n_clusters_per_class=1,
        flip_y=0.1,
        random_state=seed,
    )
    return X, y


def numbers_table(rows: int = 120, columns: int = 6, seed: int = 0) -> tuple[Any, Any]:
    X, y = make_regression(n_samples=rows, n_features=columns, noise=5.0, random_state=seed)
    return X, y


def sweep_of(case: Case, *, name: str = "test", scorer: Any = None, **fields: Any) -> Sweep:
    """The sweep that answers what `case` asks."""
    columns = tuple(f"x{number}" for number in range(case.X.shape[1]))
    return Sweep(
        name=name,
        train=FeatureMatrix(case.X, columns, y=case.y, weights=case.weights),
        estimator=case.estimator,
        candidates=grid_candidates(case.grid),
        folds=case.folds,
        scorer=scorer or check_scoring(case.estimator, scoring=case.scoring),
        shown_metric=case.scoring if isinstance(case.scoring, str) else "score",
        **fields,
    )


def swept(case: Case, engine: Any, **fields: Any) -> SweepResult:
    return run(sweep_of(case, **fields), engine)


def grid_search(case: Case, **options: Any) -> GridSearchCV:
    """scikit-learn's answer to `case`, its native code held at one thread as ours is."""
    grids = [case.grid] if isinstance(case.grid, Mapping) else list(case.grid)
    lists = [
        {name: value if isinstance(value, (list, np.ndarray)) else [value] for name, value in grid.items()}
        for grid in grids
    ]
    search = GridSearchCV(case.estimator, lists, scoring=case.scoring, cv=case.folds, **options)
    fit_params = {} if case.weights is None else {"sample_weight": case.weights}
    with threadpool_limits(limits=1):
        return search.fit(case.X, case.y, **fit_params)


def assert_same_results(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> None:
    """Equal to the last bit: keys and their order, types, dtypes, masks, values. Times are not compared."""
    assert list(ours) == list(theirs)
    for name, expected in theirs.items():
        got = ours[name]
        assert type(got) is type(expected), name
        if name == "params":
            assert repr(got) == repr(expected)
        elif not name.endswith("_time"):
            _assert_same_column(name, got, expected)
        else:
            assert got.dtype == expected.dtype and got.shape == expected.shape, name


def _assert_same_column(name: str, got: Any, expected: Any) -> None:
    assert got.dtype == expected.dtype, name
    assert np.array_equal(np.ma.getmaskarray(got), np.ma.getmaskarray(expected)), name
    if got.dtype == object:
        assert repr(got) == repr(expected), name
    else:
        shown = ~np.ma.getmaskarray(expected)
        assert np.asarray(got)[shown].tobytes() == np.asarray(expected)[shown].tobytes(), name


def evaluation(case: Case, **fields: Any) -> Evaluation:
    return Evaluation(
        estimator=case.estimator,
        X=case.X,
        y=case.y,
        folds=case.folds,
        scorer=check_scoring(case.estimator, scoring=case.scoring),
        fit_params={} if case.weights is None else {"sample_weight": case.weights},
        **fields,
    )


def tasks(count: int, rungs: int = 1) -> list[FitTask]:
    """Tasks for work that looks only at their numbers: one fold, `rungs` candidates each."""
    return [
        FitTask(
            id=number,
            fold=0,
            params={},
            rungs=tuple(Rung(number * rungs + rung, rung + 1) for rung in range(rungs)),
        )
        for number in range(count)
    ]


def scored(task: FitTask) -> list[Outcome]:
    """Work whose scores tell the candidates."""
    return [
        Outcome(
            rung.candidate, task.fold, "ok", {"score": rung.candidate / 3}, fit_id=task.id, pid=os.getpid()
        )
        for rung in task.rungs
    ]


def outcome(candidate: int, fold: int = 0, score: float = 0.5, **fields: Any) -> Outcome:
    return Outcome(candidate, fold, fields.pop("status", "ok"), {"score": score}, **fields)


def examples(share: float) -> int:
    """How often a law is tried, as a share of what the profile of the test run says: 30 by default, 100 with --all."""
    return max(1, round(share * settings().max_examples))


class StopAfter(Observer):
    """Interrupts a sweep after so many outcomes."""

    def __init__(self, outcomes: int) -> None:
        self._left = outcomes

    def on_outcome(self, outcome: Outcome) -> None:
        self._left -= 1
        if not self._left:
            raise KeyboardInterrupt


class Signalled:
    """Whose end comes with a signal, of which Python drops the exception."""

    def __del__(self) -> None:
        signal.raise_signal(signal.SIGTERM)


def flat(stream: Iterable[list[Outcome]]) -> list[Outcome]:
    """All outcomes of an engine's stream."""
    return [outcome for arrived in stream for outcome in arrived]


def files_after_others(engine: Engine, directory: Path) -> int:
    """How many files a directory holds once other tasks have had all slots of the engine.

    Where the tasks that leave files were not stopped, these come after them, or beside more of them.
    """
    flat(engine.run(tasks(2 * engine.slots), scored, "others"))
    return len(list(directory.iterdir()))
