"""What fits cost that end their process: new processes forked from one with the libraries, or started alone.

python -m benchmarks.crashing_fits [--repeat 3]
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
import warnings
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any
from unittest import mock

import numpy as np
from xgboost import XGBClassifier

from hptune import GridSearchCV
from hptune.engine import _children

__all__ = ["main"]


class Crashing(XGBClassifier):
    """Ends its process at one depth, as a library out of memory does."""

    def fit(self, X: Any, y: Any, **options: Any) -> Crashing:
        if self.max_depth == 3:
            os._exit(3)
        super().fit(X, y, **options)
        return self


def search(forks: bool) -> float:
    """Seconds for 12 short fits on two processes, of which three always crash."""
    warnings.simplefilter("ignore")  # that fits failed is what is measured
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(300, 5)), rng.integers(0, 2, 300)
    grid = {"max_depth": [2, 3, 4, 5]}
    start = time.perf_counter()
    with mock.patch.object(_children, "can_fork", lambda: forks):
        GridSearchCV(Crashing(n_estimators=5), grid, cv=3, n_jobs=2, spark="processes", refit=False).fit(X, y)
    return time.perf_counter() - start


def main(argv: Sequence[str] | None = None) -> None:
    """Measure both ways in turn and print the medians."""
    from benchmarks import crashing_fits  # by its own name it is found in other processes

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--repeat", type=int, default=3, help="rounds through both (default: %(default)s)")
    asked = parser.parse_args(argv)
    seconds: dict[bool, list[float]] = {True: [], False: []}
    for _ in range(asked.repeat):
        for forks, measured in seconds.items():
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as fresh:
                measured.append(fresh.submit(crashing_fits.search, forks).result())
    forked, alone = (statistics.median(measured) for measured in seconds.values())
    print(f"forked {forked:.1f} s, started alone {alone:.1f} s: {alone / forked:.1f}x")


if __name__ == "__main__":
    main()
