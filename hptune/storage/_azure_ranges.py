"""Byte ranges of blobs, streamed to local files through azure-core's pipeline.

The SDK's own download holds each range in memory several times, and repeats broken requests without telling.
"""

from __future__ import annotations

import base64
import hashlib
import os
import time
import urllib.parse
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from azure.core import PipelineClient
from azure.core.credentials import AzureSasCredential
from azure.core.pipeline.policies import (
    AzureSasCredentialPolicy,
    BearerTokenCredentialPolicy,
    UserAgentPolicy,
)
from azure.core.pipeline.transport import RequestsTransport
from azure.core.rest import HttpRequest
from azure.storage.blob import ContainerSasPermissions, generate_container_sas

from hptune.storage._azure_place import Place
from hptune.storage._base import PassingError, RemoteFile, Retrier, within

__all__ = ["RangeReader"]

_BLOCK = 128 << 10
_SLOWEST = 1 << 10
_AT_WORK = 256 << 10
_VERSION = "2021-12-02"
_SCOPE = "https://storage.azure.com/.default"
_LIFE = timedelta(hours=24)


class RangeReader:
    """Reads ranges of a container's blobs.

    Parameters
    ----------
    place : Place
        The container.
    credential : str, mapping or token credential
        A SAS token; account name and key, of which a read-only token for this container is made; or the third.
    retrier : Retrier
        How long to wait for a connection, and for bytes, and whether to stop.
    """

    def __init__(self, place: Place, credential: Any, retrier: Retrier) -> None:
        self._place, self._credential, self._retrier = place, credential, retrier
        patience = retrier.patience
        self._made = datetime.min.replace(tzinfo=timezone.utc)
        self._sas: AzureSasCredential | None = None
        transport = RequestsTransport(
            connection_timeout=max(2.0, patience.first),
            read_timeout=patience.silence,
            connection_verify=True,
            connection_data_block_size=_BLOCK,
        )
        # neither retries nor redirects: the first are told by the caller, the second would take credentials along
        policies = [UserAgentPolicy(sdk_moniker="hptune"), self._authentication()]
        self._client: Any = PipelineClient(place.endpoint, policies=policies, transport=transport)

    def copy(self, blob: str, file: RemoteFile, offset: int, length: int, target: Path) -> tuple[int, str]:
        """Write a range of `blob` to its place in `target`.

        Returns
        -------
        status, code : int, str
            The service's answer: 206 where the bytes are written.

        Raises
        ------
        PassingError
            Fewer bytes came than were asked for, or others.
        """
        self._renew()
        headers = {
            "x-ms-version": _VERSION,
            "x-ms-range": f"bytes={offset}-{offset + length - 1}",
            "If-Match": f'"{file.version}"',
        }
        checked = not (file.sha256 or file.md5)
        if checked:
            headers["x-ms-range-get-content-md5"] = "true"
        name = urllib.parse.quote(blob, safe="/~")
        request = HttpRequest(
            "GET", f"{self._place.endpoint}/{self._place.container}/{name}", headers=headers
        )
        limit = self._retrier.patience.answer
        response = within(limit, lambda: self._client.send_request(request, stream=True))
        try:
            if response.status_code != 206:
                return response.status_code, str(response.headers.get("x-ms-error-code", ""))
            promised = response.headers.get("Content-MD5", "") if checked else ""
            self._write(_arriving(response), offset, length, target, promised)
            return 206, ""
        finally:
            response.close()

    def _authentication(self) -> Any:
        if isinstance(self._credential, str):
            return AzureSasCredentialPolicy(AzureSasCredential(self._credential))
        if isinstance(self._credential, dict):
            self._sas = AzureSasCredential("none yet")
            return AzureSasCredentialPolicy(self._sas)
        return BearerTokenCredentialPolicy(self._credential, _SCOPE)

    def _renew(self) -> None:
        """A token made of the account's key, fresh for at least half of its life."""
        now = datetime.now(timezone.utc)
        if self._sas is None or now - self._made < _LIFE / 2:
            return
        self._sas.update(
            generate_container_sas(
                self._credential["account_name"],
                self._place.container,
                account_key=self._credential["account_key"],
                permission=ContainerSasPermissions(read=True),
                expiry=now + _LIFE,
            )
        )
        self._made = now

    def _write(self, blocks: Iterator[bytes], offset: int, length: int, target: Path, promised: str) -> None:
        """Blocks to their place, counted, and compared with the MD5 that the service promised."""
        md5 = hashlib.md5(usedforsecurity=False)
        at, end = offset, offset + length
        pace = _Pace(self._retrier)
        out = os.open(target, os.O_WRONLY | os.O_NOFOLLOW)
        try:
            for block in blocks:
                if self._retrier.stopped.is_set():
                    raise PassingError("stopped", answered=True)
                if at + len(block) > end:
                    raise PassingError("more bytes came than were asked for", answered=True)
                os.pwrite(out, block, at)
                at += len(block)
                if promised:
                    md5.update(block)
                pace.check(at - offset)
        finally:
            os.close(out)
        if at != end:
            raise PassingError(f"{at - offset} of {length} bytes came", answered=True)
        if promised and base64.b64encode(md5.digest()).decode() != promised:
            raise PassingError("damaged on the way", answered=True)


class _Pace:
    """Tells that the place is at work, and counts bytes that drip as silence: fewer than `_SLOWEST` a second."""

    def __init__(self, retrier: Retrier) -> None:
        self._retrier = retrier
        self._since, self._before, self._told = time.monotonic(), 0, 0

    def check(self, here: int) -> None:
        """Called whenever bytes have come, with how many are here."""
        if here - self._told >= _AT_WORK:
            self._retrier.heard()
            self._told = here
        seconds = time.monotonic() - self._since
        if seconds < self._retrier.patience.silence:
            return
        if here - self._before < _SLOWEST * seconds:
            raise PassingError(f"{here - self._before} bytes came in {seconds:.0f} s", answered=True)
        self._since, self._before = time.monotonic(), here


def _arriving(response: Any) -> Iterator[bytes]:
    """A body as it arrives; azure-core's own iterators wait until a block is full, however slowly it drips."""
    body = response.internal_response.raw
    while block := body.read1(_BLOCK):
        yield block
