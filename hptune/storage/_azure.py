"""Azure Blob storage."""

from __future__ import annotations

import binascii
import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from hptune.errors import HptuneError, InputDataError, StorageError
from hptune.storage._azure_place import Place, account_of, parse_place
from hptune.storage._base import (
    ChangedError,
    PassingError,
    Patience,
    RemoteFile,
    Retrier,
    checked_name,
    sorted_unique,
)
from hptune.storage._credentials import (
    CONNECTION_STRING,
    KEY,
    SAS,
    checked_sas,
    credentials,
    how_to_authenticate,
    parse_connection_string,
    token_credential,
)

try:
    from azure.core.exceptions import (
        AzureError,
        ClientAuthenticationError,
        HttpResponseError,
        ResourceNotFoundError,
        ServiceRequestError,
    )
    from azure.storage.blob import BlobBlock, BlobProperties, ContainerClient, ContentSettings

    from hptune.storage._azure_ranges import RangeReader
except ModuleNotFoundError:  # pragma: no cover
    raise StorageError("azure-storage-blob is not installed", "pip install 'hptune[azure]'") from None

__all__ = ["AzureStore", "open_azure"]

_T = TypeVar("_T")

_BLOCK = 4 << 20  # of an upload
_UPLOADS = 4  # blocks at once
_SLOWEST = 16 << 10  # bytes a second of a block; below it an upload counts as stalled
_PAGE_FILES = 1000
_PROBE = ".hptune-probe"
_MOST_FILES = 100_000
_PASSING = frozenset({408, 429, 500, 502, 503, 504})
_REFUSED = frozenset({401, 403})
_CHANGED = frozenset({409, 412})
_SHA256 = "hptune_sha256"
_QUIET = {"azure": logging.WARNING, "msal": logging.WARNING, "urllib3": logging.INFO}


def open_azure(uri: str, patience: Patience) -> AzureStore:
    """The store behind an ``az://`` or blob service address; nothing is sent yet.

    Raises
    ------
    ConfigurationError
        The address means no container.
    StorageError
        Credentials are malformed or out of date.
    """
    place = parse_place(uri)
    return AzureStore(place, _credential(place), patience)


class AzureStore:
    """A container's prefix."""

    def __init__(self, place: Place, credential: Any, patience: Patience) -> None:
        for name, level in _QUIET.items():  # below these they tell addresses with signatures
            logger = logging.getLogger(name)
            logger.setLevel(max(level, logger.level))
        self.uri = place.uri
        self.retrier = Retrier(place.uri, patience)
        self._prefix = place.prefix
        self._single = False  # known once it was listed
        self._ranges = RangeReader(place, credential, self.retrier)
        with self._told(place.container):
            # What fails is tried again by us: the SDK would neither tell it nor stop when it is told to. A redirect
            # it would follow, and sign for.
            self._container = ContainerClient(
                place.endpoint, place.container, credential=credential, retry_total=0, permit_redirects=False,
                connection_verify=True, max_single_put_size=_BLOCK,
            )  # fmt: skip

    def files(self) -> list[RemoteFile]:
        """The blobs under the prefix, or the one that it names."""
        under = f"{self._prefix}/" if self._prefix else ""
        found: list[RemoteFile] = []
        token: str | None = ""
        while token is not None:
            page, token = self._asked(partial(self._page, under, token), f"listing {self.uri}")
            found += [self._file(blob, blob.name[len(under) :]) for blob in page if not _is_folder(blob)]
            if len(found) > _MOST_FILES:
                raise InputDataError(
                    f"{self.uri} holds more than {_MOST_FILES:,} files", "name a longer prefix"
                )
        if not found and self._prefix:
            return self._asked(self._itself, f"looking for {self.uri}")
        return sorted_unique(found)

    def copy_range(self, file: RemoteFile, offset: int, length: int, target: Path) -> None:
        """One request with ``If-Match``; checked by the service's MD5 where the blob has no sum of its own."""
        with self._told(file.name):
            status, code = self._ranges.copy(self._full(file.name), file, offset, length, target)
        if status != 206:
            raise self._answered(status, code if code.isalnum() else "", f"{self.uri}/{file.name}")

    def check_writable(self) -> None:
        """Send a block that belongs to no blob: nobody sees it, and the service forgets it in a week."""
        blob = self._container.get_blob_client(self._under(_PROBE))
        self._send(partial(blob.stage_block, _block_id("", 0), b"\n"), _PROBE, 1)

    def put(self, source: Path, name: str, sha256: str, md5: str) -> None:
        """One blob; Azure shows it when its last block is committed."""
        blob = self._container.get_blob_client(self._under(name))
        about: dict[str, Any] = {
            "metadata": {_SHA256: sha256},
            "content_settings": ContentSettings(content_md5=bytearray.fromhex(md5)),
        }
        size = source.stat().st_size
        if size <= _BLOCK:
            whole = partial(
                blob.upload_blob, source.read_bytes(), overwrite=True, validate_content=True, **about
            )
            self._send(whole, name, size)
            return
        ids = [_block_id(sha256, index) for index in range(-(-size // _BLOCK))]

        def stage(index: int) -> None:
            with source.open("rb") as stream:
                stream.seek(index * _BLOCK)
                block = stream.read(_BLOCK)
            self._send(partial(blob.stage_block, ids[index], block, validate_content=True), name, len(block))

        with ThreadPoolExecutor(_UPLOADS, thread_name_prefix="upload") as pool:
            list(pool.map(stage, range(len(ids))))
        self._send(partial(blob.commit_block_list, list(map(BlobBlock, ids)), **about), name, 0)

    def remove(self, name: str) -> None:
        """Remove a blob; one that is not there is no error."""

        def delete(**waits: Any) -> None:
            with suppress(ResourceNotFoundError):
                self._container.delete_blob(self._under(name), **waits)

        self._send(delete, name, 0)

    def _send(self, request: Callable[..., object], name: str, size: int) -> None:
        self._asked(request, f"sending {name}", name=name, size=size)

    def _asked(self, request: Callable[..., _T], what: str, *, name: str = "", size: int = 0) -> _T:
        """The answer to a request of `size` bytes, which gets how long to wait as arguments."""
        limit = self.retrier.patience.answer + size / _SLOWEST

        def once() -> _T:
            patience = self.retrier.patience
            with self._told(name):
                return request(connection_timeout=max(2.0, patience.first), read_timeout=patience.silence)

        try:
            return self.retrier.call(once, what, limit=limit)
        except ChangedError as error:
            raise StorageError(str(error), "try again when nothing else changes or holds it") from None

    def _page(self, under: str, token: str, **waits: Any) -> tuple[list[BlobProperties], str | None]:
        """Some blobs, and where the next ones begin."""
        blobs = self._container.list_blobs(
            name_starts_with=under or None, include=["metadata"], results_per_page=_PAGE_FILES, **waits
        )
        pages: Any = blobs.by_page(token or None)
        page = list(next(pages, ()))
        return page, pages.continuation_token or None

    def _itself(self, **waits: Any) -> list[RemoteFile]:
        """The blob that the address names, if there is one."""
        try:
            blob = self._container.get_blob_client(self._prefix).get_blob_properties(**waits)
        except HttpResponseError as error:
            if error.status_code == 404:
                return []
            raise
        self._single = not _is_folder(blob)
        return [self._file(blob, self._prefix.rpartition("/")[2])] if self._single else []

    def _file(self, blob: BlobProperties, name: str) -> RemoteFile:
        md5 = blob.content_settings.content_md5
        return RemoteFile(
            name=checked_name(name, self.uri),
            size=int(blob.size),
            version=str(blob.etag).strip('"'),
            sha256=(blob.metadata or {}).get(_SHA256),
            md5=bytes(md5).hex() if md5 else None,
        )

    def _full(self, name: str) -> str:
        return self._prefix if self._single else self._under(name)

    def _under(self, name: str) -> str:
        return f"{self._prefix}/{name}" if self._prefix else name

    @contextmanager
    def _told(self, name: str) -> Iterator[None]:
        """Turn whatever goes wrong into an error of ours, in our words.

        The service's and the SDK's texts hold signatures, the strings that were signed and whole addresses, so
        neither they nor the exceptions that carry them go on.
        """
        try:
            yield
        except (HptuneError, PassingError):
            raise
        except Exception as error:
            raise self._translated(error, name) from None

    def _translated(self, error: Exception, name: str) -> Exception:
        where = f"{self.uri}/{name}" if name else self.uri
        if isinstance(error, HttpResponseError) and error.status_code is not None:
            return self._answered(error.status_code, _code(error), where)
        if type(error).__name__ == "AzureSigningError" or type(error) in (ValueError, binascii.Error):
            return StorageError(f"{self.uri}: the credentials are malformed", "copy them anew")
        if isinstance(error, ClientAuthenticationError):
            return StorageError(f"{self.uri}: no Azure credential was found", how_to_authenticate())
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            return StorageError(
                f"the certificate of {self.uri} is not trusted", "name its CA by REQUESTS_CA_BUNDLE"
            )
        if isinstance(error, (AzureError, OSError)) or type(error).__module__.startswith("urllib3."):
            # the SDK lets the libraries below it speak where it reads a body to check it
            return PassingError(_kind(error), answered=not isinstance(error, ServiceRequestError))
        return StorageError(f"{where}: unexpected {type(error).__name__}", "try again")

    def _answered(self, status: int, code: str, where: str) -> Exception:
        said = f"{status} {code}".strip()
        if status in _PASSING:
            return PassingError(said, answered=True)
        if status in _CHANGED:
            return ChangedError(f"{where} answered {said}")
        if status in _REFUSED:
            return StorageError(f"{self.uri} refused the credentials ({said})", "check key, token or roles")
        if status == 404 and code == "BlobNotFound":
            return ChangedError(f"{where} answered {said}")
        if status == 404:
            return StorageError(f"{self.uri} does not exist ({said})", "check account and container")
        return StorageError(f"{where} answered {said}", "check the address and the credentials")


def _credential(place: Place) -> Any:
    """A SAS token, a key with its account, or a token credential, in this order of what the user set."""
    found = credentials()
    text = found.get(CONNECTION_STRING)
    parts = parse_connection_string(text) if text else {}
    account = account_of(parts)[0]
    if account == place.account:
        if parts.get("accountkey"):
            return {"account_name": account, "account_key": parts["accountkey"]}
        if parts.get("sharedaccesssignature"):
            return checked_sas(parts["sharedaccesssignature"])
    if found.get(KEY):
        return {"account_name": place.account, "account_key": found[KEY]}
    if found.get(SAS):
        return checked_sas(found[SAS])
    if text:
        raise StorageError(
            f"{CONNECTION_STRING} is for account {account!r}, not {place.account!r}",
            "correct the address, or set the key or token of this account",
        )
    return token_credential()


def _block_id(sha256: str, index: int) -> str:
    """As long as the SDK's own: all blocks of a blob, those of broken uploads too, need ids of one length."""
    return f"{sha256[:40]:0<40}{index:08d}"


def _is_folder(blob: BlobProperties) -> bool:
    return (blob.metadata or {}).get("hdi_isfolder") == "true" or (not blob.size and blob.name.endswith("/"))


def _code(error: HttpResponseError) -> str:
    headers = getattr(error.response, "headers", None) or {}
    code = str(headers.get("x-ms-error-code") or getattr(error, "error_code", "") or "")
    return code if code.isalnum() else ""


def _kind(error: Exception) -> str:
    """What went wrong with a connection, without the address that the text of the error repeats."""
    text = str(error)
    kinds = {
        "NameResolution": "the host name is unknown",
        "Failed to resolve": "the host name is unknown",
        "Name or service": "the host name is unknown",
        "refused": "connection refused",
        "timed out": "no answer in time",
        "reset": "connection reset",
        "MD5": "damaged on the way",
    }
    return next((said for sign, said in kinds.items() if sign in text), "the connection broke off")
