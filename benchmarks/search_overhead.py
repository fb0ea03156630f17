"""What a search costs beside its fits: a large dense table, 20 fits of an estimator that does nothing.

    python -m benchmarks.search_overhead [--megabytes N] [--repeat N]

All contenders run in one process and one Spark session, in turn, after a small search each that starts their
workers. scikit-learn's scores are compared with all others'.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import joblib
import numpy as np
import sklearn.model_selection
from pyspark.sql import SparkSession
from rich.console import Console
from rich.table import Table
from sklearn.dummy import DummyClassifier

import hptune
from benchmarks.machine import Load

__all__ = ["compare", "contenders", "main", "table_of"]

COLUMNS = 1000
GRID = {"strategy": ["prior", "most_frequent", "stratified", "uniform"], "random_state": [0]}
Search = Callable[[Any, Any], Any]


def table_of(megabytes: int) -> tuple[Any, Any]:
    """A dense table of float64 and labels of two classes."""
    rng = np.random.default_rng(0)
    X = rng.random((megabytes * 1_000_000 // (8 * COLUMNS), COLUMNS))
    return X, rng.integers(0, 2, len(X))


def contenders(session: SparkSession, processes: int) -> dict[str, Search]:
    """Each contender's way to run the search; scikit-learn's own comes first."""

    def hptunes(place: Any) -> Search:
        search = hptune.GridSearchCV(
            DummyClassifier(), GRID, cv=5, refit=False, spark=place, n_jobs=processes
        )
        return lambda X, y: sklearn.base.clone(search).fit(X, y)

    def theirs(X: Any, y: Any, n_jobs: int = processes) -> Any:
        search = sklearn.model_selection.GridSearchCV(
            DummyClassifier(), GRID, cv=5, refit=False, n_jobs=n_jobs
        )
        return search.fit(X, y)

    def joblibsparks(X: Any, y: Any) -> Any:
        with joblib.parallel_config(backend="spark", n_jobs=processes):
            return theirs(X, y)

    return {
        f"scikit-learn n_jobs={processes}": theirs,
        "hptune on Spark": lambda X, y: hptune.GridSearchCV(
            DummyClassifier(), GRID, cv=5, refit=False, spark=session
        ).fit(X, y),
        "hptune processes": hptunes("processes"),
        "joblibspark": joblibsparks,
    }


@contextmanager
def _session(processes: int) -> Iterator[SparkSession]:
    import joblibspark

    builder = SparkSession.builder.master(f"local[{processes},4]").appName("search overhead")
    settings = {
        "spark.driver.memory": "3g",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.log.level": "OFF",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
    }
    for key, value in settings.items():
        builder = builder.config(key, value)
    session = builder.getOrCreate()
    joblibspark.register_spark()
    yield session
    session.stop()


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the seconds of each contender; 1 where any score differs."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--megabytes", type=int, default=100)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args(arguments)
    warnings.simplefilter("ignore")
    with _session(options.processes) as session:
        return compare(contenders(session, options.processes), options.megabytes, options.repeat)


def compare(searches: dict[str, Search], megabytes: int, repeat: int) -> int:
    """Time each search in turn and print the table; 1 where any score differs."""
    small, large = table_of(1), table_of(megabytes)
    for search in searches.values():
        search(*small)
    seconds: dict[str, list[float]] = {name: [] for name in searches}
    load = Load()
    scores = {}
    for _ in range(repeat):
        for name, search in searches.items():
            start = time.perf_counter()
            fitted = search(*large)
            seconds[name].append(time.perf_counter() - start)
            scores[name] = fitted.cv_results_["mean_test_score"].tolist()
    _show(seconds, f"{megabytes} MB dense, 20 fits; others held {load.stop().others:.2f} cores")
    return int(len(set(map(str, scores.values()))) != 1)


def _show(seconds: dict[str, list[float]], title: str) -> None:
    table = Table("contender", "seconds (median)", "all", "beside scikit-learn", title=title)
    reference = statistics.median(next(iter(seconds.values())))
    for name, spent in seconds.items():
        median = statistics.median(spent)
        each = " ".join(f"{value:.2f}" for value in spent)
        table.add_row(name, f"{median:.2f}", each, f"{median / reference:.2f}x")
    Console(width=110).print(table)


if __name__ == "__main__":
    sys.exit(main())
