"""Disks that are full, and kills while outputs are written: each file is the old or the new one."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pytest
import xgboost
import yaml

from tests.chaos.rows import TRIES, Figures, row
from tests.chaos.sweeps import BAD, FITS, SPACE, Home, local_spark, sweep_file
from tests.chaos.tables import Table


@contextmanager
def small_disk(path: Path, size: str) -> Iterator[Path]:
    """A file system of its own, which only root may mount."""
    path.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(path)], check=False)
    if mounted.returncode:
        pytest.skip("no file system can be mounted here")
    try:
        yield path
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


def fill(disk: Path) -> None:
    """Until not a byte more fits."""
    with (disk / "filler").open("wb", buffering=0) as file:
        for size in (1 << 16, 1 << 12, 1):
            try:
                while file.write(b"x" * size) == size:
                    pass
            except OSError:
                continue


@row(29, "disk full under the output", short=1)
@pytest.mark.parametrize("again", ["--overwrite", "--resume"])
def test_a_full_disk_is_told_and_the_older_table_stays(
    home: Home, ref: Table, again: str, figures: Figures
) -> None:
    with small_disk(home.directory / "disk", "1m") as disk:
        config = sweep_file(home.data, seconds=0.0)
        assert home.quick(config, out="disk/out").code == 0
        fill(disk)
        before = (disk / "out" / "results.csv").read_bytes()
        config["search_space"] = {**SPACE, "seconds": 0.05, "max_depth": [2, 3, 4, 5]}
        run = home.start(
            config, *((again, "--extend") if again == "--resume" else (again,)), out="disk/out", how="warm"
        )
        done = run.wait()
        assert done.code == 7, done.errors
        assert "disk/out" in done.error
        assert (disk / "out" / "results.csv").read_bytes() == before
        figures.bounded(f"{again}, rc 7 after s", done.seconds, 5)


@row(29, "disk full while a sweep writes its journal", short=1)
def test_a_disk_that_fills_up_in_mid_sweep_is_told(home: Home, ref: Table, figures: Figures) -> None:
    with small_disk(home.directory / "disk", "1m") as disk:
        run = home.start(sweep_file(home.data, seconds=0.2), out="disk/out", how="warm")
        run.wait_for_outcomes(FITS // 3)
        fill(disk)
        filled = time.monotonic()
        done = run.wait()
        seconds = time.monotonic() - filled
        assert done.code == 7, done.errors
        assert "journal" in done.error
        (disk / "filler").unlink()
        resumed = home.quick(sweep_file(home.data, seconds=0.2), "--resume", out="disk/out")
        assert resumed.table.sha256 == ref.sha256
        figures.bounded("rc 7 after the disk is full, s", seconds, 5)


@pytest.mark.spark
@row(29, "disk full under spark.local.dir")
def test_a_full_disk_under_spark_is_told(home: Home, figures: Figures) -> None:
    with small_disk(home.directory / "spark", "1m") as disk:
        fill(disk)
        done = home.sweep(sweep_file(home.data, seconds=0.1, **local_spark(spark_local_dir=str(disk))))
        assert done.code == 8, done.errors
        assert done.error
        home.processes.assert_gone()
        figures.bounded("rc 8 after s", done.seconds, 60)


@pytest.mark.spark
@row(29, "disk full under spark.local.dir in mid-sweep")
def test_a_disk_under_spark_that_fills_up_crashes_no_fit(home: Home, ref: Table, figures: Figures) -> None:
    """A fit that ends its process needs another job in the end, for which there is no room any more."""
    with small_disk(home.directory / "spark", "64m") as disk:
        spark = local_spark(spark_local_dir=str(disk))
        config = sweep_file(home.data, seconds=0.3, bad=[BAD("kill")], **spark)
        run = home.start(config)
        run.wait_for_outcomes(FITS // 3)
        fill(disk)
        filled = time.monotonic()
        done = run.wait()
        seconds = time.monotonic() - filled
        assert done.code == 8, done.errors
        assert "room" in done.error
        assert {record["status"] for record in done.journal} == {"ok"}
        (disk / "filler").unlink()
        resumed = home.sweep(config, "--resume")
        assert resumed.code == 0, resumed.errors
        assert resumed.table.good.sha256 == ref.sha256
        figures.bounded("rc 8 after the disk is full, s", seconds, 60)


@row(30, "kills while outputs are written", tries=10, short=1)
def test_each_output_is_the_old_or_the_new_one(home: Home, ref: Table, seed: int, figures: Figures) -> None:
    chosen = random.Random(seed)
    boosters = {
        "estimator": "xgboost.XGBClassifier",
        "search_space": {"n_estimators": [2, 4], "max_depth": [2, 3]},
    }
    config = sweep_file(home.data) | boosters
    done = home.quick(config)
    assert done.code == 0, done.errors
    sha256 = done.table.sha256
    files = {path.name for path in done.out.iterdir()} - {"hptune.log"}
    undisturbed = home.quick(config, "--resume").seconds  # nothing is fitted, everything is written
    figures[TRIES] = 20
    for _ in range(20):
        run = home.start(config, "--resume", how="warm")
        time.sleep(chosen.uniform(0, undisturbed))
        run.send(signal.SIGKILL)
        run.wait()
        assert files <= {path.name for path in done.out.iterdir()}
        assert_whole(done.out)
        assert done.table.sha256 == sha256
    left = home.quick(config, "--resume")
    assert left.code == 0
    kept = {path.name for path in done.out.iterdir() if not path.name.startswith(".")} - {"hptune.log"}
    assert kept == files  # no temporary file is left for good


def assert_whole(out: Path) -> None:
    """Every file parses."""
    assert json.loads((out / "best_params.json").read_text())
    assert yaml.safe_load((out / "sweep.yaml").read_text())
    table = pd.read_csv(out / "results.csv")
    assert len(table) == len(pd.read_parquet(out / "results.parquet")) == 4
    assert len((out / "sweeping_results.txt").read_text().splitlines()) == 5
    xgboost.XGBClassifier().load_model(out / "model.ubj")
