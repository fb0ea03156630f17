"""Sweeps whose trials are calls of a function: the same loop, journal and table as for fits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hptune.cli import main
from hptune.engine import DriverEngine, Engine, ProcessesEngine, SerialEngine
from hptune.errors import AllTrialsFailedError, ConfigurationError
from hptune.journal import read_journal
from hptune.records import Objective
from hptune.space import grid_candidates
from hptune.sweep import TrialSweep, run
from hptune.trials import FunctionTrial
from tests.trials import functions

LOSS = Objective("loss", "minimize")


def sweep_of(function: Any, space: Any, objective: Objective = LOSS, **fields: Any) -> TrialSweep:
    trial = FunctionTrial(function, objective)
    return TrialSweep("test", trial, grid_candidates(space), objective, **fields)


REASONS = {
    "none": "the trial gave None, not a number or a map with 'loss'",
    "nan": "loss is nan",
    "infinite": "loss is inf",
    "text": "the trial gave '0.25', not a number or a map with 'loss'",
    "truth": "the trial gave True, not a number or a map with 'loss'",
    "fail": "the trial says that it failed: 'no luck'",
    "unknown status": "the trial's status is 'new', not 'ok' or 'fail'",
    "other metric": "the trial told no 'loss', only 'r2'",
    "large": "the trial gave ndarray of 104,857,600 bytes, not a number or a map with 'loss'",
    "large beside": "'model' is bytes of length 104,857,600: a trial tells at most 2,048 bytes",
    "raise": "RuntimeError: no luck",
}


@pytest.mark.parametrize(
    "engine", [SerialEngine(), ProcessesEngine(2), DriverEngine(2)], ids=lambda engine: engine.name
)
def test_every_answer_is_a_row_and_bad_ones_say_why(engine: Engine) -> None:
    names = [*functions.ANSWERS, "raise"]
    table = run(sweep_of(functions.answers, {"answer": names}), engine).table.set_index("param_answer")
    assert table["error"].dropna().to_dict() == REASONS
    assert set(table.loc[[*REASONS], "status"]) == {"failed"}
    fine = table.drop(index=[*REASONS])
    assert set(fine["status"]) == {"ok"}
    assert fine["mean_test_neg_loss"].to_dict() == {
        "number": -0.25,
        "numpy": -0.25,
        "whole": -3.0,
        "loss": -0.25,
        "metrics": -0.25,
    }


@pytest.mark.slow
def test_a_process_that_ends_and_one_that_hangs_are_rows() -> None:
    crashed = run(sweep_of(functions.crashing, {"x": [0, 1, 2]}), ProcessesEngine(2)).table
    assert crashed["status"].tolist() == ["ok", "ok", "crashed"]
    late = run(sweep_of(functions.hanging, {"x": [0, 1, 2]}), ProcessesEngine(2, trial_timeout=2)).table
    assert late["status"].tolist() == ["ok", "ok", "timeout"]
    given_up = run(sweep_of(functions.hanging, {"x": [2, 0]}), DriverEngine(2, trial_timeout=1)).table
    assert given_up["status"].tolist() == ["ok", "timeout"]


def test_a_metric_that_is_maximized_keeps_its_name_and_others_are_shown() -> None:
    sweep = sweep_of(functions.answers, {"answer": ["metrics"]}, Objective("r2"), more_metrics=("loss",))
    result = run(sweep, SerialEngine())
    assert result.best_score == 0.5
    assert result.table["mean_test_r2"].tolist() == [0.5]
    assert result.table["mean_test_loss"].tolist() == [0.25]


def test_what_is_finished_is_not_called_again(tmp_path: Path) -> None:
    run(sweep_of(functions.parabola, {"x": [0, 1]}), SerialEngine(), out=tmp_path)
    wider = sweep_of(functions.parabola, {"x": [3, 1, 0]})
    result = run(wider, SerialEngine(), out=tmp_path, resume=True, extend=True)
    assert result.best_params == {"x": 1}
    sessions = read_journal(tmp_path / "journal.jsonl").sessions
    assert [len(session.outcomes) for session in sessions] == [2, 1]


def test_another_function_is_another_sweep(tmp_path: Path) -> None:
    run(sweep_of(functions.parabola, {"x": [0, 1]}), SerialEngine(), out=tmp_path)
    with pytest.raises(ConfigurationError, match="trial is .*crashing.*was started with .*parabola"):
        run(sweep_of(functions.crashing, {"x": [0, 1]}), SerialEngine(), out=tmp_path, resume=True)
    with pytest.raises(ConfigurationError, match="objective is"):
        other = sweep_of(functions.parabola, {"x": [0, 1]}, Objective("loss"))
        run(other, SerialEngine(), out=tmp_path, resume=True)


def test_when_nothing_has_a_score_the_commonest_reason_is_told() -> None:
    with pytest.raises(AllTrialsFailedError, match="loss is nan"):
        run(sweep_of(functions.answers, {"answer": ["nan"]}), SerialEngine())


def test_a_rehearsal_asks_the_sampler_for_a_candidate(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "sweep.yaml"
    file.write_text(
        "trial: {function: 'tests.trials.functions:parabola'}\n"
        "search_space: {x: 'uniform(-2, 3)'}\n"
        "sampling_algorithm: bayesian\n"
        "limits: {max_total_trials: 8}\n"
        "engine: serial\n"
    )
    assert main(["sweep", "-q", "--config", str(file), "--dry-run"]) == 0
    assert "time: about 0 s for 8 fits" in capsys.readouterr().out


def test_an_outcome_stays_small_and_what_is_logged_is_kept(tmp_path: Path) -> None:
    result = run(sweep_of(functions.talkative, {"fails": [False, True]}), SerialEngine(), out=tmp_path)
    fine, failed = result.children()
    assert (fine.status, failed.status) == ("ok", "failed")
    assert len(fine.steps) == len(failed.steps) == 300
    assert 0 < len(fine.metrics) < 300 and fine.metrics["loss"] == 0.5
    outcomes = (tmp_path / "journal.jsonl").read_bytes().splitlines()[1:-1]
    assert len(outcomes) == 2 and max(map(len, outcomes)) <= 4096
