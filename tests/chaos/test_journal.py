"""What stands in the journal is kept: cut, damaged, contested, resumed with something else."""

from __future__ import annotations

import random
import shutil
import signal
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.processes import wait_until
from tests.chaos.rows import TRIES, Figures, row
from tests.chaos.sweeps import FITS, SPACE, Home, sweep_file, write_data
from tests.chaos.tables import Table, journal_outcomes
from tests.garbage import garbled

PERIOD = 80  # every so manyth offset belongs to one try


def content(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in out.iterdir() if path.name != "hptune.log"}


@row(10, "the journal's last record cut at every offset", tries=PERIOD, short=1)
def test_a_cut_record_is_fitted_again_and_no_other(
    home: Home, finished: Path, ref: Table, seed: int, figures: Figures
) -> None:
    before = journal_outcomes(finished)
    lines = (finished / "journal.jsonl").read_bytes().splitlines(keepends=True)
    assert b'"record":"finished"' in lines.pop()  # a sweep that was killed has no such record
    assert b'"record":"outcome"' in lines[-1]
    whole, last = b"".join(lines), len(lines[-1])
    offsets = range(seed + 1, last + 1, PERIOD)
    figures[TRIES] = len(offsets)
    for offset in offsets:
        out = home.directory / f"cut{offset}"
        shutil.copytree(finished, out)
        (out / "journal.jsonl").write_bytes(whole[: len(whole) - offset])
        done = home.quick(sweep_file(home.data, seconds=0.0), "--resume", out=out.name)
        assert done.code == 0, (offset, done.errors)
        assert done.table.sha256 == ref.sha256
        outcomes = journal_outcomes(out)
        assert len({(o["candidate"], o["fold"]) for o in outcomes}) == len(outcomes) == FITS
        again = outcomes[-1]["work_time"] != before[-1]["work_time"]
        assert outcomes[:-1] == before[:-1] and again  # that one was fitted anew, no other
        shutil.rmtree(out)


@row(11, "a byte flipped in a middle record", tries=20, short=1)
def test_a_damaged_journal_is_refused_and_left_alone(home: Home, finished: Path, seed: int) -> None:
    chosen, out = random.Random(seed), finished
    lines = (out / "journal.jsonl").read_bytes().splitlines(keepends=True)
    number = chosen.randrange(1, len(lines) - 1)
    damaged = bytearray(lines[number])
    damaged[chosen.randrange(len(damaged) - 1)] ^= 1 << chosen.randrange(8)
    lines[number] = bytes(damaged)
    (out / "journal.jsonl").write_bytes(b"".join(lines))
    before = content(out)
    done = home.quick(sweep_file(home.data, seconds=0.0), "--resume")
    assert done.code == 7
    assert f"journal.jsonl:{number + 1}" in done.error or f"line {number + 1}" in done.error
    assert content(out) == before


@row(12, "two drivers start on one output directory, staggered", tries=50, short=1)
def test_of_two_drivers_one_is_refused(home: Home, ref: Table, seed: int, figures: Figures) -> None:
    chosen = random.Random(seed)
    config = sweep_file(home.data, seconds=0.1)
    first = home.start(config, how="warm")
    time.sleep(chosen.uniform(0, 0.5))
    second = home.start(config, how="warm")
    wait_until(lambda: first.ended or second.ended, what="the end of one driver")
    done = [run.wait() for run in sorted((first, second), key=lambda run: not run.ended)]
    assert sorted(each.code for each in done) == [0, 6]
    winner, loser = sorted(done, key=lambda each: each.code)
    holder = next(run for run in (first, second) if run.process.returncode == 0)
    assert str(holder.process.pid) in loser.error
    assert socket.gethostname() in loser.error
    assert winner.table.sha256 == ref.sha256
    assert len(winner.journal) == FITS
    figures.bounded("refused after s", loser.seconds, 3)


@row(13, "SIGKILL the lock's holder", short=1)
def test_the_lock_of_a_killed_holder_is_free_at_once(home: Home, ref: Table) -> None:
    config = sweep_file(home.data, seconds=0.2)
    run = home.start(config, how="warm")
    run.wait_for_outcomes(3)
    run.send(signal.SIGKILL)
    done = home.quick(config, "--resume")
    assert done.code == 0
    assert done.table.sha256 == ref.sha256


@row(13, "SIGSTOP the lock's holder", short=1)
def test_a_stopped_holder_is_named_as_stopped(home: Home, ref: Table) -> None:
    config = sweep_file(home.data, seconds=0.2)
    run = home.start(config, how="warm")
    run.wait_for_outcomes(3)
    run.send(signal.SIGSTOP)
    refused = home.quick(config, "--resume")
    run.send(signal.SIGCONT)
    assert refused.code == 6
    assert str(run.process.pid) in refused.error and "stopped" in refused.error
    assert run.wait().table.sha256 == ref.sha256


OTHER: dict[str, tuple[dict[str, Any], str]] = {
    "grid": ({"search_space": {**SPACE, "seconds": 0.0, "max_depth": [2, 4]}}, "search_space"),
    "seed": ({"seed": 7}, "seed"),
    "folds": ({"cv": 4}, "cv"),
    "metric": ({"objective": {"primary_metric": "roc_auc"}}, "metric"),
    "data": ({}, "data"),
}


@row(14, "resume with another grid, data, seed, folds or metric", short=1)
@pytest.mark.parametrize("field", sorted(OTHER))
def test_another_sweep_is_not_resumed(home: Home, finished: Path, field: str) -> None:
    keys, named = OTHER[field]
    before = content(finished)
    data = write_data(home.directory / "other.csv", seed=1) if field == "data" else home.data
    done = home.quick(sweep_file(data, seconds=0.0) | keys, "--resume")
    assert done.code == 2
    assert named in done.error
    assert content(finished) == before


@row(14, "resume with a wider grid, as asked for", short=1)
def test_a_wider_grid_reuses_what_is_done(home: Home, finished: Path, ref: Table) -> None:
    wider = {"search_space": {**SPACE, "seconds": 0.0, "max_depth": [2, 3, 4]}}
    done = home.quick(sweep_file(home.data, seconds=0.0) | wider, "--resume", "--extend")
    assert done.code == 0
    assert len(journal_outcomes(finished)) == FITS * 3 // 2
    assert ref.scores.items() <= done.table.scores.items()
    undisturbed = home.quick(sweep_file(home.data, seconds=0.0) | wider, out="apart")
    assert done.table.sha256 == undisturbed.table.sha256


@row(43, "truncated or garbage journal", tries=50, short=1)
def test_a_garbage_journal_is_an_error_and_no_crash(
    home: Home, finished: Path, seed: int, figures: Figures
) -> None:
    chosen, out = random.Random(seed), finished
    whole = (out / "journal.jsonl").read_bytes()
    figures[TRIES] = 7
    for _ in range(7):
        damaged = garbled(whole, chosen)
        (out / "journal.jsonl").write_bytes(damaged)
        done = home.quick(sweep_file(home.data, seconds=0.0), "--resume")
        assert done.code in (0, 2, 7), done.errors
        assert "Traceback" not in done.errors
        if done.code:
            assert done.error
            assert (out / "journal.jsonl").read_bytes() == damaged
