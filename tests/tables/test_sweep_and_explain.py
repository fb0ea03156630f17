"""``hptune sweep`` and ``hptune explain`` on a table, from the command line to the files."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from sklearn.inspection import permutation_importance
from sklearn.model_selection import KFold, learning_curve
from xgboost import Booster, DMatrix, XGBRegressor

from hptune.cli import main

TRAIN = "id,size [m2],shore,a<b,price\n" + "".join(
    f"{i},{i % 7 if i % 5 else ''},{'near' if i % 3 else 'far'},{i % 2},{i % 7 + 3 * (i % 3)}\n"
    for i in range(90)
)
TEST = "id,size [m2],shore,a<b\n900,3,near,1\n901,,island,0\n"


@pytest.fixture
def sweep(tmp_path: Path) -> list[str]:
    (tmp_path / "train.csv").write_text(TRAIN)
    (tmp_path / "test.csv").write_text(TEST)
    raw = {
        "data": str(tmp_path / "train.csv"),
        "estimator": "xgboost.XGBRegressor",
        "search_space": {"n_estimators": [2, 5], "max_depth": [1, 2]},
        "objective": {"primary_metric": "neg_root_mean_squared_error"},
        "metrics": ["r2"],
        "cv": {"type": "KFold", "n_splits": 3, "shuffle": True, "random_state": 0},
        "engine": "serial",
    }
    (tmp_path / "sweep.yaml").write_text(yaml.safe_dump(raw))
    config = ["sweep", "--config", str(tmp_path / "sweep.yaml"), "--out", str(tmp_path / "out")]
    return [*config, "--id", "id", "--target", "price", "--test", str(tmp_path / "test.csv")]


def test_a_table_is_swept_to_predictions(
    sweep: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(sweep) == 0
    told = capsys.readouterr().err
    assert "category, 2 values" in told
    assert "note: 1 test rows have a 'shore' that no training row has" in told
    predictions = pd.read_csv(tmp_path / "out" / "predictions.csv")
    assert predictions["id"].tolist() == [900, 901]
    assert np.isfinite(predictions["prediction"]).all()


def test_the_saved_model_knows_names_and_categories_and_predicts_the_same(
    sweep: list[str], tmp_path: Path
) -> None:
    assert main(sweep) == 0
    path = tmp_path / "out" / "model.ubj"
    booster = Booster(model_file=path)
    assert booster.feature_names == ["size (m2)", "shore", "a(b"]
    assert booster.feature_types == ["q", "c", "q"]
    assert json.loads(booster.attr("columns") or "") == ["size [m2]", "shore", "a<b"]
    assert json.loads(booster.attr("categories") or "") == {"shore": ["far", "near"]}
    model = XGBRegressor()
    model.load_model(path)
    X = np.array([[3, 1, 1], [np.nan, np.nan, 0]], dtype=np.float32)
    predicted = pd.read_csv(tmp_path / "out" / "predictions.csv")["prediction"]
    assert np.allclose(model.predict(X), predicted, rtol=1e-6, atol=0)


def test_the_resolved_file_runs_again(sweep: list[str], tmp_path: Path) -> None:
    assert main(sweep) == 0
    again = ["sweep", "--config", str(tmp_path / "out" / "sweep.yaml"), "--out", str(tmp_path / "again")]
    assert main(again) == 0
    first, second = (pd.read_csv(tmp_path / name / "results.csv") for name in ("out", "again"))
    assert first["mean_test_r2"].equals(second["mean_test_r2"])


@pytest.mark.parametrize(
    ("extra", "code", "what"),
    [
        (["--target", "prize"], 3, "did you mean 'price'?"),
        (["--set", "data.target=null"], 2, "key 'data.target' is missing"),
        (["--set", "data.format=xls"], 2, "data.format must not be 'xls'"),
        (["--set", "data.categories=onehott"], 2, "did you mean 'onehot'?"),
        (["--set", "data.encoding=indicator"], 2, "data.encoding has no meaning for the format csv"),
        (
            ["--estimator", "sklearn.linear_model.Ridge", "--set", "search_space={alpha: [1]}"],
            3,
            "HistGradient",
        ),
        (
            ["--set", "data.categories=native", "--estimator", "sklearn.tree.DecisionTreeRegressor"]
            + ["--set", "search_space={max_depth: [1]}"],
            2,
            "does not understand",
        ),
        (["--set", "estimator.params={feature_types: [q, q, q]}"], 2, "sets feature_types"),
        (["--weight", "size [m2]"], 3, "is the weight and missing"),
        (["--data", "nowhere.csv"], 3, "no file or directory nowhere.csv"),
        (["--test", "nowhere.csv"], 3, "no file nowhere.csv"),
    ],
)
def test_what_cannot_be_meant_is_one_line_before_spark_starts(
    sweep: list[str], extra: list[str], code: int, what: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main([*sweep, "--engine", "spark", *extra]) == code
    error = [line for line in capfd.readouterr().err.splitlines() if line.startswith("hptune: error: ")]
    assert len(error) == 1
    assert what in error[0]


def test_labels_that_look_like_formulas_are_harmless_in_predictions(tmp_path: Path) -> None:
    rows = "".join(f"{i},{'=cmd()' if i % 2 else '<b>'}\n" for i in range(20))
    (tmp_path / "train.csv").write_text(f"a,y\n{rows}")
    (tmp_path / "test.csv").write_text("a\n1\n")
    out = tmp_path / "out"
    data = ["--data", str(tmp_path / "train.csv"), "--test", str(tmp_path / "test.csv"), "--target", "y"]
    space = ["--set", "search_space={n_estimators: [2]}", "--cv", "2", "--engine", "serial"]
    assert main(["sweep", *data, "--estimator", "xgboost.XGBClassifier", *space, "--out", str(out)]) == 0
    assert (out / "predictions.csv").read_text().splitlines()[0] == "id,<b>,'=cmd()"


def _matrix() -> tuple[np.ndarray, np.ndarray]:
    lines = [line.split(",") for line in TRAIN.splitlines()[1:]]
    X = [[float(c[1] or "nan"), float(c[2] == "near"), float(c[3])] for c in lines]
    return np.array(X, dtype=np.float32), np.array([float(c[4]) for c in lines])


SCORING = "neg_root_mean_squared_error"


def _winner(**params: Any) -> XGBRegressor:
    return XGBRegressor(**params, n_jobs=1, enable_categorical=True, feature_types=["q", "c", "q"])


def _folds() -> list[tuple[np.ndarray, np.ndarray]]:
    return list(KFold(3, shuffle=True, random_state=0).split(_matrix()[0]))


def _assert_curve_of(winner: XGBRegressor, out: Path) -> None:
    """The written learning curve is scikit-learn's."""
    sizes = [0.1, 0.325, 0.55, 0.775, 1.0]
    rows, _, scores = learning_curve(
        winner, *_matrix(), cv=_folds(), scoring=SCORING, train_sizes=sizes, shuffle=True, random_state=0
    )
    curve = pd.read_csv(out / "learning_curve.csv")
    assert curve["rows"].tolist() == rows.tolist()
    assert curve["mean_test_score"].tolist() == pytest.approx(scores.mean(axis=1).tolist())


def _contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir() if path.is_file()}


def test_explain_writes_what_scikit_learns_functions_say(
    sweep: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(sweep) == 0
    (out / "model.ubj").unlink()  # nothing may depend on it
    before = _contents(out)
    assert main(["explain", str(out), "--cache", str(tmp_path / "cache"), "-v"]) == 0
    after = _contents(out)
    assert after.keys() - before.keys() == {"importances.csv", "learning_curve.csv"}
    assert {name: after[name] for name in before} == before
    best = json.loads((out / "best_params.json").read_text())["params"]
    X, y = _matrix()
    winner, (train, test) = _winner(**best), _folds()[0]
    expected = permutation_importance(
        winner.fit(X[train], y[train]), X[test], y[test], scoring=SCORING, n_repeats=5, random_state=0
    ).importances_mean
    found = pd.read_csv(out / "importances.csv").set_index("column")["importance"]
    assert found.loc[["size [m2]", "shore", "a<b"]].tolist() == pytest.approx(expected.tolist(), abs=1e-12)
    assert found.is_monotonic_decreasing
    _assert_curve_of(winner, out)
    printed = capsys.readouterr().out
    assert "size [m2]" in printed and "learning curve" in printed


def test_explain_of_an_unfinished_sweep_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", str(tmp_path)]) == 2
    assert "holds no finished sweep" in capsys.readouterr().err


def test_explain_fits_the_rounds_that_the_refit_had_after_early_stopping(
    sweep: list[str], tmp_path: Path
) -> None:
    stopped = ["--set", "early_stopping={rounds: 2}", "--set", "search_space={n_estimators: [200]}"]
    assert main([*sweep, *stopped]) == 0
    assert main(["explain", str(tmp_path / "out")]) == 0
    best = json.loads((tmp_path / "out" / "best_params.json").read_text())
    assert best["refit_params"]["n_estimators"] < best["params"]["n_estimators"]
    _assert_curve_of(_winner(n_estimators=best["refit_params"]["n_estimators"]), tmp_path / "out")


def test_explain_takes_a_winner_whose_parameters_json_cannot_say(sweep: list[str], tmp_path: Path) -> None:
    assert main([*sweep, "--set", "search_space={n_estimators: [3], missing: [.nan], gamma: [0, .inf]}"]) == 0
    best = json.loads((tmp_path / "out" / "best_params.json").read_text())["params"]
    assert best == {"n_estimators": 3, "missing": "nan", "gamma": 0}
    assert main(["explain", str(tmp_path / "out")]) == 0
    _assert_curve_of(_winner(n_estimators=3, missing=np.nan, gamma=0), tmp_path / "out")


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"params": 3}', "\udcff"])
def test_explain_of_a_damaged_directory_is_refused(sweep: list[str], tmp_path: Path, content: str) -> None:
    assert main(sweep) == 0
    path = tmp_path / "out" / "best_params.json"
    path.write_bytes(content.encode("utf-8", "surrogateescape"))
    assert main(["explain", str(tmp_path / "out")]) == 7


@pytest.mark.spark
@pytest.mark.slow
def test_explain_says_the_same_on_spark(sweep: list[str], tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert main(sweep) == 0
    assert main(["explain", str(out), "--engine", "serial"]) == 0
    found = [(out / name).read_text() for name in ("importances.csv", "learning_curve.csv")]
    command = [sys.executable, "-m", "hptune.cli", "explain", str(out), "--engine", "spark"]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    assert found == [(out / name).read_text() for name in ("importances.csv", "learning_curve.csv")]


def test_a_booster_of_a_categorical_table_is_read_by_xgboost_alone(sweep: list[str], tmp_path: Path) -> None:
    assert main(sweep) == 0
    booster = Booster(model_file=tmp_path / "out" / "model.ubj")
    X = np.array([[3, 1, 1], [np.nan, np.nan, 0]], dtype=np.float32)
    names, types = booster.feature_names, booster.feature_types
    matrix = DMatrix(X, feature_names=names, feature_types=types, enable_categorical=True)
    predicted = pd.read_csv(tmp_path / "out" / "predictions.csv")["prediction"]
    assert np.allclose(booster.predict(matrix), predicted, rtol=1e-6, atol=0)
