"""Run the same grids through several contenders in turn and print who took how long.

    python -m benchmarks.compare [--workload NAME ...] [--repeat N]

Ends with exit code 1 if any score of any contender differs from another's in its last bit.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pyspark.sql import SparkSession
from rich.console import Console
from rich.table import Table

from benchmarks import workloads
from benchmarks.contenders import SLOTS, Contender, Scores, contenders
from benchmarks.limit import lower_limit
from benchmarks.machine import Load
from benchmarks.workloads import Workload
from hptune.engine import BY_NAME as ENGINES

__all__ = ["Timing", "compare", "disagreeing", "main"]

_MASTER = "local[2,4]"
_COLUMNS = ("seconds", "x best other", "of the limit", "own CPU s / slots", "cores held by others")
_DEFAULT = ("ladder", "no_ladder", "short")


@dataclass(frozen=True)
class Timing:
    """One run of one contender: its scores and what it cost."""

    scores: Scores
    load: Load


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for; 0 if all scores agree."""
    options = _parsed(arguments)
    start = time.perf_counter()
    engine = ENGINES["spark"]({"master": _MASTER}, "benchmark")
    spark = SparkSession.getActiveSession()
    assert spark is not None
    _say(f"Spark {spark.version} started in {time.perf_counter() - start:.1f} s")
    try:
        who = contenders(spark, engine)
        return max(compare(workloads.BY_NAME[name](), who, options.repeat) for name in options.workload)
    finally:
        engine.close()


def compare(workload: Workload, who: Mapping[str, Contender], repeat: int = 1) -> int:
    """Run every contender `repeat` times in turn and print the table; 1 if their scores differ."""
    fits = len(workload.candidates) * len(workload.folds)
    unique = len(workload.unique_fits) * len(workload.folds)
    _say(f"\n{workload.name}: {fits} fits asked for, {unique} unique, X {workload.X.shape}")
    timings: dict[str, list[Timing]] = {name: [] for name in who}
    limits = []
    for _ in range(repeat):
        for name, contender in who.items():
            timing = _timed(workload, contender)
            timings[name].append(timing)
            _say(f"  {name}: {timing.load.seconds:.2f} s, others held {timing.load.others:.2f} cores")
        limits.append(lower_limit(workload))
    Console(width=110).print(_table(timings, statistics.median(limits)))
    wrong = disagreeing({name: [run.scores for run in runs] for name, runs in timings.items()})
    if wrong:
        _say(f"SCORES DIFFER from {next(iter(who))}: {', '.join(wrong)}")
        return 1
    _say(f"all scores identical to the last bit ({fits} scores a contender)")
    return 0


def disagreeing(scores: Mapping[str, Sequence[Scores]]) -> list[str]:
    """Names whose scores, in any of their runs, differ in any bit from the first one's first run.

    Examples
    --------
    >>> import numpy as np
    >>> disagreeing({"a": [np.array([0.1])], "b": [np.array([0.1])], "c": [np.array([np.nextafter(0.1, 1)])]})
    ['c']
    """
    expected = next(iter(scores.values()))[0].tobytes()
    return [name for name, runs in scores.items() if any(run.tobytes() != expected for run in runs)]


def _timed(workload: Workload, contender: Contender) -> Timing:
    """One run, after the contender's workers were started and had imported and seen what they need."""
    warm_up = {name: list(values)[:1] for name, values in workload.grid.items()}
    contender(workload.with_grid(warm_up | {"n_estimators": [1], "min_child_weight": [1, 2]}))
    load = Load()
    scores = contender(workload)
    return Timing(scores, load.stop())


def _table(timings: Mapping[str, Sequence[Timing]], limit: float) -> Table:
    seconds = {name: statistics.median(run.load.seconds for run in runs) for name, runs in timings.items()}
    table = Table("contender", *_COLUMNS)
    for name, own in seconds.items():
        best_other = min((value for other, value in seconds.items() if other != name), default=own)
        cpu = statistics.median(run.load.own for run in timings[name]) / SLOTS
        held = statistics.median(run.load.others for run in timings[name])
        row = (f"{own:.2f}", f"{best_other / own:.2f}", f"{limit / own:.0%}", f"{cpu:.2f}", f"{held:.2f}")
        table.add_row(name, *row)
    table.add_row("lower limit", f"{limit:.2f}", "", "100%", f"{limit:.2f}", "")
    return table


def _parsed(arguments: Sequence[str] | None) -> Any:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compare", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        "--workload",
        nargs="+",
        choices=list(workloads.BY_NAME),
        default=list(_DEFAULT),
        metavar="NAME",
        help=f"of {', '.join(workloads.BY_NAME)}; default {', '.join(_DEFAULT)}",
    )
    parser.add_argument("--repeat", type=int, default=1, help="rounds through all contenders; medians count")
    return parser.parse_args(arguments)


_say: Callable[[str], None] = Console(highlight=False, soft_wrap=True).print

if __name__ == "__main__":
    sys.exit(main())
