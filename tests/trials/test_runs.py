"""``hptune runs`` and ``hptune show``: what is known of a sweep's child runs."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

import hptune
from hptune.cli import main
from tests.trials import functions

SCRIPTS = Path(__file__).parent / "scripts"


@pytest.fixture(autouse=True)
def wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables are cut to the terminal's width."""
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("runs") / "out"
    hptune.run_sweep(
        {
            "name": "curious",
            "trial": {"command": "python curious.py", "code": str(SCRIPTS)},
            "search_space": {"--behaviour": ["offers", "json", "raise", "silent"], "--x": 3},
            "objective": {"primary_metric": "score", "goal": "maximize"},
            "engine": "serial",
            "out": str(place),
        }
    )
    return place


def told(*arguments: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert main([*arguments]) == 0
    return capsys.readouterr().out


def test_runs_are_ranked_and_can_be_sorted_and_sifted(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def numbers(*options: str) -> list[str]:
        text = told("runs", str(out), "--format", "csv", *options, capsys=capsys)
        return [row["run"] for row in csv.DictReader(io.StringIO(text))]

    assert numbers() == ["curious_1", "curious_0", "curious_2", "curious_3"]
    assert numbers("--sort", "loss") == ["curious_0", "curious_1", "curious_2", "curious_3"]
    assert numbers("--sort", "id") == ["curious_0", "curious_1", "curious_2", "curious_3"]
    assert numbers("--status", "failed") == ["curious_2", "curious_3"]
    assert numbers("--status", "stopped") == []


def test_a_table_for_people_and_json_for_programs(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = told("runs", str(out), capsys=capsys)
    assert "curious_1" in table and "ValueError: no luck" in table
    best = json.loads(told("runs", str(out), "--format", "json", capsys=capsys))[0]
    assert best["metrics"] == {"score": 0.75}
    assert best["params"] == {"--behaviour": "json", "--x": 3}
    first = json.loads(told("runs", str(out), "--sort", "id", "--format", "json", capsys=capsys))[0]
    assert first["steps"] == {"loss": [3.0, 2.0, 1.0], "score": [0.25, 0.5]}


@pytest.mark.parametrize("which", ["0", "curious_0"])
def test_one_run_is_shown_with_all_that_it_left(
    which: str, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = told("show", str(out), which, capsys=capsys)
    for part in (
        "run curious_0: ok",
        "--behaviour: offers",
        "score, 2 values: 0.25, 0.5",
        "outputs/deep/told.json (",
        "stdout of curious_0",
    ):
        assert part in text


def test_the_best_run_and_a_failed_one(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "told:\n  note: printed" in told("show", str(out), "best", capsys=capsys)
    assert "error:\n" in told("show", str(out), "2", capsys=capsys)


def test_a_sweep_of_fits_has_runs_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = "".join(f"{n % 7},{3 * (n % 7)}\n" for n in range(60))
    (tmp_path / "homes.csv").write_text(f"rooms,price\n{rows}")
    result = hptune.run_sweep(
        {"estimator": "sklearn.linear_model.Ridge", "search_space": {"alpha": [0.1, 9.0]}, "cv": 3},
        data=str(tmp_path / "homes.csv"),
        target="price",
        scoring="r2",
        engine="serial",
        out=str(tmp_path / "out"),
    )
    best = result.best_run()
    assert best.metrics == {"r2": result.best_score} and len(best.fold_metrics) == 3
    text = told("show", str(tmp_path / "out"), "best", capsys=capsys)
    assert "alpha: 0.1" in text and "2: r2 " in text


def test_runs_of_a_function_have_what_it_logged(tmp_path: Path) -> None:
    hptune.minimize(
        functions.parabola, {"x": [0, 1]}, max_evals=2, sampler="grid", place="driver", out=tmp_path
    )
    children = hptune.load(tmp_path).children_sorted_by_primary_metric()
    assert [child.metrics for child in children] == [{"loss": 0.0}, {"loss": 1.0}]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["show", "{out}", "9"], 2, "has no run '9': its runs are 0 to 3, and best"),
        (["runs", "{out}", "--sort", "los"], 2, "no run has the metric 'los': did you mean 'loss'"),
        (["runs", "{out}/nowhere"], 3, "holds no sweep"),
        (["runs", "az://a/b/c"], 2, "runs reads directories"),
    ],
)
def test_what_is_not_there_is_one_line(
    arguments: list[str], code: int, message: str, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([word.format(out=out) for word in arguments]) == code
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


def test_a_directory_of_sweeps_has_a_line_for_each(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    history = told("status", str(out.parent), capsys=capsys)
    assert "out" in history and "finished" in history and "4/4" in history
