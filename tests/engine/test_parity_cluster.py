"""Executors in processes of their own, with the package shipped to them, give scikit-learn's table too."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hptune.engine import Engine
from tests.builders import spark_session
from tests.engine.cases import NAMES, assert_scikit_learns_answer

pytestmark = pytest.mark.spark


@pytest.fixture(scope="module")
def cluster() -> Iterator[Engine]:
    from hptune.engine._spark import SparkEngine

    with spark_session("local-cluster[2,1,1024]") as session:
        yield SparkEngine(session)


@pytest.mark.parametrize("name", NAMES)
def test_a_cluster_gives_scikit_learns_answer(name: str, cluster: Engine) -> None:
    assert_scikit_learns_answer(name, cluster)


def test_a_cluster_gives_a_fit_the_cores_of_a_task(cluster: Engine) -> None:
    assert cluster.threads(1) == 1
