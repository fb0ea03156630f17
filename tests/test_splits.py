"""Folds that chance would draw are drawn from the seed, and written down."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge

from hptune import run_sweep
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


def test_folds_of_ones_own_are_the_values_of_a_column_that_is_no_feature(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.normal(size=(40, 3)), columns=["a", "b", "y"])
    table["fold"] = rng.choice([9, 2, 5], size=40)
    table.to_csv(tmp_path / "rows.csv", index=False)
    raw = {
        "data": {"path": str(tmp_path / "rows.csv"), "target": "y", "group": "fold"},
        "estimator": "sklearn.linear_model.Ridge",
        "search_space": {"alpha": [0.5]},
        "cv": {"type": "LeaveOneGroupOut"},
        "engine": "serial",
        "out": str(tmp_path / "out"),
    }
    found = [fold["score"] for fold in run_sweep(raw).best_run().fold_metrics]
    expected = []
    for fold in (2, 5, 9):
        train, scored = table[table.fold != fold], table[table.fold == fold]
        model = Ridge(alpha=0.5).fit(train[["a", "b"]].to_numpy(), train["y"])
        expected.append(model.score(scored[["a", "b"]].to_numpy(), scored["y"]))
    assert found == pytest.approx(expected, rel=1e-9)
