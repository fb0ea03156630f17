"""``hptune explain``: what the winner of a finished sweep leans on, and whether more rows would help."""

from __future__ import annotations

import io
import shutil
import warnings
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text
from sklearn.exceptions import FitFailedWarning
from sklearn.inspection import permutation_importance
from sklearn.model_selection import learning_curve

from hptune._sklearn_compat import routed_params
from hptune.build import build_sweep, ranking_scorer
from hptune.config import SweepConfig
from hptune.engine import BY_NAME as ENGINES
from hptune.engine import parallel
from hptune.finished import finished_files, read_config
from hptune.fitters import apply_params, thread_caps
from hptune.outputs import Winner, plain_json, read_winner
from hptune.remote import claimed_output, local_inputs
from hptune.results import to_csv
from hptune.storage import Opener, default_cache, is_remote, open_store, upload, write_atomically
from hptune.sweep import Sweep

__all__ = ["explain", "importances", "sizes_curve"]

_REPEATS = 5
_SIZES = (0.1, 0.325, 0.55, 0.775, 1.0)
_SHOWN = 20


def explain(
    out: str,
    *,
    engine: str | None = None,
    cache: Path | None = None,
    say: Callable[[str], None] = print,
    hadoop: Opener | None = None,
) -> str:
    """Write ``importances.csv`` and ``learning_curve.csv`` into a sweep's directory; returns both as a text.

    Parameters
    ----------
    out : str
        The directory of a finished sweep, or the address of a remote one. Its ``sweep.yaml`` and
        ``best_params.json`` are read, its data are read again from where they are, and the winner is fitted
        anew: no model file is loaded. After early stopping it has the rounds that its refit had.
    engine : str, optional
        Where the fits run; the sweep's own engine where it is not given.
    cache : Path, optional
        Where feature matrices and copies of remote files are kept; `default_cache` where it is not given.
    say : callable
        Gets a line for each step.
    hadoop : callable, optional
        Opens the addresses of Hadoop's file systems.

    Raises
    ------
    ConfigurationError
        The directory holds no finished sweep.
    InputDataError
        The data cannot be read any more.
    OutputInUseError
        The sweep is being resumed, or explained elsewhere.
    OutputError
        A file of the sweep is damaged, or the new ones cannot be written.
    """
    places: dict[str, Any] = {"cache": cache or default_cache(), "say": say, "hadoop": hadoop}
    with ExitStack() as stack:
        directory = stack.enter_context(finished_files(out, **places))
        stack.enter_context(claimed_output(out, cache=places["cache"], hadoop=hadoop))
        config, winner = read_config(directory), read_winner(directory)
        sweep = build_sweep(
            stack.enter_context(local_inputs(config, **places)), cache=places["cache"], progress=say
        )
        name = engine or config.engine
        running = stack.enter_context(closing(ENGINES[name](config.spark, config.name)))
        if stack.enter_context(parallel(running)) != "spark" and name == "spark":
            say("joblibspark is not installed: running on this machine's processes")
        tables = _tables(sweep, _estimator(sweep, winner), config, say)
        _write(out, tables, hadoop)
    return "\n".join(_shown(_FILES[file].format(sweep.shown_metric), table) for file, table in tables.items())


_FILES = {
    "importances.csv": "importances: what shuffling a column takes from {}",
    "learning_curve.csv": "learning curve: {} by training rows",
}


def _tables(
    sweep: Sweep, winner: Any, config: SweepConfig, say: Callable[[str], None]
) -> dict[str, pd.DataFrame]:
    """What there is to write, by the files' names."""
    scorer = ranking_scorer(config, sweep.estimator)
    found = _importances(sweep, winner, scorer, config.seed, say)
    say("fitting the winner on growing parts of the training rows")
    curve = sizes_curve(winner, sweep, scorer, seed=config.seed)
    tables = zip(_FILES, (found, curve), strict=True)
    return {file: table for file, table in tables if table is not None}


def _write(out: str, tables: Mapping[str, pd.DataFrame], hadoop: Opener | None) -> None:
    with TemporaryDirectory(prefix="hptune-") as scratch:
        directory = Path(scratch if is_remote(out) else out.removeprefix("file://"))
        for file, table in tables.items():
            write_atomically(directory / file, to_csv(table))
        if is_remote(out):
            upload(directory, open_store(out, hadoop=hadoop))


def importances(
    winner: Any, sweep: Sweep, scorer: Any, *, repeats: int = _REPEATS, seed: int = 0
) -> pd.DataFrame:
    """Permutation importances, by scikit-learn's ``permutation_importance``, the largest first.

    The winner is fitted on the training rows of the first fold and scored on the fold's other rows, so that
    nothing counts that does not carry over to rows it has not seen.

    Returns
    -------
    pandas.DataFrame
        ``column``, ``importance`` (mean loss of score when the column is shuffled) and ``std``.
    """
    train, test = sweep.folds[0]
    matrix = sweep.train
    weights = {} if matrix.weights is None else {"sample_weight": matrix.weights}
    fit_weights, score_weights = routed_params(winner, scorer, weights)
    model = winner.fit(
        matrix.X[train], _rows(matrix.y, train), **{k: v[train] for k, v in fit_weights.items()}
    )
    found = permutation_importance(
        model,
        matrix.X[test],
        _rows(matrix.y, test),
        scoring=scorer,
        n_repeats=repeats,
        random_state=seed,
        sample_weight=score_weights["sample_weight"][test] if score_weights else None,
    )
    table = pd.DataFrame(
        {"column": matrix.columns, "importance": found.importances_mean, "std": found.importances_std}
    )
    return table.sort_values("importance", ascending=False, kind="stable", ignore_index=True)


def sizes_curve(winner: Any, sweep: Sweep, scorer: Any, *, seed: int = 0) -> pd.DataFrame:
    """Scores by number of training rows, by scikit-learn's ``learning_curve`` on the sweep's folds.

    Returns
    -------
    pandas.DataFrame
        ``rows``, and mean and std over the folds of the scores of training rows and of scored rows. A score
        is missing where a fit failed, as one does whose rows lack a class.
    """
    matrix = sweep.train
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FitFailedWarning)
        rows, train, test = learning_curve(
            winner,
            matrix.X,
            matrix.y,
            cv=list(sweep.folds),
            scoring=scorer,
            train_sizes=np.asarray(_SIZES),
            shuffle=True,
            random_state=seed,
            params=None if matrix.weights is None else {"sample_weight": matrix.weights},
        )
    scores = {"train": train, "test": test}
    columns = {f"mean_{part}_score": values.mean(axis=1) for part, values in scores.items()}
    columns |= {f"std_{part}_score": values.std(axis=1) for part, values in scores.items()}
    return pd.DataFrame({"rows": rows, **columns})


def _importances(
    sweep: Sweep, winner: Any, scorer: Any, seed: int, say: Callable[[str], None]
) -> pd.DataFrame | None:
    if sp.issparse(sweep.train.X):
        say("no importances: scikit-learn's permutation_importance needs a dense matrix")
        return None
    say(f"shuffling {sweep.train.shape[1]} columns, {_REPEATS} times each")
    return importances(winner, sweep, scorer, seed=seed)


def _rows(y: Any, rows: Any) -> Any:
    return None if y is None else y[rows]


def _estimator(sweep: Sweep, winner: Winner) -> Any:
    """The estimator with the winner's parameters, one thread a fit: the fits themselves run side by side.

    JSON holds a text in the place of a value that is no plain one, so the candidate of the same text is
    taken where there is one.
    """
    same = [params for params in sweep.candidates if plain_json(params) == winner.params]
    params = {**(same[0] if same else winner.params), **winner.refit_params}
    estimator = apply_params(sweep.estimator, params)
    return estimator.set_params(**thread_caps(estimator, 1))


def _shown(title: str, table: pd.DataFrame) -> str:
    grid = Table(box=box.SIMPLE_HEAD)
    for name in table:
        grid.add_column(str(name), justify="left" if name == "column" else "right")
    for row in table.head(_SHOWN).itertuples(index=False):
        grid.add_row(*(Text(_cell(value)) for value in row))
    text_file = io.StringIO()
    Console(file=text_file, width=max(80, shutil.get_terminal_size((120, 24)).columns)).print(grid)
    lines = [title, *text_file.getvalue().strip("\n").splitlines()]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _cell(value: Any) -> str:
    if isinstance(value, str):
        return "".join(mark if mark.isprintable() else "?" for mark in value[:60])
    return f"{value:,}" if isinstance(value, (int, np.integer)) else f"{value:.5f}"
