"""A cluster under one fault after the other, with slow or bad hosts, with nobody to work, or not there at all."""

from __future__ import annotations

import signal
from collections import Counter

import pytest

from tests.chaos.cluster import HOSTS, Cluster
from tests.chaos.processes import send
from tests.chaos.rows import Figures, row
from tests.chaos.sweeps import BAD, FITS, FOLDS, Done, Home, Run, local_spark, sweep_file
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


def assert_cluster_error(done: Done, figures: Figures, name: str) -> None:
    assert done.code == 8, done.errors
    assert done.error
    assert "Traceback" not in done.errors
    assert not done.journal
    figures.bounded(f"{name}, rc 8 after s", done.seconds, 35)


@row(44, "no executors within the time that Spark waits for them", short=1)
@pytest.mark.parametrize("seconds", [5, pytest.param(30, marks=pytest.mark.slow)])
def test_no_executors_are_told_soon(home: Home, cluster: Cluster, seconds: int, figures: Figures) -> None:
    settings = cluster.settings(
        spark_executor_memory="8g",  # more than a worker has
        spark_scheduler_maxRegisteredResourcesWaitingTime=f"{seconds}s",
    )
    done = home.quick(sweep_file(home.data, **settings))
    assert_cluster_error(done, figures, f"no executors, of {seconds} s")


@row(44, "no master")
def test_no_master_is_told_soon(home: Home, figures: Figures) -> None:
    done = home.sweep(sweep_file(home.data, **local_spark("spark://127.0.0.1:9")))
    assert_cluster_error(done, figures, "no master")


@row(44, "a wrong spark.authenticate.secret")
def test_a_wrong_secret_is_told_soon(
    home: Home, tmp_path_factory: pytest.TempPathFactory, figures: Figures
) -> None:
    options = {"spark.authenticate": "true", "spark.authenticate.secret": "right"}
    guarded = Cluster(tmp_path_factory.mktemp("guarded"), options)
    try:
        guarded.start()
        wrong = {"spark_authenticate": "true", "spark_authenticate_secret": "wrong"}
        settings = guarded.settings(**wrong, spark_scheduler_maxRegisteredResourcesWaitingTime="30s")
        done = home.sweep(sweep_file(home.data, **settings))
    finally:
        guarded.stop()
    assert_cluster_error(done, figures, "wrong secret")
