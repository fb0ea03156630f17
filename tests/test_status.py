"""``hptune status``: what a directory holds, whatever became of its sweep."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from hptune import status as status_module
from hptune.cli import main
from hptune.engine import SerialEngine
from hptune.errors import AllTrialsFailedError, InputDataError, OutputError
from hptune.interrupts import Stopped
from hptune.journal import Journal
from hptune.locks import LOCK, held
from hptune.observers import Observer
from hptune.records import Outcome
from hptune.status import find_sweeps, read_status, show_status
from hptune.sweep import run
from tests.builders import Case, classes_table, sweep_of
from tests.test_resume import Failing, Recorded, cut_off, ladders, wider


def shown(path: Path, width: int = 120) -> str:
    console = Console(width=width, record=True, file=open(os.devnull, "w"))  # noqa: SIM115
    show_status(path, console)
    console.file.close()
    return console.export_text()


def content(path: Path) -> dict[str, bytes]:
    return {each.name: each.read_bytes() for each in path.iterdir()}


def test_a_finished_sweep(tmp_path: Path) -> None:
    run(ladders(), SerialEngine(), out=tmp_path)
    before = content(tmp_path)
    status = read_status(tmp_path)
    assert (status.state, status.name, status.done, status.total) == ("finished", "test", 18, 18)
    assert status.table is not None and status.table["status"].tolist() == ["ok"] * 6
    text = shown(tmp_path)
    assert f"{tmp_path}: finished" in text.replace("\n", "")
    assert "18 of 18 fold scores (100 %)" in text
    assert "score, best first" in text and "n_estimators" in text
    assert content(tmp_path) == before


def test_the_table_is_the_sweeps_own(tmp_path: Path) -> None:
    result = run(ladders(), SerialEngine(), out=tmp_path)
    table = read_status(tmp_path).table
    assert table is not None
    same = [name for name in table if name != "params" and not name.startswith("param_")]
    assert table[same].equals(result.table[same])
    assert table["param_n_estimators"].astype(int).tolist() == result.table["param_n_estimators"].tolist()


def test_a_stopped_and_an_interrupted_sweep(tmp_path: Path) -> None:
    cut_off(ladders(), tmp_path, 5, Stopped("the deadline of 20 s has passed"))
    status = read_status(tmp_path)
    assert (status.state, status.detail) == ("stopped early", "the deadline of 20 s has passed")
    assert status.done == 5 and not status.goes_on
    assert "no candidate has a score on all its folds yet" in shown(tmp_path)
    run(ladders(), Recorded(), out=tmp_path, resume=True)
    with pytest.raises(KeyboardInterrupt):
        run(wider(max_depth=[1, 2, 3]), Recorded(1), out=tmp_path, resume=True, extend=True)
    assert "partial" in shown(tmp_path) and "not run" in shown(tmp_path)


def test_a_record_that_was_cut_off_is_normal(tmp_path: Path) -> None:
    cut_off(ladders(), tmp_path, 5)
    journal = tmp_path / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:-1])[:-7])
    status = read_status(tmp_path)
    assert (status.state, status.done) == ("interrupted", 4)


def test_a_running_sweep_is_told_while_its_journal_is_written(tmp_path: Path) -> None:
    seen: list[tuple[str, int]] = []

    class Looking(Observer):
        def on_outcome(self, outcome: Outcome) -> None:
            status = read_status(tmp_path)
            assert f"process {os.getpid()} on " in status.detail
            seen.append((status.state, status.done))

    with held(tmp_path, "out"):
        run(ladders(), SerialEngine(), out=tmp_path, observers=[Looking()])
        assert read_status(tmp_path).state == "in use"
    assert seen == [("running", done) for done in range(3, 19, 3) for _ in range(3)]  # a fit is three scores


def test_a_directory_that_is_held_and_has_no_journal_is_in_use(tmp_path: Path) -> None:
    with held(tmp_path / "out", "out"):
        assert find_sweeps(tmp_path / "out") == [tmp_path / "out"]
        assert read_status(tmp_path / "out").state == "in use"
        assert "in use: process" in shown(tmp_path)
    with pytest.raises(InputDataError):
        find_sweeps(tmp_path / "out")


def test_a_holder_that_was_stopped_is_told(tmp_path: Path) -> None:
    cut_off(ladders(), tmp_path, 5)
    journal = tmp_path / "journal.jsonl"
    journal.write_bytes(b"".join(journal.read_bytes().splitlines(keepends=True)[:-1]))
    script = "import sys; from pathlib import Path; from hptune.locks import held\n"
    script += "with held(Path(sys.argv[1]), 'out'): print('held', flush=True); sys.stdin.read()"
    holder = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[1],
    )
    assert holder.stdout is not None and holder.stdout.readline() == b"held\n"
    with holder:
        os.kill(holder.pid, signal.SIGSTOP)
        os.waitpid(holder.pid, os.WUNTRACED)
        status = read_status(tmp_path)
        assert status.state == "running" and status.detail.endswith("which is stopped")
        holder.kill()
    assert read_status(tmp_path).state == "interrupted"
    assert (tmp_path / LOCK).exists()


def test_causes_of_failures_are_counted(tmp_path: Path) -> None:
    grid = [{"fails": [True], "constant": [0, 1]}, {"constant": [0, 1]}]
    run(sweep_of(Case(Failing(), grid, *classes_table(40), cv=2)), SerialEngine(), out=tmp_path)
    assert read_status(tmp_path).causes == {"failed: ValueError: no luck": 4}
    assert "4 x failed: ValueError: no luck" in shown(tmp_path)


def test_a_sweep_of_which_all_failed_is_finished(tmp_path: Path) -> None:
    case = Case(Failing(), {"fails": [True]}, *classes_table(40), cv=2)
    with pytest.raises(AllTrialsFailedError):
        run(sweep_of(case), SerialEngine(), out=tmp_path)
    assert read_status(tmp_path).state == "finished"


def test_an_extended_sweep_shows_every_score_at_its_candidate(tmp_path: Path) -> None:
    cut_off(ladders(), tmp_path, 7)
    grid: dict[str, Any] = {"n_estimators": [1, 2, 4, 6, 8], "max_depth": [3, 2, 1]}
    result = run(wider(**grid), Recorded(), out=tmp_path, resume=True, extend=True)
    status = read_status(tmp_path)
    assert (status.sessions, status.done, status.total) == (2, 45, 45)
    assert status.table is not None
    assert status.table["mean_test_score"].equals(result.table["mean_test_score"])
    assert status.table["candidate"].equals(result.table["candidate"])


def test_a_directory_of_sweeps_is_one_line_each(tmp_path: Path) -> None:
    run(ladders(), SerialEngine(), out=_made(tmp_path / "a"))
    cut_off(ladders(), _made(tmp_path / "b"), 3, Stopped("enough"))
    cut_off(ladders(), _made(tmp_path / "c"), 0)
    (_made(tmp_path / "d") / "journal.jsonl").write_bytes(b"x\ny\n")
    (_made(tmp_path / "e") / "notes.txt").write_text("no sweep")
    lines = [line.split() for line in shown(tmp_path).splitlines() if line.strip()]
    rows = {line[0]: line for line in lines}
    assert rows["a"][1:3] == ["finished", "18/18"] and float(rows["a"][3]) <= 1
    assert rows["b"][1:4] == ["stopped", "early", "3/18"]
    assert rows["c"][3] == "0/18"
    assert rows["d"][1] == "damaged:"
    assert "e" not in rows


def _made(path: Path) -> Path:
    path.mkdir()
    return path


def test_a_damaged_journal_is_told_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "journal.jsonl").write_bytes(b"x\ny\n")
    with pytest.raises(OutputError, match="journal.jsonl:1: the record is damaged"):
        show_status(tmp_path, Console())


@pytest.mark.parametrize("name", ["nowhere", "file", ".", "x" * 300, "nul\0nul"], ids=repr)
def test_where_there_is_no_sweep_it_is_one_line(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("x")
    assert main(["status", name]) == 3
    told = name.replace("\0", " ")
    assert capsys.readouterr().err.startswith(f"hptune: error: {told} holds no sweep: ")


def test_a_remote_place_is_to_be_fetched(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "az://account/container/run"]) == 2
    assert "hptune fetch URI DIR" in capsys.readouterr().err


def test_nothing_in_a_journal_can_steer_the_terminal(tmp_path: Path) -> None:
    class Cursed(Failing):
        def fit(self, X: Any, y: Any) -> Any:
            raise ValueError("\x1b[31mred [bold]")

    sweep = sweep_of(Case(Cursed(), {"constant": [0]}, *classes_table(40), cv=2), name="\x1b[2J[bold]x")
    with pytest.raises(AllTrialsFailedError):
        run(sweep, SerialEngine(), out=tmp_path)
    text = shown(tmp_path)
    assert "\x1b" not in text and "[bold]x" in text


def test_watching_ends_with_the_sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each look is waited for, and the next comes only when the test says so."""
    monkeypatch.setenv("TERM", "xterm")  # on a dumb terminal rich shows the last look only
    console = Console(width=100, record=True, force_terminal=True, file=open(os.devnull, "w"))  # noqa: SIM115
    looked, again = threading.Semaphore(0), threading.Semaphore(0)

    def sleep(seconds: float) -> None:
        looked.release()
        assert again.acquire(timeout=60)

    def seen() -> str:
        assert looked.acquire(timeout=60)
        return console.export_text()

    monkeypatch.setattr(status_module, "time", SimpleNamespace(**{**vars(time), "sleep": sleep}))
    journal = tmp_path / "journal.jsonl"
    watcher = threading.Thread(target=show_status, args=(tmp_path, console), kwargs={"watch": True})
    with held(tmp_path, "out"):
        journal.touch()
        watcher.start()
        assert f"{tmp_path}: in use" in seen().replace("\n", "")
        journal.unlink()
        with Journal(journal, _header()) as opened:
            again.release()
            assert f"{tmp_path}: running" in seen().replace("\n", "")
            assert watcher.is_alive()
            opened.record({"record": "finished", "seconds": 1.0})
    again.release()
    watcher.join(timeout=60)
    assert not watcher.is_alive()
    assert f"{tmp_path}: finished" in console.export_text().replace("\n", "")
    console.file.close()


def test_what_was_watched_ends_with_a_line_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Journal(tmp_path / "journal.jsonl", _header()) as journal:
        journal.record({"record": "finished", "seconds": 1.0})
    assert main(["status", str(tmp_path), "--watch"]) == 0
    assert capsys.readouterr().out.endswith("\n")


def _header() -> dict[str, Any]:
    about = {
        "name": "x",
        "metrics": ["score"],
        "ranking_metric": "score",
        "shown_metric": "score",
        "started": 0.0,
    }
    return {
        "record": "header",
        "format": 1,
        "identity": {"cv": ["a"]},
        "grid": ['{"a":["int","1"]}'],
        **about,
    }
