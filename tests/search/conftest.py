"""Where searches of tests fit."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture(
    params=[
        "serial",
        pytest.param("processes", marks=pytest.mark.slow),
        pytest.param("spark", marks=pytest.mark.spark),
    ]
)
def place(request: pytest.FixtureRequest) -> Any:
    """Every value of `spark=` that names an engine, a real session among them."""
    if request.param == "spark":
        return request.getfixturevalue("spark")
    return request.param
