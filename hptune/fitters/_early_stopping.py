"""Early stopping whose validation rows come from a fold's training rows, so that no scored row is looked at."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import xgboost as xgb
from sklearn.base import is_classifier
from sklearn.model_selection import GroupShuffleSplit, StratifiedGroupKFold, train_test_split

from hptune._sklearn_compat import aligned_fit_params, safe_split
from hptune.errors import ConfigurationError
from hptune.fitters._base import TrainingRows, apply_params
from hptune.records import EarlyStopping

__all__ = ["fit_arguments", "stopping_early", "validation_split"]

Rows: TypeAlias = npt.NDArray[np.intp]

_CLASSES = (xgb.XGBClassifier, xgb.XGBRegressor, xgb.XGBRanker)
_OF_VALIDATION_ROWS = {
    "sample_weight": "sample_weight_eval_set",
    "base_margin": "base_margin_eval_set",
    "qid": "eval_qid",
}


def stopping_early(
    estimator: Any, early_stopping: EarlyStopping, candidates: Iterable[Mapping[str, Any]]
) -> Any:
    """A clone of `estimator` that stops early, for the plan and for each fit.

    Parameters
    ----------
    estimator : XGBClassifier, XGBRegressor or XGBRanker
        Unfitted.
    early_stopping : EarlyStopping
        When to stop.
    candidates : iterable of mapping
        The parameter settings of the sweep.

    Raises
    ------
    ConfigurationError
        The estimator cannot stop early, or the candidates set ``early_stopping_rounds`` themselves.

    Examples
    --------
    >>> stopping_early(xgb.XGBRegressor(), EarlyStopping(rounds=5), []).early_stopping_rounds
    5
    """
    if type(estimator) not in _CLASSES or estimator.get_params().get("booster") == "gblinear":
        raise ConfigurationError(
            f"early_stopping does not know {type(estimator).__name__}",
            "use it with XGBClassifier, XGBRegressor or XGBRanker and trees, or take it out",
        )
    if any("early_stopping_rounds" in params for params in candidates):
        raise ConfigurationError(
            "search_space sets early_stopping_rounds beside early_stopping", "keep one of them"
        )
    return apply_params(estimator, {"early_stopping_rounds": early_stopping.rounds})


def fit_arguments(
    estimator: Any, rows: TrainingRows, early_stopping: EarlyStopping, groups: Any
) -> tuple[Any, Any, dict[str, Any]]:
    """X, y and keyword arguments for ``fit``: some of the training rows learned from, the others watched."""
    if "group" in rows.fit_params:
        raise ConfigurationError("early_stopping cannot part rows by group sizes", "give qid instead")
    if groups is None:
        groups = rows.fit_params.get("qid")
    learned, watched = validation_split(early_stopping, rows.y, groups, stratify=is_classifier(estimator))
    X, y = safe_split(estimator, rows.X, rows.y, learned)
    theirs = aligned_fit_params(rows.X, rows.fit_params, watched)
    of_watched = {
        _OF_VALIDATION_ROWS[name]: [value] for name, value in theirs.items() if name in _OF_VALIDATION_ROWS
    }
    arguments = {
        **aligned_fit_params(rows.X, rows.fit_params, learned),
        **of_watched,
        "eval_set": [safe_split(estimator, rows.X, rows.y, watched)],
        "verbose": False,
    }
    return X, y, arguments


def validation_split(
    early_stopping: EarlyStopping, y: Any, groups: Any, *, stratify: bool
) -> tuple[Rows, Rows]:
    """Numbers of the rows to learn from and of the rows to watch, each in ascending order.

    Parameters
    ----------
    early_stopping : EarlyStopping
        Fraction and seed. With groups and classes the fraction is that of one of round(1 / fraction) folds.
    y : array of shape (n_rows,)
        Labels.
    groups : array of shape (n_rows,), optional
        Rows of a group stay together.
    stratify : bool
        Keep the classes' shares.

    Raises
    ------
    ValueError
        There are too few rows, groups or rows of a class.

    Examples
    --------
    >>> validation_split(EarlyStopping(5, 0.5), np.zeros(4), [7, 7, 8, 8], stratify=False)
    (array([0, 1]), array([2, 3]))
    """
    fraction, seed = early_stopping.validation_fraction, early_stopping.seed
    numbers = np.arange(len(y))
    if groups is None:
        parts = train_test_split(
            numbers, test_size=fraction, random_state=seed, stratify=y if stratify else None
        )
    elif stratify:
        folds = max(2, round(1 / fraction))
        splitter = StratifiedGroupKFold(n_splits=folds, shuffle=True, random_state=seed)
        parts = next(splitter.split(numbers, y, groups))
    else:
        shuffled = GroupShuffleSplit(n_splits=1, test_size=fraction, random_state=seed)
        parts = next(shuffled.split(numbers, y, groups))
    learned, watched = parts
    return np.sort(learned), np.sort(watched)
