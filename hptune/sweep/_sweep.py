"""A sweep whose trials are fits on folds."""

from __future__ import annotations

import functools
import logging
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from hptune._sklearn_compat import routed_params
from hptune.adaptive import Adaptive
from hptune.engine import Engine, Work
from hptune.errors import AllTrialsFailedError, HptuneError
from hptune.fitters import (
    Evaluation,
    Reports,
    evaluate,
    fit_alone,
    model_bytes,
    nothing_kept,
    stopping_early,
    warn_of_capped_threads,
)
from hptune.identity import Identity
from hptune.matrix import FeatureMatrix
from hptune.outputs import Winner, write_model, write_predictions
from hptune.plan import Plan, make_plan
from hptune.policies import Policy
from hptune.records import EarlyStopping, Reject
from hptune.results import commonest_cause
from hptune.sweep._base import further_of
from hptune.trials import Finish

__all__ = ["Sweep"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sweep:
    """Everything that makes a sweep what it is, checked and ready to run.

    Parameters
    ----------
    name : str
        Shown in Spark's UI.
    train : FeatureMatrix
        Rows to learn from, with labels.
    estimator : estimator
        Unfitted.
    candidates : sequence of mapping
        Parameter settings in the table's order.
    folds : sequence of (train_rows, test_rows)
        Row numbers of each fold.
    scorer : callable
        A scorer, or scikit-learn's multi-metric scorer when there are several `metrics`.
    metrics : sequence of str
        Names in the table; ``("score",)`` for a single metric. The first one is the objective.
    ranks_by : str, optional
        The one of `metrics` that ranks and picks the winner; the first where it is not given.
    shown_metric : str
        What people call the metric that ranks.
    test : FeatureMatrix, optional
        Rows to predict with the refitted winner.
    refit : bool, default True
        Fit the winner on all training rows.
    early_stopping : EarlyStopping, optional
        Stop each fit by validation rows that are taken from its training rows. The winner is refitted with the
        rounded mean of its folds' best iterations.
    id_name : str, default "id"
        Header of the row ids in the predictions.
    config : mapping
        The resolved configuration, as it is written to ``sweep.yaml``.
    rejects : sequence of Reject, optional
        The rows that were left out of the data; None where bad rows are errors.
    adaptive : Adaptive, optional
        How candidates are found while the sweep runs; `candidates` are then none.
    early_termination : Policy, optional
        Which candidates are not worth going on with. Where its shape is "lockstep", the estimator's fits must have
        rounds that can be watched.
    """

    name: str
    train: FeatureMatrix
    estimator: Any
    candidates: Sequence[Mapping[str, Any]]
    folds: Sequence[tuple[Any, Any]]
    scorer: Any
    metrics: Sequence[str] = ("score",)
    ranks_by: str | None = None
    shown_metric: str = "score"
    test: FeatureMatrix | None = None
    refit: bool = True
    early_stopping: EarlyStopping | None = None
    id_name: str = "id"
    config: Mapping[str, Any] = field(default_factory=dict)
    rejects: Sequence[Reject] | None = None
    adaptive: Adaptive | None = None
    early_termination: Policy | None = None

    @property
    def n_folds(self) -> int:
        """Fits of each candidate."""
        return len(self.folds)

    @property
    def ranking_metric(self) -> str:
        """The metric that ranks and picks the winner."""
        return self.ranks_by or self.metrics[0]

    @property
    def in_lockstep(self) -> bool:
        """Whether all folds of a candidate are fitted side by side, for a policy that sees their rounds."""
        return self.early_termination is not None and self.early_termination.shape == "lockstep"

    @property
    def shares_fits(self) -> bool:
        """Those of a ladder."""
        return True

    @property
    def size(self) -> str:
        """Rows and columns to learn from."""
        rows, columns = self.train.shape
        return f"{rows} rows x {columns} columns"

    def with_candidates(self, candidates: Sequence[Mapping[str, Any]]) -> Sweep:
        """The sweep with the candidates that were found while it ran."""
        return replace(self, candidates=candidates)

    def plan(self, candidates: Sequence[Mapping[str, Any]]) -> Plan:
        """The fits of some candidates on all folds, those of a ladder drawn together."""
        fit_params = _fit_params_of(self.train)
        return make_plan(self._prepared, candidates, self.n_folds, fit_params, lockstep=self.in_lockstep)

    def identity(self, candidates: Sequence[Mapping[str, Any]]) -> Identity:
        """What makes the sweep the one that it is."""
        return Identity(
            train=self.train,
            folds=self.folds,
            estimator=self.estimator,
            candidates=candidates,
            scorer=self.scorer,
            metrics=self.metrics,
            early_stopping=self.early_stopping,
            seed=self.config.get("seed"),
            further=further_of(self),
        )

    @contextmanager
    def working(
        self, engine: Engine, n_tasks: int, out: Path | None, reports: Reports | None = None
    ) -> Iterator[Work]:
        """Fits and scores a task, with the native threads that the engine has for each of so many."""
        threads = engine.threads(n_tasks)
        warn_of_capped_threads(self.estimator, self.candidates, threads)
        with nothing_kept():
            yield functools.partial(evaluate, self._evaluation(threads, reports))

    def without_scores(self, table: pd.DataFrame) -> HptuneError:
        """The commonest cause."""
        return AllTrialsFailedError("no candidate got a finite score", commonest_cause(table))

    def finish(self, winner: Winner, out: Path | None) -> Finish:
        """Refit the winner, and write the model and what it predicts."""
        if not self.refit:
            return Finish()
        model = self._refitted(winner)
        return Finish(model, None if out is None else self._write_model(winner, model, out))

    @cached_property
    def _prepared(self) -> Any:
        """The estimator as it is fitted, stopping early where that is asked for."""
        if self.early_stopping is None:
            return self.estimator
        return stopping_early(self.estimator, self.early_stopping, self.candidates)

    def _evaluation(self, threads: int, reports: Reports | None) -> Evaluation:
        """What all fits have in common, each with so many native threads."""
        fit_params, score_params = routed_params(self.estimator, self.scorer, _fit_params_of(self.train))
        return Evaluation(
            estimator=self._prepared,
            X=self.train.X,
            y=self.train.y,
            folds=self.folds,
            scorer=self.scorer,
            fit_params=fit_params,
            score_params=score_params,
            threads=threads,
            run_id=uuid.uuid4().hex,
            early_stopping=self.early_stopping,
            groups=self.train.groups,
            scoring_errors=True,
            metric=self.ranking_metric,
            reports=reports,
        )

    def _refitted(self, winner: Winner) -> Any:
        start = time.perf_counter()
        params = {**winner.params, **winner.refit_params}
        train = self.train
        fit_params = _fit_params_of(train)
        model = fit_alone(self.estimator, params, train.X, train.y, fit_params, watched=self.in_lockstep)
        _log.info("refitted the best candidate in %.1f s", time.perf_counter() - start)
        return model

    def _write_model(self, winner: Winner, model: Any, out: Path) -> str:
        """The model and its predictions, the dearer first; returns the line of Python that loads it."""
        train = self.train
        saved = model_bytes(model, train.columns, train.classes, train.categories)
        write_model(out, winner, saved)
        if self.test is not None:
            write_predictions(out, model, self.test, train.classes, self.id_name)
        return saved.how_to_load.format(path=str(out / saved.name))


def _fit_params_of(train: FeatureMatrix) -> dict[str, Any]:
    """What ``fit`` gets beside X and y."""
    return {} if train.weights is None else {"sample_weight": train.weights}
