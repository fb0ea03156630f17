"""Azurite, a container for each test, and hptune as a program."""

from __future__ import annotations

import datetime
import http.client
import ipaddress
import os
import signal
import subprocess
import sys
import urllib.parse
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from azure.storage.blob import (
    BlobServiceClient,
    ContainerClient,
    ContainerSasPermissions,
    generate_container_sas,
)
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from hptune.cli import main
from hptune.records import Existing
from hptune.remote import claimed_output, prepared_output
from hptune.storage import Patience, Store, open_store
from tests.storage.azurite import ACCOUNT, Azurite, running_azurite
from tests.warm import Warm

ROOT = Path(__file__).resolve().parents[2]
SECRETS = ("AZURE_STORAGE_CONNECTION_STRING", "AZURE_STORAGE_KEY", "AZURE_STORAGE_SAS_TOKEN")
Run = Callable[..., "subprocess.CompletedProcess[str]"]
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture(scope="session")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azurite]:
    with running_azurite(tmp_path_factory.mktemp("azurite")) as server:
        yield server


@pytest.fixture(autouse=True)
def no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests see the credentials that they set, and no others."""
    for name in (*SECRETS, "AZURE_STORAGE_SERVICE_ENDPOINT", "HPTUNE_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "")  # or nothing is undone where `Container.store` sets it
        monkeypatch.delenv(name)
    monkeypatch.setattr("hptune.storage._credentials._taken", {})


@dataclass
class Container:
    """A fresh container."""

    server: Azurite
    client: ContainerClient

    @property
    def name(self) -> str:
        return str(self.client.container_name)

    @property
    def uri(self) -> str:
        return f"az://{ACCOUNT}/{self.name}"

    def put(self, name: str, content: bytes) -> None:
        """A blob without sums of its own, as other tools leave it."""
        client = self.client.get_blob_client(name)
        client.upload_blob(content, overwrite=True)
        client.set_http_headers()  # Azurite notes an MD5 on upload; this takes it off

    def put_raw(self, name: str, content: bytes) -> None:
        """A blob whose name no client library would send."""
        permission = ContainerSasPermissions(create=True, write=True)
        expiry = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1)
        key = self.server.key
        token = generate_container_sas(
            ACCOUNT, self.name, account_key=key, permission=permission, expiry=expiry
        )
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=10)
        path = f"/{ACCOUNT}/{self.name}/{urllib.parse.quote(name, safe='')}?{token}"
        connection.request(
            "PUT", path, content, {"x-ms-blob-type": "BlockBlob", "x-ms-version": "2021-12-02"}
        )
        assert connection.getresponse().status == 201
        connection.close()

    def store(self, prefix: str = "", *, port: int | None = None, patience: Patience | None = None) -> Store:
        os.environ["AZURE_STORAGE_CONNECTION_STRING"] = self.server.connection_string_at(
            port or self.server.port
        )
        return open_store(f"{self.uri}/{prefix}", patience=patience or Patience(2, 1, 4))


def new_container(server: Azurite) -> ContainerClient:
    service = BlobServiceClient.from_connection_string(
        server.connection_string, connection_verify=str(server.tls[0]) if server.tls else True
    )
    return service.create_container(f"test-{uuid.uuid4().hex[:12]}")


@pytest.fixture
def container(azurite: Azurite, monkeypatch: pytest.MonkeyPatch) -> Container:
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", azurite.connection_string)
    return Container(azurite, new_container(azurite))


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Start]:
    """Starts ``hptune`` with a cache of this test's own; what still runs at the end is killed."""
    processes = []

    def start(*arguments: object, **environment: str) -> subprocess.Popen[str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
        process = subprocess.Popen(
            [sys.executable, "-m", "hptune.cli", *map(str, arguments)],
            env={**inherited, "PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(tmp_path / "cache"), **environment},
            cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        processes.append(process)
        return process

    yield start
    for process in processes:
        with process:
            process.kill()


@pytest.fixture(scope="session")
def warm() -> Iterator[Warm]:
    hidden = ("PYTEST", *SECRETS)
    server = Warm({name: value for name, value in os.environ.items() if not name.startswith(hidden)})
    yield server
    server.close()


@pytest.fixture
def hptune(warm: Warm, tmp_path: Path) -> Run:
    """Runs ``hptune`` to its end, in a process of its own."""

    def run(*arguments: object, timeout: float = 120, **environment: str) -> subprocess.CompletedProcess[str]:
        said, error = (tmp_path / f"{uuid.uuid4().hex}.{name}" for name in ("out", "err"))
        held = {name: os.environ[name] for name in SECRETS if name in os.environ}
        process = warm.start(
            [*map(str, arguments)], cwd=tmp_path, output=said, errors=error,
            env={**held, "XDG_CACHE_HOME": str(tmp_path / "cache"), **environment},
        )  # fmt: skip
        code = process.wait(timeout)
        return subprocess.CompletedProcess(arguments, code, said.read_text(), error.read_text())

    return run


@pytest.fixture
def command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Run]:
    """Runs ``hptune`` in this process: fast, for what ends early."""
    umask, handler = os.umask(0o022), signal.getsignal(signal.SIGTERM)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        code = main([str(argument) for argument in arguments])
        said = capsys.readouterr()
        return subprocess.CompletedProcess(arguments, code, said.out, said.err)

    yield run
    os.umask(umask)
    signal.signal(signal.SIGTERM, handler)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A self-signed certificate for 127.0.0.1, and its key."""
    directory = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.timezone.utc)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=12))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    cert_path, key_path = directory / "cert.pem", directory / "key.pem"
    cert_path.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    key_path.write_bytes(key.private_bytes(serialization.Encoding.PEM, *private))
    return cert_path, key_path


@contextmanager
def output_directory(
    out: str,
    *,
    existing: Existing,
    cache: Path,
    say: Callable[[str], None],
    saves_model: bool = False,
) -> Iterator[Path]:
    """A directory whose files go to `out`, as a sweep has it."""
    with (
        claimed_output(out, cache=cache) as directory,
        prepared_output(directory, out, existing=existing, say=say, saves_model=saves_model),
    ):
        yield directory
