"""Fixtures that several test packages share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests import SHORT_LIVED_JVM

ROOT = Path(__file__).resolve().parents[1]

os.environ.setdefault("SPARK_SUBMIT_OPTS", SHORT_LIVED_JVM)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Modules that start Spark first: they take longest, and none is to begin when the other processes are done."""
    with_spark = {item.path for item in items if item.get_closest_marker("spark")}
    items.sort(key=lambda item: item.path not in with_spark)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The directory of real data: ``HPTUNE_TEST_DATA``, else the nearest ``data`` beside the checkout or above."""
    named = os.environ.get("HPTUNE_TEST_DATA")
    beside = (
        place
        for parent in (ROOT, *ROOT.parents)
        for place in [parent / "data", *sorted(parent.glob("*/data"))]
    )
    for place in [Path(named)] if named else beside:
        if (place / "talkingdata").is_dir():
            return place
    pytest.skip("no real data: set HPTUNE_TEST_DATA to the directory that holds talkingdata/")
