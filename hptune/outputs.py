"""The output directory of a sweep: every file written whole or not at all."""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import pandas as pd
import yaml

from hptune.children import CHILDREN
from hptune.errors import ConfigurationError, OutputError
from hptune.fitters import SavedModel
from hptune.matrix import FeatureMatrix
from hptune.records import MODEL, Existing, Reject
from hptune.results import sweeping_results, to_csv, to_parquet
from hptune.storage import clear_scratch, write_atomically

__all__ = [
    "JOURNAL",
    "OUTPUT_DIRECTORIES",
    "OUTPUT_FILES",
    "RESULTS",
    "SWEEP",
    "WINNER",
    "WINNER_FILES",
    "Winner",
    "check_output",
    "clear_output",
    "clear_winner",
    "held_files",
    "logged",
    "plain_json",
    "read_winner",
    "write_model",
    "write_predictions",
    "write_rejects",
    "write_results",
    "write_sweep",
    "write_winner",
]

_log = logging.getLogger(__name__)

JOURNAL = "journal.jsonl"
LOG = "hptune.log"
RESULTS = "results.parquet"
SWEEP = "sweep.yaml"
WINNER = "best_params.json"
OUTPUT_FILES = (
    SWEEP,
    JOURNAL,
    "rejects.csv",
    "results.csv",
    RESULTS,
    "sweeping_results.txt",
    WINNER,
    "model.ubj",
    "model.skops",
    "test_metrics.json",
    "predictions.csv",
    "importances.csv",
    "learning_curve.csv",
    LOG,
)
OUTPUT_DIRECTORIES = (CHILDREN, MODEL)
WINNER_FILES = OUTPUT_FILES[OUTPUT_FILES.index(WINNER) : -1]
_RESULTS = {
    "results.csv",
    RESULTS,
    "sweeping_results.txt",
    *WINNER_FILES,
}  # come after the journal's first record


def check_output(held: Collection[str], shown: str, existing: Existing, *, model: bool = False) -> None:
    """Refuse a place that holds a sweep, unless it may be replaced or can be resumed, or somebody else's model.

    Parameters
    ----------
    held : collection of str
        Names of our files that are there; `held_files` finds them in a directory.
    shown : str
        What the user calls the place.
    existing : {"refused", "replaced", "resumed", "extended"}
        What becomes of a sweep that is there.
    model : bool, default False
        Whether `MODEL` is there and the sweep would write it.

    Raises
    ------
    ConfigurationError
        It holds a sweep already, one that cannot be resumed, or a model of no sweep.
    """
    if existing == "replaced":
        return
    if not held:
        if model:
            raise ConfigurationError(
                f"{shown} holds a {MODEL!r} of no sweep, which that of this one would replace",
                "move it, add --overwrite or choose another --out",
            )
        return
    if existing == "refused":
        raise ConfigurationError(
            f"{shown} holds a sweep already", "add --resume, --overwrite or choose another --out"
        )
    if JOURNAL not in held and not _RESULTS.isdisjoint(held):
        raise ConfigurationError(
            f"{shown} holds files of a sweep but no {JOURNAL}", "add --overwrite or choose another --out"
        )


def clear_output(out: Path) -> None:
    """Remove the files of the sweep before, half-written ones too; files that hptune does not write stay.

    Raises
    ------
    OutputError
        One of them cannot be removed.
    """
    held = held_files(out)
    try:
        if held:  # without a sweep they are somebody else's
            _remove_directory(out / CHILDREN)
            _remove_model(out)
        for name in reversed(held):  # what makes it a sweep goes last
            (out / name).unlink()
        clear_scratch(out, OUTPUT_FILES)
    except OSError as error:
        raise _cannot_use(out, error) from error


def clear_winner(out: Path, winner: Winner | None = None) -> None:
    """Remove the files of a winner that is one no longer; those of the same `winner` stay.

    Raises
    ------
    OutputError
        One of them cannot be removed.
    """
    try:
        if winner is not None and _is_held(out, winner):
            return
        if os.path.lexists(out / WINNER):
            _remove_model(out)
        for name in WINNER_FILES:
            (out / name).unlink(missing_ok=True)
    except OSError as error:
        raise _cannot_use(out, error) from error


def _remove_directory(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)


def _remove_model(out: Path) -> None:
    """What a trial that is a Spark job saved; a directory of that name that is no model of Spark's stays."""
    if (out / MODEL / "metadata").is_dir():
        _remove_directory(out / MODEL)


def _is_held(out: Path, winner: Winner) -> bool:
    try:
        held = read_winner(out)
    except OutputError:
        return False
    return held.params == plain_json(winner.params) and held.metric == winner.metric


def held_files(out: Path) -> list[str]:
    """Names of our files in `out`; a link counts by itself, wherever it points to: nothing is written through it."""
    return [name for name in OUTPUT_FILES if os.path.lexists(out / name)]


def _cannot_use(out: Path, error: Exception) -> OutputError:
    reason = (getattr(error, "strerror", None) or str(error)).lower()
    return OutputError(
        f"cannot use the output directory {str(out)!r} ({reason})", "choose another with --out"
    )


class _Dumper(yaml.SafeDumper):
    """Has a text for whatever YAML does not know."""


_Dumper.add_multi_representer(object, lambda dumper, value: dumper.represent_str(_text_of(value)))


def _text_of(value: Any) -> str:
    """``module:name`` of a function or class; of anything else what Python says of it."""
    name = getattr(value, "__qualname__", None)
    return f"{value.__module__}:{name}" if isinstance(name, str) else str(value)


def write_sweep(out: Path, config: Mapping[str, Any]) -> None:
    """``sweep.yaml``: the resolved configuration, which runs again as it is.

    What only Python can give, such as a function among a parameter's values, is told by its name or text.
    """
    text = yaml.dump(dict(config), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)
    write_atomically(out / SWEEP, text)


def write_rejects(out: Path, rejects: Sequence[Reject]) -> None:
    """``rejects.csv``: a line for each row that is left out of the data."""
    columns = [column.name for column in fields(Reject)]
    table = pd.DataFrame([vars(reject) for reject in rejects], columns=columns)
    write_atomically(out / "rejects.csv", to_csv(table))


def write_results(
    out: Path, table: pd.DataFrame, results: Mapping[str, Any], metric: str, shown: str
) -> None:
    """``results.csv``, ``results.parquet`` and ``sweeping_results.txt``; their statuses tell what was not run."""
    statuses = table.sort_values("candidate")["status"].tolist()
    write_atomically(out / "results.csv", to_csv(table))
    write_atomically(out / RESULTS, to_parquet(table))
    write_atomically(out / "sweeping_results.txt", sweeping_results(results, metric, shown, statuses))


@dataclass(frozen=True)
class Winner:
    """What ``best_params.json`` holds.

    Parameters
    ----------
    params : mapping
        The candidate's parameters; read from a file, what is no number, text, list or mapping is a text.
    metric : str
        What people call the metric that ranks.
    mean_test_score : float
        Larger is better.
    refit_params : mapping
        What the refit sets beside `params`: after early stopping the number of rounds.
    model, model_sha256 : str, optional
        Name and checksum of the model's file; None without refit.
    """

    params: Mapping[str, Any]
    metric: str
    mean_test_score: float
    refit_params: Mapping[str, Any] = field(default_factory=dict)
    model: str | None = None
    model_sha256: str | None = None


def write_winner(out: Path, winner: Winner) -> None:
    """``best_params.json``."""
    text = json.dumps(plain_json(vars(winner)), indent=2, allow_nan=False, ensure_ascii=False)
    write_atomically(out / WINNER, text + "\n")


def read_winner(out: Path) -> Winner:
    """What `write_winner` wrote.

    Raises
    ------
    OutputError
        The file is not there, or damaged.
    """
    try:
        winner = Winner(**json.loads((out / WINNER).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise OutputError(f"{out / WINNER} is damaged", "run the sweep again") from error
    maps = isinstance(winner.params, dict) and isinstance(winner.refit_params, dict)
    if not maps or not isinstance(winner.metric, str) or not isinstance(winner.mean_test_score, (int, float)):
        raise OutputError(f"{out / WINNER} is damaged", "run the sweep again")
    return winner


def write_model(out: Path, winner: Winner, model: SavedModel) -> None:
    """The winner's model, then ``best_params.json`` with its name and checksum."""
    write_atomically(out / model.name, model.content)
    checksum = hashlib.sha256(model.content).hexdigest()
    write_winner(out, replace(winner, model=model.name, model_sha256=checksum))


def plain_json(value: Any) -> Any:
    """`value` as strict JSON can say it: what is no number, text, list or mapping is told by its text."""
    if isinstance(value, Mapping):
        return {str(key): plain_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain_json(item) for item in value]
    if isinstance(value, (np.generic, np.ndarray)):
        return plain_json(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    return value if value is None or isinstance(value, (bool, int, str)) else _text_of(value)


def write_predictions(
    out: Path, model: Any, test: FeatureMatrix, classes: tuple[str, ...] | None, id_name: str
) -> None:
    """``predictions.csv``: the row's id, then a probability for each class, or the predicted value.

    For the TalkingData files this is the layout of Kaggle's submission.
    """
    ids = test.row_ids if test.row_ids is not None else np.arange(test.shape[0])
    if classes is not None and hasattr(model, "predict_proba"):
        table = pd.DataFrame(model.predict_proba(test.X), columns=list(classes))
    elif classes is not None:
        table = pd.DataFrame({"prediction": np.asarray(classes)[model.predict(test.X)]})
    else:
        table = pd.DataFrame({"prediction": model.predict(test.X)})
    table.insert(0, id_name, ids, allow_duplicates=True)  # a class may be called like the id
    write_atomically(out / "predictions.csv", to_csv(table))


@contextmanager
def logged(out: Path | None) -> Iterator[None]:
    """While open, all that hptune logs goes to ``hptune.log`` in `out`, and what ends it with its traceback.

    Raises
    ------
    OutputError
        The file cannot be written.
    """
    if out is None:
        yield
        return
    logger = logging.getLogger("hptune")
    handler = _log_file(out)
    logger.addHandler(handler)
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.INFO)
    try:
        yield
    except BaseException:
        _log.exception("the sweep ended early")
        raise
    finally:
        logger.removeHandler(handler)
        handler.close()


class _FileHandler(logging.StreamHandler[TextIO]):
    """Closes its file, which only the owner may read and which no link stands for."""

    def close(self) -> None:
        with suppress(OSError):  # what it still holds, on a full disk
            self.stream.close()
        super().close()

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """A full disk is told by whoever writes what counts, not with a traceback for each line."""


def _log_file(out: Path) -> logging.Handler:
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
        handler = _FileHandler(os.fdopen(os.open(out / LOG, flags, 0o600), "a", encoding="utf-8"))
    except OSError as error:
        raise _cannot_use(out, error) from error
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    return handler
