"""The comparison's own check, on grids too small to time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn.model_selection
from sklearn.dummy import DummyClassifier

from benchmarks import early_termination, search_overhead, workloads
from benchmarks.compare import compare
from benchmarks.contenders import Scores, hptune_on, scikit_learn
from benchmarks.limit import lower_limit
from benchmarks.workloads import Workload
from hptune import GridSearchCV
from hptune.engine import SerialEngine
from hptune.policies import parse_policy
from hptune.sweep import run


def _one_bit_off(workload: Workload) -> Scores:
    scores = hptune_on(SerialEngine())(workload)
    scores[-1, -1] = np.nextafter(scores[-1, -1], 0)
    return scores


def test_equal_scores_pass(capsys: pytest.CaptureFixture[str]) -> None:
    contenders = {"scikit-learn": scikit_learn, "hptune": hptune_on(SerialEngine())}
    assert compare(workloads.smoke(), contenders) == 0
    assert "identical to the last bit" in capsys.readouterr().out


def test_a_score_that_differs_in_its_last_bit_fails_the_comparison(
    capsys: pytest.CaptureFixture[str],
) -> None:
    contenders = {"scikit-learn": scikit_learn, "one bit off": _one_bit_off}
    assert compare(workloads.smoke(), contenders) == 1
    assert "SCORES DIFFER from scikit-learn: one bit off" in capsys.readouterr().out


def test_the_limit_counts_each_ladder_once() -> None:
    workload = workloads.smoke()
    assert workload.unique_fits == [{"n_estimators": 4}]
    assert lower_limit(workload) > 0


@pytest.mark.parametrize(
    ("name", "fits", "unique"), [("ladder", 20, 4), ("no_ladder", 8, 8), ("short", 120, 120)]
)
def test_workloads_share_what_they_say(name: str, fits: int, unique: int) -> None:
    workload = workloads.BY_NAME[name]()
    assert (len(workload.candidates), len(workload.unique_fits)) == (fits, unique)


@pytest.mark.parametrize(("seed", "code"), [(0, 0), (1, 1)])
def test_searches_must_have_the_same_scores(seed: int, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    def theirs(X: Any, y: Any) -> Any:
        return sklearn.model_selection.GridSearchCV(DummyClassifier(), search_overhead.GRID).fit(X, y)

    def ours(X: Any, y: Any) -> Any:
        grid = {**search_overhead.GRID, "random_state": [seed]}
        return GridSearchCV(DummyClassifier(), grid, spark="serial").fit(X, y)

    searches = {"scikit-learn": theirs, "hptune": ours}
    assert search_overhead.compare(searches, megabytes=1, repeat=1) == code
    assert "1 MB dense, 20 fits" in capsys.readouterr().out


def test_early_terminations_figures_are_held_to_what_they_should_be(tmp_path: Path) -> None:
    table = early_termination.own_table(tmp_path, rows=60)
    table["search_space"] = {"n_estimators": 12, "learning_rate": "float(0.001, 0.5, log=true)", "seed": 0}
    sweep = early_termination.search(table, 8, tmp_path / "cache")
    asha = {"asha": {"type": "asha", "min_resource": 2}}
    late = {"asha": {"type": "asha", "min_resource": 12}}
    assert not early_termination.compare("small", sweep, late)  # saves nothing
    exhaustive = run(sweep, SerialEngine())
    under = run(replace(sweep, early_termination=parse_policy(asha["asha"])), SerialEngine())
    saving = early_termination.saving(exhaustive, under)
    assert saving.rounds == under.table["rounds_trained"].sum() < exhaustive.table["rounds_trained"].sum()
    assert saving.times_fewer == 8 * 5 * 12 / saving.rounds
    assert replace(saving, times_fewer=3.0, from_best=0.1).keeps("asha")
    assert not replace(saving, times_fewer=2.9, from_best=0.0).keeps("asha")
    assert not replace(saving, times_fewer=9.0, from_best=0.11).keeps("racing")
