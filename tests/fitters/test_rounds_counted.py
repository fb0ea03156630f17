"""The older reference sweep's 120-point grid: five rungs share each fit, and the rounds are counted."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from xgboost import XGBClassifier

from hptune.engine import ProcessesEngine
from tests.builders import Case, assert_same_results, classes_table, grid_search, swept

FILE = Path(__file__).parents[2] / "configs" / "talkingdata_spark_older.yaml"
SAMPLED = [(300, 0.01, 0.5), (700, 0.01, 0.5), (500, 1, 1), (400, 0.1, 0.7), (600, 0.5, 0.9)]


@pytest.fixture(scope="module")
def case() -> Case:
    space = yaml.safe_load(FILE.read_text())["search_space"] | {
        "max_depth": 1,
        "objective": "binary:logistic",
    }
    return Case(XGBClassifier(seed=0), space, *classes_table(40, 3), scoring="neg_log_loss", cv=5)


def test_the_120_point_grid_trains_84_000_rounds_of_300_000(case: Case) -> None:
    result = swept(case, ProcessesEngine(2), refit=False)
    assert len(result.cv_results_["params"]) == 120
    assert (result.savings.cells, result.savings.fits) == (600, 120)
    assert (result.savings.rounds_asked, result.savings.rounds_trained) == (300_000, 84_000)
    assert int(result.table["rounds_trained"].sum()) == 84_000
    for rounds, bylevel, subsample in SAMPLED:
        point = {"n_estimators": rounds, "colsample_bylevel": bylevel, "subsample": subsample}
        alone = grid_search(
            Case(case.estimator, {**case.grid, **point}, case.X, case.y, case.scoring, 5), refit=False
        )
        at = result.cv_results_["params"].index(alone.cv_results_["params"][0])
        picked = {
            name: column[at : at + 1] if not name.startswith(("rank", "param_")) else alone.cv_results_[name]
            for name, column in result.cv_results_.items()
        }
        assert_same_results(picked, alone.cv_results_)


@pytest.mark.slow
def test_every_point_of_the_120_point_grid_is_scikit_learns(case: Case) -> None:
    result = swept(case, ProcessesEngine(2), refit=False)
    assert_same_results(result.cv_results_, grid_search(case, refit=False).cv_results_)
