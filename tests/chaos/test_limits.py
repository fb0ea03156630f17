"""Fits that hang or want too much, deadlines, and what is refused before the first fit."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.chaos.processes import wait_until
from tests.chaos.rows import Figures, row
from tests.chaos.sweeps import BAD, FITS, Done, Home, Run, local_spark, sweep_file
from tests.chaos.tables import Table

CGROUPS = Path("/sys/fs/cgroup/memory")
GRACE_SECONDS = 8  # after a deadline, until the command has ended
HANGING = {"hang": 12, "hang holding the GIL": 30}  # seconds until a fit is ended that has 5
ENGINES = [
    pytest.param({"engine": "processes"}, id="processes"),
    pytest.param(local_spark(), id="spark", marks=[pytest.mark.slow, pytest.mark.spark]),
]


@row(15, "a fit hangs in native code, with and without the GIL held, trial timeout 5 s", short=1)
@pytest.mark.parametrize("engine", ENGINES)
def test_a_hanging_fit_is_ended_and_its_slot_used_again(
    home: Home, ref: Table, engine: dict[str, Any], figures: Figures
) -> None:
    config = sweep_file(home.data, seconds=0.1, bad=[BAD(*HANGING)], **engine)
    done = home.quick(config, "--trial-timeout", "5", seconds=900)
    assert done.code == 0, done.errors
    assert done.table.good.sha256 == ref.sha256
    home.processes.assert_gone()
    for fault, limit in HANGING.items():
        found = done.table.of_fault(fault)
        assert found["status"] == "timeout"
        records = [r for r in done.journal if str(r["candidate"]) == found["candidate"]]
        assert len(records) == 3
        figures.bounded(f"{fault}, s", max(float(record["work_time"]) for record in records), limit)


@row(16, "a deadline of 5 s on a sweep of 15 s; serial", short=1)
def test_a_deadline_ends_a_serial_sweep_with_what_is_finished(
    home: Home, ref: Table, figures: Figures
) -> None:
    done = home.quick(sweep_file(home.data, seconds=0.6), "--deadline", "5")
    assert_partial(done, ref)
    home.processes.assert_gone(30)
    figures.bounded("out after s", done.seconds, 5 + GRACE_SECONDS)


def assert_partial(done: Done, ref: Table) -> None:
    assert done.code == 9, done.errors
    assert "partial" in (done.errors + done.output).lower()
    assert 0 < len(done.journal) < FITS
    assert done.table.scores.items() <= ref.scores.items()


@row(16, "a deadline of 20 s on a sweep of 60 s, and three times that")
@pytest.mark.spark
@pytest.mark.parametrize("times", [1, 3])
def test_a_deadline_ends_a_sweep_with_what_is_finished(
    home: Home, ref: Table, times: int, figures: Figures
) -> None:
    deadline = 20 * times
    done = home.sweep(
        sweep_file(home.data, seconds=5.0 * times, **local_spark()), "--deadline", str(deadline)
    )
    if times == 1 and not done.journal:  # on a busy machine Spark takes the deadline's time to start
        assert done.code == 9, done.errors
        assert "Traceback" not in done.errors
    else:
        assert_partial(done, ref)
    home.processes.assert_gone(30)
    figures.bounded(f"deadline {deadline} s, out after s", done.seconds, deadline + GRACE_SECONDS)


@row(16, "a deadline that passes before the first fit")
@pytest.mark.spark
def test_a_deadline_passes_while_spark_starts(home: Home, figures: Figures) -> None:
    done = home.sweep(sweep_file(home.data, **local_spark()), "--deadline", "3")
    assert done.code == 9, done.errors
    assert "Traceback" not in done.errors
    assert not done.journal
    home.processes.assert_gone(30)
    figures.bounded("out after s", done.seconds, 3 + GRACE_SECONDS)


@row(21, "a fold with one class, ranked by AUC", short=1)
def test_a_fold_with_one_class_is_refused_before_any_fit(home: Home) -> None:
    header, *lines = home.data.read_text().splitlines()
    lines.sort(key=lambda line: line.rsplit(",", 1)[1])
    (home.directory / "sorted.csv").write_text("\n".join([header, *lines]) + "\n")
    config = sweep_file(home.directory / "sorted.csv", seconds=0.0, objective={"primary_metric": "roc_auc"})
    done = home.quick(config | {"cv": {"type": "KFold", "n_splits": 3}})
    assert done.code == 3
    assert "fold" in done.error
    assert not done.journal


def memory_row(run: Run, ref: Table, figures: Figures) -> Done:
    done = run.wait(900)
    assert done.code == 0, done.errors
    found = done.table.of_fault("memory")
    assert found["status"] in ("failed", "crashed")
    assert "memory" in found["error"].lower()
    assert done.table.good.sha256 == ref.sha256
    figures["seconds"] = done.seconds
    return done


@pytest.mark.spark
@row(22, "out of memory: RLIMIT_AS on the Python workers")
def test_a_fit_that_is_refused_memory_says_so(home: Home, ref: Table, figures: Figures) -> None:
    run = home.start(sweep_file(home.data, seconds=0.2, bad=[BAD("memory")], **local_spark()))
    wait_until(home.processes.daemons, what="Python's daemon")
    for process in [*home.processes.daemons(), *home.processes.workers()]:
        process.rlimit(psutil.RLIMIT_AS, (4 << 30, 4 << 30))
    done = memory_row(run, ref, figures)
    assert "MemoryError" in done.table.of_fault("memory")["error"]


@contextmanager
def memory_group(name: str, limit: int) -> Iterator[Path]:
    group = CGROUPS / name
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip(f"no memory cgroup can be made here ({error.strerror})")
    (group / "memory.limit_in_bytes").write_text(str(limit))
    try:
        yield group
    finally:
        wait_until(lambda: not (group / "cgroup.procs").read_text(), what="the group's end")
        group.rmdir()


@pytest.mark.spark
@row(22, "out of memory: a cgroup of 1.5 GiB, whose OOM killer ends the worker")
def test_a_fit_that_the_oom_killer_ends_says_so(home: Home, ref: Table, figures: Figures) -> None:
    with memory_group(f"hptune-test-{os.getpid()}", 3 << 29) as group:
        run = home.start(sweep_file(home.data, seconds=0.2, bad=[BAD("memory")], **local_spark()))
        wait_until(home.processes.daemons, what="Python's daemon")
        for process in [*home.processes.daemons(), *home.processes.workers()]:
            (group / "cgroup.procs").write_text(str(process.pid))
        memory_row(run, ref, figures)
        home.processes.assert_gone()


@pytest.mark.spark
@row(45, "another xgboost on the executors", short=1)
def test_another_xgboost_on_the_executors_is_named(home: Home, tmp_path: Path) -> None:
    import xgboost

    other = tmp_path / "other"
    real = Path(xgboost.__file__).parent
    shutil.copytree(real, other / "xgboost", ignore=shutil.ignore_patterns("lib", "__pycache__"))
    (other / "xgboost" / "lib").symlink_to(real / "lib")
    (other / "xgboost" / "VERSION").write_text("0.1.2\n")
    done = home.quick(sweep_file(home.data, **local_spark(spark_executorEnv_PYTHONPATH=f"{other}")))
    assert done.code == 8, done.errors
    assert "0.1.2" in done.error and xgboost.__version__ in done.error
    assert not done.journal
