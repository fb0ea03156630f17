"""Executors, Python workers, their daemon and whole nodes are killed while a sweep runs: its table is the same."""

from __future__ import annotations

import random
import signal
from collections import Counter

import pytest

from tests.chaos.cluster import HOSTS, Cluster
from tests.chaos.processes import send
from tests.chaos.rows import Figures, row
from tests.chaos.sweeps import (
    FITS,
    Done,
    Home,
    kill_workers_until_the_end,
    local_spark,
    sweep_file,
    write_data,
)
from tests.chaos.tables import Table

pytestmark = pytest.mark.spark


def assert_undisturbed(done: Done, ref: Table) -> None:
    """Exit code 0, the same table, and each fold's fit in the journal once."""
    assert done.code == 0, done.errors[-3000:]
    assert done.table.sha256 == ref.sha256
    cells = Counter((record["candidate"], record["fold"]) for record in done.journal)
    assert len(cells) == FITS
    assert set(cells.values()) == {1}


@pytest.fixture(scope="module")
def undisturbed_seconds(
    session_cluster: Cluster, tmp_path_factory: pytest.TempPathFactory, ref: Table
) -> float:
    """What the sweep takes on the cluster where nothing happens."""
    directory = tmp_path_factory.mktemp("undisturbed")
    home = Home(directory, write_data(directory / "table.csv"), None)
    done = home.sweep(sweep_file(home.data, seconds=0.5, **session_cluster.settings()))
    home.close()
    assert_undisturbed(done, ref)
    return done.seconds


@row(1, "SIGKILL an executor at 30 %")
def test_a_killed_executor_costs_nothing(home: Home, cluster: Cluster, ref: Table, figures: Figures) -> None:
    run = home.start(sweep_file(home.data, seconds=0.5, **cluster.settings()))
    run.wait_for_outcomes(FITS * 3 // 10)
    victims = cluster.processes.executors()
    assert victims
    send(victims[0], signal.SIGKILL)
    done = run.wait()
    figures["seconds"] = done.seconds
    assert_undisturbed(done, ref)


@row(5, "SIGKILL a worker daemon with all that it started, start it again later")
def test_a_lost_node_costs_nothing_but_time(
    home: Home, cluster: Cluster, ref: Table, undisturbed_seconds: float, figures: Figures
) -> None:
    run = home.start(sweep_file(home.data, seconds=0.5, **cluster.settings()))
    run.wait_for_outcomes(FITS * 3 // 10)
    for process in cluster.processes.node(HOSTS[1]):
        send(process, signal.SIGKILL)
    run.wait_for_outcomes(FITS * 6 // 10)
    cluster.start_worker(HOSTS[1])
    done = run.wait()
    figures["undisturbed"] = undisturbed_seconds
    assert_undisturbed(done, ref)
    figures.bounded("seconds", done.seconds, 2 * undisturbed_seconds + 30)


@row(3, "SIGKILL a random Python worker every 3 s while fits go on ending, on a cluster", tries=10)
def test_random_kills_of_workers_on_a_cluster(
    home: Home, cluster: Cluster, ref: Table, seed: int, figures: Figures
) -> None:
    run = home.start(sweep_file(home.data, seconds=0.6, **cluster.settings()))
    figures["kills"] = kill_workers_until_the_end(run, cluster.processes, seed)
    assert_undisturbed(run.wait(), ref)


@row(4, "the same on local[2], where a task has one attempt", tries=10)
def test_random_kills_of_workers_where_a_task_has_one_attempt(
    home: Home, ref: Table, seed: int, figures: Figures
) -> None:
    run = home.start(sweep_file(home.data, seconds=0.6, **local_spark("local[2]")))
    figures["kills"] = kill_workers_until_the_end(run, home.processes, seed)
    assert_undisturbed(run.wait(), ref)


@row(6, "SIGKILL pyspark.daemon in a fit", tries=5)
def test_a_killed_daemon_leaves_no_orphan(home: Home, ref: Table, seed: int, figures: Figures) -> None:
    run = home.start(sweep_file(home.data, seconds=0.5, **local_spark()))
    run.wait_for_outcomes(random.Random(seed).randrange(1, FITS * 3 // 4))
    orphans = home.processes.workers()
    for daemon in home.processes.daemons():
        send(daemon, signal.SIGKILL)
    done = run.wait()
    assert orphans
    assert_undisturbed(done, ref)
    figures.bounded("orphans gone after s", home.processes.assert_gone(), 10)
