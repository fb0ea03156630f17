"""Where a pipeline's steps are fitted, on every engine: at most once in each worker process."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

from hptune.engine import Engine, ProcessesEngine, SerialEngine
from hptune.observers import Observer
from hptune.records import Outcome
from hptune.sweep import run
from tests.builders import Case, assert_same_results, classes_table, grid_search, sweep_of

pytestmark = pytest.mark.shares_session

SETTINGS, FOLDS = 3, 5


@pytest.fixture(scope="module")
def case() -> Case:
    pipeline = Pipeline([("pca", PCA()), ("classify", LogisticRegression())])
    grid = {"pca__n_components": [2, 3, 4], "classify__C": list(np.logspace(-2, 2, 8))}
    return Case(pipeline, grid, *classes_table(80), scoring="neg_log_loss", cv=FOLDS)


@pytest.fixture(
    params=[
        "serial",
        pytest.param("processes", marks=pytest.mark.slow),
        pytest.param("spark", marks=pytest.mark.spark),
    ]
)
def engine(request: pytest.FixtureRequest) -> Engine:
    if request.param != "spark":
        return SerialEngine() if request.param == "serial" else ProcessesEngine(2)
    from hptune.engine._spark import SparkEngine

    return SparkEngine(request.getfixturevalue("spark"))


class Seen(Observer):
    """Keeps every outcome."""

    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []

    def on_outcome(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)


def test_a_prefix_is_fitted_at_most_once_in_each_worker_process(case: Case, engine: Engine) -> None:
    seen = Seen()
    result = run(sweep_of(case, refit=False), engine, observers=[seen])
    fits: Counter[Any] = Counter()
    for outcome in seen.outcomes:
        setting = result.cv_results_["params"][outcome.candidate]["pca__n_components"]
        fits[outcome.pid, outcome.fold, setting] += outcome.prefix_fits
    workers = len({outcome.pid for outcome in seen.outcomes})
    assert set(fits.values()) <= {0, 1}
    assert SETTINGS * FOLDS <= fits.total() <= SETTINGS * FOLDS * workers
    assert result.table["prefix_fits"].sum() == fits.total()
    assert_same_results(result.cv_results_, grid_search(case, refit=False).cv_results_)
