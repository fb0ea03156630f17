"""One Spark session for all tests of the searches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.builders import spark_session


@pytest.fixture(scope="package")
def spark() -> Iterator[Any]:
    """A session of two slots."""
    with spark_session("local[2,4]") as session:
        yield session


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
