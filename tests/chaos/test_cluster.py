"""A cluster under one fault after the other, one that tries fits on a second host too, and one with a bad host."""

from __future__ import annotations

import signal
from collections import Counter

import pytest

from tests.chaos.cluster import HOSTS, Cluster
from tests.chaos.processes import send
from tests.chaos.rows import Figures, row
from tests.chaos.sweeps import BAD, FITS, FOLDS, Home, Run, sweep_file
from tests.chaos.tables import Table, journal_outcomes

pytestmark = pytest.mark.spark
FAULTS = (
    "in one sweep: SIGKILL an executor (1), a Python worker (3), a daemon (6), a node that comes back (5), at last the"
    " JVM (8), and resume without Spark; a parameter set that ends its process by a segfault (2, 23)"
)


@row(1, FAULTS, short=1)
def test_a_sweep_outlives_one_fault_after_the_other(
    home: Home, cluster: Cluster, ref: Table, figures: Figures
) -> None:
    config = sweep_file(home.data, seconds=2.0, bad=[BAD("segfault")], **cluster.settings())
    run = home.start(config, how="warm")
    more_outcomes(run)
    send(cluster.processes.executors()[0], signal.SIGKILL)
    more_outcomes(run)
    send(cluster.processes.workers()[0], signal.SIGKILL)
    more_outcomes(run)
    send(cluster.processes.daemons()[0], signal.SIGKILL)
    more_outcomes(run)
    for process in cluster.processes.node(HOSTS[1]):
        send(process, signal.SIGKILL)
    cluster.start_worker(HOSTS[1])
    more_outcomes(run)
    for jvm in home.processes.jvms():
        send(jvm, signal.SIGKILL)
    assert run.wait().code == 8

    before = journal_outcomes(run.out)
    done = home.quick(config, "--resume", "--engine", "processes")
    assert done.code == 0, done.errors[-3000:]
    assert done.table.good.sha256 == ref.sha256
    assert done.journal[: len(before)] == before
    times = Counter((record["candidate"], record["fold"]) for record in done.journal)
    assert len(times) == FITS + FOLDS and set(times.values()) == {1}
    figures["finished before the JVM's end"] = len(before)


def more_outcomes(run: Run) -> None:
    """Wait until some more fits have ended."""
    run.wait_for_outcomes(len(journal_outcomes(run.out)) + 2)
    assert not run.ended, run.errors[-3000:]


@row(26, "speculation on two hosts", short=1)
def test_a_fit_that_is_tried_on_two_hosts_is_one_row(home: Home, cluster: Cluster, ref: Table) -> None:
    options = {
        "spark_speculation": "true",
        "spark_speculation_interval": "100ms",
        "spark_speculation_quantile": "0.3",
        "spark_speculation_multiplier": "1.5",
    }
    place = home.directory / "once"
    place.mkdir()
    config = sweep_file(home.data, seconds=0.2, bad=[BAD("hang once", place=str(place))])
    done = home.quick(config | cluster.settings(**options))
    assert (place / "hangs").exists()
    assert done.code == 0, done.errors
    cells = Counter((record["candidate"], record["fold"]) for record in done.journal)
    assert len(cells) == FITS + 3 and set(cells.values()) == {1}
    assert done.table.of_fault("hang once")["status"] == "ok"
    assert ref.scores.items() == done.table.scores.items()


@row(28, "one of two hosts always fails, exclusion on", short=1)
def test_a_host_that_always_fails_is_left_alone(
    home: Home, cluster: Cluster, ref: Table, figures: Figures
) -> None:
    place = home.directory / "tried"
    place.mkdir()
    config = sweep_file(home.data, seconds=0.1)
    config["search_space"] |= {"fault": "exit on host", "place": str(place)}
    done = home.quick(config | cluster.settings(spark_excludeOnFailure_enabled="true"))
    assert done.code == 0, done.errors
    assert done.table.scores == ref.scores
    tried = Counter(path.name.split("_")[0] for path in place.iterdir())
    figures["attempts a fit there, at most"] = max(tried.values())
    assert max(tried.values()) <= 2
    assert len(done.journal) == FITS
