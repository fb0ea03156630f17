"""What is looked at before the first fit: folds that cannot be scored, memory that is not there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import yaml
from sklearn.linear_model import LogisticRegression, Ridge
from xgboost import XGBClassifier

from hptune.cli import main
from hptune.engine import Engine, Host, SerialEngine
from hptune.errors import InputDataError
from hptune.fitters import fit_bytes
from hptune.preflight import check_memory, check_scorable
from hptune.sweep import Sweep
from tests.builders import Case, classes_table, numbers_table, sweep_of

ROWS = np.arange(12)


def sweep_with(y: Any, folds: list[tuple[Any, Any]], estimator: Any = None) -> Sweep:
    X = np.zeros((len(y), 1))
    estimator = estimator or LogisticRegression()
    made = sweep_of(Case(estimator, {"verbose": [0]}, X, np.arange(len(y)) % 2, cv=2))
    return replace(made, train=replace(made.train, y=np.asarray(y)), folds=folds)


HALVES = [(ROWS[6:], ROWS[:6]), (ROWS[:6], ROWS[6:])]
MIXED = [0, 1] * 6


@pytest.mark.parametrize("metric", ["roc_auc", "neg_log_loss", "accuracy", "f1"])
def test_folds_with_all_classes_are_let_through(metric: str) -> None:
    check_scorable(sweep_with(MIXED, HALVES), (metric,))


def test_a_fold_that_is_scored_on_one_class_is_named_where_the_metric_needs_more() -> None:
    y = [1] * 6 + [0, 1] * 3
    sweep = sweep_with(y, [(ROWS[3:], ROWS[:3]), HALVES[1][::-1]])
    with pytest.raises(InputDataError) as refused:
        check_scorable(sweep, ("accuracy", "roc_auc"))
    assert refused.value.what == (
        "fold 0 of 2, counted from 0, cannot be scored by roc_auc (it has one class only, 1)"
    )
    check_scorable(sweep, ("accuracy",))


def test_a_fold_that_is_trained_on_one_class_is_named() -> None:
    sweep = sweep_with([1] * 6 + [0, 1] * 3, HALVES)
    with pytest.raises(InputDataError, match="fold 1 of 2, counted from 0, is trained on one class only, 1"):
        check_scorable(sweep, ())


def test_a_metric_that_does_not_fit_the_labels_is_told_before_any_fit() -> None:
    with pytest.raises(InputDataError, match=r"cannot be scored by roc_auc \(multi_class must be in"):
        check_scorable(sweep_with([0, 1, 2] * 4, HALVES), ("roc_auc",))


def test_a_fold_of_one_row_has_no_r2() -> None:
    sweep = sweep_with(np.arange(12.0), [(ROWS[1:], ROWS[:1])], Ridge())
    with pytest.raises(InputDataError, match="fold 0 of 1, counted from 0, cannot be scored by r2"):
        check_scorable(sweep, ("r2",))
    check_scorable(sweep, ("neg_root_mean_squared_error",))


class Small(SerialEngine):
    """An engine on a host with little memory."""

    def __init__(self, memory: int, slots: int = 4, shared_from: int = 0) -> None:
        self._host = Host("little", slots, memory, shared_from)

    def hosts(self) -> list[Host]:
        return [self._host]


def told_by(engine: Engine, sweep: Sweep) -> list[str]:
    lines: list[str] = []
    check_memory(sweep, engine, lines.append)
    return lines


def test_a_sweep_that_does_not_fit_into_memory_is_refused_with_the_sizes() -> None:
    with pytest.raises(InputDataError) as refused:
        told_by(Small(memory=1 << 29), sweep_of(Case(Ridge(), {"alpha": [1.0]}, *numbers_table(20_000, 600))))
    assert "4 fits at once on little need at least 1.1 GiB of memory, 91 MiB of it for the data" in str(
        refused.value
    )
    assert "there are 512 MiB" in str(refused.value)


def test_memory_that_may_not_do_is_a_warning() -> None:
    sweep = sweep_of(Case(Ridge(), {"alpha": [1.0]}, *numbers_table(20_000, 600), cv=4))
    assert told_by(Small(memory=1500 << 20), sweep)[0].startswith(
        "warning: memory may not do: 4 fits at once on little"
    )
    assert told_by(Small(memory=8 << 30), sweep) == []


def test_data_that_are_copied_into_each_worker_count_for_each() -> None:
    sweep = sweep_of(Case(Ridge(), {"alpha": [1.0]}, *numbers_table(20_000, 600), cv=4))
    shared, copied = (
        check_memory(sweep, Small(8 << 30, 4, shared_from), print)[0].least for shared_from in (0, 1 << 30)
    )
    assert copied - shared == 3 * sweep.train.nbytes


@pytest.mark.parametrize("sparse", [False, True])
def test_deeper_trees_and_finer_bins_need_more(sparse: bool) -> None:
    X, _ = classes_table(500, 20)
    X = sp.csr_array(X) if sparse else X
    plain, deep, fine = (
        fit_bytes(XGBClassifier(), [params], X, 3, 0).most
        for params in ({"max_depth": 3}, {"max_depth": 9}, {"max_depth": 3, "max_bin": 1024})
    )
    assert plain < fine < deep


@pytest.fixture
def sweep_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    rows = "".join(f"{number},{int(number > 20)}\n" for number in range(40))
    (tmp_path / "table.csv").write_text(f"a,y\n{rows}")
    keys = {
        "data": {"path": "table.csv", "target": "y"},
        "estimator": "xgboost.XGBClassifier",
        "search_space": {"n_estimators": [10, 20], "max_depth": [2, 3], "learning_rate": 0.1},
        "engine": "serial",
        "cv": 2,
        "out": "out",
    }
    (tmp_path / "sweep.yaml").write_text(yaml.safe_dump(keys))
    return tmp_path / "sweep.yaml"


def test_a_fold_of_one_class_ends_the_command_before_any_fit(
    sweep_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = ["--set", "cv={type: KFold, n_splits: 4}", "--scoring", "roc_auc"]
    assert main(["sweep", "--config", str(sweep_file), "--cache", "cache", *settings]) == 3
    assert "hptune: error: fold 0 of 4" in capsys.readouterr().err
    assert not (tmp_path / "out" / "journal.jsonl").exists()


def test_a_dry_run_tells_plan_memory_and_time_and_writes_nothing(
    sweep_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path.name for path in tmp_path.iterdir()}
    assert main(["sweep", "--config", str(sweep_file), "--cache", "cache", "--dry-run"]) == 0
    assert {path.name for path in tmp_path.iterdir()} <= {*before, "cache"}
    parameters, *lines = capsys.readouterr().out.split("4 candidates x 2 folds = 8 fold scores: ")
    assert [line.split() for line in parameters.splitlines()] == [
        ["learning_rate", "0.1"],
        ["max_depth", "2,", "3"],
        ["n_estimators", "10,", "20"],
    ]
    plan, memory, time = lines[0].splitlines()
    assert plan == "4 fits; 80 rounds to train, 120 asked for"
    assert memory.startswith("memory on ") and memory.endswith("fits at once: 1")
    assert time.startswith("time: about ") and " for 4 fits, 1 at once; " in time


def test_a_dry_run_whose_fit_fails_says_why(sweep_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = ["--set", "search_space.max_depth=-3", "--dry-run", "-q"]
    assert main(["sweep", "--config", str(sweep_file), "--cache", "cache", *settings]) == 0
    assert "time: unknown, the fit that was tried failed: " in capsys.readouterr().out


def test_a_dry_run_of_a_sweep_that_is_resumed_counts_what_is_left(
    sweep_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep = ["sweep", "--config", str(sweep_file), "--cache", "cache", "-q"]
    assert main(sweep) == 0
    content = {path.name: path.read_bytes() for path in Path("out").iterdir()}
    capsys.readouterr()
    assert main([*sweep, "--resume", "--dry-run"]) == 0
    assert "8 fold scores, 8 of them done: 0 fits" in capsys.readouterr().out
    assert {path.name: path.read_bytes() for path in Path("out").iterdir()} == content


def test_folds_in_lockstep_need_their_memory_at_once() -> None:
    X = np.zeros((1 << 16, 64))
    alone, together = (fit_bytes(XGBClassifier(), [{}], X, 4, 0, at_once=n) for n in (1, 4))
    size = X.nbytes
    assert together.least - alone.least >= 3 * size * 3 // 4
    assert together.most - alone.most >= 3 * size
