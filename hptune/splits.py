"""The key ``cv``: from a number of folds or the name of a splitter to the row numbers of each fold."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import sklearn.model_selection
from sklearn.model_selection import GroupKFold, StratifiedGroupKFold, StratifiedKFold, check_cv

from hptune.errors import ConfigurationError, InputDataError, did_you_mean
from hptune.matrix import FeatureMatrix

__all__ = ["folds_of", "seeded"]

_ONE_ROW_A_FOLD = (StratifiedKFold, StratifiedGroupKFold)  # a class needs as many rows as there are folds


def seeded(cv: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """`cv` with `seed` for a splitter that would draw other folds every time, so that a sweep can be repeated.

    Examples
    --------
    >>> seeded({"type": "KFold", "n_splits": 5, "shuffle": True}, seed=3)
    {'type': 'KFold', 'n_splits': 5, 'shuffle': True, 'random_state': 3}
    >>> seeded({"type": "KFold", "n_splits": 5}, seed=3)
    {'type': 'KFold', 'n_splits': 5}
    """
    named = [splitter for name, splitter in _splitter_classes() if name == cv.get("type")]
    known = inspect.signature(named[0]).parameters if named else {}
    shuffles = cv.get("shuffle", "shuffle" not in known)
    return {**cv, "random_state": seed} if "random_state" in known and shuffles else dict(cv)


def folds_of(cv: Any, train: FeatureMatrix, *, classifier: bool) -> list[tuple[Any, Any]]:
    """Training and scored rows of each fold.

    Parameters
    ----------
    cv : int or mapping
        A number of folds as scikit-learn understands it, or ``{type: GroupKFold, n_splits: 5, ...}``.
    train : FeatureMatrix
        Where it has groups, none is trained on and scored in the same fold.
    classifier : bool
        Whether a number of folds means stratified ones.

    Raises
    ------
    ConfigurationError
        The splitter is unknown, or does not take the parameters.
    InputDataError
        The rows cannot be split in this way.

    Examples
    --------
    >>> rows = FeatureMatrix(np.zeros((4, 1)), ("x",), y=np.arange(4.0))
    >>> [test.tolist() for _, test in folds_of(2, rows, classifier=False)]
    [[0, 1], [2, 3]]
    """
    splitter = _group_splitter(cv, train, classifier=classifier)
    splitter = splitter or check_cv(_splitter(cv), train.y, classifier=classifier)
    _check_class_counts(splitter, train)
    try:
        return list(splitter.split(train.X, train.y, train.groups))
    except ValueError as error:
        raise InputDataError(
            f"the rows cannot be split by {type(splitter).__name__} ({error})", "change cv"
        ) from error


def _group_splitter(cv: Any, train: FeatureMatrix, *, classifier: bool) -> Any:
    """Groups are named so that none is trained on and scored: a plain number of folds keeps them together."""
    if train.groups is None or not isinstance(cv, int):
        return None
    return (StratifiedGroupKFold if classifier else GroupKFold)(_splitter(cv))


def _splitter(cv: Any) -> Any:
    if isinstance(cv, int):
        if cv < 2:
            raise ConfigurationError(f"cv must be at least 2 but is {cv}", "use 5, the default")
        return cv
    given = dict(cv)
    kinds = dict(_splitter_classes())
    kind = given.pop("type", None)
    if not isinstance(kind, str) or kind not in kinds:
        mend = did_you_mean(str(kind), kinds, f"the types are {', '.join(sorted(kinds))}")
        raise ConfigurationError(f"unknown cv.type {kind!r}", mend)
    try:
        return kinds[kind](**given)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"cv: {error}", f"see scikit-learn's {kind}") from error


def _splitter_classes() -> Iterator[tuple[str, Any]]:
    for name, value in vars(sklearn.model_selection).items():
        if inspect.isclass(value) and hasattr(value, "split") and not inspect.isabstract(value):
            yield name, value


def _check_class_counts(splitter: Any, train: FeatureMatrix) -> None:
    """A class with fewer rows than folds would be missing from some fold's scored rows."""
    if train.classes is None or train.y is None or not isinstance(splitter, _ONE_ROW_A_FOLD):
        return
    counts = np.bincount(train.y, minlength=len(train.classes))
    rarest, folds = int(counts.argmin()), splitter.n_splits
    if counts[rarest] < folds:
        raise InputDataError(
            f"class {train.classes[rarest]!r} has {counts[rarest]} rows, fewer than the {folds} folds",
            "use fewer folds (--cv) or more rows",
        )
