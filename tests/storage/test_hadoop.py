"""File systems that Spark's Hadoop knows: the local one through Hadoop's API, and a mount table over it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from hptune.engine import hadoop_opener
from hptune.errors import ConfigurationError, StorageError
from hptune.sample import write_sample
from hptune.storage import Opener, fetch, upload
from tests.storage.conftest import Run

pytestmark = pytest.mark.spark
MASTER = {"master": "local[1]", "spark.ui.enabled": "false"}


@pytest.fixture(scope="module")
def opener() -> Iterator[Opener]:
    from pyspark.sql import SparkSession

    yield hadoop_opener(MASTER)
    session = SparkSession.getActiveSession()
    if session is not None:
        session.stop()


def test_what_is_uploaded_comes_back_and_the_second_time_nothing_does(opener: Opener, tmp_path: Path) -> None:
    files = {"a.csv": b"id\n1\n", "deep/b.bin": os.urandom(9 << 20), "空 1.txt": b""}
    for name, content in files.items():
        path = tmp_path / "source" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    store = opener(f"file://{tmp_path}/place")
    assert store.files() == []
    upload(tmp_path / "source", store)
    assert {file.name for file in store.files()} == set(files)
    assert fetch(store, tmp_path / "here").fetched == 3
    assert {name: (tmp_path / "here" / name).read_bytes() for name in files} == files
    assert fetch(store, tmp_path / "here").fetched == 0
    store.remove("a.csv")
    store.remove("a.csv")
    assert "a.csv" not in {file.name for file in store.files()}
    assert not [path for path in (tmp_path / "place").rglob("*") if path.name.endswith(".tmp")]


def test_a_file_is_replaced_in_one_step_and_a_change_is_seen(opener: Opener, tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    store = opener(f"file://{tmp_path}/place")
    for content in (b"old", b"newer"):
        (tmp_path / "source" / "a.txt").write_bytes(content)
        upload(tmp_path / "source", store, again=True)
        fetch(store, tmp_path / "here")
        assert (tmp_path / "here" / "a.txt").read_bytes() == content


def test_places_that_hadoop_does_not_know_are_one_line(opener: Opener) -> None:
    for uri in ("nosuch://host/data", "s3a://bucket/data"):
        with pytest.raises(StorageError) as caught:
            opener(uri).files()
        assert "\n" not in str(caught.value)
    with pytest.raises(ConfigurationError):
        opener("wasbs://container@account.blob.core.windows.net/x?sig=topsecret")


@pytest.mark.slow
def test_a_sweep_reads_and_writes_through_a_mount_table(hptune: Run, tmp_path: Path) -> None:
    write_sample(tmp_path / "raw", scale=0.004)
    (tmp_path / "runs").mkdir()
    mounts = "spark.hadoop.fs.viewfs.mounttable.lab.link"
    (tmp_path / "sweep.yaml").write_text(
        f"""
data: {{path: "viewfs://lab/raw", format: talkingdata, features: small}}
estimator: {{class: xgboost.XGBClassifier, params: {{seed: 0}}}}
search_space: {{n_estimators: [2, 3], objective: "multi:softprob"}}
objective: {{primary_metric: neg_log_loss}}
cv: 2
engine: spark
out: viewfs://lab/runs/one
spark:
  master: local[1,4]
  {mounts}./raw: file://{tmp_path}/raw
  {mounts}./runs: file://{tmp_path}/runs
"""
    )
    done = hptune("sweep", "--config", "sweep.yaml")
    assert done.returncode == 0, done.stderr
    local = hptune("sweep", "--config", "sweep.yaml", "--data", tmp_path / "raw", "--out", "local",
                   "--engine", "serial")  # fmt: skip
    assert local.returncode == 0, local.stderr
    written = (tmp_path / "runs" / "one" / "sweeping_results.txt").read_bytes()
    assert written == (tmp_path / "local" / "sweeping_results.txt").read_bytes()


def test_a_local_file_that_cannot_be_opened_leaves_no_remote_one_open(opener: Opener, tmp_path: Path) -> None:
    remote = tmp_path / "place" / "a.txt"
    remote.parent.mkdir()
    remote.write_bytes(b"content")
    store = opener(f"file://{remote.parent}")
    (file,) = store.files()
    with pytest.raises(StorageError):
        store.copy_range(file, 0, file.size, tmp_path / "missing" / "a.txt")
    machines = [each for each in psutil.Process().children(recursive=True) if each.name() == "java"]
    assert machines
    assert str(remote) not in [opened.path for java in machines for opened in java.open_files()]
