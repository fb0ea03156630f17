"""Every error that hptune raises on purpose, with the exit code that the command line ends with.

::

    HptuneError
    ├── ConfigurationError    2   usage, configuration file, parameter names, grid
    ├── InputDataError        3   raw files, tables, labels
    ├── StorageError          4   remote storage or credentials
    ├── AllTrialsFailedError  5   no candidate got a score
    ├── OutputInUseError      6   another run holds the output directory
    ├── OutputError           7   output or journal cannot be written, or is corrupt
    └── ClusterError          8   Spark cannot be started or reached
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import ClassVar

__all__ = [
    "AllTrialsFailedError",
    "ClusterError",
    "ConfigurationError",
    "HptuneError",
    "InputDataError",
    "OutputError",
    "OutputInUseError",
    "StorageError",
    "did_you_mean",
]


class HptuneError(Exception):
    """An error with a way out.

    Parameters
    ----------
    what : str
        What is wrong and where, without a full stop.
    mend : str
        What the user can do about it, in the imperative, without a full stop.

    Examples
    --------
    >>> str(ConfigurationError("unknown key 'serach_space'", "did you mean 'search_space'?"))
    "unknown key 'serach_space': did you mean 'search_space'?"
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, what: str, mend: str) -> None:
        super().__init__(what, mend)
        self.what = what
        self.mend = mend

    def __str__(self) -> str:
        return f"{self.what}: {self.mend}"


class ConfigurationError(HptuneError):
    """A command, key, parameter name or grid that cannot be meant."""

    exit_code = 2


class InputDataError(HptuneError):
    """Raw files, tables or labels that cannot be learned from."""

    exit_code = 3


class StorageError(HptuneError):
    """Remote storage that does not answer, or does not accept the credentials."""

    exit_code = 4


class AllTrialsFailedError(HptuneError):
    """Every candidate failed; the table with their errors is written all the same."""

    exit_code = 5


class OutputInUseError(HptuneError):
    """Another run holds the output directory."""

    exit_code = 6


class OutputError(HptuneError):
    """The output directory or journal cannot be written, or its content is damaged."""

    exit_code = 7


class ClusterError(HptuneError):
    """Spark cannot be started, reached or used."""

    exit_code = 8


def did_you_mean(name: str, known: Iterable[str], otherwise: str) -> str:
    """The mending half of an "unknown name" message: the closest known name, else `otherwise`.

    Examples
    --------
    >>> did_you_mean("max_detph", ["max_depth", "eta"], "see the documentation")
    "did you mean 'max_depth'?"
    """
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"did you mean {close[0]!r}?" if close else otherwise
