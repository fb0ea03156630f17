"""Fixtures that several test packages share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests import SHORT_LIVED_JVM

ROOT = Path(__file__).resolve().parents[1]

TOGETHER = ("chaos", "distributed", "storage")  # one process starts their servers, clusters and sessions once

os.environ.setdefault("SPARK_SUBMIT_OPTS", SHORT_LIVED_JVM)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest first: none of it is to begin when the other processes are done.

    A process of the suite takes a file's tests at a time; those of a directory in `TOGETHER` all at once.
    """
    with_spark = {item.path for item in items if item.get_closest_marker("spark")}
    for item in items:
        item.add_marker(pytest.mark.xdist_group(_directory(item) or str(item.path.relative_to(ROOT))))
    items.sort(key=lambda item: (_directory(item) not in TOGETHER, item.path not in with_spark))


def _directory(item: pytest.Item) -> str | None:
    return next((name for name in item.path.relative_to(ROOT).parts[1:-1] if name in TOGETHER), None)


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
