"""Which account, container and prefix an address means, and whether credentials may be sent there."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, unquote, urlsplit

from hptune.errors import ConfigurationError, StorageError
from hptune.storage._base import refuse_query, scheme_of
from hptune.storage._credentials import (
    CONNECTION_STRING,
    SERVICE_ENDPOINT,
    credentials,
    parse_connection_string,
)

__all__ = ["Place", "is_loopback", "parse_place"]

_AZURE_HOST = re.compile(
    r"([a-z0-9]{3,24})(-secondary)?(\.z\d+)?"
    r"\.blob\.(core\.(windows\.net|chinacloudapi\.cn|usgovcloudapi\.net)|storage\.azure\.net)"
)
_ACCOUNT = re.compile(r"[a-z0-9]{3,24}")
_CONTAINER = re.compile(r"\$root|\$web|\$logs|[a-z0-9](-?[a-z0-9]){2,62}")
_WRITE = "write az://account/container/prefix"


@dataclass(frozen=True)
class Place:
    """A container's prefix.

    Parameters
    ----------
    uri : str
        As the user wrote it.
    endpoint : str
        The account's service, without a slash at the end.
    account, container, prefix : str
        `prefix` has no slash at either end.
    """

    uri: str
    endpoint: str
    account: str
    container: str
    prefix: str


def parse_place(uri: str) -> Place:
    """The place that an ``az://`` or blob service address means.

    Raises
    ------
    ConfigurationError
        It means none, or credentials must not be sent there.

    Examples
    --------
    >>> place = parse_place("https://account.blob.core.windows.net/data/raw/2016")
    >>> place.account, place.container, place.prefix
    ('account', 'data', 'raw/2016')
    """
    refuse_query(uri)
    parts = urlsplit(uri)
    if scheme_of(uri) == "az":
        account, path = parts.netloc, uri.split("://", 1)[1].partition("/")[2]
        endpoint = _endpoint(account)
    else:
        account, endpoint, path = _service(parts, uri)
    container, _, prefix = path.partition("/")
    if not _ACCOUNT.fullmatch(account) or not _CONTAINER.fullmatch(container):
        raise ConfigurationError(f"{uri} names no account and container", _WRITE)
    _refuse_plain_http(endpoint)
    return Place(uri.rstrip("/"), endpoint, account, container, prefix.strip("/"))


def is_loopback(url: str) -> bool:
    """Whether a URL's host is this machine: the only one that may be spoken to without TLS."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def account_of(parts: Mapping[str, str]) -> tuple[str, str]:
    """Account and endpoint of a parsed connection string."""
    account, endpoint = parts.get("accountname", ""), parts.get("blobendpoint", "").rstrip("/")
    if parts.get("usedevelopmentstorage", "").lower() == "true":
        return "devstoreaccount1", "http://127.0.0.1:10000/devstoreaccount1"
    if not endpoint and account:
        protocol, suffix = (
            parts.get("defaultendpointsprotocol", "https"),
            parts.get("endpointsuffix", "core.windows.net"),
        )
        endpoint = f"{protocol}://{account}.blob.{suffix}"
    if not account and endpoint:
        split = urlsplit(endpoint)
        account = split.path.strip("/") or (split.hostname or "").partition(".")[0]
    return account, endpoint


def _endpoint(account: str) -> str:
    """Where an account's blobs are: by the connection string, by the environment, else on the public cloud."""
    text = credentials().get(CONNECTION_STRING)
    if text:
        named, endpoint = account_of(parse_connection_string(text))
        if named == account:
            return endpoint
    service = os.environ.get(SERVICE_ENDPOINT, "").rstrip("/")
    if not service:
        return f"https://{account}.blob.core.windows.net"
    if is_loopback(service) and not urlsplit(service).path.strip("/"):
        return f"{service}/{account}"
    return service


def _service(parts: SplitResult, uri: str) -> tuple[str, str, str]:
    """Account, endpoint and path of an http or https address."""
    base = f"{parts.scheme}://{parts.netloc}"
    path = unquote(parts.path.lstrip("/"))
    if is_loopback(uri):  # emulators have the account in the path
        account, _, rest = path.partition("/")
        return account, f"{base}/{account}", rest
    host = (parts.hostname or "").lower()
    found = _AZURE_HOST.fullmatch(host)
    if found:
        return found[1], base, path
    if host and host in _trusted_hosts():
        return host.partition(".")[0], base, path
    raise ConfigurationError(
        f"{uri} is no Azure Blob address, and credentials are not sent to other hosts",
        f"{_WRITE}, or name the host by {SERVICE_ENDPOINT}",
    )


def _trusted_hosts() -> set[str | None]:
    text = credentials().get(CONNECTION_STRING)
    endpoints = [os.environ.get(SERVICE_ENDPOINT, "")]
    if text:
        endpoints.append(account_of(parse_connection_string(text))[1])
    return {urlsplit(endpoint).hostname for endpoint in endpoints}


def _refuse_plain_http(endpoint: str) -> None:
    if not endpoint.startswith("https://") and not (endpoint.startswith("http://") and is_loopback(endpoint)):
        raise StorageError(
            "the storage endpoint is not https, and only this machine's own may be plain http",
            "use an https endpoint",
        )
