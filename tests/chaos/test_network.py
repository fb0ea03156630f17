"""A host that is cut off from the network in mid-sweep, and is there again."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.chaos.cluster import Cluster
from tests.chaos.network import Network, two_hosts
from tests.chaos.rows import Figures, row
from tests.chaos.sweeps import FITS, Home, sweep_file
from tests.chaos.tables import Table, journal_outcomes

pytestmark = pytest.mark.spark
CUT_SECONDS = 30


@pytest.fixture(scope="module")
def network() -> Iterator[Network]:
    with two_hosts() as made:
        yield made


@pytest.fixture(scope="module")
def hosts(network: Network, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster with a worker on each host."""
    made = Cluster(tmp_path_factory.mktemp("hosts"), address=network.address, hosts=network.hosts)
    try:
        yield made.start()
    finally:
        made.stop()


@row(48, "one of two hosts is cut off for 30 s in mid-sweep, network namespaces")
@pytest.mark.parametrize("timeout", ["12s", "120s"], ids=["given up", "waited for"])
def test_a_host_that_is_cut_off_costs_nothing_but_time(
    home: Home, hosts: Cluster, network: Network, ref: Table, timeout: str, figures: Figures
) -> None:
    """Spark gives up the host, or waits for it, by its own time limit."""
    hosts.ensure()
    settings = hosts.settings(spark_network_timeout=timeout, spark_network_timeoutInterval="5s")
    run = home.start(sweep_file(home.data, seconds=4.0, **settings), env={"SPARK_LOCAL_IP": network.address})
    run.wait_for_outcomes(FITS // 6)
    with network.cut([*network.hosts][1]):
        before = len(journal_outcomes(run.out))
        time.sleep(CUT_SECONDS)
        figures["fits that ended meanwhile"] = len(journal_outcomes(run.out)) - before
    assert not run.ended
    done = run.wait(600)
    figures[f"network timeout {timeout}, seconds"] = done.seconds
    assert done.code == 0, done.errors[-3000:]
    assert done.table.sha256 == ref.sha256
    cells = Counter((record["candidate"], record["fold"]) for record in done.journal)
    assert len(cells) == FITS and set(cells.values()) == {1}
