"""From a checked configuration to a sweep that is ready to run: data read, names resolved, folds drawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from sklearn.base import is_classifier, is_regressor
from sklearn.metrics import check_scoring, get_scorer_names

from hptune.build._candidates import adaptive_of, candidates_of, silent
from hptune.build._names import imported
from hptune.config import SweepConfig
from hptune.errors import ConfigurationError, InputDataError, did_you_mean
from hptune.fitters import (
    check_parameter_names,
    stopping_early,
    takes_categories,
    takes_missing,
    takes_weights,
    with_feature_types,
)
from hptune.formats import Reading, check_data, format_of
from hptune.matrix import Dataset
from hptune.splits import folds_of
from hptune.storage import default_cache
from hptune.sweep import Sweep
from hptune.termination import check_race, check_rounds

__all__ = ["build_sweep", "ranking_scorer"]


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
    candidates, probes = candidates_of(config, progress or silent)
    for names in {tuple(candidate): None for candidate in probes}:
        check_parameter_names(estimator, dict.fromkeys((*config.estimator_params, *names)))
    if config.early_stopping is not None:
        stopping_early(estimator, config.early_stopping, probes)  # refuses before the data are read
    if config.early_termination is not None:
        check_rounds(config.early_termination, estimator)
    if config.data.weight is not None and not takes_weights(estimator):
        what = f"data.weight is set, but the fit of {type(estimator).__name__} takes no sample_weight"
        raise ConfigurationError(what, "take it out, or use an estimator that learns from weights")
    scorer, metrics, shown = _scoring(estimator, config)
    ranks_by = _ranks_by(config, metrics, shown)
    check_data(config.data)
    adaptive = adaptive_of(config, ranks_by or shown, cache or default_cache(), progress or silent)
    dataset = _dataset(config, estimator, cache or default_cache(), progress or silent)
    estimator = with_feature_types(estimator, dataset.train.feature_types)
    if is_regressor(estimator) and dataset.train.classes is not None:
        raise ConfigurationError(
            f"{config.estimator} is a regressor, but the labels are classes", "use a classifier"
        )
    folds = folds_of(config.cv, dataset.train, classifier=is_classifier(estimator))
    if config.early_termination is not None:
        check_race(config.early_termination, len(folds))
    return Sweep(
        name=config.name,
        train=dataset.train,
        test=dataset.test,
        estimator=estimator,
        candidates=candidates,
        folds=folds,
        scorer=scorer,
        metrics=metrics,
        ranks_by=ranks_by,
        shown_metric=ranks_by or shown,
        refit=config.refit is not False,
        early_stopping=config.early_stopping,
        early_termination=config.early_termination,
        id_name=config.data.id or format_of(config.data).id_name,
        config=config.to_mapping(),
        adaptive=adaptive,
        rejects=None if config.data.strict else dataset.rejects,
    )


def ranking_scorer(config: SweepConfig, estimator: Any) -> Any:
    """The scorer that ranks, alone, for an estimator that `build_sweep` made."""
    return _scorer(estimator, config.refit if isinstance(config.refit, str) else config.primary_metric)


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
    made = imported(config.estimator, "estimator")
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


def _scoring(estimator: Any, config: SweepConfig) -> tuple[Any, tuple[str, ...], str]:
    """The scorer, the metrics' names in the table, and what people call the first."""
    primary = config.primary_metric
    if not config.metrics:
        return _scorer(estimator, primary), ("score",), primary or "score"
    if primary is None:
        raise ConfigurationError("metrics need an objective.primary_metric", "name the scorer that ranks")
    names = tuple(dict.fromkeys((primary, *config.metrics)))
    scorers = {name: _scorer(estimator, name) for name in names}
    return check_scoring(estimator, scoring=scorers, raise_exc=False), names, primary


def _ranks_by(config: SweepConfig, metrics: Sequence[str], shown: str) -> str | None:
    """The metric that `refit` names; None where it is the first."""
    if isinstance(config.refit, bool) or config.refit == shown:
        return None
    known = (*config.metrics, *([] if config.primary_metric is None else [config.primary_metric]))
    if config.refit not in known:
        mend = did_you_mean(config.refit, known, "name one of objective.primary_metric and metrics")
        raise ConfigurationError(f"refit names the unknown metric {config.refit!r}", mend)
    return config.refit


def _scorer(estimator: Any, name: str | None) -> Any:
    if name is not None and ":" not in name and name not in get_scorer_names():
        mend = did_you_mean(name, get_scorer_names(), "see sklearn.metrics.get_scorer_names()")
        raise ConfigurationError(f"unknown scorer {name!r}", mend)
    scoring = imported(name, "scorer") if name is not None and ":" in name else name
    if scoring is not None and not isinstance(scoring, str) and not callable(scoring):
        raise ConfigurationError(f"scorer {name!r} is no function", "name a scorer(estimator, X, y)")
    try:
        return check_scoring(estimator, scoring=scoring)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(
            f"the estimator cannot be scored ({error})", "correct objective.primary_metric"
        ) from error
