"""What telling MLflow costs a sweep: 500 children of 2 s fits, simulated by their count, on a real local server.

    python benchmarks/mlflow_overhead.py [--children 500] [--pace 0.0]

The same sweep without and with tracking, its fits replaced by their outcomes (``--pace`` seconds apart): what the
loop itself takes longer, the processor time that the background thread costs, and how long all of it takes to send.
The shares are of a sweep that takes 2 s a child on each of 2 slots.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import uuid
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sklearn.linear_model import Ridge

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from hptune.config import TrackingConfig  # noqa: E402
from hptune.engine import SerialEngine  # noqa: E402
from hptune.records import FitTask, Outcome  # noqa: E402
from hptune.sweep import run  # noqa: E402
from hptune.tracking import send_missing, tracked  # noqa: E402
from tests.builders import Case, numbers_table, sweep_of  # noqa: E402
from tests.tracking.server import running_server  # noqa: E402

FIT_SECONDS = 2.0
SLOTS = 2
FOLDS = 5
PARAMETERS = 10


class Simulated(SerialEngine):
    """Outcomes as of fits that take `FIT_SECONDS` for all folds together, without the fits."""

    def __init__(self, pace: float) -> None:
        self.pace = pace
        self.seconds = 0.0  # of the loop, from its first outcome to its last

    def run(
        self, tasks: Sequence[FitTask], work: Any, description: str
    ) -> Generator[list[Outcome], None, None]:
        """All folds of a candidate together."""
        by_candidate: dict[int, list[FitTask]] = {}
        for task in tasks:
            by_candidate.setdefault(task.rungs[0].candidate, []).append(task)
        begun = time.perf_counter()
        for candidate, its in by_candidate.items():
            time.sleep(self.pace)
            yield [
                Outcome(
                    candidate, task.fold, "ok", {"score": 1 / (1 + candidate + task.fold)},
                    fit_time=FIT_SECONDS / FOLDS, work_time=FIT_SECONDS / FOLDS, fit_id=task.id,
                )
                for task in its
            ]  # fmt: skip
        self.seconds = time.perf_counter() - begun


@dataclass(frozen=True)
class Measured:
    """Seconds: of the loop, of the processor, and until everything was sent."""

    loop: float
    processor: float
    whole: float


def measure(children: int, pace: float, uri: str | None) -> Measured:
    """One sweep; without `uri` nothing is tracked."""
    grid = {"alpha": [1.0 + number for number in range(children)], "tol": 0.01, "max_iter": 10}
    more = {f"note{number}": number for number in range(PARAMETERS - len(grid))}
    sweep = sweep_of(
        Case(Ridge(), {**grid}, *numbers_table(60), cv=FOLDS), config={"notes": more}, refit=False
    )
    engine, said = Simulated(pace), list[str]()
    with tempfile.TemporaryDirectory() as name:
        begun, used = time.perf_counter(), time.process_time()
        tracking = None if uri is None else TrackingConfig(uri, f"benchmark {uuid.uuid4().hex}")
        with tracked(tracking, "benchmark", Path(name), name, said.append, engine) as (found, on):
            run(sweep, on, out=Path(name), observers=found)
        if said and uri is not None:
            send_missing(Path(name), uri, print)
        return Measured(engine.seconds, time.process_time() - used, time.perf_counter() - begun)


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--children", type=int, default=500)
    parser.add_argument("--pace", type=float, default=0.0, help="seconds between two children (default 0)")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, running_server(Path(name)) as server:
        measure(2, 0.0, server.uri)  # the client is loaded and the experiment's tables are warm
        without = measure(given.children, given.pace, None)
        told = measure(given.children, given.pace, server.uri)
    sweep = given.children * FIT_SECONDS / SLOTS
    loop, processor = told.loop - without.loop, told.processor - without.processor
    print(
        f"{given.children} children: the loop {without.loop:.2f} s without, {told.loop:.2f} s with tracking"
    )
    later = told.whole - without.whole
    print(f"all sent {later:.1f} s later: {1000 * later / given.children:.1f} ms a child")
    print(f"processor time of the driver: {1000 * processor / given.children:.1f} ms a child")
    print(f"of a sweep of {sweep:.0f} s on {SLOTS} slots: the loop {loop / sweep:.2%} longer,")
    print(f"processor time {processor / (sweep * SLOTS):.2%} of all there is")


if __name__ == "__main__":
    main()
