"""What both ends say: lines of JSON, the first of which prove that each end knows the token.

The server begins with ``{"challenge": C}``. The client answers ``{"answer": HMAC(token, "client" + C),
"challenge": D}``, the server ``{"answer": HMAC(token, "server" + D)}``. From then on the client sends
``{"key": K, "values": [[step, value], [step, value, name], ...]}``, and each is answered by ``{"stop": true}`` or
``{"stop": false}``. A value that is no finite number is null.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import math
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

__all__ = [
    "HANDSHAKE_SECONDS",
    "LINE_BYTES",
    "Address",
    "Place",
    "Value",
    "batches",
    "decode",
    "encode",
    "new_challenge",
    "proof",
    "report_of",
]

LINE_BYTES = 64 << 10  # a longer line ends the connection
HANDSHAKE_SECONDS = 5.0
KEY_CHARACTERS = 200  # of a run's key, and of a value's name
_BATCH_BYTES = LINE_BYTES // 2
_TOKEN_BYTES = 16


class Value(NamedTuple):
    """One value that a run reported.

    Parameters
    ----------
    step : int
        Its interval, from 1.
    value : float
        NaN where it is no finite number.
    name : str, default ""
        Of the metric; empty for the one that decides.
    """

    step: int
    value: float
    name: str = ""


@dataclass(frozen=True)
class Place:
    """Where a server listens, and under which name the executors find it.

    Parameters
    ----------
    bind : str, default "127.0.0.1"
        The address of this host to listen on.
    host : str, default "127.0.0.1"
        What the executors connect to.
    port : int, default 0
        0: any that is free.
    """

    bind: str = "127.0.0.1"
    host: str = "127.0.0.1"
    port: int = 0


@dataclass(frozen=True)
class Address:
    """What an executor needs to report: where the server is, and the token that only this sweep knows."""

    host: str
    port: int
    token: str = field(default_factory=lambda: secrets.token_hex(_TOKEN_BYTES), repr=False)


def new_challenge() -> str:
    """What has never been asked before."""
    return secrets.token_hex(_TOKEN_BYTES)


def proof(token: str, side: Literal["client", "server"], challenge: str) -> str:
    """What only an end that knows the token can answer to a challenge."""
    return hmac.new(token.encode(), f"{side}{challenge}".encode(), hashlib.sha256).hexdigest()


def encode(message: dict[str, Any]) -> bytes:
    """A line."""
    return json.dumps(message, allow_nan=False, separators=(",", ":")).encode() + b"\n"


def decode(line: bytes) -> dict[str, Any]:
    """The message in a line.

    Raises
    ------
    ValueError
        It holds none.
    """
    if not line.endswith(b"\n"):
        raise ValueError("the connection ended")
    try:
        message = json.loads(line)
    except RecursionError as error:
        raise ValueError("too many brackets") from error
    if not isinstance(message, dict):
        raise ValueError("no message")
    return message


def batches(key: str, values: Sequence[Value]) -> Iterator[tuple[bytes, int]]:
    """Lines that report values, each of at most `LINE_BYTES`, and how many values each of them holds."""
    batch: list[list[Any]] = []
    held = 0
    for step, value, name in values:
        told = value if math.isfinite(value) else None
        item = [step, told, name[:KEY_CHARACTERS]] if name else [step, told]
        size = len(json.dumps(item))
        if batch and held + size > _BATCH_BYTES:
            yield encode({"key": key, "values": batch}), len(batch)
            batch, held = [], 0
        batch.append(item)
        held += size
    if batch:
        yield encode({"key": key, "values": batch}), len(batch)


def report_of(message: dict[str, Any]) -> tuple[str, list[Value]]:
    """The key and the values in a message.

    Raises
    ------
    ValueError
        It is no report.

    Examples
    --------
    >>> report_of(decode(b'{"key": "7", "values": [[1, 0.5], [2, null]]}\\n'))
    ('7', [Value(step=1, value=0.5, name=''), Value(step=2, value=nan, name='')])
    """
    key, values = message.get("key"), message.get("values")
    if not isinstance(key, str) or len(key) > KEY_CHARACTERS or not isinstance(values, list):
        raise ValueError("no report")
    return key, [_value(item) for item in values]


def _value(item: Any) -> Value:
    if not isinstance(item, list) or len(item) not in (2, 3):
        raise ValueError("no value")
    step, value, name = item if len(item) == 3 else (*item, "")
    if type(step) is not int or step < 1 or not isinstance(name, str) or len(name) > KEY_CHARACTERS:
        raise ValueError("no value")
    if value is not None and type(value) not in (int, float):
        raise ValueError("no value")
    try:
        number = math.nan if value is None else float(value)
    except OverflowError:  # an int of a thousand digits
        number = math.nan
    return Value(step, number if math.isfinite(number) else math.nan, name)
