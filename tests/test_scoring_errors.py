"""What a scorer raises is told: in the table, and in the line that ends a sweep in which it always does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.compose import TransformedTargetRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import check_scoring, make_scorer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from xgboost import XGBClassifier

from hptune import GridSearchCV
from hptune.build import build_sweep
from hptune.cli import main
from hptune.config import parse_config
from hptune.engine import SerialEngine
from hptune.errors import AllTrialsFailedError
from hptune.sweep import run
from tests.builders import Case, classes_table, grid_search, sweep_of, swept

pytestmark = pytest.mark.filterwarnings("ignore:Scoring failed:UserWarning")


def boom(truth: Any, predicted: Any) -> float:
    raise ValueError("the metric needs groups")


BOOM = make_scorer(boom)
SHALLOW = {"n_estimators": [1, 2], "max_depth": 1}
CASES = {
    "a ladder": (XGBClassifier(), SHALLOW),
    "fits apart": (LogisticRegression(), {"C": [0.1, 1.0]}),
    "a pipeline": (
        make_pipeline(StandardScaler(), LogisticRegression()),
        {"logisticregression__C": [0.1, 1.0]},
    ),
}


def case(name: str) -> Case:
    estimator, grid = CASES[name]
    return Case(estimator, grid, *classes_table(60))


@pytest.mark.parametrize("name", CASES)
def test_a_scorer_that_always_raises_is_the_cause_that_is_told(name: str) -> None:
    with pytest.raises(AllTrialsFailedError, match="most often: ValueError: the metric needs groups"):
        run(sweep_of(case(name), scorer=BOOM), SerialEngine())


@pytest.mark.parametrize("name", CASES)
def test_one_of_several_metrics_may_raise(name: str) -> None:
    estimator, _ = CASES[name]
    scorer = check_scoring(estimator, {"accuracy": "accuracy", "boom": BOOM}, raise_exc=False)
    result = run(sweep_of(case(name), scorer=scorer, metrics=("accuracy", "boom")), SerialEngine())
    assert result.table["status"].tolist() == ["ok", "ok"]
    assert result.table["error"].tolist() == ["ValueError: the metric needs groups"] * 2
    assert np.isfinite(result.table["mean_test_accuracy"]).all()
    assert result.table["mean_test_boom"].isna().all()


class Counted:
    """A scorer that counts its calls."""

    def __init__(self, score: float) -> None:
        self.score, self.calls = score, 0

    def __call__(self, estimator: Any, X: Any, y: Any) -> float:
        self.calls += 1
        return self.score


def test_a_finite_score_is_asked_for_once() -> None:
    scorer = Counted(0.5)
    result = swept(case("fits apart"), SerialEngine(), scorer=scorer)
    assert scorer.calls == 2 * 3
    assert result.table["error"].isna().all()


def test_a_score_that_is_nan_by_itself_has_no_error() -> None:
    with pytest.raises(AllTrialsFailedError, match="check the metric and the labels"):
        swept(case("fits apart"), SerialEngine(), scorer=Counted(float("nan")))


@pytest.mark.filterwarnings("ignore:One or more of the test scores are non-finite:UserWarning")
def test_scikit_learns_searches_ask_no_scorer_twice() -> None:
    scorer = Counted(float("nan"))
    estimator, grid = CASES["fits apart"]
    GridSearchCV(estimator, grid, scoring=scorer, cv=3, spark="serial", refit=False).fit(*classes_table(60))
    assert scorer.calls == 2 * 3


def test_the_command_ends_with_the_cause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "metrics_of_mine.py").write_text(
        "def boom(estimator, X, y):\n    raise ValueError('no groups')\n"
    )
    (tmp_path / "rows.csv").write_text("a,y\n" + "".join(f"{n},{n % 5}\n" for n in range(40)))
    sweep = ["sweep", "--data", "rows.csv", "--target", "y", "--estimator", "sklearn.linear_model.Ridge"]
    space = ["--set", "search_space={alpha: [1, 2]}", "--engine", "serial", "--out", "out", "-q"]
    assert main([*sweep, "--scoring", "metrics_of_mine:boom", *space]) == 5
    error = "hptune: error: no candidate got a finite score: most often: ValueError: no groups\n"
    assert capsys.readouterr().err == error


@pytest.mark.parametrize(
    ("estimator", "parameter"),
    [("sklearn.neighbors.KNeighborsRegressor", "n_neighbors"), ("scaled:made", "ridge__alpha")],
)
def test_weights_for_an_estimator_that_takes_none_are_refused_before_any_fit(
    estimator: str,
    parameter: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "scaled.py").write_text(
        "from sklearn.linear_model import Ridge\nfrom sklearn.pipeline import make_pipeline\n"
        "def made():\n    return make_pipeline(Ridge())\n"
    )
    (tmp_path / "rows.csv").write_text("a,w,y\n" + "".join(f"{n},1,{n % 5}\n" for n in range(40)))
    sweep = ["sweep", "--data", "rows.csv", "--target", "y", "--estimator", estimator, "--weight", "w"]
    assert (
        main([*sweep, "--set", f"search_space={{{parameter}: [2]}}", "--engine", "serial", "--out", "out"])
        == 2
    )
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "error" in line]
    assert "takes no sample_weight: take it out" in line


def test_weights_reach_an_estimator_that_passes_them_on(tmp_path: Path) -> None:
    number = np.arange(40)
    weights, y = 1 + 9 * (number % 2), number % 5
    rows = "".join(f"{n},{w},{label}\n" for n, w, label in zip(number, weights, y, strict=True))
    (tmp_path / "rows.csv").write_text(f"a,w,y\n{rows}")
    raw = {
        "data": {"path": str(tmp_path / "rows.csv"), "target": "y", "weight": "w"},
        "estimator": "sklearn.compose.TransformedTargetRegressor",
        "search_space": {"check_inverse": [False]},
        "cv": 2,
    }
    table = run(build_sweep(parse_config(raw)), SerialEngine()).table
    assert table["status"].tolist() == ["ok"]
    case = Case(TransformedTargetRegressor(), {"check_inverse": [False]}, number[:, None], y, cv=2)
    unweighted, weighted = (
        grid_search(each).cv_results_["mean_test_score"][0] for each in (case, replace(case, weights=weights))
    )
    assert table["mean_test_score"][0] == pytest.approx(weighted, rel=1e-6)
    assert weighted != pytest.approx(unweighted, rel=0.01)
