"""--resume and --extend as they are typed, and what a sweep leaves that was stopped or killed."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from hptune.api import run_sweep
from hptune.cli import main
from hptune.errors import ConfigurationError
from hptune.interrupts import Stopped
from hptune.locks import held as locked

ROOT = Path(__file__).resolve().parents[1]
MODULE = """
import time
from pathlib import Path
import numpy as np
from sklearn.linear_model import Ridge

class Slow(Ridge):
    def __init__(self, alpha=1.0, wait=""):
        super().__init__(alpha)
        self.wait = wait

    def fit(self, X, y):
        with open("fits", "a") as stream:
            stream.write(f"{self.alpha}\\n")
        while self.wait and Path("fits").read_text().count("\\n") > 3 and Path(self.wait).exists():
            time.sleep(0.01)
        return super().fit(X, y)
"""
ALPHAS = [0.01, 0.1, 1.0, 10.0]
CELLS = len(ALPHAS) * 2
Cli = Callable[..., int]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with a table, a sweep file, and an estimator that waits at the fourth fit while `hold` exists."""
    X = np.random.default_rng(0).normal(size=(40, 3))
    table = pd.DataFrame(
        {**{f"x{column}": X[:, column] for column in range(3)}, "y": X @ [1, 2, 3] + X[:, 0] ** 2}
    )
    table.to_csv(tmp_path / "table.csv", index=False)
    (tmp_path / "slow_ridge.py").write_text(MODULE)
    config = {
        "data": {"path": "table.csv", "target": "y"},
        "estimator": "slow_ridge.Slow",
        "search_space": {"alpha": ALPHAS, "wait": "hold"},
        "objective": {"primary_metric": "r2"},
        "cv": 2,
        "engine": "serial",
    }
    (tmp_path / "sweep.yaml").write_text(yaml.safe_dump(config))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(
        "JAVA_HOME", "/nonexistent"
    )  # nothing that is refused, or has no fit left, starts Spark
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


def sweep(*arguments: str) -> int:
    return main(["sweep", "--config", "sweep.yaml", "--out", "out", "-q", *arguments])


def program(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "hptune", *arguments]


@pytest.fixture
def held(home: Path) -> Iterator[subprocess.Popen[str]]:
    """A sweep that has finished three fits and waits in the fourth."""
    (home / "hold").touch()
    process = subprocess.Popen(
        program("sweep", "--config", "sweep.yaml", "--out", "out", "--overwrite"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while fits(home) < 4 or len((home / "out" / "journal.jsonl").read_bytes().splitlines()) < 4:
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    with process:
        yield process
        process.kill()


def fits(home: Path) -> int:
    return len((home / "fits").read_text().splitlines()) if (home / "fits").exists() else 0


def answer(out: Path) -> Any:
    table = pd.read_csv(out / "results.csv", dtype=str)
    work = ("time", "fit_id", "rounds_trained", "prefix_fits")
    return table[[name for name in table if not name.endswith(work)]].values.tolist()


def undisturbed(home: Path) -> Any:
    main(["sweep", "--config", "sweep.yaml", "--out", "undisturbed", "-q"])
    return answer(home / "undisturbed")


def test_the_closing_line_of_a_stopped_sweep_is_the_command_that_goes_on(
    home: Path, held: subprocess.Popen[str]
) -> None:
    held.send_signal(signal.SIGTERM)
    shown, errors = held.communicate()
    assert held.returncode == 143
    stopped, again = shown.splitlines()
    assert stopped == "stopped with 3 of 8 fold scores: out keeps them, and a table that is marked as partial"
    assert again == "go on with: python -m hptune sweep --config sweep.yaml --out out --resume"
    assert "Traceback" not in errors
    assert sorted(pd.read_csv("out/results.csv")["status"]) == ["not run", "partial", "partial", "partial"]
    (home / "hold").unlink()
    words = shlex.split(again.removeprefix("go on with: python -m hptune "))
    done = subprocess.run(program(*words), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "3 of 8 fold scores done" in done.stderr
    assert "3 of 8 fold scores were in the journal and not fitted again" in done.stdout
    assert fits(home) == 4 + 5 + 1  # the fourth twice, and the refit
    assert answer(home / "out") == undisturbed(home)


def test_a_killed_sweep_is_resumed(home: Path, held: subprocess.Popen[str]) -> None:
    held.kill()
    held.wait()
    assert not (home / "out" / "results.csv").exists()
    (home / "hold").unlink()
    assert sweep("--resume") == 0
    assert fits(home) == 4 + 5 + 1
    assert answer(home / "out") == undisturbed(home)
    assert not [path for path in (home / "out").iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize(
    "option",
    [
        [],
        ["--resume"],
        pytest.param(["--resume", "--extend"], marks=pytest.mark.slow),
        pytest.param(["--overwrite"], marks=pytest.mark.slow),
    ],
)
def test_a_second_driver_is_refused_whatever_it_wants(
    home: Path, held: subprocess.Popen[str], option: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path.name: path.read_bytes() for path in (home / "out").iterdir()}
    assert sweep(*option) == 6
    assert f"out is in use by process {held.pid} on " in capsys.readouterr().err
    held.send_signal(signal.SIGSTOP)
    os.waitpid(held.pid, os.WUNTRACED)
    assert sweep(*option) == 6
    assert f"which is stopped: continue it with kill -CONT {held.pid}" in capsys.readouterr().err
    held.send_signal(signal.SIGCONT)
    assert {path.name: path.read_bytes() for path in (home / "out").iterdir()} == before


def test_a_sweep_that_is_being_resumed_is_not_explained(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sweep() == 0
    with locked(home / "out", "out"):
        assert main(["explain", "out"]) == 6
    assert "out is in use by process" in capsys.readouterr().err


def test_another_grid_is_refused_and_a_wider_one_is_fitted_where_it_is_new(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sweep() == 0
    before = {path.name: path.read_bytes() for path in (home / "out").iterdir()}
    capsys.readouterr()
    assert sweep("--resume", "--set", "search_space.alpha=[0.01, 5]") == 2
    assert capsys.readouterr().err == (
        "hptune: error: search_space.alpha is [0.01, 5], but out was started with [0.01, 0.1, 1.0, 10.0]:"
        " give the same, or choose another --out\n"
    )
    assert sweep("--resume", "--set", "search_space.alpha=[0.01, 0.1, 1.0, 5, 10.0]") == 2
    assert "add --extend to fit what is new" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in (home / "out").iterdir()} == before
    assert sweep("--resume", "--extend", "--set", "search_space.alpha=[0.01, 0.1, 1.0, 5, 10.0]") == 0
    assert fits(home) == CELLS + 1 + 2 + 1
    resolved = yaml.safe_load((home / "out" / "sweep.yaml").read_text())
    assert resolved["search_space"]["alpha"] == [0.01, 0.1, 1.0, 5, 10.0]
    assert len(pd.read_csv("out/results.csv")) == 5


def test_a_finished_sweep_resumed_starts_no_engine(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert sweep() == 0
    arguments = ["sweep", "--config", "sweep.yaml", "--out", "out", "--engine", "spark"]
    assert main([*arguments, "--resume"]) == 0
    shown = capsys.readouterr()
    assert "nothing is left to fit" in shown.err
    assert "8 of 8 fold scores were in the journal" in shown.out
    control = subprocess.run(program(*arguments, "--overwrite"), capture_output=True)
    assert control.returncode == 8  # there is no Java


def test_resume_into_nothing_starts_and_says_so(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sweep", "--config", "sweep.yaml", "--out", "out", "--resume"]) == 0
    assert "note: out holds nothing to resume: starting from the beginning" in capsys.readouterr().err


def test_a_sweep_is_resumed_and_extended_from_python(home: Path) -> None:
    options = {"out": "out", "cache": home / "cache"}
    first = run_sweep("sweep.yaml", **options)
    wider = {"search_space.alpha": [*ALPHAS, 5.0]}
    with pytest.raises(ConfigurationError, match="add --extend"):
        run_sweep("sweep.yaml", **options, resume=True, **wider)
    second = run_sweep("sweep.yaml", **options, resume=True, extend=True, **wider)
    assert first.savings is not None and second.savings is not None
    assert (first.savings.reused, second.savings.reused) == (0, CELLS)
    assert second.savings.cells == CELLS + 2


def test_a_sweep_that_is_stopped_in_its_refit_goes_on_there(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stopped(*arguments: Any, **named: Any) -> Any:
        raise Stopped("the deadline of 20 s has passed")

    with monkeypatch.context() as patched:
        patched.setattr("hptune.sweep._sweep.fit_alone", stopped)
        assert sweep() == 9
    assert "stopped with 8 of 8 fold scores: out keeps them, and the whole table" in capsys.readouterr().out
    assert sorted(pd.read_csv("out/results.csv")["status"]) == ["ok"] * 4
    assert fits(home) == CELLS
    assert sweep("--resume") == 0
    assert fits(home) == CELLS + 1
    assert (home / "out" / "model.skops").exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--out", "out", "--resume", "--overwrite"], "--resume keeps what --overwrite removes"),
        (["--out", "out", "--extend"], "--extend goes with --resume: add --resume"),
        (["--resume"], "--resume without the directory of a sweep: name it with --out"),
    ],
)
def test_options_that_cannot_be_meant(
    home: Path, arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sweep", "--config", "sweep.yaml", *arguments]) == 2
    assert told in capsys.readouterr().err
    assert not (home / "out").exists()


def test_results_without_a_journal_cannot_be_resumed(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert sweep() == 0
    (home / "out" / "journal.jsonl").unlink()
    assert sweep("--resume") == 2
    assert "out holds files of a sweep but no journal.jsonl" in capsys.readouterr().err


@pytest.mark.parametrize("left", [["hptune.log"], ["hptune.log", "rejects.csv"], ["sweep.yaml"]], ids=str)
def test_a_sweep_killed_before_its_first_record_is_resumed(home: Path, left: list[str]) -> None:
    (home / "out").mkdir()
    for name in left:
        (home / "out" / name).write_text("")
    assert sweep("--resume") == 0
    assert fits(home) == CELLS + 1


def test_a_damaged_journal_is_exit_code_7(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert sweep() == 0
    journal = home / "out" / "journal.jsonl"
    damaged = journal.read_bytes().replace(b'"fold":0', b'"fold":1', 1)
    journal.write_bytes(damaged)
    assert sweep("--resume") == 7
    assert "out/journal.jsonl:2: the record is damaged" in capsys.readouterr().err
    assert journal.read_bytes() == damaged


def test_what_a_killed_writer_left_of_a_file_is_swept_up(home: Path) -> None:
    assert sweep() == 0
    (home / "out" / ".results.csv.abc123.tmp").write_text("half")
    assert sweep("--resume") == 0
    assert not list((home / "out").glob(".*"))


def test_a_grid_that_the_journal_could_not_be_read_with_is_refused_before_any_fit(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hptune.journal._LINE_BYTES", 20_000)
    many = ["--set", f"search_space.alpha={[number / 7 for number in range(1, 400)]}"]
    assert sweep(*many) == 2
    error = capsys.readouterr().err
    assert error.startswith("hptune: error: 399 candidates need a record of ") and error.count("\n") == 1
    assert "the journal takes 20,000: give fewer values, or sampling_algorithm random" in error
    assert not (home / "fits").exists() and not (home / "out" / "journal.jsonl").exists()
    assert sweep("--resume") == 0
    whole = (home / "out" / "journal.jsonl").read_bytes()
    assert sweep("--resume", "--extend", *many) == 2
    assert (home / "out" / "journal.jsonl").read_bytes() == whole
    assert main(["status", "out"]) == 0
