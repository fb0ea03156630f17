"""Executors whose libraries are not the driver's are told by name, before or instead of computing anything."""

from __future__ import annotations

import functools
import socket
from typing import Any

import pytest

from hptune.engine import ProcessesEngine, SerialEngine
from hptune.engine._versions import _checked
from hptune.errors import ClusterError
from hptune.fitters import difference, loaded_versions
from tests.builders import flat, scored, tasks

pytestmark = pytest.mark.shares_session


@pytest.fixture
def engine(spark: Any) -> Any:
    from hptune.engine._spark import SparkEngine

    return SparkEngine(spark)


def test_everything_that_differs_is_named() -> None:
    ours = dict(loaded_versions())
    assert difference(ours, ours) == ""
    theirs = {**ours, "numpy": "1.0"}
    del theirs["xgboost"]
    assert difference(theirs, ours) == (
        f"numpy 1.0 instead of {ours['numpy']}, xgboost missing instead of {ours['xgboost']}"
    )


@pytest.mark.spark
def test_fits_on_an_executor_with_other_versions_end_the_sweep_and_name_both(engine: Any) -> None:
    ours = {**loaded_versions(), "xgboost": "0.1.2"}
    work = functools.partial(_checked, ours, scored)
    with pytest.raises(ClusterError) as refused:
        list(engine.run(tasks(4), work, "test"))
    assert refused.value.what == (
        f"the executor on {socket.gethostname()} has xgboost {loaded_versions()['xgboost']} instead of 0.1.2"
    )
    outcomes = flat(engine.run(tasks(4), scored, "test"))
    assert [outcome.status for outcome in outcomes] == ["ok"] * 4


@pytest.mark.spark
def test_the_hosts_are_those_of_the_workers(engine: Any) -> None:
    (host,) = engine.hosts()
    assert (host.name, host.slots) == (socket.gethostname(), 2)
    assert 0 < host.memory < ProcessesEngine(2).hosts()[0].memory  # Java has its share


def test_engines_without_executors_have_one_host() -> None:
    for engine in (SerialEngine(), ProcessesEngine(2)):
        (host,) = engine.hosts()
        assert (host.name, host.slots) == (socket.gethostname(), engine.slots)
