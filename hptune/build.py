"""From a checked configuration to a sweep that is ready to run: data read, names resolved, folds drawn."""

from __future__ import annotations

import importlib
import inspect
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import sklearn.model_selection
from sklearn.base import is_classifier, is_regressor
from sklearn.metrics import check_scoring, get_scorer_names
from sklearn.model_selection import GroupKFold, StratifiedGroupKFold, StratifiedKFold, check_cv

from hptune.config import SweepConfig
from hptune.errors import ConfigurationError, InputDataError, did_you_mean
from hptune.fitters import (
    check_parameter_names,
    stopping_early,
    takes_categories,
    takes_missing,
    with_feature_types,
)
from hptune.formats import Reading, format_of
from hptune.matrix import Dataset, FeatureMatrix
from hptune.space import SearchSpace
from hptune.sweep import Sweep

_ONE_ROW_A_FOLD = (StratifiedKFold, StratifiedGroupKFold)  # a class needs as many rows as there are folds

__all__ = ["build_sweep", "check_data", "default_cache", "primary_scorer"]


def default_cache() -> Path:
    """Where feature matrices are kept between runs: ``$XDG_CACHE_HOME/hptune``, else ``~/.cache/hptune``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hptune"


def check_data(config: SweepConfig) -> None:
    """Refuse files that cannot be read, before anything slow is started."""
    format_of(config.data).check(config.data)


def build_sweep(
    config: SweepConfig, *, cache: Path | None = None, progress: Callable[[str], None] | None = None
) -> Sweep:
    """Everything checked, from the estimator's name to the labels of each fold; Spark is not touched.

    Parameters
    ----------
    config : SweepConfig
        A checked configuration.
    cache : Path, optional
        Where feature matrices are kept; `default_cache` where it is not given.
    progress : callable, optional
        Gets a short line for each step that takes time.

    Raises
    ------
    ConfigurationError
        The estimator, a parameter, the scorer or the splitter is unknown.
    InputDataError
        The data cannot be learned from.
    """
    estimator = _estimator(config)
    candidates = list(_space(config).grid())
    for names in {tuple(candidate): None for candidate in candidates}:
        check_parameter_names(estimator, dict.fromkeys((*config.estimator_params, *names)))
    if config.early_stopping is not None:
        stopping_early(estimator, config.early_stopping, candidates)  # refuses before the data are read
    scorer, metrics, shown = _scoring(estimator, config)
    check_data(config)
    dataset = _dataset(config, estimator, cache or default_cache(), progress or _silent)
    estimator = with_feature_types(estimator, dataset.train.feature_types)
    if is_regressor(estimator) and dataset.train.classes is not None:
        raise ConfigurationError(
            f"{config.estimator} is a regressor, but the labels are classes", "use a classifier"
        )
    return Sweep(
        name=config.name,
        train=dataset.train,
        test=dataset.test,
        estimator=estimator,
        candidates=candidates,
        folds=_folds(config, estimator, dataset.train),
        scorer=scorer,
        metrics=metrics,
        shown_metric=shown,
        refit=config.refit,
        early_stopping=config.early_stopping,
        id_name=config.data.id or format_of(config.data).id_name,
        config=config.to_mapping(),
    )


def primary_scorer(config: SweepConfig, estimator: Any) -> Any:
    """The scorer that ranks, alone, for an estimator that `build_sweep` made."""
    return _scorer(estimator, config.primary_metric)


def _silent(line: str) -> None:
    return None


def _space(config: SweepConfig) -> SearchSpace:
    """The search space with the functions that its constraints name."""
    constraints = tuple(_imported(name, "constraint") for name in config.constraints)
    for name, constraint in zip(config.constraints, constraints, strict=True):
        if not callable(constraint):
            raise ConfigurationError(
                f"constraint {name!r} is no function", "name one that takes the parameters"
            )
    return replace(config.search_space, constraints=constraints)


def _dataset(config: SweepConfig, estimator: Any, cache: Path, say: Callable[[str], None]) -> Dataset:
    """The rows as `estimator` can learn from them."""
    native = (
        takes_categories(estimator) if config.data.categories is None else _wants_native(config, estimator)
    )
    reading = Reading(cache=cache, classifier=is_classifier(estimator), native=native, progress=say)
    dataset = format_of(config.data).load(config.data, reading)
    for note in dataset.notes:
        say(f"note: {note}")
    _check_missing(estimator, dataset)
    return dataset


def _wants_native(config: SweepConfig, estimator: Any) -> bool:
    native = config.data.categories == "native"
    if native and not takes_categories(estimator):
        what = f"data.categories is native, which {type(estimator).__name__} does not understand"
        raise ConfigurationError(what, "use onehot, or an XGBoost estimator")
    return native


def _check_missing(estimator: Any, dataset: Dataset) -> None:
    """Name a column with missing values to the user of an estimator that would fail on every fold."""
    if takes_missing(estimator):
        return
    for matrix in (dataset.train, dataset.test):
        column = None if matrix is None else matrix.column_with_missing()
        if column is not None:
            raise InputDataError(
                f"column {column[:60]!r} has missing values, which {type(estimator).__name__} does not take",
                "use HistGradientBoosting or XGBoost, or a pipeline that starts with SimpleImputer",
            )


def _estimator(config: SweepConfig) -> Any:
    made = _imported(config.estimator, "estimator")
    try:
        estimator = made(**config.estimator_params)
    except Exception as error:  # whatever a constructor of the user's raises
        raise ConfigurationError(
            f"estimator {config.estimator}: {error}", "correct estimator.params"
        ) from error
    if not hasattr(estimator, "fit") or not hasattr(estimator, "get_params"):
        raise ConfigurationError(
            f"{config.estimator} is no scikit-learn estimator", "name one with fit and get_params"
        )
    check_parameter_names(estimator, config.estimator_params)
    return estimator


def _imported(name: str, key: str) -> Any:
    """What ``package.Class`` or ``package.module:function`` names."""
    module_name, _, attribute = name.partition(":") if ":" in name else name.rpartition(".")
    if not module_name or not attribute:
        raise ConfigurationError(
            f"{key} {name!r} names no module", "write package.Class or package.module:function"
        )
    if os.getcwd() not in sys.path:  # the user's own module lies in the directory of the command
        sys.path.append(os.getcwd())  # and stays there for worker processes, which copy the path
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # the module's own code may raise anything
        raise ConfigurationError(
            f"{key} {name!r} cannot be imported ({error})", "install or correct it"
        ) from error
    if not hasattr(module, attribute):
        mend = did_you_mean(attribute, dir(module), f"see what {module_name} holds")
        raise ConfigurationError(f"{key}: {module_name} has no {attribute!r}", mend)
    return getattr(module, attribute)


def _scoring(estimator: Any, config: SweepConfig) -> tuple[Any, tuple[str, ...], str]:
    """The scorer, the metrics' names in the table, and what people call the first."""
    primary = config.primary_metric
    if not config.metrics:
        return _scorer(estimator, primary), ("score",), primary or "score"
    if primary is None:
        raise ConfigurationError("metrics need an objective.primary_metric", "name the scorer that ranks")
    names = tuple(dict.fromkeys((primary, *config.metrics)))
    scorers = {name: _scorer(estimator, name) for name in names}
    return check_scoring(estimator, scoring=scorers), names, primary


def _scorer(estimator: Any, name: str | None) -> Any:
    if name is not None and ":" not in name and name not in get_scorer_names():
        mend = did_you_mean(name, get_scorer_names(), "see sklearn.metrics.get_scorer_names()")
        raise ConfigurationError(f"unknown scorer {name!r}", mend)
    scoring = _imported(name, "scorer") if name is not None and ":" in name else name
    if scoring is not None and not isinstance(scoring, str) and not callable(scoring):
        raise ConfigurationError(f"scorer {name!r} is no function", "name a scorer(estimator, X, y)")
    try:
        return check_scoring(estimator, scoring=scoring)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(
            f"the estimator cannot be scored ({error})", "correct objective.primary_metric"
        ) from error


def _folds(config: SweepConfig, estimator: Any, train: FeatureMatrix) -> list[tuple[Any, Any]]:
    classifier = is_classifier(estimator)
    splitter = _group_splitter(config.cv, train, classifier=classifier)
    splitter = splitter or check_cv(_splitter(config.cv), train.y, classifier=classifier)
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
