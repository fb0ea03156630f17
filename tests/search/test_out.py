"""A search with `out` keeps its fits on disk, and goes on where it was stopped."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import accuracy_score, make_scorer
from xgboost import XGBClassifier

import hptune
from hptune.errors import ConfigurationError, OutputInUseError
from hptune.journal import read_journal
from hptune.locks import held
from hptune.status import read_status
from tests.search.comparison import Case, assert_same_search

pytestmark = pytest.mark.shares_session

X, Y = make_classification(120, 6, random_state=0)
GRID = {"C": [0.1, 1.0, 10.0]}
ROOT = Path(__file__).parents[2]


def fits(out: Path) -> list[int]:
    """Number of fold scores that each session fitted."""
    return [len(session.outcomes) for session in read_journal(out / "journal.jsonl").sessions]


class Stop(BaseException):
    """Ends a search from outside."""


def stopping(monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    """The serial engine's fits end with `Stop` after some of them."""
    left = iter(range(after))
    real = LogisticRegression.fit

    def fit(self: Any, *args: Any, **params: Any) -> Any:
        if next(left, None) is None:
            raise Stop
        return real(self, *args, **params)

    monkeypatch.setattr(LogisticRegression, "fit", fit)


def test_a_stopped_search_goes_on_to_scikit_learns_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = Case(LogisticRegression(), GRID, X, Y, {"return_train_score": True})
    search = hptune.GridSearchCV(
        LogisticRegression(), GRID, cv=3, return_train_score=True, spark="serial", out=tmp_path / "run"
    )
    with monkeypatch.context() as patch:
        stopping(patch, 4)
        with pytest.raises(Stop):
            search.fit(X, Y)
    assert read_status(tmp_path / "run").state == "stopped early"
    assert_same_search(clone(search).fit(X, Y), case.scikit_learns(), X)
    assert fits(tmp_path / "run") == [4, 5]
    search.fit(X, Y)
    assert fits(tmp_path / "run") == [4, 5, 0]


def test_every_place_keeps_its_fits(place: Any, tmp_path: Path) -> None:
    estimator = XGBClassifier(max_depth=2, random_state=0)
    out = str(tmp_path / "run")
    grid = {"n_estimators": [3, 6], "subsample": [0.5, 1.0]}
    hptune.GridSearchCV(estimator, grid, cv=3, spark=place, out=out).fit(X, Y)
    wider = {"n_estimators": [3, 6, 8], "subsample": [0.5, 1.0]}
    ours = hptune.GridSearchCV(estimator, wider, cv=3, spark=place, out=out).fit(X, Y)
    assert_same_search(ours, Case(estimator, wider, X, Y).scikit_learns(), X)
    assert fits(tmp_path / "run") == [12, 6]


def test_some_of_the_candidates_need_no_fit(tmp_path: Path) -> None:
    hptune.GridSearchCV(LogisticRegression(), GRID, cv=3, spark="serial", out=tmp_path).fit(X, Y)
    some = {"C": [10.0, 0.1]}
    ours = hptune.GridSearchCV(LogisticRegression(), some, cv=3, spark="serial", out=tmp_path).fit(X, Y)
    assert_same_search(ours, Case(LogisticRegression(), some, X, Y).scikit_learns(), X)
    assert fits(tmp_path) == [9, 0]


OTHERS: dict[str, tuple[dict[str, Any], str]] = {
    "data": ({"X": X + 1e-9}, "data is"),
    "weights": ({"sample_weight": np.ones(120)}, "data is"),
    "folds": ({"cv": 4}, "cv is"),
    "estimator": ({"estimator": LogisticRegression(max_iter=50)}, "estimator"),
    "metric": ({"scoring": "f1"}, "objective is"),
    "error score": ({"error_score": 0.0}, "error_score is 0.0, but .* was started with nan"),
    "training scores": ({"return_train_score": True}, "return_train_score"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_another_search_is_refused_by_name(name: str, tmp_path: Path) -> None:
    def fit(**other: Any) -> None:
        table, weights = other.pop("X", X), other.pop("sample_weight", None)
        options = {"estimator": LogisticRegression(), "param_grid": GRID, "cv": 3, **other}
        hptune.GridSearchCV(**options, spark="serial", out=tmp_path).fit(table, Y, sample_weight=weights)

    fit()
    before = (tmp_path / "journal.jsonl").read_bytes()
    other, message = OTHERS[name]
    with pytest.raises(ConfigurationError, match=message):
        fit(**other)
    assert (tmp_path / "journal.jsonl").read_bytes() == before
    fit()


def test_a_fit_that_was_raised_is_tried_again(tmp_path: Path) -> None:
    grid = {"C": [0.1, 1.0, -1.0]}
    search = hptune.GridSearchCV(
        LogisticRegression(), grid, cv=3, error_score="raise", spark="serial", out=tmp_path
    )
    for _ in range(2):
        with pytest.raises(ValueError, match="'C' parameter"):
            search.fit(X, Y)
    assert fits(tmp_path) == [2, 0]  # on the first fold


def test_several_metrics_stand_in_the_status(tmp_path: Path) -> None:
    search = hptune.GridSearchCV(
        LogisticRegression(),
        GRID,
        cv=3,
        scoring=["f1", "roc_auc"],
        refit="roc_auc",
        spark="serial",
        out=tmp_path,
    )
    assert search.fit(X, Y).multimetric_
    status = read_status(tmp_path)
    assert (status.state, status.done, status.total, status.metric) == ("finished", 9, 9, "roc_auc")
    assert status.table is not None and "mean_test_f1" in status.table


def two_scores(estimator: Any, X: Any, y: Any) -> dict[str, float]:
    return {"right": float(estimator.score(X, y)), "wrong": 1 - float(estimator.score(X, y))}


def test_of_the_scores_of_a_function_the_status_ranks_by_the_one_that_refit_names(tmp_path: Path) -> None:
    search = hptune.GridSearchCV(
        LogisticRegression(), GRID, scoring=two_scores, refit="right", cv=3, spark="serial", out=tmp_path
    ).fit(X, Y)
    status = read_status(tmp_path)
    assert status.metric == "right" and status.table is not None
    assert status.table["mean_test_right"].max() == search.best_score_


def test_scores_that_cannot_be_known_again_are_told(tmp_path: Path) -> None:
    scorer = make_scorer(lambda y, found: accuracy_score(y, found))
    search = hptune.GridSearchCV(
        LogisticRegression(), GRID, cv=3, scoring=scorer, spark="serial", out=tmp_path
    )
    for _ in range(2):
        with pytest.warns(UserWarning, match="holds of it is fitted again: the scorer"):
            search.fit(X, Y)
    assert fits(tmp_path) == [9, 9]


PROGRAM = """
import sys
import pandas as pd
from sklearn.linear_model import Ridge
from sklearn.preprocessing import OneHotEncoder
from sklearn.compose import make_column_transformer
from sklearn.pipeline import make_pipeline
import hptune

frame = pd.DataFrame({"town": ["a", "b", "c"] * 20, "rooms": range(60)})
frame["size"] = pd.Categorical(["s", "l"] * 30)
model = make_pipeline(make_column_transformer((OneHotEncoder(), ["town", "size"]), remainder="passthrough"), Ridge())
grid = {"ridge__alpha": [0.1, 1.0]}
hptune.GridSearchCV(model, grid, cv=3, spark="serial", out=sys.argv[1]).fit(frame, frame["rooms"] * 2.0)
"""


def test_another_process_knows_a_frame_again(tmp_path: Path) -> None:
    for _ in range(2):
        subprocess.run(
            [sys.executable, "-c", PROGRAM, str(tmp_path / "run")], cwd=ROOT, check=True, timeout=120
        )
    assert fits(tmp_path / "run") == [6, 0]


def test_a_directory_in_use_is_left_alone(tmp_path: Path) -> None:
    search = hptune.GridSearchCV(Ridge(), {"alpha": [1.0]}, spark="serial", out=tmp_path)
    with held(tmp_path, "run"), pytest.raises(OutputInUseError, match="is in use by process"):
        search.fit(X, Y)


@pytest.mark.parametrize("out", ["", 3, "az://account/container/run", True])
def test_what_is_no_local_directory_is_refused(out: Any) -> None:
    with pytest.raises(ValueError, match="out must be a local directory or None"):
        hptune.GridSearchCV(Ridge(), {"alpha": [1.0]}, spark="serial", out=out).fit(X, Y)


def test_pandas_results_are_those_of_arrays_of_their_type(tmp_path: Path) -> None:
    frame = pd.DataFrame(X)
    case = Case(LogisticRegression(), GRID, frame, Y)
    search = hptune.GridSearchCV(LogisticRegression(), GRID, cv=3, spark="serial", out=tmp_path)
    assert_same_search(search.fit(frame, Y), case.scikit_learns(), frame)
