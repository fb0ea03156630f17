"""A pytest plugin that runs scikit-learn's own tests of its searches against ours.

``HPTUNE_TEST_MASTER`` names the Spark master of a session that is active while they run; without it the fits run
in the process of the tests.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
import sklearn.model_selection

import hptune
from tests.sessions import spark_session

# Cases that cannot pass on a cluster, by the beginning of their names, each with its reason. Those of the halving
# searches, which are scikit-learn's own, stay in: search0 and search1 are ours.
_CALLBACKS = "callbacks cannot watch fits on executors: refused by name"
_REGISTRY = (
    "looks for what a scorer wrote into a list of the driver's process; n_jobs=2 would not fill it either"
)
NOT_ON_SPARK = {
    "test_multi_metric_search_forwards_metadata": _REGISTRY,
    "test_search_callbacks_no_propagation[search0": _CALLBACKS,
    "test_search_callbacks_no_propagation[search1": _CALLBACKS,
    "test_search_callbacks_propagation[search0": _CALLBACKS,
    "test_search_callbacks_propagation[search1": _CALLBACKS,
    "test_search_callbacks_receive_sample_weight": _CALLBACKS,
    "test_search_callbacks_receive_search_instance[search0": _CALLBACKS,
    "test_search_callbacks_receive_search_instance[search1": _CALLBACKS,
    "test_search_callbacks_with_partial_fit_failures": _CALLBACKS,
    "test_search_cv_verbose_3": "the lines of verbose fits are printed where the fits run, on executors",
    "test_searchcv_raise_warning_with_non_finite_score": "counts all warnings; pyspark leaves sockets open",
}

_MASTER = os.environ.get("HPTUNE_TEST_MASTER")


def pytest_configure() -> None:
    """The test module takes the classes from here when it is collected, which is after this."""
    sklearn.model_selection.GridSearchCV = hptune.GridSearchCV
    sklearn.model_selection.RandomizedSearchCV = hptune.RandomizedSearchCV


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not _MASTER:
        return
    refused = [item for item in items if item.name.startswith(tuple(NOT_ON_SPARK))]
    config.hook.pytest_deselected(items=refused)
    items[:] = [item for item in items if item not in refused]


@pytest.fixture(scope="session", autouse=True)
def active_session() -> Iterator[Any]:
    if not _MASTER:
        yield None
        return
    with spark_session(_MASTER) as session:
        yield session
