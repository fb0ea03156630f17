"""What policies save in boosting rounds, and what it costs to report: `python -m benchmarks.early_termination`.

Random searches of 64 candidates on a generated table and on the files that `hptune sample` writes, each run to its
end and under policies, one fit after the other, so that every run counts the same rounds. Exit code 1: a policy
saved less than it should, or its winner's score is farther than a tenth of a standard deviation from the best.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd

from hptune.build import build_sweep
from hptune.config import SweepConfig, parse_config
from hptune.engine import SerialEngine
from hptune.fitters import Reports
from hptune.live import Address, LiveServer
from hptune.policies import BanditPolicy, Policy, parse_policy
from hptune.sample import write_sample
from hptune.summary import SweepResult
from hptune.sweep import Sweep, agenda, run
from hptune.termination import Judge
from hptune.termination._reports import _Remote

CANDIDATES = 64
CLOSE = 0.1  # of the best candidate's standard deviation over folds
MOST_COST = 0.01  # of fits, for the channel
LEAST = {"asha": 3.0, "racing": 1.7}
POLICIES: dict[str, dict[str, Any]] = {
    "asha": {"type": "asha", "min_resource": 15},
    "racing": {"type": "racing"},
    "bandit": {"type": "bandit", "slack_factor": 0.2, "evaluation_interval": 5, "delay_evaluation": 10},
    "median_stopping": {"type": "median_stopping", "evaluation_interval": 5, "delay_evaluation": 10},
    "truncation_selection": {
        "type": "truncation_selection",
        "truncation_percentage": 30,
        "evaluation_interval": 10,
    },
}

SHORT: dict[str, dict[str, Any]] = {  # for fewer rounds, and candidates that are closer to each other
    **POLICIES,
    "asha": {"type": "asha", "min_resource": 8},
    "racing": {"type": "racing", "alpha": 0.1},
}


@dataclass(frozen=True)
class Saving:
    """What a policy made of a search."""

    rounds: int
    times_fewer: float
    whole: int
    from_best: float  # standard deviations

    def keeps(self, policy: str) -> bool:
        """Whether it saved what it should, and found as good a winner."""
        return self.times_fewer >= LEAST.get(policy, 1.0) and (policy not in LEAST or self.from_best <= CLOSE)


def own_table(directory: Path, rows: int = 500) -> dict[str, Any]:
    """A regression whose answer has steps, products and noise."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(rows, 10))
    y = X[:, 0] * X[:, 1] + 2 * (X[:, 2] > 0.5) + np.sin(2 * X[:, 3]) + 0.5 * rng.normal(size=rows)
    pd.DataFrame(X, columns=[f"x{n}" for n in range(10)]).assign(y=y).to_csv(
        directory / "own.csv", index=False
    )
    return {
        "data": {"path": str(directory / "own.csv"), "target": "y"},
        "estimator": "xgboost.XGBRegressor",
        "search_space": {
            "n_estimators": 150,
            "learning_rate": "float(0.05, 0.3, log=true)",
            "max_depth": "int(1, 6)",
            "subsample": "uniform(0.3, 1)",
            "colsample_bytree": "uniform(0.2, 1)",
            "min_child_weight": "float(1, 30, log=true)",
            "reg_lambda": "float(0.1, 30, log=true)",
            "max_bin": 32,
            "seed": 0,
        },
        "objective": {"primary_metric": "neg_root_mean_squared_error"},
    }


def talkingdata(directory: Path) -> dict[str, Any]:
    """The generated TalkingData files; lengths are drawn too, so that candidates share fits."""
    write_sample(directory / "talkingdata", scale=0.01)
    return {
        "data": {"path": str(directory / "talkingdata"), "format": "talkingdata", "encoding": "indicator"},
        "estimator": "xgboost.XGBClassifier",
        "search_space": {
            "n_estimators": [20, 40, 60],
            "learning_rate": [0.01, 0.02, 0.05, 0.1, 0.2],
            "max_depth": [1, 2, 3, 4],
            "colsample_bytree": [0.1, 0.4],
            "subsample": 0.7,
            "objective": "multi:softprob",
            "seed": 0,
        },
        "objective": {"primary_metric": "neg_log_loss"},
    }


def search(table: Mapping[str, Any], candidates: int, cache: Path) -> Sweep:
    """The exhaustive search of so many candidates."""
    raw = {
        **table,
        "sampling_algorithm": {"type": "random", "seed": 0},
        "limits": {"max_total_trials": candidates},
        "cv": {"type": "KFold", "n_splits": 5, "shuffle": True, "random_state": 0},
        "refit": False,
    }
    return build_sweep(cast(SweepConfig, parse_config(raw)), cache=cache)


def saving(exhaustive: SweepResult, under: SweepResult) -> Saving:
    """Rounds of both, and how far the winner's whole score is from the best."""
    rounds = int(under.table["rounds_trained"].sum())
    spread = float(exhaustive.cv_results_["std_test_score"][exhaustive.best_index])
    score = float(exhaustive.cv_results_["mean_test_score"][under.best_index])
    return Saving(
        rounds=rounds,
        times_fewer=float(exhaustive.table["rounds_trained"].sum()) / rounds,
        whole=int((under.table["status"] == "ok").sum()),
        from_best=(exhaustive.best_score - score) / spread,
    )


def compare(name: str, sweep: Sweep, policies: Mapping[str, Mapping[str, Any]]) -> bool:
    """Run the search to its end and under each policy; whether all kept what they should."""
    exhaustive = run(sweep, SerialEngine())
    saved = exhaustive.savings
    asked = 0 if saved is None else saved.rounds_asked
    rounds = int(exhaustive.table["rounds_trained"].sum())
    print(
        f"\n{name} table: {len(sweep.candidates)} candidates, {len(sweep.folds)} folds; to the end, with ladders:"
    )
    print(f"{rounds:,} rounds ({asked:,} without), best {exhaustive.best_score:.5f}\n")
    print(
        "| policy | rounds | times fewer | candidates to the end | winner, standard deviations from the best |"
    )
    print("|---|---|---|---|---|")
    kept = True
    for policy, parameters in policies.items():
        under = run(replace(sweep, early_termination=parse_policy(parameters)), SerialEngine())
        told = saving(exhaustive, under)
        kept &= told.keeps(policy)
        note = "" if told.keeps(policy) else " **NOT KEPT**"
        cells = f"{told.rounds:,} | {told.times_fewer:.2f} | {told.whole} | {told.from_best:.3f}"
        print(f"| `{parameters}` | {cells}{note} |", flush=True)
    return kept


class _Timed:
    """Reports, and the processor seconds that the fits spent on them."""

    def __init__(self, reports: Reports) -> None:
        self.reports = reports
        self.seconds = 0.0

    def reads(self, step: int) -> bool:
        return self.reports.reads(step)

    def report(self, run: int, step: int, value: float) -> bool:
        return bool(self._timed(lambda: self.reports.report(run, step, value)))

    def stops(self, run: int) -> bool:
        return bool(self._timed(lambda: self.reports.stops(run)))

    def finish(self, run: int) -> int:
        return int(self._timed(lambda: self.reports.finish(run)))

    def _timed(self, call: Callable[[], Any]) -> Any:
        start = time.thread_time()
        try:
            return call()
        finally:
            self.seconds += time.thread_time() - start


def channel_cost(sweep: Sweep) -> float:
    """The share of fits that reporting every round over the live channel takes, in processor time at both ends.

    The driver is a process apart. Wall time would tell of the other programs that the machine runs.
    """
    policy: Policy = BanditPolicy(slack_factor=1000.0)  # judges every round and stops nobody
    under = replace(sweep, early_termination=policy)
    parent, child = multiprocessing.get_context("spawn").Pipe()
    driver = multiprocessing.get_context("spawn").Process(target=_serve, args=(policy, child), daemon=True)
    driver.start()
    address: Address = parent.recv()
    timed = _Timed(_Remote(address, policy))
    with under.working(SerialEngine(), len(under.candidates), None, timed) as work:
        timed.report(-1, 1, float("nan"))  # the connection, once for each process
        timed.finish(-1)
        timed.seconds = 0.0
        start = time.process_time()
        outcomes = [outcome for task in agenda(under).tasks for outcome in work(task)]
        seconds = time.process_time() - start
    parent.send(None)
    served = float(parent.recv())
    driver.join()
    rounds, share = sum(outcome.rounds_trained for outcome in outcomes), (timed.seconds + served) / seconds
    print(
        f"\n{rounds:,} rounds, each scored and reported: {seconds:.1f} s of processor time, of which reporting"
    )
    print(f"{timed.seconds:.3f} s, and {served:.3f} s on the driver: {100 * share:.2f} %")
    return share


def _serve(policy: Policy, connection: Connection[Any, Any]) -> None:
    with LiveServer(Judge(policy).take) as server:
        start = time.process_time()
        connection.send(server.address)
        connection.recv()
        connection.send(time.process_time() - start)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--candidates", type=int, default=CANDIDATES)
    parser.add_argument(
        "--table", choices=["own", "talkingdata"], help="one of them; both where it is not given"
    )
    parser.add_argument("--policy", choices=[*POLICIES], action="append", help="by default asha and racing")
    given = parser.parse_args(arguments)
    kept = True
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        for title, table, policies in (("own", own_table, POLICIES), ("talkingdata", talkingdata, SHORT)):
            if given.table in (None, title):
                sweep = search(table(directory), given.candidates, directory / "cache")
                kept &= compare(title, sweep, {name: policies[name] for name in given.policy or LEAST})
        kept &= channel_cost(search(own_table(directory, rows=20_000), 2, directory / "cache")) < MOST_COST
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
