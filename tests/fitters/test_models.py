"""What is saved is what is loaded, and loading runs nothing."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skops.io
import xgboost as xgb
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.feature_selection import SelectKBest
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC

from hptune.errors import ConfigurationError, OutputError
from hptune.fitters import model_bytes, read_model
from tests.builders import classes_table

X, Y = classes_table(80)
NAMES = ["price [$]", *"bcdef"]
FEW = {"n_estimators": 3, "random_state": 0}
ESTIMATORS = [
    xgb.XGBClassifier(**FEW),
    xgb.XGBRegressor(**FEW),
    xgb.XGBRFClassifier(**FEW),
    xgb.XGBRFRegressor(**FEW),
    xgb.XGBClassifier(booster="gblinear", **FEW),
    RandomForestClassifier(**FEW),
    ExtraTreesClassifier(**FEW),
    GradientBoostingClassifier(**FEW),
    HistGradientBoostingClassifier(max_iter=3, random_state=0),
    LogisticRegression(),
    KNeighborsClassifier(),
    MLPClassifier((3,), max_iter=2000, random_state=0),
    SVC(),
    make_pipeline(SimpleImputer(), StandardScaler(), SelectKBest(k=2), LogisticRegression()),
    make_pipeline(StandardScaler(), xgb.XGBClassifier(**FEW)),
]


def saved(estimator: Any, directory: Path) -> Path:
    model = model_bytes(estimator, NAMES, ["no", "yes"])
    path = directory / model.name
    path.write_bytes(model.content)
    return path


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda each: type(each).__name__)
def test_a_model_predicts_as_before(estimator: Any, tmp_path: Path) -> None:
    fitted = estimator.fit(X, Y)
    loaded = read_model(saved(fitted, tmp_path))
    assert type(loaded) is type(fitted)
    for method in ("predict", "predict_proba"):
        if hasattr(fitted, method):
            assert np.array_equal(getattr(loaded, method)(X), getattr(fitted, method)(X))


def test_a_model_of_categories_predicts_as_before(tmp_path: Path) -> None:
    codes = np.column_stack([X[:, :5], np.arange(len(X)) % 3]).astype(np.float32)
    types = ["q"] * 5 + ["c"]
    fitted = xgb.XGBClassifier(**FEW, enable_categorical=True, feature_types=types).fit(codes, Y)
    loaded = read_model(saved(fitted, tmp_path))
    assert np.array_equal(loaded.predict_proba(codes), fitted.predict_proba(codes))
    assert loaded.get_booster().feature_types == types


def test_a_ranker_predicts_as_before(tmp_path: Path) -> None:
    fitted = xgb.XGBRanker(**FEW).fit(X, Y, qid=np.repeat([0, 1], 40))
    loaded = read_model(saved(fitted, tmp_path))
    assert type(loaded) is xgb.XGBRanker
    assert np.array_equal(loaded.predict(X), fitted.predict(X))


class Tuned(xgb.XGBClassifier):
    """A user's own subclass."""


def test_a_subclass_of_xgboosts_is_loaded_as_the_class_that_it_extends(tmp_path: Path) -> None:
    fitted = Tuned(**FEW).fit(X, Y)
    model = model_bytes(fitted, NAMES, None)
    assert "xgboost.XGBClassifier()" in model.how_to_load
    assert np.array_equal(read_model(saved(fitted, tmp_path)).predict(X), fitted.predict(X))


class Mine(ClassifierMixin, BaseEstimator):
    """A user's own estimator."""

    def fit(self, X: Any, y: Any) -> Mine:
        self.classes_ = np.unique(y)
        return self


@pytest.mark.parametrize(
    "estimator",
    [Mine(), make_pipeline(FunctionTransformer(pd.read_pickle), LogisticRegression())],
    ids=["a class of another module", "a function"],
)
def test_objects_of_other_types_are_named_and_not_loaded(estimator: Any, tmp_path: Path) -> None:
    path = tmp_path / "model.skops"
    path.write_bytes(skops.io.dumps(estimator))
    with pytest.raises(ConfigurationError, match="not scikit-learn's own: .*(Mine|read_pickle)"):
        read_model(path)


class Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return (Path("exploded").touch, ())


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"{}", pickle.dumps(Bomb())])
def test_what_is_no_model_is_an_error_and_never_unpickled(
    content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "model.skops"
    path.write_bytes(content)
    with pytest.raises(OutputError, match="cannot be loaded"):
        read_model(path)
    assert not Path("exploded").exists()
