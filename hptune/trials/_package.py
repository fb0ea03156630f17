"""Files that travel to where trials run: a script's code, its inputs."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hptune.errors import ConfigurationError

__all__ = ["MOST_BYTES", "Package", "pack_directory", "pack_files"]

MOST_BYTES = 1 << 30
_MOST_FILES = 20_000
_LEFT_OUT = frozenset({".git", ".hg", ".svn", ".venv", "__pycache__", ".ipynb_checkpoints", ".mypy_cache"})


@dataclass(frozen=True)
class PackedFile:
    """A file's path in its package, whether it can be run, and its bytes, as an array that travels well."""

    path: str
    executable: bool
    content: npt.NDArray[np.uint8] = field(repr=False)


@dataclass(frozen=True)
class Package:
    """Files below one directory.

    Parameters
    ----------
    files : tuple of PackedFile
        In the order of their paths.
    """

    files: tuple[PackedFile, ...]

    def __contains__(self, path: object) -> bool:
        return any(file.path == path for file in self.files)

    @property
    def nbytes(self) -> int:
        """Of all files together."""
        return sum(file.content.nbytes for file in self.files)

    @property
    def digest(self) -> str:
        """Of names, modes and content."""
        whole = hashlib.sha256()
        for file in self.files:
            content = hashlib.sha256(file.content.data).hexdigest()
            whole.update(f"{file.path}\0{file.executable}\0{content}\0".encode("utf-8", "surrogateescape"))
        return whole.hexdigest()

    def unpack(self, directory: Path) -> None:
        """Write the files below a directory."""
        for file in self.files:
            path = directory / file.path
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as stream:
                stream.write(file.content.data)
            if file.executable:
                path.chmod(path.stat().st_mode | stat.S_IXUSR)


def pack_directory(directory: Path, key: str) -> Package:
    """All files below a directory, but for version control, caches and environments.

    Raises
    ------
    ConfigurationError
        It holds too much; `key` is what the sweep file calls it.
    """
    return pack_files(directory, _walked(directory), key)


def pack_files(directory: Path, paths: Iterable[str], key: str) -> Package:
    """Some files below a directory."""
    files: list[PackedFile] = []
    size = 0
    for path in sorted(paths):
        place = directory / path
        size += place.stat().st_size
        if size > MOST_BYTES or len(files) == _MOST_FILES:
            raise ConfigurationError(
                f"{key}: {directory} holds more than {MOST_BYTES >> 20:,} MiB or {_MOST_FILES:,} files",
                "name a directory with what the trials need, and large data as trial.inputs",
            )
        executable = os.access(place, os.X_OK)
        files.append(PackedFile(path, executable, np.fromfile(place, dtype=np.uint8)))
    return Package(tuple(files))


def _walked(directory: Path) -> Iterator[str]:
    for place, folders, names in os.walk(directory):
        folders[:] = sorted(name for name in folders if name not in _LEFT_OUT)
        for name in names:
            path = Path(place, name)
            if path.is_file():
                yield path.relative_to(directory).as_posix()
