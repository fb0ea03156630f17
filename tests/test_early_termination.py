"""Sweeps with a policy, from the file to the table: what is stopped, on which engine, told to whom, gone on with."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from xgboost import XGBRegressor

from hptune import run_sweep
from hptune.cli import main
from hptune.engine import ProcessesEngine, SerialEngine
from hptune.observers import Observer
from hptune.policies import (
    BanditPolicy,
    MedianStoppingPolicy,
    Policy,
    RacingPolicy,
    SuccessiveHalvingPolicy,
    TruncationSelectionPolicy,
)
from hptune.records import Outcome
from hptune.summary import SweepResult
from hptune.sweep import Sweep, run
from tests.builders import Case, StopAfter, numbers_table, sweep_of

# Learning rates from useless to good; the good ones come first, so that later ones have something to be compared with.
RATES = [0.3, 0.2, 0.1, 0.03, 0.01, 0.003, 0.001, 0.0003]
CASE = Case(
    XGBRegressor(max_depth=3, subsample=0.5, seed=0, n_jobs=1),
    {"n_estimators": [40], "learning_rate": RATES},
    *numbers_table(rows=150),
    scoring="neg_root_mean_squared_error",
    cv=5,
)
POLICIES: dict[str, Policy] = {
    "bandit": BanditPolicy(slack_factor=0.2, delay_evaluation=5),
    "median_stopping": MedianStoppingPolicy(delay_evaluation=5),
    "truncation_selection": TruncationSelectionPolicy(truncation_percentage=40, evaluation_interval=4),
    "asha": SuccessiveHalvingPolicy(min_resource=4),
    "racing": RacingPolicy(alpha=0.1),
}


def sweep(policy: Policy | None, case: Case = CASE, **fields: Any) -> Sweep:
    return sweep_of(case, early_termination=policy, **fields)


def trained(result: SweepResult) -> int:
    return int(result.table["rounds_trained"].sum())


@pytest.fixture(scope="module")
def exhaustive() -> SweepResult:
    return run(sweep(None), SerialEngine())


@pytest.mark.parametrize("name", POLICIES)
def test_what_is_finished_has_the_scores_of_the_exhaustive_sweep_and_what_is_stopped_has_none(
    name: str, exhaustive: SweepResult
) -> None:
    result = run(sweep(POLICIES[name]), SerialEngine())
    table = result.table
    stopped = table[table["status"] == "stopped"]
    whole = table[table["status"] == "ok"]
    assert len(stopped) and len(whole) and len(stopped) + len(whole) == len(RATES)
    assert trained(result) < trained(exhaustive)
    expected = exhaustive.table.set_index("candidate")["mean_test_score"]
    assert whole.set_index("candidate")["mean_test_score"].to_dict() == {
        number: expected[number] for number in whole["candidate"]
    }
    assert stopped["mean_test_score"].isna().all()
    assert stopped["last_score"].notna().all() and (stopped["stopped_after"] >= 1).all()
    assert list(table["status"]) == ["ok"] * len(whole) + ["stopped"] * len(stopped)
    assert result.best_params["learning_rate"] in (0.3, 0.2, 0.1)
    assert result.best_score == whole["mean_test_score"].max()


@pytest.mark.parametrize("name", [pytest.param("bandit", marks=pytest.mark.slow), "racing"])
def test_on_processes_a_policy_decides_as_well(name: str, exhaustive: SweepResult) -> None:
    case = replace(CASE, grid={"n_estimators": [400], "learning_rate": [0.3, 0.001, 0.0005, 0.0002]})
    result = run(sweep(POLICIES[name], case), ProcessesEngine(2))
    assert set(result.table["status"]) == {"ok", "stopped"}
    assert result.best_params["learning_rate"] == 0.3
    assert trained(result) < 4 * 400 * 5


def test_a_partial_score_that_is_better_than_all_whole_ones_does_not_win() -> None:
    """The truth here sinks with the rounds: the best last value is that of a candidate that was stopped."""
    outcomes = [
        Outcome(0, 0, "ok", {"score": 0.5}, fit_id=0),
        Outcome(1, 0, "stopped", {"score": 0.9}, fit_id=1, stopped_after=3),
    ]
    from hptune.results import best_index, cv_table, ranked_table

    cells = [[outcomes[0]], [outcomes[1]]]
    results = cv_table([{"a": 1}, {"a": 2}], cells, ["score"])
    table = ranked_table(results, cells, "score")
    assert best_index(results, "score") == 0
    assert table["status"].tolist() == ["ok", "stopped"]
    assert table["last_score"].tolist()[1] == 0.9 and np.isnan(table["last_score"].tolist()[0])


def test_a_race_asks_no_fold_of_a_candidate_that_has_lost() -> None:
    result = run(sweep(POLICIES["racing"]), SerialEngine())
    stopped = result.table[result.table["status"] == "stopped"]
    assert (stopped["stopped_after"] == 2).any()
    for _, row in stopped.iterrows():
        scores = [row[f"split{fold}_test_score"] for fold in range(5)]
        assert [np.isnan(score) for score in scores] == [fold >= row["stopped_after"] for fold in range(5)]
        assert row["last_score"] == pytest.approx(np.nanmean(scores))


@pytest.mark.parametrize("name", ["asha", "racing"])
@pytest.mark.parametrize("after", [1, 4, 8])
def test_a_stopped_sweep_goes_on_and_fits_nothing_twice(name: str, after: int, tmp_path: Path) -> None:
    out, fits = tmp_path / "out", Counted()
    out.mkdir()
    with pytest.raises(KeyboardInterrupt):
        run(sweep(POLICIES[name]), SerialEngine(), out=out, observers=[StopAfter(after)])
    kept = {line for line in (out / "journal.jsonl").read_text().splitlines() if '"outcome"' in line}
    result = run(sweep(POLICIES[name]), SerialEngine(), out=out, observers=[fits], resume=True)
    told = [json.loads(line) for line in kept]
    before = {(each["candidate"], each["fold"]) for each in told}
    assert len(before) >= after
    assert not before & fits.cells
    assert before | fits.cells == {(candidate, fold) for candidate in range(len(RATES)) for fold in range(5)}
    assert result.best_params["learning_rate"] in (0.3, 0.2)
    again = Counted()
    run(sweep(POLICIES[name]), SerialEngine(), out=out, observers=[again], resume=True)
    assert not again.cells


def test_a_sweep_that_goes_on_knows_what_earlier_fits_reported(
    tmp_path: Path, exhaustive: SweepResult
) -> None:
    """The best two come first; a policy that had forgotten them would let the first of the others go to its end."""
    for name, stop in (("whole", 10**6), ("cut", 11)):
        (tmp_path / name).mkdir()
        try:
            run(sweep(POLICIES["asha"]), SerialEngine(), out=tmp_path / name, observers=[StopAfter(stop)])
        except KeyboardInterrupt:
            run(sweep(POLICIES["asha"]), SerialEngine(), out=tmp_path / name, resume=True)
    tables = [pd.read_csv(tmp_path / name / "results.csv") for name in ("whole", "cut")]
    columns = ["candidate", "status", "stopped_after", "mean_test_score", "last_score", "rounds_trained"]
    pd.testing.assert_frame_equal(*(table[columns] for table in tables))


class Counted(Observer):
    def __init__(self) -> None:
        self.cells: set[tuple[int, int]] = set()

    def on_outcome(self, outcome: Outcome) -> None:
        assert (outcome.candidate, outcome.fold) not in self.cells
        self.cells.add((outcome.candidate, outcome.fold))


@pytest.fixture()
def file_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., dict[str, Any]]]:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.normal(size=(90, 3)), columns=["a", "b", "c"])
    table.assign(y=table["a"] + 0.1 * table["b"]).to_csv("rows.csv", index=False)

    def content(policy: Any, **keys: Any) -> dict[str, Any]:
        return {
            "data": {"path": "rows.csv", "target": "y"},
            "estimator": "xgboost.XGBRegressor",
            "search_space": {"n_estimators": 30, "learning_rate": "float(0.001, 0.5, log=true)", "seed": 0},
            "sampling_algorithm": {"type": "random", "seed": 1},
            "limits": {"max_total_trials": 10},
            "objective": {"primary_metric": "neg_root_mean_squared_error"},
            "cv": 4,
            "engine": "serial",
            "early_termination": policy,
            **keys,
        }

    yield content


@pytest.mark.parametrize("sampler", ["random", "sobol", "bayesian"])
@pytest.mark.parametrize("policy", ["asha", "racing"])
def test_every_sampler_goes_with_a_policy(
    sampler: str, policy: str, file_of: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    config = file_of(policy, sampling_algorithm={"type": sampler, "seed": 1})
    result = run_sweep(config, out=str(tmp_path / "out"), cache=tmp_path / "cache")
    assert set(result.table["status"]) == {"ok", "stopped"}
    assert len(result.table) == 10
    written = yaml.safe_load((tmp_path / "out" / "sweep.yaml").read_text())
    assert written["early_termination"]["type"] == policy
    again = run_sweep(written, out=str(tmp_path / "again"), cache=tmp_path / "cache")
    assert again.table["status"].tolist() == result.table["status"].tolist()
    assert again.best_params == result.best_params


def test_in_python_a_policy_is_given_as_itself(
    file_of: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    policy = SuccessiveHalvingPolicy(min_resource=3)
    result = run_sweep(file_of(policy), out=str(tmp_path / "out"), cache=tmp_path / "cache")
    assert set(result.table["status"]) == {"ok", "stopped"}
    written = yaml.safe_load((tmp_path / "out" / "sweep.yaml").read_text())
    assert written["early_termination"]["min_resource"] == 3


REFUSED = {
    "unknown policy": (
        {"type": "bandid"},
        {},
        "unknown early_termination.type 'bandid': did you mean 'bandit'?",
    ),
    "both slacks": (
        {"type": "bandit", "slack_factor": 0.1, "slack_amount": 0.1},
        {},
        "both slack_factor and slack_amount",
    ),
    "percentage": (
        {"type": "truncation_selection", "truncation_percentage": 100},
        {},
        "must be a whole number from 1 to 99 but is 100",
    ),
    "no rounds": (
        "median_stopping",
        {"estimator": "sklearn.linear_model.Ridge", "search_space": {"alpha": "uniform(0.1, 1)"}},
        "early_termination median_stopping needs fits that go round by round, which Ridge has not: use racing",
    ),
    "one fold": (
        "racing",
        {"cv": 2},
        "early_termination racing compares candidates over folds, and there are 2: use a cv of 3 or more",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_meant_is_refused_in_one_line(
    case: str, file_of: Callable[..., dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    policy, keys, said = REFUSED[case]
    Path("sweep.yaml").write_text(yaml.safe_dump(file_of(policy, **keys)))
    assert main(["sweep", "--config", "sweep.yaml", "--out", "out", "--cache", "cache", "-q"]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.startswith("hptune: error: ") and error.count("\n") == 1
    assert not Path("out").exists()


def test_the_command_line_tells_who_was_stopped(
    file_of: Callable[..., dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("sweep.yaml").write_text(yaml.safe_dump(file_of({"type": "asha", "min_resource": 3})))
    assert main(["sweep", "--config", "sweep.yaml", "--out", "out", "--cache", "cache"]) == 0
    told = capsys.readouterr().out
    assert " stopped early" in told
    assert "work shared" not in told
    table = pd.read_csv("out/results.csv")
    assert {"stopped_after", "last_score"} <= set(table)
    assert "status: stopped" in Path("out/sweeping_results.txt").read_text()
    assert main(["status", "out"]) == 0
    assert "finished" in capsys.readouterr().out


def test_another_policy_is_another_sweep(
    file_of: Callable[..., dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("sweep.yaml").write_text(yaml.safe_dump(file_of("asha")))
    command = ["sweep", "--config", "sweep.yaml", "--out", "out", "--cache", "cache", "-q"]
    assert main(command) == 0
    assert main([*command, "--resume", "--set", "early_termination.reduction_factor=4"]) == 2
    assert "early_termination.reduction_factor is 4, but out was started with 3" in capsys.readouterr().err
