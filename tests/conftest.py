"""Fixtures that several test packages share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from xdist.scheduler import LoadFileScheduling

from tests import SHORT_LIVED_JVM
from tests.sessions import end_shared_session, shared_session

ROOT = Path(__file__).resolve().parents[1]

TOGETHER = ("distributed", "storage")  # one process starts their servers and sessions once
SLOW_SECONDS = 4 * 3600  # their sweeps are waited for up to an hour, and some have several

os.environ.setdefault("SPARK_SUBMIT_OPTS", SHORT_LIVED_JVM)
settings.register_profile("few", max_examples=30)


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
    """What takes longest first: none of it is to begin when the other processes are done.

    Files that share a Spark session follow one another. Slow tests have their own limit.
    """
    for item in items:
        if item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.timeout(SLOW_SECONDS))
    with_spark = {item.path for item in items if item.get_closest_marker("spark")}
    items.sort(
        key=lambda item: (_directory(item.path) is None, item.path not in with_spark, _shares_session(item))
    )


def pytest_runtest_setup(item: pytest.Item) -> None:
    if not _shares_session(item):
        end_shared_session()  # whatever looks for an active session would find it


def pytest_sessionfinish() -> None:
    end_shared_session()


def _shares_session(item: pytest.Item) -> bool:
    return item.get_closest_marker("shares_session") is not None


def _directory(path: Path) -> str | None:
    return next((name for name in path.parts[-3:-1] if name in TOGETHER), None)


@pytest.fixture(scope="module")
def spark() -> Any:
    """A session of two slots, for files that are marked with ``shares_session``."""
    return shared_session()


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
