"""Fixtures that several test packages share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadFileScheduling

from tests import SHORT_LIVED_JVM

ROOT = Path(__file__).resolve().parents[1]

TOGETHER = ("distributed", "storage")  # one process starts their servers and sessions once

os.environ.setdefault("SPARK_SUBMIT_OPTS", SHORT_LIVED_JVM)


class _ByPlace(LoadFileScheduling):  # type: ignore[misc]  # xdist publishes no types
    """A process takes the tests of a file at a time, or of a directory in `TOGETHER`.

    Groups by marks (``--dist loadgroup``) have no effect with this pytest. Where xdist no longer asks this method,
    files are what processes take.
    """

    def _split_scope(self, nodeid: str) -> str:
        return _directory(Path(nodeid.partition("::")[0])) or super()._split_scope(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> _ByPlace | None:
    return _ByPlace(config, log) if config.getoption("dist") == "loadfile" else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest first: none of it is to begin when the other processes are done."""
    with_spark = {item.path for item in items if item.get_closest_marker("spark")}
    items.sort(key=lambda item: (_directory(item.path) is None, item.path not in with_spark))


def _directory(path: Path) -> str | None:
    return next((name for name in path.parts[-3:-1] if name in TOGETHER), None)


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
