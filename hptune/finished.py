"""A finished sweep's directory, read again: the files, wherever they are, and the result that they hold."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from hptune.children import ChildRun
from hptune.config import SweepConfig, load_config, parse_config
from hptune.errors import ConfigurationError, OutputError
from hptune.fitters import MODEL_FILES, read_model
from hptune.history import read_children
from hptune.matrix import file_sha256
from hptune.observers import transfer_progress
from hptune.outputs import RESULTS, SWEEP, WINNER, read_winner
from hptune.results import cv_table_again
from hptune.storage import Opener, cached_copies, is_remote, open_store
from hptune.summary import SweepResult

__all__ = ["finished_files", "read_config", "read_result"]

Say = Callable[[str], None]


@contextmanager
def finished_files(
    out: str, *, cache: Path, say: Say, hadoop: Opener | None = None, model: bool = False
) -> Iterator[Path]:
    """The directory of a finished sweep; where `out` is remote, one with verified copies of what is read of it.

    Parameters
    ----------
    out : str
        A directory or the address of a remote one.
    cache : Path
        Where copies are kept.
    say : callable
        Gets a line for what takes time.
    hadoop : callable, optional
        Opens the addresses of Hadoop's file systems.
    model : bool, default False
        Whether the model is wanted too, which may be large.

    Raises
    ------
    ConfigurationError
        There is no finished sweep.
    StorageError
        The place does not answer, or refuses the credentials.
    """
    if not is_remote(out):
        yield _checked(Path(out.removeprefix("file://")), out)
        return
    store = open_store(out, hadoop=hadoop)
    wanted = (SWEEP, WINNER, RESULTS, *(MODEL_FILES if model else ()))
    files = [file for file in store.files() if file.name in wanted]
    with (
        transfer_progress(say) as progress,
        cached_copies(store, files, cache, progress=progress.update, say=say) as (directory, _),
    ):
        yield _checked(directory, out)


def _checked(directory: Path, out: str) -> Path:
    if not (directory / WINNER).is_file():
        raise ConfigurationError(f"{out} holds no finished sweep", "name the --out of a sweep that has ended")
    return directory


def read_config(directory: Path) -> SweepConfig:
    """The configuration of the sweep of fits in `directory`.

    Raises
    ------
    ConfigurationError
        Its trials are no fits.
    """
    config = parse_config(load_config(directory / SWEEP))
    if not isinstance(config, SweepConfig):
        raise ConfigurationError(f"{directory} holds a sweep without an estimator", "name a sweep of fits")
    return config


def read_result(directory: Path, *, out: str, cache: Path, say: Say, hadoop: Opener | None) -> SweepResult:
    """What the sweep found, from its files in `directory`; the model is read from `out` when it is asked for.

    Raises
    ------
    OutputError
        A file is damaged.
    """
    winner, table = read_winner(directory), _table(directory / RESULTS)
    metric = winner.metric if f"mean_test_{winner.metric}" in table else "score"
    try:
        results = cv_table_again(table)
        best = int(table["candidate"].iloc[0])
        params = results["params"][best]
    except (KeyError, ValueError, IndexError, TypeError) as error:
        raise _damaged(directory / RESULTS) from error
    return SweepResult(
        table=table,
        cv_results_=results,
        metric=metric,
        shown_metric=winner.metric,
        best_index=best,
        best_params=params,
        best_score=winner.mean_test_score,
        open_model=functools.partial(_model, out, cache, say, hadoop),
        open_children=functools.partial(_children, out, directory),
        out=out if is_remote(out) else directory,
    )


def _table(path: Path) -> pd.DataFrame:
    try:
        return pd.read_parquet(path)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise _damaged(path) from error


def _model(out: str, cache: Path, say: Say, hadoop: Opener | None) -> Any:
    """The refitted winner; None where there was no refit."""
    with finished_files(out, cache=cache, say=say, hadoop=hadoop, model=True) as directory:
        winner = read_winner(directory)
        if winner.model not in MODEL_FILES:
            return None
        path = directory / winner.model
        # XGBoost does not survive every damaged file: it sees only what is whole.
        if not path.is_file() or file_sha256(path) != winner.model_sha256:
            raise _damaged(path)
        return read_model(path)


def _children(out: str, directory: Path) -> Sequence[ChildRun]:
    if is_remote(out):
        raise ConfigurationError(f"the runs of {out} are not here", f"fetch it first: hptune fetch {out} DIR")
    return read_children(directory)


def _damaged(path: Path) -> OutputError:
    return OutputError(f"{path} is damaged", "run the sweep again")
