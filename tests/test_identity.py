"""A cell's key tells whether a score that is there is the score that is wanted."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import Ridge
from sklearn.metrics import check_scoring, make_scorer, mean_absolute_error

from hptune import identity
from hptune.identity import Identity, shown_params
from hptune.matrix import FeatureMatrix
from hptune.records import EarlyStopping
from hptune.space import canonical

X = np.arange(24.0).reshape(12, 2)
ROWS = np.arange(12)
FOLDS = [(ROWS[:8], ROWS[8:]), (ROWS[4:], ROWS[:4])]


def told(**fields: Any) -> Identity:
    whole = {
        "train": FeatureMatrix(X, ("a", "b"), y=X[:, 0]),
        "folds": FOLDS,
        "estimator": Ridge(),
        "candidates": [{"alpha": 1.0}, {"alpha": 2.0}],
        "scorer": check_scoring(Ridge(), scoring="r2"),
        "metrics": ("score",),
    }
    return Identity(**{**whole, **fields})


OTHERS: dict[str, dict[str, Any]] = {
    "data": {"train": FeatureMatrix(X + 1e-9, ("a", "b"), y=X[:, 0])},
    "labels": {"train": FeatureMatrix(X, ("a", "b"), y=X[:, 1])},
    "weights": {"train": FeatureMatrix(X, ("a", "b"), y=X[:, 0], weights=np.ones(12))},
    "rows of the fold": {"folds": [(ROWS[1:8], ROWS[8:]), FOLDS[1]]},
    "order of the fold's rows": {"folds": [(ROWS[:8][::-1], ROWS[8:]), FOLDS[1]]},
    "row from one side to the other": {"folds": [(ROWS[:9], ROWS[9:]), FOLDS[1]]},
    "class": {"estimator": make_scorer},
    "estimator's parameter": {"estimator": Ridge(tol=1e-3)},
    "candidate": {"candidates": [{"alpha": 1.5}]},
    "candidate's type": {"candidates": [{"alpha": 1}]},
    "scorer": {"scorer": make_scorer(mean_absolute_error)},
    "early stopping": {"early_stopping": EarlyStopping(5)},
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_may_change_the_score_changes_the_key(name: str) -> None:
    assert told(**OTHERS[name]).key(0, 0) not in (None, told().key(0, 0))


@pytest.mark.parametrize("library", identity.library_versions())
def test_a_librarys_version_changes_the_key(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = told().key(0, 0)
    versions = identity.library_versions()
    assert all(version[0].isdigit() for version in versions.values())
    monkeypatch.setattr(identity, "library_versions", lambda: {**versions, library: "0"})
    assert told().key(0, 0) != before


def test_what_changes_no_score_changes_no_key() -> None:
    key = told().key(0, 0)
    assert told(seed=3).key(0, 0) == key
    assert told(candidates=[{"alpha": 5.0}, {"alpha": 1.0}]).key(1, 0) == key
    assert told(folds=FOLDS[::-1]).key(0, 1) == key
    lists = [(train.tolist(), test.astype(np.int32)) for train, test in FOLDS]
    assert told(folds=lists).key(0, 0) == key
    assert told(candidates=[{"alpha": np.float64(1.0)}]).key(0, 0) != key  # a fit may tell the types apart
    assert len({told().key(candidate, fold) for candidate in (0, 1) for fold in (0, 1)}) == 4


def test_keys_are_the_same_in_every_process() -> None:
    script = "from tests.test_identity import told; print(told().key(1, 1))"
    keys = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": "."},
            cwd=Path(__file__).parents[1],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in ("1", "2")
    }
    assert keys == {told().key(1, 1)}


def test_what_has_no_canonical_form_has_no_key() -> None:
    odd = {"alpha": 1.0, "random_state": np.random.RandomState(0)}
    assert told(candidates=[odd, {"alpha": 2.0}]).key(0, 0) is None
    assert told(candidates=[odd, {"alpha": 2.0}]).key(1, 0) == told().key(1, 0)
    assert told(estimator=Ridge(random_state=np.random.RandomState(0))).key(0, 0) is None
    assert told(scorer=lambda *_: 1.0).key(0, 0) is None
    assert told(candidates=[odd]).grid == replace(told(), candidates=[{**odd}]).grid
    assert "RandomState" in str(told(candidates=[odd]).unknown)
    assert told().unknown is None


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.text(max_size=5), VALUES, max_size=4))
def test_every_grids_text_can_be_shown(params: dict[str, Any]) -> None:
    shown = shown_params(canonical(params))
    assert shown.keys() == params.keys()
    assert all(isinstance(value, str) for value in shown.values())
