"""Sums of files."""

from __future__ import annotations

import hashlib
from pathlib import Path

__all__ = ["digests"]

_BLOCK = 1 << 20


def digests(path: Path) -> tuple[str, str]:
    """sha256 and MD5 of a file in hex, read in bounded memory; MD5 is what Azure keeps, not a defence."""
    sha256, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            sha256.update(block)
            md5.update(block)
    return sha256.hexdigest(), md5.hexdigest()
