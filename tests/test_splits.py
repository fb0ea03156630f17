"""Folds that chance would draw are drawn from the seed, and written down."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hptune.config import parse_config
from hptune.matrix import FeatureMatrix
from hptune.splits import folds_of

RAW: dict[str, Any] = {"data": "d", "estimator": "a.B", "search_space": {"x": [1, 2]}, "seed": 7}
DRAWN = [
    {"type": "KFold", "n_splits": 3, "shuffle": True},
    {"type": "KFold", "n_splits": 3, "shuffle": True, "random_state": None},
    {"type": "StratifiedKFold", "n_splits": 3, "shuffle": True},
    {"type": "ShuffleSplit", "n_splits": 3},
    {"type": "RepeatedKFold", "n_splits": 2, "n_repeats": 2},
]


def rows() -> FeatureMatrix:
    y = np.repeat([0, 1], 15)
    return FeatureMatrix(np.arange(30.0).reshape(-1, 1), ("x",), y=y, classes=("a", "b"))


@pytest.mark.parametrize("cv", DRAWN, ids=str)
def test_folds_that_chance_would_draw_are_those_of_the_seed_in_the_written_file(cv: dict[str, Any]) -> None:
    config = parse_config({**RAW, "cv": cv})
    assert config.cv["random_state"] == 7
    again = parse_config(config.to_mapping() | {"seed": 8})
    first, second = (folds_of(one.cv, rows(), classifier=True) for one in (config, again))
    assert [[part.tolist() for part in fold] for fold in first] == [
        [part.tolist() for part in fold] for fold in second
    ]


@pytest.mark.parametrize(
    "cv",
    [
        4,
        {"type": "KFold", "n_splits": 3},
        {"type": "KFold", "n_splits": 3, "shuffle": False},
        {"type": "KFold", "n_splits": 3, "shuffle": True, "random_state": 0},
        {"type": "GroupKFold", "n_splits": 3},
        {"type": "TimeSeriesSplit"},
        {"type": "KFlod", "shuffle": True},
        {"type": ["KFold"]},
        {},
    ],
    ids=str,
)
def test_other_folds_stay_as_they_are_given(cv: Any) -> None:
    assert parse_config({**RAW, "cv": cv}).cv == cv


def test_another_seed_draws_other_folds() -> None:
    cv = {"type": "KFold", "n_splits": 3, "shuffle": True}
    drawn = [folds_of(parse_config({**RAW, "cv": cv, "seed": s}).cv, rows(), classifier=True) for s in (1, 2)]
    assert drawn[0][0][1].tolist() != drawn[1][0][1].tolist()
