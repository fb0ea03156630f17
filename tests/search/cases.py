"""Searches of many kinds: splitters, scorers, inputs, estimators."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp
from scipy.stats import loguniform, randint
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer
from sklearn.datasets import make_classification
from sklearn.decomposition import PCA
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import accuracy_score, make_scorer
from sklearn.model_selection import (
    GroupKFold,
    KFold,
    PredefinedSplit,
    ShuffleSplit,
    StratifiedGroupKFold,
    TimeSeriesSplit,
)
from sklearn.neighbors import KernelDensity
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.svm import SVC
from xgboost import XGBClassifier, XGBRanker, XGBRegressor

from tests.search.comparison import Case
from tests.search.estimators import Witness, fingerprints

ROWS = 60
C = {"C": [0.01, 1.0, 100.0]}


@functools.cache
def table() -> tuple[Any, Any]:
    X, y = make_classification(ROWS, 6, n_classes=3, n_informative=4, random_state=0)
    return X, y


def groups() -> Any:
    return np.arange(ROWS) // 4


def weights() -> Any:
    return np.random.default_rng(0).uniform(0.5, 2.0, ROWS)


def _logistic(grid: Any = None, y: Any = None, fit_params: Any = None, **options: Any) -> Case:
    X, labels = table()
    return Case(
        LogisticRegression(max_iter=200),
        grid or C,
        X,
        labels if y is None else y,
        options,
        fit_params or {},
    )


def _witness(X: Any, y: Any = None, **fit_params: Any) -> Case:
    options = {"scoring": fingerprints, "refit": False, "return_train_score": True, "cv": KFold(3)}
    return Case(Witness(), {"setting": [1, "two"]}, X, y, options, fit_params)


def _simplest(results: Any) -> int:
    """The index of the lowest C within a tenth of the best score."""
    scores = results["mean_test_accuracy"]
    close = scores >= scores.max() - 0.1
    return int(np.flatnonzero(close)[np.argmin(results["param_C"][close].astype(float))])


def _two_scores(estimator: Any, X: Any, y: Any) -> dict[str, float]:
    return {"a": float(estimator.score(X, y)), "b": float(len(X))}


def _splits() -> Any:
    return KFold(4, shuffle=True, random_state=1).split(table()[0])


def _mixed() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    return pd.DataFrame(
        {
            "age": rng.normal(40, 9, ROWS).astype(np.float32),
            "city": rng.choice(["Oslo", "Rome", "Lima"], ROWS),
            "visits": np.where(rng.random(ROWS) < 0.2, np.nan, rng.integers(0, 9, ROWS)),
        },
        index=[f"row {number}" for number in range(ROWS)],
    )


def _categories() -> pd.DataFrame:
    frame = _mixed()
    return frame.assign(city=frame["city"].astype("category"))


def _ranking() -> Case:
    X, _ = table()
    relevance = np.random.default_rng(2).integers(0, 4, ROWS)
    grid = {"n_estimators": [3, 6], "max_depth": [2, 3]}
    options = {"cv": GroupKFold(3), "scoring": _mean_top}
    return Case(XGBRanker(random_state=0), grid, X, relevance, options, {"qid": groups(), "groups": groups()})


def _mean_top(estimator: Any, X: Any, y: Any) -> float:
    """Mean relevance of the five rows that the model puts first."""
    return float(np.mean(y[np.argsort(-estimator.predict(X), kind="stable")[:5]]))


def _columns() -> Case:
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    columns = ColumnTransformer([("n", numbers, ["age", "visits"]), ("c", OneHotEncoder(), ["city"])])
    grid = {"columns__n__simpleimputer__strategy": ["mean", "median"], "model__C": [0.1, 10.0]}
    pipeline = Pipeline([("columns", columns), ("model", LogisticRegression())])
    return Case(pipeline, grid, _mixed(), table()[1])


def _int64(matrix: Any) -> Any:
    matrix.indices = matrix.indices.astype(np.int64)
    matrix.indptr = matrix.indptr.astype(np.int64)
    return matrix


def _objects() -> Case:
    """Grids with objects that compare oddly: arrays, callables, estimators, None and several types at once."""
    grid = [
        {"steps": ["passthrough", StandardScaler(), PCA(2), FunctionTransformer(np.log1p, validate=False)]},
        {"steps": [None], "model__class_weight": [None, "balanced", {0: 2.0, 1: 1.0, 2: 1.0}]},
    ]
    grid = [{"first" if name == "steps" else name: values for name, values in part.items()} for part in grid]
    for part in grid:
        part["first"] = ["passthrough" if value is None else value for value in part["first"]]
    X, y = table()
    pipeline = Pipeline([("first", StandardScaler()), ("model", LogisticRegression())])
    return Case(pipeline, grid, np.abs(X), y)


CASES: dict[str, Callable[[], Case]] = {
    # scorers and refit
    "default scoring": lambda: _logistic(),
    "scorer by name, train scores": lambda: _logistic(scoring="neg_log_loss", return_train_score=True),
    "metrics in a list, refit by name": lambda: _logistic(scoring=["accuracy", "f1_macro"], refit="f1_macro"),
    "metrics in a dict, callable refit": lambda: _logistic(
        scoring={"accuracy": "accuracy", "mine": make_scorer(accuracy_score)}, refit=_simplest
    ),
    "metrics from a callable": lambda: _logistic(scoring=_two_scores, refit="a", return_train_score=True),
    "metrics without refit": lambda: _logistic(scoring=["accuracy", "f1_macro"], refit=False),
    "no refit": lambda: _logistic(refit=False),
    "ties": lambda: Case(
        DummyClassifier(), {"strategy": ["prior", "most_frequent", "stratified"], "random_state": [0]}, *table()
    ),
    # splitters
    "shuffled splits": lambda: _logistic(cv=ShuffleSplit(4, random_state=0)),
    "groups": lambda: _logistic(cv=GroupKFold(3), fit_params={"groups": groups()}),
    "stratified groups": lambda: _logistic(cv=StratifiedGroupKFold(3), fit_params={"groups": groups()}),
    "time series": lambda: _logistic(cv=TimeSeriesSplit(3)),
    "predefined split": lambda: _logistic(cv=PredefinedSplit(np.arange(ROWS) % 3 - 1)),
    "an iterator of splits": lambda: _logistic(cv=_splits),
    "a list of splits": lambda: _logistic(cv=lambda: list(_splits())),
    # parameters
    "one candidate": lambda: _logistic({"C": [1.0]}),
    "several grids": lambda: _logistic([{"C": [0.1, 1]}, {"solver": ["newton-cg"], "fit_intercept": [False]}]),
    "empty grid": lambda: _logistic([{}]),
    "objects as parameters": _objects,
    "class weights": lambda: _logistic({"class_weight": [None, "balanced", {0: 3.0, 1: 1.0, 2: 0.5}]}),
    "sample weights": lambda: _logistic(scoring="accuracy", fit_params={"sample_weight": weights()}),
    "random search": lambda: Case(
        LogisticRegression(),
        {"C": loguniform(0.01, 10), "max_iter": randint(50, 200)},
        *table(),
        {"n_iter": 5, "random_state": 3},
        kind="RandomizedSearchCV",
    ),
    # what the estimator gets
    "C order": lambda: _witness(np.ascontiguousarray(table()[0])),
    "Fortran order": lambda: _witness(np.asfortranarray(table()[0]), table()[1].astype(np.int8)),
    "strided rows and columns": lambda: _witness(np.repeat(np.repeat(table()[0], 2, 0), 2, 1)[::2, ::2]),
    "float32": lambda: _witness(table()[0].astype(np.float32), table()[1].astype(np.float32)),
    "objects": lambda: _witness(_mixed().to_numpy(dtype=object), np.array(list("ab") * 30, dtype=object)),
    "strings as labels": lambda: _logistic(y=np.array(["low", "mid", "high"])[table()[1]]),
    "booleans": lambda: _witness(table()[0] > 0),
    "lists": lambda: Case(LogisticRegression(), C, table()[0].tolist(), table()[1].tolist()),
    "pandas": lambda: _witness(_mixed(), pd.Series(table()[1], name="label")),
    "pandas with categories": lambda: _witness(_categories(), pd.DataFrame({"a": table()[1], "b": weights()})),
    "csr": lambda: _witness(sp.csr_matrix(table()[0] * (table()[0] > 0))),
    "csr array": lambda: _witness(sp.csr_array(table()[0] * (table()[0] > 0))),
    "csc": lambda: _witness(sp.csc_matrix(table()[0] * (table()[0] > 0))),
    "csr with 64 bit indices": lambda: _witness(_int64(sp.csr_matrix(table()[0] * (table()[0] > 0)))),
    "large arrays": lambda: _witness(np.asfortranarray(np.tile(table()[0], (40, 4))), weights().repeat(40)),
    "fit parameters of each row": lambda: _witness(
        table()[0], table()[1], sample_weight=weights(), extra=pd.Series(weights()), other=weights().tolist()
    ),
    # estimators
    "unsupervised": lambda: Case(KMeans(random_state=0, n_init=2), {"n_clusters": [2, 3, 5]}, table()[0]),
    "density": lambda: Case(KernelDensity(), {"bandwidth": [0.1, 1.0, 3.0]}, table()[0]),
    "precomputed kernel": lambda: Case(
        SVC(kernel="precomputed"), {"C": [0.1, 1.0]}, table()[0] @ table()[0].T, table()[1]
    ),
    "ridge": lambda: Case(Ridge(), {"alpha": [0.1, 1.0]}, table()[0], np.c_[weights(), weights() ** 2]),
    "random forest": lambda: Case(
        RandomForestClassifier(random_state=0), {"n_estimators": [3, 6], "max_depth": [2, None]}, *table()
    ),
    "columns of several kinds": _columns,
    "pipeline on pandas": lambda: Case(
        make_pipeline(StandardScaler(), PCA(), LogisticRegression()).set_output(transform="pandas"),
        {"pca__n_components": [2, 3], "logisticregression__C": [0.1, 1.0]},
        pd.DataFrame(table()[0]).rename(columns=str),
        table()[1],
    ),
    "transformer at the end": lambda: Case(
        PCA(random_state=0), {"n_components": [1, 2]}, table()[0]
    ),
    "xgboost": lambda: Case(
        XGBClassifier(random_state=0, subsample=0.7),
        {"n_estimators": [2, 5], "learning_rate": [0.1, 0.3]},
        *table(),
        {"scoring": ["accuracy", "neg_log_loss"], "refit": "accuracy", "return_train_score": True},
        {"sample_weight": weights()},
    ),
    "xgboost with categories": lambda: Case(
        XGBRegressor(random_state=0, enable_categorical=True),
        {"n_estimators": [2, 4], "max_depth": [2, 3]},
        _categories(),
        weights(),
    ),
    "ranking": _ranking,
}  # fmt: skip
