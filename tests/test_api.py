"""``hptune.run_sweep`` and ``hptune.load``: the command's sweep from Python, and its files read again."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

import hptune
from hptune.errors import ConfigurationError, OutputError
from hptune.summary import SweepResult
from tests.builders import assert_same_results, classes_table

GRID: dict[str, Any] = {"n_estimators": [2, 4], "max_depth": [1, 2], "learning_rate": 0.5}
# Parameters of every kind: absent in some candidates, of mixed types, estimators, numbers that are names.
FOREST = [
    {"model__max_features": [1.0, "sqrt", None], "model__n_estimators": [2]},
    {"model__class_weight": [{0: 1, 1: 2.5}], "model__min_impurity_decrease": [float("inf"), 0.25]},
]
PIPELINE = """
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

def pipeline():
    return Pipeline([("scale", StandardScaler()), ("model", RandomForestClassifier(3, random_state=0))])
"""


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    X, y = classes_table(rows=60, columns=3)
    table = pd.DataFrame(X, columns=["a", "b", "c"]).assign(y=np.where(y == 1, "yes", "no"))
    table.to_csv(tmp_path / "rows.csv", index=False)
    return tmp_path / "rows.csv"


@pytest.fixture
def sweep(rows: Path, tmp_path: Path) -> Callable[..., SweepResult]:
    keys = {
        "data": str(rows),
        "estimator": {"class": "xgboost.XGBClassifier", "params": {"random_state": 0}},
        "search_space": GRID,
        "objective": {"primary_metric": "neg_log_loss"},
        "metrics": ["accuracy"],
        "cv": 3,
    }
    return functools.partial(
        hptune.run_sweep,
        keys,
        target="y",
        engine="serial",
        out=str(tmp_path / "out"),
        cache=tmp_path / "cache",
    )


def assert_same(loaded: SweepResult, result: SweepResult) -> None:
    pd.testing.assert_frame_equal(loaded.table, result.table)
    assert_same_results(loaded.cv_results_, result.cv_results_)
    times = [name for name in result.cv_results_ if name.endswith("_time")]
    assert all(loaded.cv_results_[name].tobytes() == result.cv_results_[name].tobytes() for name in times)
    assert (loaded.best_index, loaded.best_score) == (result.best_index, result.best_score)
    assert repr(loaded.best_params) == repr(result.best_params)
    assert (loaded.metric, loaded.shown_metric) == (result.metric, result.shown_metric)


@pytest.mark.parametrize("metrics", [[], ["accuracy"]], ids=["one metric", "two metrics"])
def test_what_is_loaded_is_what_was_found(
    metrics: list[str], sweep: Callable[..., SweepResult], rows: Path
) -> None:
    result = sweep(metrics=metrics)
    loaded = hptune.load(result.out or "")
    assert_same(loaded, result)
    X = pd.read_csv(rows)[["a", "b", "c"]].to_numpy()
    assert np.array_equal(loaded.best_model.predict_proba(X), result.best_model.predict_proba(X))


def test_early_stopping_is_loaded_with_its_rounds(sweep: Callable[..., SweepResult]) -> None:
    result = sweep(early_stopping={"rounds": 2}, **{"search_space.n_estimators": [30]})
    loaded = hptune.load(result.out or "")
    assert_same(loaded, result)
    assert (
        loaded.cv_results_["mean_best_iteration"].tolist()
        == result.cv_results_["mean_best_iteration"].tolist()
    )
    rounds = [model.get_booster().num_boosted_rounds() for model in (loaded.best_model, result.best_model)]
    assert rounds[0] == rounds[1] < 30


def test_parameters_of_every_kind_are_loaded(
    sweep: Callable[..., SweepResult], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pipes.py").write_text(PIPELINE)
    monkeypatch.syspath_prepend(str(tmp_path))
    result = sweep(estimator="pipes:pipeline", search_space=FOREST)
    loaded = hptune.load(tmp_path / "out")
    assert_same(loaded, result)
    assert loaded.cv_results_["params"] == result.cv_results_["params"]


def test_an_estimator_among_the_parameters_is_loaded_as_its_text() -> None:
    from hptune.results import cv_table_again

    text = "{'scale': StandardScaler(), 'C': 0.5, 'f': <function f at 0x7f>}"
    table = pd.DataFrame(
        {"candidate": [0, 1], "split0_test_score": [1.0, 0.5], "split1_test_score": [0.5, 0.5]}
    )
    table["params"] = [text.replace(", 'f': <function f at 0x7f>", ""), text]
    table = table.assign(param_scale="StandardScaler()", param_C=0.5, param_f=[None, "<function f at 0x7f>"])
    expected = [{"scale": "StandardScaler()", "C": 0.5}, {"scale": "StandardScaler()", "C": 0.5}]
    expected[1]["f"] = "<function f at 0x7f>"
    assert cv_table_again(table)["params"] == expected


def test_a_failing_candidate_is_loaded_as_failing(sweep: Callable[..., SweepResult]) -> None:
    result = sweep(**{"search_space.learning_rate": [0.5, -1.0]})
    assert set(result.table["status"]) == {"ok", "failed"}
    assert_same(hptune.load(result.out or ""), result)


def test_keywords_are_the_files_keys_and_win(sweep: Callable[..., SweepResult], tmp_path: Path) -> None:
    result = sweep(scoring="accuracy", metrics=[], cv=2, **{"search_space.max_depth": [3]})
    assert result.shown_metric == "accuracy"
    assert result.cv_results_["param_max_depth"].tolist() == [3, 3]
    assert "split2_test_score" not in result.cv_results_
    written = yaml.safe_load((tmp_path / "out" / "sweep.yaml").read_text())
    assert (written["cv"], written["data"]["target"]) == (2, "y")


def test_a_file_may_be_named(sweep: Callable[..., SweepResult], tmp_path: Path) -> None:
    first = sweep()
    again = hptune.run_sweep(tmp_path / "out" / "sweep.yaml", out=str(tmp_path / "again"))
    assert again.out == tmp_path / "again"
    assert again.best_score == first.best_score


def test_nothing_is_printed_unless_asked(
    sweep: Callable[..., SweepResult], capfd: pytest.CaptureFixture[str]
) -> None:
    result = sweep()
    shown = capfd.readouterr()
    assert (shown.out, shown.err) == ("", "")
    assert sweep(overwrite=True, verbose=True).best_score == result.best_score
    shown = capfd.readouterr()
    assert "neg_log_loss, best first" in shown.out and "fits" in shown.err


@pytest.mark.parametrize(
    ("keywords", "what"),
    [
        ({"serach_space": {}}, "unknown key 'serach_space'"),
        ({"search_space.max_depth.a": 1}, "search_space.max_depth.a: there is no such key"),
        ({"data": None}, "key 'data' is missing"),
        ({"out": "az://account/container?sig=abc"}, "credential"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    keywords: dict[str, Any], what: str, sweep: Callable[..., SweepResult]
) -> None:
    with pytest.raises(ConfigurationError, match=what.replace(".", r"\.")):
        sweep(**keywords)


def test_a_sweep_is_not_overwritten_unasked(sweep: Callable[..., SweepResult]) -> None:
    sweep()
    with pytest.raises(ConfigurationError, match="holds a sweep already"):
        sweep()


def test_without_refit_there_is_no_model(sweep: Callable[..., SweepResult]) -> None:
    result = sweep(refit=False)
    assert result.best_model is None
    assert hptune.load(result.out or "").best_model is None


def test_a_directory_without_a_sweep_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="holds no finished sweep"):
        hptune.load(tmp_path)


@pytest.mark.parametrize("name", ["best_params.json", "results.parquet", "model.ubj"])
@pytest.mark.parametrize("damage", ["cut", "flipped", "garbage", "absent"])
def test_a_damaged_file_is_named(
    name: str, damage: str, sweep: Callable[..., SweepResult], tmp_path: Path
) -> None:
    sweep()
    path = tmp_path / "out" / name
    content = path.read_bytes()
    if damage == "absent":
        path.unlink()
    else:
        flipped = content[:60] + bytes([content[60] ^ 0xFF]) + content[61:]
        path.write_bytes({"cut": content[:-20], "garbage": b"\x00\xff[{" * 9, "flipped": flipped}[damage])
    with pytest.raises((OutputError, ConfigurationError), match=f"{name} is damaged|no finished sweep"):
        _ = hptune.load(tmp_path / "out").best_model


def test_a_model_outside_of_the_directory_is_not_read(
    sweep: Callable[..., SweepResult], tmp_path: Path
) -> None:
    sweep()
    path = tmp_path / "out" / "best_params.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "model": "../elsewhere.ubj"}))
    assert hptune.load(tmp_path / "out").best_model is None


def test_a_notebook_shows_the_best_candidates_and_hostile_text_is_harmless(
    sweep: Callable[..., SweepResult],
) -> None:
    grid = {"n_estimators": [*range(1, 13)], "max_depth": 1, "learning_rate": [0.5, "<script>"]}
    shown = sweep(search_space=grid)._repr_html_()
    assert shown.startswith("<p>neg_log_loss: -0.")
    assert shown.count("<tr") == 1 + 10
    assert "and 14 more" in shown
    assert "max_depth</th>" not in shown and "n_estimators</th>" in shown
    assert "<script>" not in shown


@pytest.mark.parametrize(
    "absent", ["pyspark", *(pytest.param(name, marks=pytest.mark.slow) for name in ("azure", "joblibspark"))]
)
def test_neither_needs_what_it_does_not_use(absent: str, rows: Path, tmp_path: Path) -> None:
    script = (
        f"import sys; sys.modules[{absent!r}] = None\n"
        "import hptune\n"
        "assert 'sklearn' not in sys.modules and 'pandas' not in sys.modules\n"
        "keys = {'estimator': 'sklearn.naive_bayes.GaussianNB', 'search_space': {'var_smoothing': [0.1, 1]}}\n"
        f"out = {str(tmp_path / 'out')!r}\n"
        f"hptune.run_sweep(keys, data={str(rows)!r}, target='y', engine='serial', out=out)\n"
        "print(type(hptune.load(out).best_model).__name__)\n"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=120
    )
    assert (done.stdout, done.stderr, done.returncode) == ("GaussianNB\n", "", 0)


def test_numpys_values_are_those_of_a_sweep_file(sweep: Callable[..., SweepResult], tmp_path: Path) -> None:
    """In the table, when it is read again, and in what is resumed from the sweep's own file."""
    space = {"learning_rate": np.logspace(-2, 0, 3), "max_depth": [np.int64(1)], "gamma": np.float64(0)}
    params = {"random_state": np.int64(0), "reg_lambda": np.float32(0.5)}
    estimator = {"class": "xgboost.XGBClassifier", "params": params}
    result = sweep(search_space=space, estimator=estimator, out=str(tmp_path / "out"))
    assert "np." not in (tmp_path / "out" / "sweeping_results.txt").read_text()
    assert repr(hptune.load(tmp_path / "out").best_params) == repr(result.best_params)
    file, cache = tmp_path / "out" / "sweep.yaml", tmp_path / "cache"
    again = hptune.run_sweep(file, out=str(tmp_path / "out"), cache=cache, resume=True)
    assert again.savings is not None and again.savings.reused == 9


def test_data_may_be_a_path_and_is_no_frame(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("x,y\n" + "".join(f"{n},{2 * n}\n" for n in range(12)))
    sweep = {"estimator": "sklearn.linear_model.Ridge", "search_space": {"alpha": [1]}, "cv": 2}
    found = hptune.run_sweep(sweep, data=table, target="y", engine="serial", out=str(tmp_path / "out"))
    assert found.best_params == {"alpha": 1}
    with pytest.raises(ConfigurationError, match="data must be a path or a map but is of type DataFrame"):
        hptune.run_sweep(
            sweep, data=pd.read_csv(table), target="y", engine="serial", out=str(tmp_path / "other")
        )


def test_sweeps_that_begin_in_one_second_have_directories_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.csv").write_text("x,y\n" + "".join(f"{n},{2 * n}\n" for n in range(12)))
    sweep = {"estimator": "sklearn.linear_model.Ridge", "search_space": {"alpha": [1]}, "cv": 2}
    for _ in range(3):
        hptune.run_sweep(sweep, data="t.csv", target="y", engine="serial")
    assert len(list((tmp_path / "runs").iterdir())) == 3


def test_what_the_package_offers_is_listed() -> None:
    assert set(hptune.__all__) <= set(dir(hptune))
