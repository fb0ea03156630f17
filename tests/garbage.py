"""Bytes that are not what they were."""

from __future__ import annotations

import random

__all__ = ["garbled"]

_PLANTED = (
    b"",
    b"\0" * 9,
    b"\n\n",
    b"{}\n",
    b"[" * 3000,
    b'{"record": "outcome"}\n',
    b"\xff\xfe",
)


def garbled(content: bytes, chosen: random.Random) -> bytes:
    """`content`, which is not empty, cut, with a part flipped, doubled or planted, or something else altogether."""
    at, planted = chosen.randrange(len(content)), chosen.choice(_PLANTED)
    flipped = bytes([content[at] ^ 1 << chosen.randrange(8)])
    damaged = chosen.choice(
        [
            content[:at],
            content[at:],
            content[:at] + planted + content[at:],
            content[:at] + flipped + content[at + 1 :],
            content[:at] + chosen.randbytes(chosen.randrange(200)) + content[at + chosen.randrange(200) :],
            content[:at] + planted,
            content + content[at:],
            planted,
            chosen.randbytes(chosen.randrange(2000)),
            bytes(len(content)),
        ]
    )
    return damaged if damaged != content else garbled(content, chosen)
