"""Credentials for Azure Storage: from the environment or a private file, never from arguments."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from hptune.errors import ConfigurationError, StorageError

__all__ = ["CREDENTIALS_FILE", "SECRETS", "SERVICE_ENDPOINT", "credentials", "refuse_secrets"]

CONNECTION_STRING = "AZURE_STORAGE_CONNECTION_STRING"
KEY = "AZURE_STORAGE_KEY"
SAS = "AZURE_STORAGE_SAS_TOKEN"
SERVICE_ENDPOINT = "AZURE_STORAGE_SERVICE_ENDPOINT"
CREDENTIALS_FILE = "HPTUNE_CREDENTIALS_FILE"
SECRETS = (CONNECTION_STRING, KEY, SAS)

_FILE_BYTES = 64 << 10
_HOW = f"set {CONNECTION_STRING}, {KEY} or {SAS}, or log in with the Azure CLI or a managed identity"
_SECRET_TEXT = re.compile(
    r"""
    (?<![\w.])sig=[^&;\s]{6}                                           # of a SAS token
    | (?<![\w.])(accountkey|sharedaccesssignature)=[^;\s]              # of a connection string
    | (?<![a-z0-9+/])[a-z0-9+/]{86}==                                  # an account's key, whatever stands before it
    | (
        fs\.\w+\.([\w.\-]+\.)?((access|account|private|secret)\.key|client\.secret|(session|refresh)\.token|password)
        (?!\w|\.provider|\.endpoint|\.id\b)
        | fs\.azure\.sas\.(?!token\.provider|expiry)
      )[\w.\-]*["']?\s*[=:]\s*["']?(?!\$\{)[^\s"']                     # a setting of Hadoop's, but no reference
    | ^--?((access|account|storage)[-_]key|sas([-_]token)?|connection[-_]string)\b   # options that we do not have
    | ^((access|account|storage)[-_]key|sas([-_]token)?|connection[-_]string)=\S{8}
    | (?<![\w.])azure_storage_(key|sas_token|connection_string)=\S
    """,
    re.IGNORECASE | re.VERBOSE,
)

_taken: dict[str, str] = {}


def take_credentials() -> None:
    """Move secrets from the environment into this process's memory.

    What it starts from now on, Spark's JVM and its workers included, does not inherit them.
    """
    _taken.update({name: value for name in SECRETS if (value := os.environ.pop(name, None))})


def credentials() -> Mapping[str, str]:
    """The secrets that are set, by the names of their variables; the environment wins over the file.

    Raises
    ------
    StorageError
        The file that `CREDENTIALS_FILE` names cannot be read, or others may read it.
    """
    named = os.environ.get(CREDENTIALS_FILE)
    found = _read_private(Path(named)) if named else {}
    return found | _taken | {name: value for name in SECRETS if (value := os.environ.get(name))}


def refuse_secrets(texts: Iterable[str], where: str) -> None:
    """Refuse text that looks like a credential; the error does not repeat it.

    Raises
    ------
    ConfigurationError
        One of `texts` does.
    """
    if any(_SECRET_TEXT.search(text) for text in texts):
        raise ConfigurationError(
            f"{where} holds a credential, which others can read there",
            f"take it out and set {CONNECTION_STRING}, {KEY} or {SAS} in the environment"
            f" or in a 0600 file named by {CREDENTIALS_FILE}",
        )


def texts_of(value: Any) -> Iterable[str]:
    """Every text of a nested configuration; what has a key as ``key=text``.

    Examples
    --------
    >>> list(texts_of({"data": {"path": "a.csv"}, "metrics": ["r2"]}))
    ['data', 'path=a.csv', 'metrics', 'r2']
    """
    if isinstance(value, Mapping):
        for key, item in value.items():
            nested = isinstance(item, (Mapping, list, tuple))
            yield str(key) if nested or item is None else f"{key}={item}"
            if nested:
                yield from texts_of(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from texts_of(item)
    elif isinstance(value, str):
        yield value


def parse_connection_string(text: str) -> dict[str, str]:
    """Its parts by lower-case names.

    Raises
    ------
    StorageError
        It is malformed; the error does not repeat it.
    """
    pieces = [piece.partition("=") for piece in text.strip().strip(";").split(";")]
    if not all(key and equals for key, equals, _ in pieces):
        raise StorageError(f"{CONNECTION_STRING} is malformed", "copy it anew from the storage account")
    return {key.strip().lower(): value for key, _, value in pieces}


def checked_sas(token: str) -> str:
    """A SAS token without its question mark, if it is valid now.

    Raises
    ------
    StorageError
        It has expired, is not yet valid, or is none.
    """
    token = token.strip().removeprefix("?")
    fields = parse_qs(token)
    if "sig" not in fields:
        raise StorageError("the SAS token has no signature", "make a new one")
    now = datetime.now(timezone.utc)
    start, end = _moment(fields, "st"), _moment(fields, "se")
    if end is not None and end <= now:
        raise StorageError(f"the SAS token expired at {end:%Y-%m-%d %H:%M} UTC", "make a new one")
    if start is not None and start > now:
        raise StorageError(f"the SAS token is not valid before {start:%Y-%m-%d %H:%M} UTC", "make another")
    return token


def token_credential() -> Any:
    """`DefaultAzureCredential` over the sources that answer at once on servers and laptops alike."""
    from azure.identity import DefaultAzureCredential

    return DefaultAzureCredential(
        exclude_developer_cli_credential=True,
        exclude_powershell_credential=True,
        exclude_shared_token_cache_credential=True,
        exclude_visual_studio_code_credential=True,
        process_timeout=5,
    )


def how_to_authenticate() -> str:
    """The mending half of an error about missing credentials."""
    return _HOW


def _moment(fields: Mapping[str, list[str]], name: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(fields[name][0].replace("Z", "+00:00"))
    except (KeyError, ValueError):
        return None  # the service says what it thinks of it
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


def _read_private(path: Path) -> dict[str, str]:
    mend = f"name a file of NAME=VALUE lines, mode 0600, by {CREDENTIALS_FILE}"
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with open(file, encoding="utf-8") as stream:
            status = os.fstat(file)
            private = stat.S_ISREG(status.st_mode) and not status.st_mode & 0o077
            if not private or status.st_uid != os.geteuid() or status.st_size > _FILE_BYTES:
                raise StorageError(f"{path} is not a private file of yours", f"chmod 600 {path}")
            pairs = [line.strip().partition("=") for line in stream]
    except (OSError, UnicodeDecodeError) as error:
        reason = (getattr(error, "strerror", None) or "not UTF-8 text").lower()
        raise StorageError(f"cannot read the credentials file {path} ({reason})", mend) from None
    return {name.strip(): value.strip().strip("\"'") for name, _, value in pairs if name.strip() in SECRETS}
