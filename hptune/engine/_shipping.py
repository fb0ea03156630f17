"""Files that travel to the executors for as long as a Spark session lives."""

from __future__ import annotations

import atexit
import functools
import hashlib
import shutil
import tempfile
import zipfile
from pathlib import Path

from pyspark import SparkContext, SparkFiles

import hptune

__all__ = ["serve", "ship_package", "withdraw"]


@functools.cache
def _session_directory() -> Path:
    """Where the driver serves files from: an executor that joins late still fetches every file ever added."""
    directory = Path(tempfile.mkdtemp(prefix="hptune-session-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    return directory


def ship_package(sc: SparkContext) -> None:
    """Add hptune's own sources to the Python path of all executors, so that they run the driver's version."""
    archive = _package_archive()
    if not any(archive.name in file for file in sc.listFiles):
        sc.addPyFile(str(archive))


def serve(sc: SparkContext, file: str) -> str:
    """Move `file` to where all executors get it from and tell them of it; returns where it is now."""
    served = str(shutil.move(file, _session_directory()))
    sc.addFile(served)
    return served


def withdraw(served: str) -> None:
    """Free the driver's disk from a file that no task will read again.

    Spark does not take a file back, and executors that join later still get it: an empty one. Copies that
    executors have stay with them until they end.
    """
    for path in (Path(served), Path(SparkFiles.get(Path(served).name))):
        empty = path.with_suffix(".empty")
        empty.touch()
        empty.replace(path)  # a process that still reads the old one keeps it


@functools.cache
def _package_archive() -> Path:
    package = Path(hptune.__file__).parent
    sources = sorted(package.rglob("*.py"))
    digest = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()
    archive = _session_directory() / f"hptune-{digest[:16]}.zip"
    with zipfile.ZipFile(archive, "w") as target:
        for source in sources:
            target.write(source, Path("hptune") / source.relative_to(package))
    return archive
