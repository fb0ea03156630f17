"""``refit: <metric>``: that metric ranks, and picks the winner that is refitted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier

from hptune.build import build_sweep, ranking_scorer
from hptune.cli import main
from hptune.config import parse_config
from hptune.engine import SerialEngine
from hptune.errors import ConfigurationError
from hptune.sweep import run
from tests.builders import classes_table

METRICS = ["accuracy", "neg_log_loss"]  # the fewest neighbours err least, but are far too sure of themselves
NEIGHBOURS = [1, 3, 15, 40]


@pytest.fixture
def raw(tmp_path: Path) -> dict[str, Any]:
    X, y = classes_table(rows=150, columns=3)
    pd.DataFrame(np.column_stack([X, y.astype(int)]), columns=["a", "b", "c", "y"]).to_csv(
        tmp_path / "rows.csv", index=False
    )
    return {
        "data": {"path": str(tmp_path / "rows.csv"), "target": "y"},
        "estimator": "sklearn.neighbors.KNeighborsClassifier",
        "search_space": {"n_neighbors": NEIGHBOURS},
        "objective": {"primary_metric": METRICS[0]},
        "metrics": METRICS[1:],
        "cv": 3,
        "engine": "serial",
    }


@pytest.mark.parametrize("refit", METRICS)
def test_the_named_metric_picks_scikit_learns_winner(raw: dict[str, Any], refit: str) -> None:
    sweep = build_sweep(parse_config({**raw, "refit": refit}))
    result = run(sweep, SerialEngine())
    theirs = GridSearchCV(
        KNeighborsClassifier(),
        {"n_neighbors": NEIGHBOURS},
        scoring=METRICS,
        cv=list(sweep.folds),
        refit=refit,
    ).fit(sweep.train.X, sweep.train.y)
    assert result.best_params == theirs.best_params_
    assert result.best_score == theirs.best_score_
    assert result.best_model.n_neighbors == theirs.best_params_["n_neighbors"]
    assert result.table[f"mean_test_{refit}"].is_monotonic_decreasing
    other = METRICS[1 - METRICS.index(refit)]
    assert not result.table[f"mean_test_{other}"].is_monotonic_decreasing


def test_the_files_and_the_terminal_name_the_metric_that_ranks(
    raw: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "sweep.yaml").write_text(json.dumps({**raw, "refit": "neg_log_loss"}))
    out = tmp_path / "out"
    assert main(["sweep", "--config", str(tmp_path / "sweep.yaml"), "--out", str(out)]) == 0
    assert "neg_log_loss, best first" in capsys.readouterr().out
    assert json.loads((out / "best_params.json").read_text())["metric"] == "neg_log_loss"
    assert (out / "sweeping_results.txt").read_text().startswith("metric =  neg_log_loss\n")
    config = parse_config(json.loads(json.dumps({**raw, "refit": "neg_log_loss"})))
    assert "log_loss" in str(ranking_scorer(config, KNeighborsClassifier()))


@pytest.mark.parametrize(
    ("keys", "mend"),
    [
        ({"refit": "neg_log_los"}, "did you mean 'neg_log_loss'?"),
        ({"refit": "r2"}, "name one of objective.primary_metric and metrics"),
        ({"refit": "r2", "metrics": [], "objective": {}}, "name one of objective.primary_metric and metrics"),
    ],
)
def test_an_unknown_metric_is_refused(raw: dict[str, Any], keys: dict[str, Any], mend: str) -> None:
    with pytest.raises(ConfigurationError, match="refit names the unknown metric") as caught:
        build_sweep(parse_config({**raw, **keys}))
    assert caught.value.mend == mend


def test_the_only_metric_may_be_named(raw: dict[str, Any]) -> None:
    sweep = build_sweep(parse_config({**raw, "metrics": [], "refit": "accuracy"}))
    assert (sweep.refit, sweep.ranking_metric, sweep.shown_metric) == (True, "score", "accuracy")
