"""Whole sweeps on inputs and outputs that are elsewhere."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hptune.api import load, run_sweep
from hptune.explain import explain
from hptune.sample import write_sample
from hptune.storage import fetch
from tests.storage.azurite import Azurite, running_azurite
from tests.storage.conftest import ROOT, Container, Run, new_container
from tests.storage.identity import ManagedIdentity
from tests.storage.proxy import running_proxy

CONFIG = """
data: {path: nowhere, format: talkingdata, features: small}
estimator: {class: xgboost.XGBClassifier, params: {seed: 0}}
search_space: {n_estimators: [2, 3], max_depth: [1, 2], objective: "multi:softprob"}
objective: {primary_metric: neg_log_loss}
cv: 2
engine: serial
"""


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("sample")
    write_sample(directory, scale=0.004)
    return directory


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "sweep.yaml"
    path.write_text(CONFIG)
    return path


# Bytes that hold no time, host or place. Of results.csv the columns that end with _time are left out.
SAME_BYTES = ("sweeping_results.txt", "best_params.json", "model.ubj", "predictions.csv")


def without_times(results: Path) -> str:
    """``results.csv`` cell by cell as it stands, without the columns of seconds."""
    header, *rows = csv.reader(results.read_text().splitlines())
    kept = [at for at, name in enumerate(header) if not name.endswith("_time")]
    assert len(kept) < len(header)
    return "\n".join(",".join(cells[at] for at in kept) for cells in (header, *rows))


@pytest.mark.slow
@pytest.mark.spark
def test_the_main_job_on_a_container_gives_the_local_results_byte_for_byte_and_fetches_once(
    container: Container, hptune: Run, sample: Path, tmp_path: Path
) -> None:
    uri = f"{container.uri}/raw"
    assert hptune("upload", sample, uri).returncode == 0
    assert len(list(sample.iterdir())) == 7
    ranges, downloads = 0, []
    with running_proxy(container.server.port) as proxy:
        through = {"AZURE_STORAGE_CONNECTION_STRING": container.server.connection_string_at(proxy.port)}
        for out, data, engine in (
            ("local", sample, "serial"),
            ("first", uri, "spark"),
            ("second", uri, "serial"),
        ):
            job = [sys.executable, ROOT / "jobs/distributed_sweep.py", "--config", ROOT / "configs/demo.yaml"]
            done = subprocess.run(
                [*map(str, job), "--data", str(data), "--out", out, "--engine", engine, "-q"],
                cwd=tmp_path, timeout=300,
                env={**os.environ, "PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(tmp_path / "cache"), **through},
                capture_output=True, text=True,
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
            downloads.append(len(proxy.ranges) - ranges)
            ranges = len(proxy.ranges)
    assert downloads == [0, 7, 0]
    local, *others = (tmp_path / out for out in ("local", "first", "second"))
    assert (local / "sweeping_results.txt").read_text().count("\n") == 17
    for other in others:
        for name in SAME_BYTES:
            assert (other / name).read_bytes() == (local / name).read_bytes()
        assert without_times(other / "results.csv") == without_times(local / "results.csv")


def test_outputs_go_to_a_container_and_are_what_a_directory_gets(
    container: Container, hptune: Run, sample: Path, config: Path, tmp_path: Path
) -> None:
    out = f"{container.uri}/runs/one"
    assert hptune("sweep", "--config", config, "--data", sample, "--out", "local", "-q").returncode == 0
    done = hptune("sweep", "--config", config, "--data", sample, "--out", out)
    assert done.returncode == 0, done.stderr
    assert f"results in {out}" in done.stdout
    fetch(container.store("runs/one"), tmp_path / "fetched")
    names = {path.name for path in (tmp_path / "local").iterdir()}
    assert {path.name for path in (tmp_path / "fetched").iterdir()} == names | {".hptune-manifest.json"}
    for name in ("sweeping_results.txt", "predictions.csv", "model.ubj", "best_params.json"):
        assert (tmp_path / "fetched" / name).read_bytes() == (tmp_path / "local" / name).read_bytes()
    lines = (tmp_path / "fetched" / "journal.jsonl").read_text().splitlines()
    assert [json.loads(line)["record"] for line in lines] == ["header"] + ["outcome"] * 8 + ["finished"]
    again = hptune("sweep", "--config", config, "--data", sample, "--out", out)
    assert again.returncode == 2 and "holds a sweep already" in again.stderr
    assert not list((tmp_path / "cache" / "hptune" / "staging").glob("*/*"))


def test_a_table_and_its_test_rows_come_from_two_addresses(
    container: Container, hptune: Run, tmp_path: Path
) -> None:
    rows = [f"{i},{i % 7},{i * 3 + i % 7}" for i in range(40)]
    tables = {"train": "id,a,y\n" + "\n".join(rows), "test": "id,a\n100,3\n101,5\n"}
    for name, text in tables.items():
        (tmp_path / f"{name}.csv").write_text(text)
        container.put(f"{name}/{name}.csv", text.encode())
    options = ("--target", "y", "--id", "id", "--estimator", "sklearn.linear_model.Ridge", "--engine", "serial",
               "--set", "search_space.alpha=[0.1, 1]", "-q")  # fmt: skip
    local = hptune("sweep", "--data", "train.csv", "--test", "test.csv", "--out", "local", *options)
    assert local.returncode == 0, local.stderr
    uris = ("--data", f"{container.uri}/train/train.csv", "--test", f"{container.uri}/test/test.csv")
    done = hptune("sweep", *uris, "--out", "remote", *options)
    assert done.returncode == 0, done.stderr
    predicted = (tmp_path / "remote" / "predictions.csv").read_bytes()
    assert predicted == (tmp_path / "local" / "predictions.csv").read_bytes() and predicted.count(b"\n") == 3
    assert f"path: {uris[1]}" in (tmp_path / "remote" / "sweep.yaml").read_text()
    container.put("test/test.csv", b"id,b\n100,3\n")
    broken = hptune("sweep", *uris, "--out", "broken", *options)
    assert broken.returncode == 3 and uris[3] in broken.stderr and str(tmp_path) not in broken.stderr


def test_a_remote_sweep_of_remote_data_is_explained_and_loaded_from_where_it_is(
    container: Container, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", container.server.connection_string)
    rows = tmp_path / "rows.csv"
    rows.write_text("a,b,y\n" + "".join(f"{n % 7},{n % 3},{n % 7 + n % 2}\n" for n in range(60)))
    container.put("rows/rows.csv", rows.read_bytes())
    keys = {"estimator": "xgboost.XGBRegressor", "search_space": {"n_estimators": [2, 4]}, "engine": "serial"}
    out = {"remote": f"{container.uri}/runs/one", "local": str(tmp_path / "local")}
    results = {}
    for place, data in (("remote", f"{container.uri}/rows/rows.csv"), ("local", str(rows))):
        run_sweep(keys, data=data, target="y", out=out[place], cache=tmp_path / "cache")
        explain(out[place], cache=tmp_path / "another cache")
        results[place] = load(out[place], cache=tmp_path / "a third cache")
    fetch(container.store("runs/one"), tmp_path / "fetched")
    for name in ("importances.csv", "learning_curve.csv"):
        assert (tmp_path / "fetched" / name).read_bytes() == (tmp_path / "local" / name).read_bytes()
    assert results["remote"].out == out["remote"]
    assert results["remote"].best_params == results["local"].best_params
    predictions = [result.best_model.predict([[1, 2]]).tolist() for result in results.values()]
    assert predictions[0] == predictions[1]


def test_an_output_place_that_refuses_is_known_before_the_work(
    container: Container, hptune: Run, sample: Path, config: Path
) -> None:
    done = hptune(
        "sweep", "--config", config, "--data", sample, "--out", f"az://{container.uri[5:15]}/nosuch/x"
    )
    assert done.returncode == 4 and "candidates" not in done.stderr


@pytest.fixture(scope="module")
def tls_azurite(
    tmp_path_factory: pytest.TempPathFactory, certificate: tuple[Path, Path]
) -> Iterator[Azurite]:
    directory = tmp_path_factory.mktemp("tls-azurite")
    with running_azurite(directory, tls=certificate, options=("--oauth", "basic")) as server:
        yield server


def test_a_managed_identity_opens_a_container_over_tls(
    tls_azurite: Azurite, hptune: Run, sample: Path, tmp_path: Path
) -> None:
    uri = f"{tls_azurite.endpoint}/{new_container(tls_azurite).container_name}/raw"
    trust = {"REQUESTS_CA_BUNDLE": str(tls_azurite.tls[0])} if tls_azurite.tls else {}
    with ManagedIdentity() as identity:
        sent = hptune("upload", sample, uri, **trust, **identity.environment)
        assert sent.returncode == 0, sent.stderr
        untrusted = hptune("fetch", uri, "here", **identity.environment)
        assert untrusted.returncode == 4 and "is not trusted" in untrusted.stderr
        got = hptune("fetch", uri, "here", **trust, **identity.environment)
        assert got.returncode == 0, got.stderr
    assert identity.asked
    for path in sample.iterdir():
        assert (tmp_path / "here" / path.name).read_bytes() == path.read_bytes()
