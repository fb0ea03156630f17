"""Sweeps from Python: what ``hptune sweep`` does, as a function, and its results read again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hptune import commands
from hptune.config import load_config, parse_config, with_values
from hptune.engine import hadoop_opener
from hptune.finished import finished_files, read_result
from hptune.storage import default_cache, refuse_secrets, take_credentials, texts_of
from hptune.summary import SweepResult

__all__ = ["load", "run_sweep"]


def run_sweep(
    config: Mapping[str, Any] | str | Path,
    *,
    overwrite: bool = False,
    resume: bool = False,
    extend: bool = False,
    cache: str | Path | None = None,
    verbose: bool = False,
    **overrides: Any,
) -> SweepResult:
    """Run the sweep that a sweep file describes, as ``hptune sweep`` does.

    On the engine "spark" the active session is used, and left open; without one a session is started from the
    key ``spark`` and stopped at the end. Azure's secrets in the environment are moved into this process's memory,
    so that Spark does not inherit them.

    Parameters
    ----------
    config : mapping, str or Path
        A sweep file's keys, or its path.
    overwrite : bool, default False
        Replace the sweep that ``out`` holds.
    resume : bool, default False
        Go on with the sweep that ``out`` holds: what is finished is not fitted again.
    extend : bool, default False
        With `resume`, allow a wider search space than the one in ``out``.
    cache : str or Path, optional
        Where feature matrices and copies of remote files are kept; ``~/.cache/hptune`` where it is not given.
    verbose : bool, default False
        Tell progress on standard error and print the ranking, as the command does.
    **overrides
        Values that win over the file's, under the file's keys: ``cv=3``, or dotted,
        ``**{"search_space.max_depth": [3, 4]}``. ``test``, ``target``, ``id``, ``weight``, ``group`` and
        ``scoring`` stand for the same keys as the command's flags, ``data`` for ``data.path``.

    Returns
    -------
    SweepResult
        Its files are in ``result.out``: the key ``out``, by default a new directory under ``runs``.

    Raises
    ------
    HptuneError
        Of the kind that the command's exit code tells: `hptune.errors` lists them.

    Examples
    --------
    >>> import tempfile
    >>> directory = tempfile.TemporaryDirectory()
    >>> table = Path(directory.name, "homes.csv")
    >>> _ = table.write_text("rooms,price\\n" + "".join(f"{n},{3 * n}\\n" for n in range(1, 31)))
    >>> sweep = {"estimator": "sklearn.linear_model.Ridge", "search_space": {"alpha": [0.01, 100]}, "cv": 3}
    >>> result = run_sweep(
    ...     sweep, data=str(table), target="price", engine="serial", out=directory.name + "/out"
    ... )
    >>> result.best_params, result.best_model.predict([[10.0]]).round(1).tolist()
    ({'alpha': 0.01}, [30.0])
    >>> directory.cleanup()
    """
    raw = dict(config) if isinstance(config, Mapping) else load_config(Path(config))
    raw = with_values(raw, overrides)
    refuse_secrets(texts_of(raw), "the configuration")
    take_credentials()
    return commands.sweep(
        parse_config(raw),
        default_cache() if cache is None else Path(cache),
        commands.say if verbose else _unsaid,
        existing=commands.existing_sweep(overwrite=overwrite, resume=resume, extend=extend),
        again=_resuming,
        quiet=not verbose,
        show=print if verbose else _unsaid,
    )


def load(out: str | Path, *, cache: str | Path | None = None) -> SweepResult:
    """The result of a finished sweep, from its output directory.

    No pickle is read: the table comes from ``results.parquet``, and the model, when `best_model` is first asked
    for, from UBJ or skops files, of which only objects of scikit-learn's and XGBoost's classes are taken.

    Parameters
    ----------
    out : str or Path
        What ``--out`` or the key ``out`` was: a directory, or the address of a remote one.
    cache : str or Path, optional
        Where copies of remote files are kept; ``~/.cache/hptune`` where it is not given.

    Returns
    -------
    SweepResult
        `savings` is None. In `best_params` and `cv_results_` a parameter that is no number, text, list or the
        like, such as an estimator, is its text.

    Raises
    ------
    ConfigurationError
        There is no finished sweep.
    OutputError
        A file is damaged.
    StorageError
        A remote place does not answer, or refuses the credentials.

    Examples
    --------
    >>> import tempfile
    >>> directory = tempfile.TemporaryDirectory()
    >>> table, out = Path(directory.name, "homes.csv"), Path(directory.name, "out")
    >>> _ = table.write_text("rooms,price\\n" + "".join(f"{n},{3 * n}\\n" for n in range(1, 31)))
    >>> sweep = {"estimator": "sklearn.linear_model.Ridge", "search_space": {"alpha": [0.01, 100]}, "cv": 3}
    >>> _ = run_sweep(sweep, data=str(table), target="price", engine="serial", out=str(out))
    >>> result = load(out)
    >>> result.best_params, result.table["status"].tolist(), type(result.best_model).__name__
    ({'alpha': 0.01}, ['ok', 'ok'], 'Ridge')
    >>> directory.cleanup()
    """
    take_credentials()
    place, kept = str(out), default_cache() if cache is None else Path(cache)
    hadoop = hadoop_opener({})
    with finished_files(place, cache=kept, say=_unsaid, hadoop=hadoop) as directory:
        return read_result(directory, out=place, cache=kept, say=_unsaid, hadoop=hadoop)


def _resuming(out: str) -> str:
    return f"run_sweep(..., out={out!r}, resume=True)"


def _unsaid(line: str) -> None:
    return None
