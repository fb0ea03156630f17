"""Fixtures that several test packages share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The directory of real data: ``HPTUNE_REAL_DATA``, else ``shared/data`` in a parent directory."""
    named = os.environ.get("HPTUNE_REAL_DATA")
    places = [Path(named)] if named else [parent / "shared" / "data" for parent in (ROOT, *ROOT.parents)]
    for place in places:
        if (place / "talkingdata").is_dir():
            return place
    pytest.skip("no real data: set HPTUNE_REAL_DATA to the directory that holds talkingdata/")
