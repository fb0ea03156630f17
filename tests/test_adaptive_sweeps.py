"""Sweeps that find their candidates while they run: from the file to the table, stopped and gone on with, repeated."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from sklearn.linear_model import Ridge

from hptune import run_sweep
from hptune.adaptive import Adaptive
from hptune.engine import Engine, Feed, ProcessesEngine, SerialEngine, Work
from hptune.errors import ClusterError, ConfigurationError
from hptune.records import Outcome
from hptune.samplers import BayesianSampler
from hptune.space import SearchSpace, parse_space
from hptune.status import read_status
from hptune.summary import SweepResult
from hptune.sweep import Sweep, run
from tests.builders import Case, StopAfter, grid_search, numbers_table, sweep_of

SPACE = parse_space({"alpha": "float(0.001, 1000, log=true)", "fit_intercept": [True, False]})
CASE = Case(Ridge(), {"alpha": [1.0]}, *numbers_table(rows=60, columns=20), scoring="r2")


def sweep(
    limit: int = 12, *, space: SearchSpace = SPACE, deterministic: bool = False, seed: int = 0
) -> Sweep:
    config = {"search_space": space.written(), "sampling_algorithm": {"type": "bayesian", "seed": seed}}
    adaptive = Adaptive(functools.partial(BayesianSampler, space, seed), limit, deterministic)
    return replace(sweep_of(CASE), candidates=[], config=config, adaptive=adaptive)


def same_answers(ours: SweepResult, theirs: SweepResult) -> bool:
    scores = [name for name in ours.table if name.startswith(("split", "mean_test"))]
    return ours.cv_results_["params"] == theirs.cv_results_["params"] and bool(
        ours.table.sort_values("candidate")[scores].equals(theirs.table.sort_values("candidate")[scores])
    )


@pytest.mark.parametrize("engine", [SerialEngine(), ProcessesEngine(2)], ids=lambda engine: engine.name)
def test_candidates_that_are_found_on_the_way_have_scikit_learns_scores(engine: Engine) -> None:
    result = run(sweep(), engine)
    found = result.cv_results_["params"]
    assert len(found) == 12 and len({params["alpha"] for params in found}) == 12
    grid = [{name: [value] for name, value in params.items()} for params in found]
    theirs = grid_search(Case(CASE.estimator, grid, CASE.X, CASE.y, CASE.scoring))
    for fold in range(3):
        name = f"split{fold}_test_score"
        assert result.cv_results_[name].tobytes() == theirs.cv_results_[name].tobytes()
    assert result.best_params == theirs.best_params_
    assert result.savings is not None and result.savings.cells == 36


def test_a_deterministic_sweep_repeats_exactly_in_processes() -> None:
    first, second = (run(sweep(deterministic=True), ProcessesEngine(2)) for _ in range(2))
    assert same_answers(first, second)


@pytest.mark.parametrize("stop_after", [1, 10, 30])
@pytest.mark.parametrize("deterministic", [False, True])
def test_a_stopped_sweep_goes_on_as_if_it_had_not_been(
    tmp_path: Path, stop_after: int, deterministic: bool
) -> None:
    undisturbed = run(sweep(deterministic=deterministic), SerialEngine())
    with pytest.raises(KeyboardInterrupt):
        run(
            sweep(deterministic=deterministic),
            SerialEngine(),
            out=tmp_path,
            observers=[StopAfter(stop_after)],
        )
    partial = pd.read_csv(tmp_path / "results.csv")
    assert len(partial) == -(-stop_after // 3) and "ok" not in partial["status"].tolist()[-1:] * (
        stop_after % 3
    )
    status = read_status(tmp_path)
    assert (status.done, status.total, status.state) == (stop_after, 36, "stopped early")
    assert status.table is not None and len(status.table) == len(partial)
    resumed = run(sweep(deterministic=deterministic), SerialEngine(), out=tmp_path, resume=True)
    assert same_answers(resumed, undisturbed)
    assert resumed.savings is not None and resumed.savings.reused == stop_after
    records = [json.loads(line)["record"] for line in (tmp_path / "journal.jsonl").read_text().splitlines()]
    assert records.count("candidate") == 12 and records.count("outcome") == 36


def test_a_finished_sweep_is_given_more_trials(tmp_path: Path) -> None:
    run(sweep(limit=6), SerialEngine(), out=tmp_path)
    more = run(sweep(limit=12), SerialEngine(), out=tmp_path, resume=True)
    assert same_answers(more, run(sweep(limit=12), SerialEngine()))
    assert more.savings is not None and more.savings.reused == 18


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"seed": 1}, "sampling_algorithm.seed is 1, but .* was started with 0"),
        ({"space": parse_space({"alpha": "uniform(0, 1)"})}, r"search_space.alpha is uniform\(0, 1\), but"),
    ],
)
def test_another_sweep_is_not_gone_on_with(tmp_path: Path, other: dict[str, Any], said: str) -> None:
    run(sweep(limit=2), SerialEngine(), out=tmp_path)
    with pytest.raises(ConfigurationError, match=said):
        run(sweep(limit=2, **other), SerialEngine(), out=tmp_path, resume=True)


def test_a_grid_does_not_go_on_with_it(tmp_path: Path) -> None:
    run(sweep(limit=2), SerialEngine(), out=tmp_path)
    with pytest.raises(ConfigurationError, match="sampling_algorithm is nothing, but .* was started with"):
        run(sweep_of(CASE), SerialEngine(), out=tmp_path, resume=True)


def test_failing_candidates_are_rows_and_the_sweep_goes_on() -> None:
    space = parse_space({"alpha": "uniform(-1, 1)"})
    result = run(sweep(limit=10, space=space), SerialEngine())
    failed = result.table["param_alpha"] < 0
    assert (result.table.loc[failed, "status"] == "failed").all() and failed.any()
    assert (result.table.loc[~failed, "status"] == "ok").all() and not failed.all()


@pytest.fixture()
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """Sweep files on a small table."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.normal(size=(60, 3)), columns=["a", "b", "c"])
    table.assign(y=table["a"] + 0.1 * table["b"]).to_csv("rows.csv", index=False)

    def content(**keys: Any) -> dict[str, Any]:
        return {
            "data": {"path": "rows.csv", "target": "y"},
            "estimator": "xgboost.XGBRegressor",
            "search_space": {
                "n_estimators": [2, 4, 6],
                "learning_rate": "float(0.05, 0.5, log=true)",
                "booster": [{"booster": "gbtree", "max_depth": "int(1, 4)"}, {"booster": ["dart"]}],
            },
            "objective": {"primary_metric": "r2"},
            "cv": 2,
            "engine": "serial",
            "sampling_algorithm": "bayesian",
            "limits": {"max_total_trials": 8},
            "deterministic": True,
            **keys,
        }

    return content


def test_a_bayesian_sweep_runs_again_from_what_it_wrote(
    file: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    first = run_sweep(file(), out="one")
    again = run_sweep(tmp_path / "one" / "sweep.yaml", out="two")
    assert same_answers(first, again)
    assert len(first.table) == 8
    written = yaml.safe_load((tmp_path / "one" / "sweep.yaml").read_text())
    assert (
        written["sampling_algorithm"] == {"type": "bayesian", "seed": 0} and written["deterministic"] is True
    )


def test_an_earlier_sweep_is_learned_from(
    file: Callable[..., dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    early = file(sampling_algorithm="random", limits={"max_total_trials": 12})
    run_sweep(early, out="early")
    capsys.readouterr()
    warm = file(sampling_algorithm={"type": "bayesian", "warm_start_from": ["early"]})
    cold = run_sweep(file(), out="cold")
    result = run_sweep(warm, out="warm", verbose=True)
    assert (
        "bayesian sampling begins with 12 of the 12 candidates that it was given" in capsys.readouterr().err
    )
    assert result.cv_results_["params"] != cold.cv_results_["params"]


def test_what_ranks_by_another_metric_is_not_learned_from(file: Callable[..., dict[str, Any]]) -> None:
    run_sweep(file(objective={"primary_metric": "neg_mean_squared_error"}), out="early")
    warm = file(sampling_algorithm={"type": "bayesian", "warm_start_from": "early"})
    with pytest.raises(
        ConfigurationError, match="early is ranked by neg_mean_squared_error, this sweep by r2"
    ):
        run_sweep(warm, out="warm")


def test_a_small_space_is_tried_out(file: Callable[..., dict[str, Any]]) -> None:
    result = run_sweep(file(search_space={"n_estimators": [2, 4, 6]}), out="out")
    assert sorted(result.table["param_n_estimators"]) == [2, 4, 6]


def test_a_misspelt_parameter_of_one_map_is_told_before_any_fit(file: Callable[..., dict[str, Any]]) -> None:
    space = {"booster": [{"booster": "gbtree", "max_detph": [1, 2]}, {"booster": "dart"}]}
    with pytest.raises(ConfigurationError, match="did you mean 'max_depth'"):
        run_sweep(file(search_space=space), out="out")


class Gone(SerialEngine):
    """Ends before it asks for the first task."""

    def run_fed(self, feed: Feed, work: Work, description: str) -> Generator[list[Outcome], None, None]:
        yield from ()
        raise ClusterError("the cluster has gone", "start it again")


def test_a_sweep_that_ends_before_its_first_candidate_tells_why_and_begins_anew(tmp_path: Path) -> None:
    for resume in (False, True):
        with pytest.raises(ClusterError, match="the cluster has gone"):
            run(sweep(), Gone(), out=tmp_path, resume=resume)
    assert not (tmp_path / "results.csv").exists()
    assert read_status(tmp_path).state == "stopped early"
    resumed = run(sweep(), SerialEngine(), out=tmp_path, resume=True)
    assert same_answers(resumed, run(sweep(), SerialEngine()))
    assert resumed.savings is not None and resumed.savings.reused == 0
