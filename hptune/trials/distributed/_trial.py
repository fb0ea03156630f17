"""A trial that is a Spark job: an estimator of ``pyspark.ml`` is fitted and what it predicts is evaluated."""

from __future__ import annotations

import json
import math
import os
import socket
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pyspark
from pyspark import SparkConf
from pyspark.ml import Estimator, PipelineModel
from pyspark.sql import SparkSession

from hptune.engine import Engine, Work, failed
from hptune.errors import ConfigurationError
from hptune.fitters import Reports
from hptune.records import MODEL, FitTask, Outcome
from hptune.storage import write_atomically
from hptune.trials._base import Finish, Trial
from hptune.trials.distributed._estimators import content_of, is_barrier, with_params, workers_of
from hptune.trials.distributed._jobs import TrialJobs
from hptune.trials.distributed._metrics import Metrics
from hptune.trials.distributed._rows import Rows, local_uri

__all__ = [
    "COMPARISON",
    "DistributedTrial",
    "allocates_dynamically",
    "check_workers",
    "distributed_trial",
]

COMPARISON = "test_metrics.json"


@dataclass(frozen=True)
class DistributedTrial(Trial):
    """A trial fits an estimator with the candidate's parameters on the whole cluster.

    Parameters
    ----------
    estimator : pyspark.ml.Estimator
        With the parameters that all trials have in common.
    rows : Rows
        What is learned from, and what ranks.
    metrics : Metrics
        What is told of predictions.
    at_once : int
        Trials that fit into the cluster together.
    refit : bool, default True
        Whether `finish` fits the winner on all rows but the test part, and saves it.
    """

    kind = "fit of pyspark.ml"
    place = "driver"

    estimator: Estimator[Any]
    rows: Rows
    metrics: Metrics
    at_once: int = 1
    refit: bool = True

    @property
    def n_folds(self) -> int:  # type: ignore[override]
        """Folds, or the one validation part."""
        return self.rows.n_folds

    @property
    def content(self) -> Mapping[str, Any]:
        """The estimator, the rows and how they are split, and Spark's version."""
        evaluators = {name: content_of(each) for name, each in self.metrics.evaluators.items()}
        source = self.rows.source
        roles = {"data.target": source.label, "data.group": source.group}
        return {
            **{key: name for key, name in roles.items() if name is not None},
            "estimator": content_of(self.estimator),
            "data": self.rows.fingerprint,
            "cv.parts": sorted(self.rows.sizes.items()),
            **({"cv.type": "LeaveOneGroupOut"} if self.rows.by_group else {}),
            "metrics": evaluators,
            "pyspark": pyspark.__version__,
        }

    @property
    def shown(self) -> str:
        """The estimator, and rows that it sees."""
        return f"{sum(self.rows.sizes.values())} rows, {type(self.estimator).__name__}"

    @contextmanager
    def working(self, engine: Engine, out: Path | None, reports: Reports | None = None) -> Iterator[Work]:
        """Fits on training rows, evaluates on the others; Spark jobs that are left in the end are cancelled."""

        def work(task: FitTask) -> list[Outcome]:
            with self._jobs.of(task):
                return self._outcomes(task)

        try:
            yield work
        finally:
            self._jobs.close()

    def give_up(self, task: FitTask) -> None:
        """Cancel its Spark jobs, so that their slots are free for the next trial."""
        self._jobs.cancel(task)

    @cached_property
    def _jobs(self) -> TrialJobs:
        return TrialJobs(self.rows.frame.sparkSession.sparkContext)

    def finish(self, params: Mapping[str, Any], out: Path | None) -> Finish:
        """Fit the winner on training and validation rows, compare it on the test part with the estimator as it was."""
        if not self.refit:
            return Finish()
        tuned = with_params(self.estimator, params).fit(self.rows.development)
        before = self.rows.preparation
        model = tuned if before is None else PipelineModel([*before.stages, tuned])
        compared = self._compared(tuned)
        notes = tuple(_comparison(compared)) if compared else ()
        if out is None:
            return Finish(model, notes=notes)
        if compared:
            write_atomically(out / COMPARISON, json.dumps(compared, indent=2) + "\n")
        place = local_uri(out / MODEL)
        model.write().overwrite().save(place)
        return Finish(model, f"{type(model).__module__}.{type(model).__name__}.load({place!r})", notes)

    def _compared(self, tuned: Any) -> dict[str, dict[str, float]]:
        """Metrics on the test part of the model as it was and the tuned one; nothing where there is no such part."""
        test = self.rows.test
        if test is None:
            return {}
        models = {"untuned": self.estimator.fit(self.rows.development), "tuned": tuned}
        return {name: self.metrics.of(model.transform(test)) for name, model in models.items()}

    def _outcomes(self, task: FitTask) -> list[Outcome]:
        started, begun = time.time(), time.perf_counter()
        model = with_params(self.estimator, task.params).fit(self.rows.train(task.fold))
        fitted = time.perf_counter()
        metrics = self.metrics.of(model.transform(self.rows.scored(task.fold)))
        done, objective = time.perf_counter(), self.metrics.objective
        value = metrics[objective.metric]
        if math.isfinite(value):
            scores = {objective.name: objective.score(value)}
            outcomes = [
                Outcome(task.rungs[0].candidate, task.fold, "ok", scores, metrics=metrics, fit_id=task.id)
            ]
        else:
            outcomes = failed(task, f"{objective.metric} is {value}")
        return [
            replace(
                outcome,
                fit_time=fitted - begun,
                score_time=done - fitted,
                work_time=done - begun,
                started=started,
                host=socket.gethostname(),
                pid=os.getpid(),
            )
            for outcome in outcomes
        ]


def _comparison(compared: Mapping[str, Mapping[str, float]]) -> Iterator[str]:
    """A line for each metric."""
    for metric, value in compared["untuned"].items():
        yield f"on the test part: {metric} {value:.5g} untuned, {compared['tuned'][metric]:.5g} tuned"


def distributed_trial(
    estimator: Estimator[Any],
    rows: Rows,
    metrics: Metrics,
    candidates: Iterable[Mapping[str, Any]],
    *,
    slots: int,
    refit: bool,
) -> DistributedTrial:
    """The trial, with as many at once as fit.

    Parameters
    ----------
    estimator, rows, metrics, refit
        As in `DistributedTrial`.
    candidates : iterable of mapping
        Those that are known, or stand for those that are not.
    slots : int
        Of the cluster.
    """
    workers = workers_of(estimator, candidates, rows.frame.rdd.getNumPartitions(), slots)
    return DistributedTrial(estimator, rows, metrics, max(1, slots // workers), refit)


def check_workers(
    session: SparkSession, estimator: Estimator[Any], candidates: Iterable[Mapping[str, Any]], slots: int
) -> None:
    """Refuse workers that must run at the same time and never can, before the rows are read.

    Parameters
    ----------
    session : SparkSession
        Whose settings count.
    estimator, candidates, slots
        As in `distributed_trial`.

    Raises
    ------
    ConfigurationError
        Spark's dynamic allocation is on, or a trial has more workers than there are slots.
    """
    if not is_barrier(estimator):
        return
    if allocates_dynamically(session.sparkContext.getConf()):
        raise ConfigurationError(
            "the workers of a trial must run at the same time, which Spark's dynamic allocation does not wait for",
            "set spark.dynamicAllocation.enabled to false and spark.executor.instances to what a trial needs",
        )
    workers = workers_of(estimator, candidates, slots, slots)
    if workers > slots:
        raise ConfigurationError(
            f"a trial has {workers} workers, which must run at the same time, but there are {slots} slots",
            "set num_workers lower, or give Spark more cores",
        )


def allocates_dynamically(conf: SparkConf) -> bool:
    """Whether executors come and go, by Spark's own rule: under a local master, which has none, only in tests of that.

    Examples
    --------
    >>> conf = SparkConf(loadDefaults=False).set("spark.dynamicAllocation.enabled", "true")
    >>> allocates_dynamically(conf.setMaster("yarn")), allocates_dynamically(conf.setMaster("local[4]"))
    (True, False)
    """

    def is_on(name: str) -> bool:
        return str(conf.get(f"spark.dynamicAllocation.{name}", "false")).lower() == "true"

    master = str(conf.get("spark.master", ""))
    is_local = master == "local" or master.startswith("local[")
    return is_on("enabled") and (not is_local or is_on("testing"))
