"""Addresses, credentials and places that cannot be used: one line each, at once, and nothing is left behind."""

from __future__ import annotations

import datetime
import os
import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest
from azure.storage.blob import ContainerSasPermissions, generate_container_sas

from hptune.errors import ConfigurationError, HptuneError, StorageError
from hptune.storage import Patience, fetch, open_store, upload
from tests.features.rawfiles import example, write_raw
from tests.storage.azurite import ACCOUNT
from tests.storage.conftest import ROOT, Container, Run
from tests.storage.proxy import redirected, running_proxy

NOW = datetime.datetime.now(datetime.timezone.utc)
HOUR = datetime.timedelta(hours=1)
WRONG_KEY = "d3Jvbmcga2V5IHdyb25nIGtleSB3cm9uZyBrZXkgd3Jvbmcga2V5"


def sas(container: Container, start: datetime.datetime, expiry: datetime.datetime) -> str:
    permission = ContainerSasPermissions(read=True, list=True, write=True, create=True)
    return generate_container_sas(
        ACCOUNT, container.name, account_key=container.server.key, permission=permission, start=start, expiry=expiry
    )  # fmt: skip


@pytest.fixture
def by_endpoint(container: Container, monkeypatch: pytest.MonkeyPatch) -> Container:
    """The emulator by its address alone, without credentials."""
    monkeypatch.delenv("AZURE_STORAGE_CONNECTION_STRING")
    monkeypatch.setenv("AZURE_STORAGE_SERVICE_ENDPOINT", container.server.endpoint)
    container.put("a.csv", b"a\n1\n")
    return container


def refusal(uri: str) -> str:
    with pytest.raises(HptuneError) as caught:
        open_store(uri, patience=Patience(0.5, 1, 2)).files()
    text = str(caught.value)
    assert "\n" not in text
    assert (
        caught.value.__cause__ is None
        and caught.value.__suppress_context__
        or caught.value.__context__ is None
    )
    return text


def test_a_key_and_a_valid_token_open_the_container(
    by_endpoint: Container, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AZURE_STORAGE_KEY", by_endpoint.server.key)
    assert [file.name for file in open_store(by_endpoint.uri).files()] == ["a.csv"]
    monkeypatch.delenv("AZURE_STORAGE_KEY")
    monkeypatch.setenv("AZURE_STORAGE_SAS_TOKEN", "?" + sas(by_endpoint, NOW - HOUR, NOW + HOUR))
    assert fetch(open_store(by_endpoint.uri), tmp_path / "here").fetched == 1


def test_the_services_address_opens_the_container(container: Container) -> None:
    container.put("raw/a.csv", b"a\n1\n")
    store = open_store(f"{container.server.endpoint}/{container.name}/raw")
    assert [file.name for file in store.files()] == ["a.csv"]


def test_a_private_file_gives_credentials_and_one_that_others_may_read_does_not(
    by_endpoint: Container, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "credentials"
    path.write_text(f"AZURE_STORAGE_KEY={by_endpoint.server.key}\n")
    path.chmod(0o600)
    monkeypatch.setenv("HPTUNE_CREDENTIALS_FILE", str(path))
    assert open_store(by_endpoint.uri).files()
    path.chmod(0o640)
    assert "is not a private file" in refusal(by_endpoint.uri)
    path.unlink()
    assert "cannot read the credentials file" in refusal(by_endpoint.uri)


def test_wrong_and_malformed_credentials_are_refused_without_repeating_them(
    by_endpoint: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key, said in ((WRONG_KEY, "refused the credentials"), ("not base64!", "malformed")):
        monkeypatch.setenv("AZURE_STORAGE_KEY", key)
        text = refusal(by_endpoint.uri)
        assert said in text and key not in text
    monkeypatch.delenv("AZURE_STORAGE_KEY")
    wrong = sas(by_endpoint, NOW - HOUR, NOW + HOUR).replace("sig=", "sig=AAAA")
    tokens = {
        "expired": sas(by_endpoint, NOW - 2 * HOUR, NOW - HOUR),
        "not valid before": sas(by_endpoint, NOW + HOUR, NOW + 2 * HOUR),
        "refused the credentials": wrong,
        "no signature": "nonsense",
    }
    for said, token in tokens.items():
        monkeypatch.setenv("AZURE_STORAGE_SAS_TOKEN", token)
        text = refusal(by_endpoint.uri)
        assert said in text and token not in text
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", "nonsense")
    assert "malformed" in refusal(by_endpoint.uri)


def test_places_that_are_not_there_are_refused(container: Container, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "does not exist" in refusal(f"az://{ACCOUNT}/nosuchcontainer/raw")
    assert "is for account" in refusal("az://otheraccount/data")
    monkeypatch.delenv("AZURE_STORAGE_CONNECTION_STRING")
    monkeypatch.setenv("AZURE_STORAGE_KEY", WRONG_KEY)
    monkeypatch.setenv("AZURE_STORAGE_SERVICE_ENDPOINT", "https://nosuchaccount.blob.invalid")
    assert "the host name is unknown" in refusal("az://nosuchaccount/data")
    monkeypatch.setenv("AZURE_STORAGE_SERVICE_ENDPOINT", "http://127.0.0.1:1")
    assert "connection refused" in refusal(f"az://{ACCOUNT}/data")


@pytest.mark.parametrize(
    "uri",
    [
        "https://account.blob.core.windows.net/data?sv=1&sig=topsecret",
        "https://user:topsecret@account.blob.core.windows.net/data",
        "az://account/data?sig=topsecret",
        "https://storage.example.com/data/raw",
        "https://account.blob.core.windows.net.example.com/data",
        "http://account.blob.core.windows.net/data",
        "az://account",
        "az://account/UPPER",
        "az:///data",
        "hdfs://namenode/data",
    ],
)
def test_addresses_that_are_unsafe_or_malformed_are_refused(
    uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_STORAGE_KEY", WRONG_KEY)
    with pytest.raises((ConfigurationError, StorageError)) as caught:
        open_store(uri)
    assert "topsecret" not in str(caught.value)


def test_an_endpoint_without_tls_is_refused_unless_it_is_this_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(
        "AZURE_STORAGE_CONNECTION_STRING",
        f"DefaultEndpointsProtocol=http;AccountName=account;AccountKey={WRONG_KEY}",
    )
    assert "not https" in refusal("az://account/data")


@pytest.mark.parametrize("kind", ["key", "token"])
@pytest.mark.parametrize("request_line", [b"comp=list", b"x-ms-range:", b"comp=block", b"put /"])
def test_nothing_follows_a_redirect(
    by_endpoint: Container, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str, request_line: bytes
) -> None:
    if kind == "key":
        monkeypatch.setenv("AZURE_STORAGE_KEY", by_endpoint.server.key)
    else:
        monkeypatch.setenv("AZURE_STORAGE_SAS_TOKEN", sas(by_endpoint, NOW - HOUR, NOW + HOUR))
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "b.csv").write_bytes(b"b\n2\n")
    with running_proxy(by_endpoint.server.port) as proxy, running_proxy(by_endpoint.server.port) as thief:
        endpoint = by_endpoint.server.endpoint
        proxy.harmed = request_line
        elsewhere = endpoint.replace(f":{by_endpoint.server.port}/", f":{thief.port}/")
        proxy.plan(*[redirected(f"{elsewhere}/{by_endpoint.name}/a.csv")] * 20)
        monkeypatch.setenv(
            "AZURE_STORAGE_SERVICE_ENDPOINT",
            endpoint.replace(f":{by_endpoint.server.port}/", f":{proxy.port}/"),
        )
        store = open_store(by_endpoint.uri, patience=Patience(0.5, 1, 2))
        with pytest.raises(StorageError, match="answered 307"):
            if request_line == b"comp=block":
                store.check_writable()
            elif request_line == b"put /":
                upload(tmp_path / "source", store)
            else:
                fetch(store, tmp_path / "here")
        assert thief.requests == []


CONFIG = """
data: {path: nowhere, format: talkingdata, features: small}
estimator: sklearn.dummy.DummyClassifier
search_space: {strategy: [prior, uniform]}
cv: 2
engine: serial
"""


def one_line(done: subprocess.CompletedProcess[str], *codes: int) -> str:
    lines = [line for line in done.stderr.splitlines() if line.startswith("hptune: error: ")]
    assert done.returncode in codes, done.stderr
    assert len(lines) == 1 and "Traceback" not in done.stderr
    return lines[0]


@pytest.fixture
def bad(by_endpoint: Container, tmp_path: Path) -> Container:
    """Prefixes that lack a file, hold an empty one, or one whose name climbs out of a directory."""
    for path in write_raw(tmp_path / "raw", example()).iterdir():
        is_phone = "phone" in path.name
        by_endpoint.put(f"lacks/{path.name}" if not is_phone else "elsewhere/x", path.read_bytes())
        by_endpoint.put(f"empty/{path.name}", b"" if is_phone else path.read_bytes())
        by_endpoint.put(f"climbs/{path.name}", path.read_bytes())
    by_endpoint.put_raw("climbs/../evil.csv", b"evil")
    (tmp_path / "sweep.yaml").write_text(CONFIG)
    return by_endpoint


REFUSED = {
    "a container that lacks a file": ("{uri}/lacks", {}, 3, "holds neither phone_brand_device_model.csv.zip nor"),
    "tables instead of raw files": ("{uri}/elsewhere", {}, 3, "name a table itself, such as {uri}/elsewhere/x"),
    "an empty file": ("{uri}/empty", {}, 3, "is empty"),
    "a name that climbs": ("{uri}/climbs", {}, 3, 'unsafe name "../evil.csv"'),
    "no such container": (f"az://{ACCOUNT}/nosuchcontainer/raw", {}, 4, "does not exist"),
    "no such account": (
        "az://nosuchaccount/data/raw",
        {"AZURE_STORAGE_SERVICE_ENDPOINT": "https://nosuchaccount.blob.invalid"},
        4,
        "the host name is unknown",
    ),
    "nobody listens": (
        f"az://{ACCOUNT}/data/raw", {"AZURE_STORAGE_SERVICE_ENDPOINT": "http://127.0.0.1:1"}, 4, "connection refused",
    ),
    "a wrong key": ("{uri}/lacks", {"AZURE_STORAGE_KEY": WRONG_KEY}, 4, "refused the credentials"),
    "a malformed key": ("{uri}/lacks", {"AZURE_STORAGE_KEY": "not base64!"}, 4, "credentials are malformed"),
}  # fmt: skip
SWEEP = ("sweep", "--config", "sweep.yaml", "--out", "out", "--data")


VERBS = ("sweep", "features", "fetch", "sweep --out")
ALLOWED = {("sweep --out", case) for case, (_, _, code, _) in REFUSED.items() if code == 3}
ALLOWED |= {("fetch", case) for _, case in ALLOWED if case != "a name that climbs"}


@pytest.mark.parametrize(("verb", "case"), [pair for pair in product(VERBS, REFUSED) if pair not in ALLOWED])
def test_places_that_cannot_be_used_are_one_line_and_nothing_is_left(
    bad: Container, command: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: str, case: str
) -> None:
    uri, environment, code, said = REFUSED[case]
    monkeypatch.setenv("AZURE_STORAGE_KEY", bad.server.key)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    uri = uri.format(uri=bad.uri)
    arguments = {
        "sweep": (*SWEEP, uri),
        "features": ("features", "--data", uri),
        "fetch": ("fetch", uri, "here"),
        "sweep --out": (*SWEEP, "raw", "--out", uri),
    }
    done = command(*arguments[verb])
    assert said.format(uri=bad.uri) in one_line(done, code)
    assert not [secret for secret in environment.values() if secret in done.stderr and "://" not in secret]
    left = [path for path in tmp_path.rglob("*") if path.is_file() and (tmp_path / "raw") not in path.parents]
    assert {path.name for path in left} <= {"sweep.yaml"}


LOADED = "import sys; from hptune.cli import main; main(sys.argv[1:]); print(*sys.modules)"


@pytest.mark.slow
def test_a_wrong_key_is_told_before_the_libraries_that_take_seconds_are_imported(
    by_endpoint: Container, tmp_path: Path
) -> None:
    write_raw(tmp_path / "raw", example())
    (tmp_path / "sweep.yaml").write_text(CONFIG)
    sweep = ("sweep", "--config", "sweep.yaml", "--data")
    for arguments in (
        ("fetch", by_endpoint.uri, "here"),
        ("upload", "raw", by_endpoint.uri),
        (*sweep, by_endpoint.uri),
        (*sweep, "raw", "--out", by_endpoint.uri),
    ):
        done = subprocess.run(
            [sys.executable, "-c", LOADED, *arguments], cwd=tmp_path, capture_output=True, text=True, timeout=60,
            env={**os.environ, "PYTHONPATH": str(ROOT), "AZURE_STORAGE_KEY": WRONG_KEY},
        )  # fmt: skip
        assert "refused the credentials" in done.stderr
        assert not {"sklearn", "skops", "xgboost", "pyspark"} & set(done.stdout.split())


def test_credentials_among_arguments_or_in_a_sweep_file_are_refused(command: Run, tmp_path: Path) -> None:
    (tmp_path / "sweep.yaml").write_text(
        CONFIG + "spark: {spark.hadoop.fs.azure.account.key.a.dfs.core.windows.net: topsecret}\n"
    )
    for arguments in (
        ("sweep", "--data", "https://a.blob.core.windows.net/data?sv=1&sig=topsecret"),
        ("sweep", "--account-key", "topsecret"),
        ("fetch", "az://a/data", "here", "--sas-token=topsecret"),
        ("sweep", "--config", "sweep.yaml"),
        ("sweep", "--config", "sweep.yaml", "--set", "spark.spark.hadoop.fs.s3a.secret.key=topsecret"),
    ):
        done = command(*arguments)
        assert "holds a credential" in one_line(done, 2)
        assert "topsecret" not in done.stdout + done.stderr


def test_a_library_user_keeps_the_environment(container: Container) -> None:
    container.put("a.csv", b"a\n1\n")
    open_store(container.uri).files()
    assert os.environ["AZURE_STORAGE_CONNECTION_STRING"] == container.server.connection_string
