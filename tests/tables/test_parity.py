"""A sweep over a table has the scores of scikit-learn's search on the table that pandas prepared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, StratifiedKFold
from sklearn.pipeline import make_pipeline
from threadpoolctl import threadpool_limits
from xgboost import XGBClassifier, XGBRegressor

from hptune.build import build_sweep
from hptune.config import parse_config
from hptune.engine import SerialEngine
from hptune.summary import SweepResult
from hptune.sweep import run

KFOLD = {"type": "KFold", "n_splits": 3, "shuffle": True, "random_state": 0}
GRID = {"n_estimators": [3, 6], "max_depth": [2, 5]}


def table(n: int = 400) -> pd.DataFrame:
    """Numbers, booleans and categories (one of them rare) with missing values, and a target of all."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "size": rng.normal(50, 20, n).round(2),
            "rooms": rng.integers(1, 9, n),
            "garden": rng.random(n) < 0.3,
            "shore": rng.choice(["near", "far", "island", "inland", "bay"], n, p=[0.4, 0.3, 0.01, 0.2, 0.09]),
            "street": rng.choice([f"s{i}" for i in range(30)], n),
            "block": rng.integers(0, 12, n),
        }
    )
    worth = frame["street"].str[1:].astype(int) % 7 + (frame["shore"] == "bay") * 4
    frame["price"] = (frame["size"] / 10 + frame["rooms"] + worth + rng.normal(0, 1, n)).round(3)
    frame.loc[rng.random(n) < 0.1, "size"] = np.nan
    frame.loc[rng.random(n) < 0.1, "shore"] = None
    return frame


def swept(path: Path, data: dict[str, Any], estimator: Any, **keys: Any) -> SweepResult:
    raw = {
        "data": {"path": str(path), "target": "price", **data},
        "estimator": estimator,
        "search_space": GRID,
        "cv": KFOLD,
        "engine": "serial",
        **keys,
    }
    return run(build_sweep(parse_config(raw)), SerialEngine())


def searched(estimator: Any, X: Any, y: Any, cv: Any, grid: Any = None, **fit: Any) -> Any:
    with threadpool_limits(1):
        return GridSearchCV(estimator, grid or GRID, cv=cv).fit(X, y, **fit).cv_results_


def assert_same_scores(result: SweepResult, expected: Any) -> None:
    for name in ("split0_test_score", "split1_test_score", "split2_test_score", "mean_test_score"):
        assert np.array_equal(result.cv_results_[name], expected[name])


@pytest.mark.parametrize("suffix", ["csv", "csv.gz", "parquet"])
def test_native_categories_score_as_a_categorical_frame_does(tmp_path: Path, suffix: str) -> None:
    frame, path = table(), tmp_path / f"homes.{suffix}"
    frame.to_parquet(path) if suffix == "parquet" else frame.to_csv(path, index=False)
    result = swept(path, {}, "xgboost.XGBRegressor")
    X = frame.drop(columns="price").astype({"shore": "category", "street": "category"})
    expected = searched(
        XGBRegressor(enable_categorical=True, n_jobs=1),
        X,
        frame["price"],
        KFold(3, shuffle=True, random_state=0),
    )
    assert_same_scores(result, expected)


def test_native_categories_score_otherwise_than_plain_numbers_would(tmp_path: Path) -> None:
    frame, path = table(), tmp_path / "homes.csv"
    frame.to_csv(path, index=False)
    result = swept(path, {}, "xgboost.XGBRegressor")
    codes = frame.drop(columns="price").copy()
    for name in ("shore", "street"):
        codes[name] = codes[name].astype("category").cat.codes.replace(-1, np.nan)
    expected = searched(XGBRegressor(n_jobs=1), codes, frame["price"], KFold(3, shuffle=True, random_state=0))
    assert not np.array_equal(result.cv_results_["mean_test_score"], expected["mean_test_score"])


def one_hot(frame: pd.DataFrame) -> Any:
    return pd.get_dummies(frame.drop(columns="price"), columns=["shore", "street"])[
        ["size", "rooms", "garden"]
        + [f"shore_{word}" for word in sorted(frame["shore"].dropna().unique())]
        + [f"street_{word}" for word in sorted(frame["street"].unique())]
        + ["block"]
    ].astype(float)


def test_one_hot_categories_score_as_dummies_do(tmp_path: Path) -> None:
    frame, path = table(), tmp_path / "homes.csv"
    frame.to_csv(path, index=False)
    grid = {"max_iter": [5], "learning_rate": [0.1, 0.5]}
    result = swept(
        path,
        {},
        {"class": "sklearn.ensemble.HistGradientBoostingRegressor", "params": {"random_state": 0}},
        search_space=grid,
    )
    expected = searched(
        HistGradientBoostingRegressor(random_state=0),
        one_hot(frame).to_numpy(),
        frame["price"],
        KFold(3, shuffle=True, random_state=0),
        grid,
    )
    assert_same_scores(result, expected)


def imputed_ridge() -> Any:
    """Named by the sweep below as a factory."""
    return make_pipeline(SimpleImputer(), Ridge())


def test_a_pipeline_that_imputes_takes_missing_values(tmp_path: Path) -> None:
    frame, path = table(), tmp_path / "homes.csv"
    frame.to_csv(path, index=False)
    grid = {"ridge__alpha": [0.1, 10.0]}
    result = swept(path, {}, f"{__name__}:imputed_ridge", search_space=grid)
    X = one_hot(frame).to_numpy()
    expected = searched(imputed_ridge(), X, frame["price"], KFold(3, shuffle=True, random_state=0), grid)
    assert_same_scores(result, expected)


def test_classes_of_text_score_as_their_codes_do(tmp_path: Path) -> None:
    frame, path = table(), tmp_path / "homes.csv"
    frame["price"] = np.where(frame["price"] > frame["price"].median(), "dear", "cheap")
    frame.to_csv(path, index=False)
    result = swept(path, {}, "xgboost.XGBClassifier", cv=3, objective={"primary_metric": "neg_log_loss"})
    X = frame.drop(columns="price").astype({"shore": "category", "street": "category"})
    search = GridSearchCV(
        XGBClassifier(enable_categorical=True, n_jobs=1), GRID, cv=StratifiedKFold(3), scoring="neg_log_loss"
    ).fit(X, frame["price"] == "dear")
    assert_same_scores(result, search.cv_results_)


def test_weights_are_fitted_with_and_groups_are_kept_together(tmp_path: Path) -> None:
    frame, path = table(), tmp_path / "homes.csv"
    frame["weight"] = np.random.default_rng(1).random(len(frame)).round(3)
    frame.to_csv(path, index=False)
    result = swept(path, {"weight": "weight", "group": "block"}, "xgboost.XGBRegressor", cv=3)
    X = frame.drop(columns=["price", "weight", "block"]).astype({"shore": "category", "street": "category"})
    expected = searched(
        XGBRegressor(enable_categorical=True, n_jobs=1),
        X,
        frame["price"],
        list(GroupKFold(3).split(X, groups=frame["block"])),
        sample_weight=frame["weight"],
    )
    assert_same_scores(result, expected)


def test_the_real_housing_table_scores_as_in_pandas(real_data: Path) -> None:
    path = real_data / "housing" / "housing.csv"
    if not path.is_file():
        pytest.skip("no housing table beside the other real data")
    result = swept(path, {"target": "median_house_value"}, "xgboost.XGBRegressor")
    frame = pd.read_csv(path)
    y = frame.pop("median_house_value")
    expected = searched(
        XGBRegressor(enable_categorical=True, n_jobs=1),
        frame.astype({"ocean_proximity": "category"}),
        y,
        KFold(3, shuffle=True, random_state=0),
    )
    assert_same_scores(result, expected)
