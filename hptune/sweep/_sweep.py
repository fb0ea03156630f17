"""A sweep, and what is left to do of it."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hptune.adaptive import Adaptive, Exploration
from hptune.fitters import stopping_early
from hptune.identity import Identity
from hptune.matrix import FeatureMatrix
from hptune.outputs import JOURNAL, plain_json
from hptune.plan import Plan, make_plan
from hptune.policies import Policy, written
from hptune.records import EarlyStopping, Reject
from hptune.resume import Agenda, exploring_agenda, fresh_agenda, resumed_agenda, resumed_exploration

__all__ = ["Sweep", "agenda", "fit_params_of", "prepared_estimator"]

_DECIDES = (
    "sampling_algorithm",
    "search_space",
    "constraints",
    "deterministic",
)  # which candidates are found


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
    def ranking_metric(self) -> str:
        """The metric that ranks and picks the winner."""
        return self.ranks_by or self.metrics[0]

    @property
    def in_lockstep(self) -> bool:
        """Whether all folds of a candidate are fitted side by side, for a policy that sees their rounds."""
        return self.early_termination is not None and self.early_termination.shape == "lockstep"


def agenda(
    sweep: Sweep, out: Path | None = None, *, resume: bool = False, extend: bool = False, shown: str = ""
) -> Agenda:
    """What is left to do of a sweep; nothing is written, and no engine is needed.

    `shown` is what the user calls `out`, if that is not its path; the rest is as in `run`.
    """
    config, shown = plain_json(sweep.config), shown or str(out)
    if sweep.adaptive is not None:
        exploration = _exploration(sweep, sweep.adaptive)
        identity = _identity(sweep, exploration.candidates)
        todo = exploring_agenda(exploration, identity, sweep.adaptive.limit)
        if out is None or not resume:
            return todo
        return resumed_exploration(todo, exploration, out / JOURNAL, config, shown)
    plan, identity = _plan(sweep, sweep.candidates), _identity(sweep, sweep.candidates)
    if out is None:
        return Agenda(plan, identity, plan.tasks)
    if not resume:
        return fresh_agenda(plan, identity)
    return resumed_agenda(plan, identity, out / JOURNAL, config, shown, extend=extend)


def _plan(sweep: Sweep, candidates: Sequence[Mapping[str, Any]]) -> Plan:
    return make_plan(
        prepared_estimator(sweep),
        candidates,
        len(sweep.folds),
        fit_params_of(sweep.train),
        lockstep=sweep.in_lockstep,
    )


def _identity(sweep: Sweep, candidates: Sequence[Mapping[str, Any]]) -> Identity:
    return Identity(
        train=sweep.train,
        folds=sweep.folds,
        estimator=sweep.estimator,
        candidates=candidates,
        scorer=sweep.scorer,
        metrics=sweep.metrics,
        early_stopping=sweep.early_stopping,
        seed=sweep.config.get("seed"),
        early_termination=None if sweep.early_termination is None else written(sweep.early_termination),
        sampling=None if sweep.adaptive is None else {key: sweep.config.get(key) for key in _DECIDES},
    )


def _exploration(sweep: Sweep, adaptive: Adaptive) -> Exploration:
    return Exploration(
        adaptive.sampler(),
        limit=adaptive.limit,
        n_folds=len(sweep.folds),
        metric=sweep.ranking_metric,
        plan_of=functools.partial(_plan, sweep),
        deterministic=adaptive.deterministic,
    )


def prepared_estimator(sweep: Sweep) -> Any:
    """The estimator as it is fitted, stopping early where that is asked for."""
    if sweep.early_stopping is None:
        return sweep.estimator
    return stopping_early(sweep.estimator, sweep.early_stopping, sweep.candidates)


def fit_params_of(train: FeatureMatrix) -> dict[str, Any]:
    """What ``fit`` gets beside X and y."""
    return {} if train.weights is None else {"sample_weight": train.weights}
