"""From a checked configuration whose estimator is one of ``pyspark.ml`` to a sweep that is ready to run."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hptune.build._candidates import adaptive_of, candidates_of, silent
from hptune.build._names import imported
from hptune.config import AnyConfig, DataConfig, SweepConfig
from hptune.engine import active_session
from hptune.errors import ClusterError, ConfigurationError
from hptune.storage import default_cache
from hptune.sweep import TrialSweep

__all__ = ["build_distributed", "is_distributed"]


def is_distributed(config: AnyConfig) -> bool:
    """Whether each trial is a Spark job: by the class of the estimator, what a factory says that it returns, or
    ``cv: {type: holdout}``, which only those trials have.
    """
    if not isinstance(config, SweepConfig) or config.is_of_one_machine:
        return False
    if config.has_holdout:
        return True
    named = imported(config.estimator, "estimator")
    if "pyspark.ml" not in sys.modules:
        return False  # nobody can have made a class of it
    from hptune.trials.distributed import is_estimator, returns_estimator

    return is_estimator(named) or (not isinstance(named, type) and returns_estimator(named))


def build_distributed(
    config: SweepConfig,
    *,
    slots: int,
    cache: Path | None = None,
    progress: Callable[[str], None] | None = None,
) -> TrialSweep:
    """Everything checked, the rows read, split and cached by the executors of the active session.

    Parameters
    ----------
    config : SweepConfig
        A checked configuration.
    slots : int
        Of the cluster.
    cache : Path, optional
        Where copies of remote sweeps that are learned from are kept.
    progress : callable, optional
        Gets a short line for each step that takes time.

    Raises
    ------
    ClusterError
        There is no Spark session.
    ConfigurationError
        The estimator, a parameter, a metric or `cv` is unknown, or a trial does not fit into the cluster.
    InputDataError
        The rows cannot be learned from.
    """
    from hptune.trials.distributed import (
        Source,
        check_workers,
        distributed_trial,
        is_pipeline,
        metrics_of,
        open_rows,
        takes_missing,
        with_columns,
    )

    say = progress or silent
    session = active_session()
    if session is None:
        raise ClusterError("there is no Spark session", "use the spark engine")
    _check_keys(config)
    candidates, probes = candidates_of(config, say)
    estimator = _estimator(config, probes)
    check_workers(session, estimator, probes, slots)
    whole = is_pipeline(estimator)
    data = config.data
    queries = _learns_from_queries(estimator, data)
    source = Source(data.path, data.format, data.target, data.id, data.weight, data.group, queries)
    columns = {"labelCol": source.label, "predictionCol": "prediction", **source.query_columns}
    metrics = metrics_of(
        config.primary_metric, config.metrics, columns, lambda name: imported(name, "metric")
    )
    say("reading and splitting the rows")
    rows = open_rows(
        session, source, config.cv, config.seed, assemble=not whole, missing=takes_missing(estimator)
    )
    reading = estimator if whole else with_columns(estimator, source.columns)
    trial = distributed_trial(reading, rows, metrics, probes, slots=slots, refit=config.refit is not False)
    return TrialSweep(
        name=config.name,
        trial=trial,
        candidates=candidates,
        objective=metrics.objective,
        more_metrics=config.metrics,
        config=config.to_mapping(),
        adaptive=adaptive_of(config, metrics.objective.name, cache or default_cache(), say),
    )


def _check_keys(config: SweepConfig) -> None:
    """Refuse what only fits on one machine have."""
    refused = {
        "engine": config.engine != "spark",
        "early_termination": config.early_termination is not None,
        "early_stopping": config.early_stopping is not None,
        "data.test": config.data.test is not None,
        "data.categories": config.data.categories == "native",
        "data.strict": not config.data.strict,
        "refit": isinstance(config.refit, str),
    }
    for key, given in refused.items():
        if given:
            raise ConfigurationError(
                f"key {key!r} does not go with an estimator of pyspark.ml as it is set", "take it out"
            )


def _learns_from_queries(estimator: Any, data: DataConfig) -> bool:
    """Whether the groups are a ranker's queries, without which it cannot learn."""
    from hptune.trials.distributed import is_ranker

    if not is_ranker(estimator):
        return False
    if data.group is None:
        raise ConfigurationError(
            "key 'data.group' is missing", "a ranker learns from queries: name their column"
        )
    if data.weight is not None and estimator.hasParam("qid_col"):
        raise ConfigurationError(
            "key 'data.weight' weighs rows, but XGBoost's ranker weighs queries", "take it out"
        )
    return True


def _estimator(config: SweepConfig, probes: list[Any]) -> Any:
    from hptune.trials.distributed import check_names, is_estimator

    try:
        made = imported(config.estimator, "estimator")(**config.estimator_params)
    except ConfigurationError:
        raise
    except Exception as error:  # whatever a constructor of the user's raises
        raise ConfigurationError(
            f"estimator {config.estimator}: {error}", "correct estimator.params"
        ) from error
    if not is_estimator(made):
        raise ConfigurationError(
            f"{config.estimator} is no estimator of pyspark.ml", "name one, or take cv: {type: holdout} out"
        )
    check_names(made, dict.fromkeys(name for params in probes for name in params))
    return made
