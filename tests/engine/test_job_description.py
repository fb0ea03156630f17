"""What Spark's UI shows of a sweep."""

from __future__ import annotations

import functools
import uuid
from pathlib import Path
from typing import Any

import pytest
from sklearn.dummy import DummyClassifier

from hptune.sweep import run
from tests.builders import Case, classes_table, sweep_of

pytestmark = [pytest.mark.spark, pytest.mark.shares_session]


def described(estimator: Any, X: Any, y: Any, *, directory: Path) -> float:
    """A scorer that writes down how Spark describes the job it runs in."""
    from pyspark import TaskContext

    context: Any = TaskContext.get()
    (directory / uuid.uuid4().hex).write_text(context.getLocalProperty("spark.job.description"))
    return 1.0


def test_sparks_ui_shows_a_sweeps_name_and_what_it_is_about(spark: Any, tmp_path: Path) -> None:
    from hptune.engine._spark import SparkEngine

    scorer = functools.partial(described, directory=tmp_path)
    case = Case(DummyClassifier(), {"constant": [0, 1]}, *classes_table(), scoring=scorer)
    run(sweep_of(case, name="users by phone"), SparkEngine(spark))
    told = [path.read_text() for path in tmp_path.iterdir()]
    assert told == ["hptune sweep users by phone: 2 candidates x 3 folds in 6 fits"] * 6
