"""Workers map large arrays read-only; estimators that write into what they get still work, as with joblib."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import Lasso, LogisticRegression, SGDClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler, StandardScaler
from sklearn.svm import SVC

from tests.search.comparison import Case, assert_same_search
from tests.search.estimators import WritesIntoX

pytestmark = pytest.mark.shares_session

ROWS = 1200  # with 8 columns more than the 64 KiB from which on arrays are mapped
RNG = np.random.default_rng(0)
X = RNG.normal(size=(ROWS, 8))
Y = (X[:, 0] + RNG.normal(size=ROWS) > 0).astype(int)
SPARSE = sp.random(ROWS, 60, 0.3, "csr", random_state=0)

CASES = {
    "centres in place": (WritesIntoX(), {"setting": [0, 1]}, X),
    "scales in place": (
        make_pipeline(StandardScaler(copy=False), LogisticRegression()),
        {"logisticregression__C": [0.1, 1.0]},
        X,
    ),
    "scales sparse rows in place": (
        make_pipeline(MaxAbsScaler(copy=False), LogisticRegression()),
        {"logisticregression__C": [0.1, 1.0]},
        SPARSE,
    ),
    "decomposes in place": (make_pipeline(PCA(2, copy=False), SVC()), {"svc__C": [0.1, 1.0]}, X),
    "centres a column order in place": (
        Lasso(copy_X=False),
        {"alpha": [0.1, 1.0]},
        np.asfortranarray(X),
    ),
    "clusters in place": (KMeans(3, n_init=1, copy_x=False, random_state=0), {"tol": [0.1, 0.01]}, X),
    "compiled code on dense rows": (SGDClassifier(random_state=0), {"alpha": [0.1, 0.01]}, X),
    "compiled code on sparse rows": (SVC(), {"C": [0.1, 1.0]}, SPARSE),
    "compiled code on trees": (RandomForestClassifier(5, random_state=0), {"max_depth": [2, 3]}, X),
    "compiled code on histograms": (
        HistGradientBoostingClassifier(max_iter=3, random_state=0),
        {"max_depth": [2, 3]},
        X,
    ),
    "compiled code on neighbours": (KNeighborsClassifier(), {"n_neighbors": [3, 5]}, X),
    "pandas written in place": (
        make_pipeline(StandardScaler(copy=False), SVC()),
        {"svc__C": [0.1, 1.0]},
        pd.DataFrame(X).rename(columns=str),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_estimators_that_write_give_scikit_learns_answer(name: str, place: Any) -> None:
    estimator, grid, rows = CASES[name]

    def case() -> Case:
        return Case(estimator, grid, rows.copy(), Y, {"cv": 2})

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert_same_search(case().ours(place), case().scikit_learns(), rows.copy())


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_a_scorer_gets_rows_of_its_own(n_jobs: Any, place: Any) -> None:
    """Rows are taken by index, which copies them: writing reaches no other fit, here and in scikit-learn."""
    before = X.copy()
    Case(WritesIntoX(), {"setting": [0, 1]}, X, Y, {"cv": 2, "refit": False, "n_jobs": n_jobs}).ours(place)
    np.testing.assert_array_equal(X, before)
