"""A generated data set in the layout of the TalkingData mobile user demographics files.

People of twelve groups own phones and use apps by preferences of their group; the statistics of the files
are close to those of the real ones, and so is what can be learned from them.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from hptune.errors import ConfigurationError, OutputError
from hptune.sample._write import write_all

__all__ = ["write_sample"]

_SMALLEST = 0.002  # below it the rarest group has fewer than five rows, and five folds cannot hold it
_SCRATCH = ".partial-"


def write_sample(
    directory: Path,
    *,
    scale: float = 0.02,
    seed: int = 0,
    leak: bool = False,
    progress: Callable[[str], None] | None = None,
) -> None:
    """Write the seven generated raw files, ``<name>.csv.zip`` each, the same bytes for the same arguments.

    Rows (devices, events, app rows, label rows) are in proportion to `scale`. Vocabularies (apps, models,
    brands, used labels) shrink with its 0.6th power, and preferences grow stronger, so that a small sample
    can be learned from; the label table always has its 930 rows.

    Parameters
    ----------
    directory : Path
        Made where it does not exist; must be empty.
    scale : float, default 0.02
        Share of the real data's size, from 0.002 to 1. At 1 there are 32 million app rows.
    seed : int, default 0
        Seed of all random draws, at least 0.
    leak : bool, default False
        Order the rows of the training file so that neighbours tend to be of one group, as in the real file.
        Nothing else changes.
    progress : callable, optional
        Called with the name of each file that is written next.

    Raises
    ------
    ConfigurationError
        For a scale or seed out of range, and a directory that is not empty.
    OutputError
        When the files cannot be written; none is left then.

    Examples
    --------
    >>> with tempfile.TemporaryDirectory() as empty:
    ...     write_sample(Path(empty), scale=0.002)
    ...     print(len(list(Path(empty).iterdir())))
    7
    """
    try:
        _check(directory, scale, seed)
        _write_whole(directory, scale, seed, leak, progress or _silent)
    except OSError as error:
        raise OutputError(
            f"the sample cannot be written to {directory} ({error.strerror or error})",
            "make room or use another directory",
        ) from error


def _check(directory: Path, scale: float, seed: int) -> None:
    if not _SMALLEST <= scale <= 1:
        raise ConfigurationError(
            f"scale must be from {_SMALLEST} to 1 but got {scale}", "use 0.02 for a small sample"
        )
    if seed < 0:
        raise ConfigurationError(f"seed must be at least 0 but got {seed}", "use a whole number such as 0")
    if directory.exists() and not directory.is_dir():
        raise ConfigurationError(f"{directory} is not a directory", "use another directory")
    if directory.exists() and any(not path.name.startswith(_SCRATCH) for path in directory.iterdir()):
        raise ConfigurationError(
            f"{directory} is not empty", "use another directory: a sample never overwrites files"
        )


def _write_whole(
    directory: Path, scale: float, seed: int, leak: bool, progress: Callable[[str], None]
) -> None:
    """Write into a scratch directory first, so that a file appears only when it is whole."""
    directory.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=_SCRATCH, dir=directory))
    try:
        write_all(scratch, scale=scale, seed=seed, leak=leak, progress=progress)
        for path in sorted(scratch.iterdir()):
            with path.open("rb") as stream:
                os.fsync(stream.fileno())
            path.rename(directory / path.name)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _silent(_: str) -> None:
    """The progress of a caller who did not ask for any."""
