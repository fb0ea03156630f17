"""What is left in an output directory when another sweep, or another winner, takes the place of one."""

from __future__ import annotations

from pathlib import Path

from sklearn.linear_model import Ridge

from hptune.engine import SerialEngine
from hptune.outputs import Winner, clear_output, clear_winner
from hptune.sweep import run
from tests.builders import Case, numbers_table, sweep_of

CASE = Case(Ridge(), {"alpha": [0.1, 1.0]}, *numbers_table())


def spark_model(out: Path) -> Path:
    """What is left of a model of Spark's that lies in a sweep's directory."""
    (out / "model" / "metadata").mkdir(parents=True)
    (out / "model" / "metadata" / "part-00000").write_text("{}")
    return out / "model"


def test_a_model_of_the_sweep_before_does_not_stay(tmp_path: Path) -> None:
    run(sweep_of(CASE), SerialEngine(), out=tmp_path)
    model = spark_model(tmp_path)
    clear_output(tmp_path)
    assert not model.exists() and not list(tmp_path.iterdir())


def test_a_model_of_another_winner_does_not_stay(tmp_path: Path) -> None:
    first = run(sweep_of(CASE), SerialEngine(), out=tmp_path)
    model = spark_model(tmp_path)
    clear_winner(tmp_path, Winner(first.best_params, first.shown_metric, first.best_score))
    assert model.exists()
    clear_winner(tmp_path, Winner({}, first.shown_metric, first.best_score))
    assert not model.exists()


def test_directories_of_others_stay(tmp_path: Path) -> None:
    mine = [tmp_path / "children" / "notes.txt", tmp_path / "model" / "metadata" / "part-00000"]
    for path in mine:
        path.parent.mkdir(parents=True)
        path.write_text("mine")
    clear_output(tmp_path)
    clear_winner(tmp_path)
    assert all(path.exists() for path in mine)
    (tmp_path / "model" / "metadata").rename(tmp_path / "model" / "weights")
    run(sweep_of(CASE), SerialEngine(), out=tmp_path)
    clear_output(tmp_path)
    assert (tmp_path / "model" / "weights" / "part-00000").exists()
