"""The files that scripts read, wherever they run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hptune.errors import InputDataError
from hptune.matrix import file_sha256
from hptune.trials._package import Package, pack_directory, pack_files

__all__ = ["Inputs"]


@dataclass(frozen=True)
class Inputs:
    """Files and directories by name.

    Parameters
    ----------
    paths : mapping of str to str
        Where they are on the driver's machine: absolute paths.
    packages : mapping of str to Package
        Their content, for other machines.

    Raises
    ------
    InputDataError
        One of them is not there.
    """

    paths: Mapping[str, str] = field(default_factory=dict)
    packages: Mapping[str, Package] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, path in self.paths.items():
            if name not in self.packages and not Path(path).exists():
                raise InputDataError(f"trial.inputs.{name}: {path} is not there", "correct the path")

    @property
    def digests(self) -> dict[str, str]:
        """Of each input's content."""
        return {
            name: pack_directory(Path(path), name).digest if Path(path).is_dir() else file_sha256(Path(path))
            for name, path in self.paths.items()
        }

    def packed(self) -> Inputs:
        """The same with their content, to travel to other machines."""
        packages = {
            name: pack_directory(Path(path), f"trial.inputs.{name}")
            if Path(path).is_dir()
            else pack_files(Path(path).parent, [Path(path).name], f"trial.inputs.{name}")
            for name, path in self.paths.items()
        }
        return Inputs(self.paths, packages)

    def here(self, directory: Path) -> dict[str, str]:
        """Where each input is on this host; what travelled is laid down in a run's own directory."""
        for name, package in self.packages.items():
            package.unpack(directory / name)
        return {name: str(self._place(directory, name)) for name in self.paths}

    def _place(self, directory: Path, name: str) -> Path:
        path = Path(self.paths[name])
        if name not in self.packages:
            return path
        files = self.packages[name].files
        single = len(files) == 1 and files[0].path == path.name
        return directory / name / path.name if single else directory / name
