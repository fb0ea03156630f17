"""What a directory of copies holds, so that it can be verified without asking where it came from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from hptune.storage._digests import digests
from hptune.storage._local import write_atomically

__all__ = ["MANIFEST", "Copy", "read_manifest", "verified", "write_manifest"]

MANIFEST = ".hptune-manifest.json"
_LAYOUT = 1
_MOST_BYTES = 64 << 20


@dataclass(frozen=True)
class Copy:
    """A finished copy: where from, which version, and what it must be."""

    source: str
    version: str
    size: int
    sha256: str


def read_manifest(directory: Path) -> dict[str, Copy]:
    """Copies by file name; none where the manifest is absent or damaged."""
    try:
        path = directory / MANIFEST
        if path.stat().st_size > _MOST_BYTES:
            return {}
        content = json.loads(path.read_bytes())
        if content["layout"] != _LAYOUT:
            return {}
        return {str(name): _copy(entry) for name, entry in content["files"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}  # then nothing here counts as verified, and all of it is fetched again


def write_manifest(directory: Path, copies: Mapping[str, Copy]) -> None:
    """Replace the manifest."""
    files = {name: asdict(copies[name]) for name in sorted(copies)}
    content = json.dumps({"layout": _LAYOUT, "files": files}, indent=1, ensure_ascii=False)
    write_atomically(directory / MANIFEST, content + "\n")


def verified(path: Path, copy: Copy) -> bool:
    """Whether `path` is a regular file with the size and the sha256 of `copy`."""
    try:
        if path.is_symlink() or not path.is_file() or path.stat().st_size != copy.size:
            return False
        return digests(path)[0] == copy.sha256
    except OSError:
        return False


def _copy(entry: Mapping[str, object]) -> Copy:
    copy = Copy(**entry)  # type: ignore[arg-type]
    texts = (copy.source, copy.version, copy.sha256)
    if not all(isinstance(text, str) for text in texts) or not isinstance(copy.size, int):
        raise TypeError("a field has the wrong type")
    return copy
