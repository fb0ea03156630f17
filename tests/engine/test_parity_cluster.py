"""Executors in processes of their own, with the package shipped to them, give scikit-learn's table too."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pyspark import SparkContext, SparkFiles

from hptune.engine import Engine
from tests.engine.cases import NAMES, assert_scikit_learns_answer
from tests.sessions import spark_session

pytestmark = pytest.mark.spark


@pytest.fixture(scope="module")
def cluster() -> Iterator[Engine]:
    from hptune.engine._spark import SparkEngine

    with spark_session("local-cluster[2,1,1024]") as session:
        yield SparkEngine(session)


@pytest.mark.parametrize("name", NAMES)
def test_a_cluster_gives_scikit_learns_answer(name: str, cluster: Engine) -> None:
    assert_scikit_learns_answer(name, cluster)


def test_large_data_goes_to_each_host_as_a_file_of_which_the_driver_keeps_nothing(
    cluster: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hptune.engine._spark.BROADCAST_BYTES", 0)
    for _ in range(2):
        assert_scikit_learns_answer("logistic regression, 30,000 dense rows", cluster)
    sc: Any = SparkContext.getOrCreate()
    names = [Path(url).name for url in sc.listFiles if url.endswith(".buffers")]
    served = [path for name in names for path in Path(tempfile.gettempdir()).glob(f"hptune-session-*/{name}")]
    driver_reads = [Path(SparkFiles.get(name)) for name in names]
    assert len(served) == len(driver_reads) == 2
    assert {path.stat().st_size for path in served + driver_reads} == {0}


def test_a_cluster_gives_a_fit_the_cores_of_a_task(cluster: Engine) -> None:
    assert cluster.threads(1) == 1
