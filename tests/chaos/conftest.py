"""Shared by every row: data, the undisturbed table, a cluster, and the closing table of rows."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.cluster import Cluster
from tests.chaos.processes import Processes
from tests.chaos.rows import Figures, rows_of, table_lines
from tests.chaos.sweeps import FITS, Done, Home, environment_of, sweep_file, write_data
from tests.chaos.tables import Table
from tests.warm import Warm


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "row(number, fault): a row of the fault table in docs/reliability.md")


@pytest.fixture(autouse=True)
def _told(request: pytest.FixtureRequest) -> None:
    """The row, for the closing table."""
    marker = request.node.get_closest_marker("row")
    if marker is not None:
        properties = request.node.user_properties
        properties += [("row", marker.args[0]), ("fault", marker.args[1])]
        if "seed" in request.fixturenames:
            properties.append(("seed", request.getfixturevalue("seed")))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    reports = [
        r for kind in ("passed", "failed", "error", "skipped") for r in terminalreporter.stats.get(kind, ())
    ]
    rows = rows_of(report for report in reports if isinstance(report, pytest.TestReport))
    if not rows:
        return
    terminalreporter.section("faults")
    for line in table_lines(rows):
        terminalreporter.write_line(line)
    for entry in rows:
        if entry.seeds:
            seeds = ", ".join(map(str, sorted(entry.seeds)))
            terminalreporter.write_line(f"seeds of row {entry.number}, {entry.fault}: {seeds}")


@pytest.fixture
def figures(request: pytest.FixtureRequest) -> Figures:
    """Where a test tells what it measured. The default suite runs several at once: there no limit counts."""
    alone = "not slow" not in request.config.option.markexpr
    return Figures(request.node.user_properties, limited=alone)


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("data") / "table.csv")


@pytest.fixture(scope="session")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warm]:
    mark = str(tmp_path_factory.mktemp("warm"))
    server = Warm(environment_of(mark))
    yield server
    server.close()
    Processes(mark).assert_gone()


@pytest.fixture(scope="session")
def undisturbed_sweep(tmp_path_factory: pytest.TempPathFactory, data: Path, warm: Warm) -> Done:
    home = Home(tmp_path_factory.mktemp("ref"), data, warm)
    done = home.quick(sweep_file(data, seconds=0.0))
    assert done.code == 0, done.errors
    assert len(done.journal) == FITS
    return done


@pytest.fixture(scope="session")
def ref(undisturbed_sweep: Done) -> Table:
    """The table of the undisturbed sweep."""
    return undisturbed_sweep.table


@pytest.fixture
def home(tmp_path: Path, data: Path, warm: Warm) -> Iterator[Home]:
    """Where a test's sweeps run. Afterwards nothing that they started may be left."""
    made = Home(tmp_path, data, warm)
    yield made
    made.close()


@pytest.fixture
def finished(undisturbed_sweep: Done, home: Home) -> Path:
    """The directory of a sweep of this test's own, which has ended undisturbed."""
    return Path(shutil.copytree(undisturbed_sweep.out, home.directory / "out"))


@pytest.fixture(scope="session")
def session_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path_factory.mktemp("cluster"))
    try:
        yield cluster.start()
    finally:
        cluster.stop()


@pytest.fixture
def cluster(session_cluster: Cluster) -> Iterator[Cluster]:
    """The cluster with both its workers, and no executor of another test's."""
    session_cluster.ensure()
    yield session_cluster
