"""Every engine's table is the one that scikit-learn's GridSearchCV makes, bit for bit."""

from __future__ import annotations

from typing import Any

import pytest

from hptune.engine import Engine, ProcessesEngine, SerialEngine
from tests.engine.cases import NAMES, assert_scikit_learns_answer

pytestmark = pytest.mark.shares_session


@pytest.fixture
def local_spark(spark: Any) -> Engine:
    from hptune.engine._spark import SparkEngine

    return SparkEngine(spark)


@pytest.mark.parametrize("name", NAMES)
def test_serial_engine_gives_scikit_learns_answer(name: str) -> None:
    assert_scikit_learns_answer(name, SerialEngine())


@pytest.mark.parametrize("name", NAMES)
def test_processes_engine_gives_scikit_learns_answer(name: str) -> None:
    assert_scikit_learns_answer(name, ProcessesEngine(2))


@pytest.mark.spark
@pytest.mark.parametrize("name", NAMES)
def test_local_spark_gives_scikit_learns_answer(name: str, local_spark: Engine) -> None:
    assert_scikit_learns_answer(name, local_spark)
