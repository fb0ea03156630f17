"""Sweeps whose fits go pass by pass under a policy: the refit does what the folds did."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import SGDClassifier
from sklearn.utils.class_weight import compute_class_weight

from hptune import run_sweep
from hptune.engine import SerialEngine
from hptune.policies import SuccessiveHalvingPolicy
from hptune.sweep import run
from tests.builders import Case, classes_table, sweep_of

X, Y = classes_table()
UNEVEN = np.flatnonzero((Y == 0) | (np.arange(len(Y)) % 4 == 0))
POLICY = SuccessiveHalvingPolicy(min_resource=6)  # at the last pass: nobody is stopped


class Refusing(SGDClassifier):
    """Whose passes end with an error after the first."""

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Refusing:
        super().partial_fit(X, y, classes=classes, sample_weight=sample_weight)
        raise ValueError("no more passes")


class Patient(SGDClassifier):
    """Whose passes do not mind a candidate that is to stop early by itself."""

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Patient:
        asked, self.early_stopping = self.early_stopping, False
        super().partial_fit(X, y, classes=classes, sample_weight=sample_weight)
        self.early_stopping = asked
        return self


def test_balanced_weights_go_by_passes_too_and_are_refitted_so(tmp_path: Path) -> None:
    rows = pd.DataFrame(X[UNEVEN]).rename(columns="x{}".format).assign(y=Y[UNEVEN])
    rows.to_csv(tmp_path / "rows.csv", index=False)
    result = run_sweep(
        {
            "data": {"path": str(tmp_path / "rows.csv"), "target": "y"},
            "estimator": {"class": "sklearn.linear_model.SGDClassifier", "params": {"random_state": 0}},
            "search_space": {"class_weight": ["balanced", None], "max_iter": [6]},
            "objective": {"primary_metric": "recall"},
            "early_termination": {"type": "asha", "min_resource": 6},
            "cv": 3,
            "engine": "serial",
            "out": str(tmp_path / "out"),
        },
        cache=tmp_path / "cache",
    )
    assert result.table["rounds_trained"].tolist() == [18, 18]
    assert result.best_params["class_weight"] == "balanced"
    assert result.best_model.get_params()["class_weight"] == "balanced"
    assert result.best_model.t_ == 6 * len(UNEVEN) + 1


def test_balanced_weights_are_those_of_the_fold() -> None:
    grid = {"class_weight": ["balanced"], "max_iter": [6]}
    case = Case(SGDClassifier(random_state=0), grid, X[UNEVEN], Y[UNEVEN])
    result = run(sweep_of(case, early_termination=POLICY), SerialEngine())
    for fold, (train, test) in enumerate(case.folds):
        weights = compute_class_weight("balanced", classes=np.array([0, 1]), y=case.y[train])
        model = SGDClassifier(class_weight=dict(enumerate(weights)), random_state=0)
        for _ in range(6):
            model.partial_fit(case.X[train], case.y[train], classes=[0, 1])
        score = model.score(case.X[test], case.y[test])
        assert result.cv_results_[f"split{fold}_test_score"].tolist() == [score]


@pytest.mark.parametrize(("estimator", "early_stopping"), [(Refusing, False), (Patient, True)])
def test_what_is_not_to_go_by_passes_is_refitted_by_fit_as_the_folds_are(
    estimator: Any, early_stopping: bool
) -> None:
    grid = {"max_iter": [6], "tol": [None], "early_stopping": [early_stopping]}
    case = Case(estimator(random_state=0), grid, X, Y)
    result = run(sweep_of(case, early_termination=POLICY), SerialEngine())
    by_fit = SGDClassifier(random_state=0, max_iter=6, tol=None, early_stopping=early_stopping)
    for fold, (train, test) in enumerate(case.folds):
        score = by_fit.fit(X[train], Y[train]).score(X[test], Y[test])
        assert result.cv_results_[f"split{fold}_test_score"].tolist() == [score]
    assert np.array_equal(result.best_model.coef_, by_fit.fit(X, Y).coef_)
