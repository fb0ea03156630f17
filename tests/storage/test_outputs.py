"""Outputs that go elsewhere: mirrored while the sweep runs, replaced when it starts, and never lost here."""

from __future__ import annotations

import json
import logging
import queue
import shlex
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hptune.errors import ConfigurationError, StorageError
from hptune.outputs import held_files
from hptune.records import Existing
from hptune.remote import send_directories
from hptune.sample import write_sample
from hptune.storage import Mirror, Patience, fetch, open_store, upload
from tests.storage.azurite import Azurite, running_azurite
from tests.storage.conftest import Container, Run, Start, new_container, output_directory

CONFIG = """
data: {path: nowhere, format: talkingdata, features: small}
estimator: {class: xgboost.XGBClassifier, params: {seed: 0}}
search_space: {n_estimators: [2, 3], objective: "multi:softprob"}
objective: {primary_metric: neg_log_loss}
cv: 2
engine: serial
"""


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("sample")
    write_sample(directory, scale=0.004)
    return directory


class Arrivals(logging.Handler):
    """Names of the files that reach a place, and warnings, as they come."""

    def __init__(self, store: Any) -> None:
        super().__init__(logging.WARNING)
        self._queue: queue.SimpleQueue[str] = queue.SimpleQueue()
        put = store.put
        store.put = lambda source, name, *sums: (put(source, name, *sums), self._queue.put(name))

    def emit(self, record: logging.LogRecord) -> None:
        self._queue.put(record.getMessage())

    def next(self) -> str:
        return self._queue.get(timeout=30)


@pytest.fixture
def here(tmp_path: Path) -> Path:
    (tmp_path / "here").mkdir()
    return tmp_path / "here"


def test_whole_lines_of_a_growing_journal_are_mirrored_round_by_round(
    container: Container, here: Path
) -> None:
    store = container.store("out")
    arrivals = Arrivals(store)
    mirror = Mirror(here, store, ["journal.jsonl", "model.ubj"], interval=0.05)
    mirror.start()
    (here / "journal.jsonl").write_bytes(b"one\ntwo\nthr")
    assert arrivals.next() == "journal.jsonl"
    blob = container.client.get_blob_client("out/journal.jsonl")
    assert blob.download_blob().readall() == b"one\ntwo\n"
    (here / "journal.jsonl").write_bytes(b"one\ntwo\nthree\n")
    assert arrivals.next() == "journal.jsonl"
    assert blob.download_blob().readall() == b"one\ntwo\nthree\n"
    (here / "model.ubj").write_bytes(b"model without a line's end")
    (here / "other.txt").write_bytes(b"not ours")
    mirror.close()
    sent = {
        found.name: container.client.download_blob(found.name).readall()
        for found in container.client.list_blobs()
    }
    assert sent == {"out/journal.jsonl": b"one\ntwo\nthree\n", "out/model.ubj": b"model without a line's end"}


def test_a_round_that_fails_is_told_and_the_next_one_sends(here: Path, tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.write_text("a file where the directory should be")
    store = open_store(str(place))
    arrivals = Arrivals(store)
    logger = logging.getLogger("hptune")
    logger.addHandler(arrivals)
    try:
        (here / "journal.jsonl").write_text("one\n")
        mirror = Mirror(here, store, ["journal.jsonl"], interval=0.05)
        mirror.start()
        assert "were not mirrored" in arrivals.next()
        place.unlink()
        end = time.monotonic() + 60
        while "were not mirrored" in (told := arrivals.next()):  # of rounds that began before
            assert time.monotonic() < end
        assert told == "journal.jsonl"
        mirror.close()
    finally:
        logger.removeHandler(arrivals)
    assert (place / "journal.jsonl").read_text() == "one\n"


def blobs(container: Container) -> dict[str, bytes]:
    return {
        found.name: container.client.download_blob(found.name).readall()
        for found in container.client.list_blobs()
    }


OLD = {
    "out/sweep.yaml": b"old",
    "out/model.skops": b"old",
    "out/journal.jsonl": b"old",
    "out/model/metadata/part-00000": b"old",
    "out/children/3/stdout.txt": b"old",
    "out/notes.txt": b"mine",
}


@pytest.fixture
def occupied(container: Container) -> Container:
    for name, content in OLD.items():
        container.put(name, content)
    return container


def opened(container: Container, tmp_path: Path, *, overwrite: bool = True) -> Any:
    out = f"{container.uri}/out"
    existing: Existing = "replaced" if overwrite else "refused"
    return output_directory(out, existing=existing, cache=tmp_path / "cache", say=lambda line: None)


def test_a_sweep_that_is_there_stays_as_it_is_until_another_one_has_started(
    occupied: Container, tmp_path: Path
) -> None:
    with (
        pytest.raises(ConfigurationError, match="holds a sweep already"),
        opened(occupied, tmp_path, overwrite=False),
    ):
        pass
    with pytest.raises(KeyError), opened(occupied, tmp_path):
        raise KeyError("what a check before the start may raise")
    assert blobs(occupied) == OLD
    with opened(occupied, tmp_path) as directory:
        (directory / "sweep.yaml").write_text("new")
    assert blobs(occupied) == {"out/sweep.yaml": b"new", "out/notes.txt": b"mine"}
    assert not list((tmp_path / "cache" / "staging").iterdir())


def test_a_model_of_ones_own_is_not_replaced(container: Container, tmp_path: Path) -> None:
    container.put("out/model/metadata/part-00000", b"mine")
    out = f"{container.uri}/out"
    told: dict[str, Any] = {"cache": tmp_path / "cache", "say": lambda line: None}
    refusing: tuple[Existing, ...] = ("refused", "resumed")
    for existing in refusing:
        directory = output_directory(out, existing=existing, saves_model=True, **told)
        with pytest.raises(ConfigurationError, match="holds a 'model' of no sweep"), directory:
            pass
    with output_directory(out, existing="refused", **told):  # of a sweep that saves none
        pass
    assert blobs(container) == {"out/model/metadata/part-00000": b"mine"}


def test_a_model_that_is_a_directory_replaces_the_one_that_is_there(
    container: Container, tmp_path: Path
) -> None:
    stages = tmp_path / "model" / "stages"
    stages.mkdir(parents=True)
    for name in ("first", "second"):
        (stages / name).write_text(name)
        send_directories(tmp_path, f"{container.uri}/out", None, lambda line: None)
        assert blobs(container) == {f"out/model/stages/{name}": name.encode()}
        (stages / name).unlink()


def test_the_mirror_runs_at_the_interval_that_is_told(
    container: Container, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hptune.remote.MIRROR_SECONDS", 0.05)
    store = container.store("out")
    monkeypatch.setattr("hptune.remote.open_store", lambda *_, **__: store)
    arrivals = Arrivals(store)
    with opened(container, tmp_path) as directory:
        (directory / "journal.jsonl").write_text("one\n")
        assert arrivals.next() == "journal.jsonl"


@pytest.mark.parametrize(
    "stopped", [pytest.param(True, marks=pytest.mark.slow), False], ids=["interrupted", "at the end"]
)
def test_what_could_not_be_sent_stays_and_is_not_dropped_by_the_next_run(
    mortal: Container, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stopped: bool
) -> None:
    monkeypatch.setattr("hptune.storage.Patience", lambda: Patience(1, 1, 1, 1))
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", mortal.server.connection_string)
    said: list[str] = []
    out = f"{mortal.uri}/{'stopped' if stopped else 'ended'}"
    context = {"existing": "refused", "cache": tmp_path / "cache", "say": said.append}
    with (
        pytest.raises(KeyboardInterrupt if stopped else StorageError) as caught,
        output_directory(out, **context) as directory,
    ):
        (directory / "results.csv").write_text("a\n1\n")
        mortal.server.kill()
        if stopped:
            raise KeyboardInterrupt
    told = said[-1] if stopped else str(caught.value)
    assert f"not all results are in {out} (" in told
    assert f"hptune upload {directory} {out}" in told
    assert (directory / "results.csv").read_text() == "a\n1\n"
    mortal.server.start()
    with pytest.raises(ConfigurationError, match="was not sent"), output_directory(out, **context):
        pass
    assert (directory / "results.csv").read_text() == "a\n1\n"
    with output_directory(out, **{**context, "existing": "replaced"}) as directory:
        assert not held_files(directory)


@pytest.fixture
def mortal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Container]:
    """A container of a server that may be killed."""
    with running_azurite(tmp_path_factory.mktemp("mortal")) as server:
        container = Container(server, new_container(server))
        container.put("x", b"x")
        server.await_saved(container.name)
        yield container


def start(
    started: Start, sample: Path, tmp_path: Path, out: str, **environment: str
) -> subprocess.Popen[str]:
    (tmp_path / "sweep.yaml").write_text(CONFIG)
    arguments = ("sweep", "--config", "sweep.yaml", "--data", sample, "--out", out)
    return started(*arguments, **environment)


def read_until(process: subprocess.Popen[str], text: str) -> str:
    assert process.stderr is not None
    read = ""
    for line in process.stderr:
        read += line
        if text in line:
            return read
    raise AssertionError(f"no {text!r} in {read}")


@pytest.mark.slow
def test_results_that_the_place_refuses_at_the_end_are_told_kept_and_sent_by_the_command_that_is_named(
    mortal: Container, hptune: Run, started: Start, sample: Path, tmp_path: Path
) -> None:
    out = f"{mortal.uri}/run"
    held = {"AZURE_STORAGE_CONNECTION_STRING": mortal.server.connection_string}
    process = start(started, sample, tmp_path, out, **held)
    read_until(process, "outputs are mirrored")
    mortal.server.kill()
    other = Azurite(mortal.server.directory, mortal.server.port)  # with another key
    other.start()
    try:
        said, error = process.communicate(timeout=60)
    finally:
        other.kill()
    assert process.returncode == 4, error
    last = error.splitlines()[-1]
    assert last.startswith(f"hptune: error: not all results are in {out} (") and "Traceback" not in error
    assert "neg_log_loss, best first" in said and f"results in {out}" not in said
    command = shlex.split(last[last.index("hptune upload") :])
    mortal.server.start()
    assert hptune(*command[1:], **held).returncode == 0
    local = hptune("sweep", "--config", "sweep.yaml", "--data", sample, "--out", "local", "-q")
    assert local.returncode == 0
    fetch(mortal.store("run"), tmp_path / "fetched")
    for name in ("sweeping_results.txt", "predictions.csv", "model.ubj", "best_params.json"):
        assert (tmp_path / "fetched" / name).read_bytes() == (tmp_path / "local" / name).read_bytes()
    assert len((tmp_path / "fetched" / "journal.jsonl").read_text().splitlines()) == 6


def test_a_sweep_that_is_stopped_sends_what_it_has(
    container: Container, started: Start, sample: Path, tmp_path: Path
) -> None:
    process = start(started, sample, tmp_path, f"{container.uri}/run")
    read_until(process, "fits, ")
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM, errors
    journal = blobs(container)["run/journal.jsonl"].decode().splitlines()
    assert json.loads(journal[0])["record"] == "header" and len(journal) >= 2


def test_overwriting_a_sweep_replaces_all_of_it(
    container: Container, hptune: Run, sample: Path, tmp_path: Path
) -> None:
    (tmp_path / "sweep.yaml").write_text(CONFIG)
    out = f"{container.uri}/run"
    arguments = ("sweep", "--config", "sweep.yaml", "--data", sample, "--out", out)
    assert hptune(*arguments).returncode == 0
    before = blobs(container)
    refused = hptune(*arguments, "--overwrite", "--set", "search_space.n_estimatros=[5]")
    assert refused.returncode == 2 and blobs(container) == before
    assert (
        hptune(
            *arguments, "--overwrite", "--set", "search_space.n_estimators=[4]", "--set", "refit=false"
        ).returncode
        == 0
    )
    after = blobs(container)
    assert "run/model.ubj" in before and "run/model.ubj" not in after
    assert after["run/sweeping_results.txt"].count(b"\n") == 2
    assert len(after["run/journal.jsonl"].splitlines()) == 4


def test_a_prefix_that_names_a_blob_is_not_overwritten_by_the_files_below_it(
    container: Container, here: Path
) -> None:
    container.put("raw", b"a blob")
    (here / "a.csv").write_text("a\n")
    upload(here, container.store("raw"))
    assert blobs(container) == {"raw": b"a blob", "raw/a.csv": b"a\n"}
