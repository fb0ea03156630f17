"""A sweep whose trials are no fits on folds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from hptune.adaptive import Adaptive
from hptune.engine import Engine, Work
from hptune.errors import AllTrialsFailedError, ConfigurationError, HptuneError
from hptune.fitters import Reports
from hptune.identity import TrialIdentity
from hptune.outputs import Winner
from hptune.plan import Plan
from hptune.policies import Policy
from hptune.records import Objective
from hptune.results import commonest_cause
from hptune.sweep._base import further_of
from hptune.trials import Finish, Trial, metric_never_logged

__all__ = ["TrialSweep"]


@dataclass(frozen=True)
class TrialSweep:
    """Everything that makes a sweep of trials what it is, checked and ready to run.

    Parameters
    ----------
    name : str
        Shown in Spark's UI.
    trial : Trial
        What runs for a candidate.
    candidates : sequence of mapping
        Parameter settings in the table's order.
    objective : Objective
        What ranks.
    more_metrics : sequence of str
        Other metrics of the trials that the table shows.
    config : mapping
        The resolved configuration, as it is written to ``sweep.yaml``.
    adaptive : Adaptive, optional
        How candidates are found while the sweep runs; `candidates` are then none.
    early_termination : Policy, optional
        Which runs are not worth going on with: each value that one logs of the objective is an interval.
    """

    name: str
    trial: Trial
    candidates: Sequence[Mapping[str, Any]]
    objective: Objective
    more_metrics: Sequence[str] = ()
    config: Mapping[str, Any] = field(default_factory=dict)
    adaptive: Adaptive | None = None
    early_termination: Policy | None = None

    @property
    def n_folds(self) -> int:
        """Outcomes of each candidate."""
        return self.trial.n_folds

    @property
    def metrics(self) -> Sequence[str]:
        """The objective first."""
        return tuple(dict.fromkeys((self.objective.name, *self.more_metrics)))

    @property
    def ranking_metric(self) -> str:
        """The objective, as larger is better."""
        return self.objective.name

    @property
    def shown_metric(self) -> str:
        """The same."""
        return self.objective.name

    @property
    def shares_fits(self) -> bool:
        """Never."""
        return False

    @property
    def rejects(self) -> None:
        """No rows were looked at."""
        return None

    @property
    def refit(self) -> bool:
        """Whether the trial leaves a model of the winner."""
        return self.trial.refit

    @property
    def size(self) -> str:
        """What runs."""
        return self.trial.shown

    def with_candidates(self, candidates: Sequence[Mapping[str, Any]]) -> TrialSweep:
        """The sweep with the candidates that were found while it ran."""
        return replace(self, candidates=candidates)

    def plan(self, candidates: Sequence[Mapping[str, Any]]) -> Plan:
        """The trial's own."""
        return self.trial.plan(candidates)

    def identity(self, candidates: Sequence[Mapping[str, Any]]) -> TrialIdentity:
        """What makes the sweep the one that it is."""
        return TrialIdentity(
            kind=self.trial.kind,
            content=self.trial.content,
            candidates=candidates,
            objective=self.objective,
            n_folds=self.n_folds,
            seed=self.config.get("seed"),
            further=further_of(self),
        )

    @contextmanager
    def working(
        self, engine: Engine, n_tasks: int, out: Path | None, reports: Reports | None = None
    ) -> Iterator[Work]:
        """The trial's own."""
        with self.trial.working(engine, out, reports) as work:
            yield work

    def without_scores(self, table: pd.DataFrame) -> HptuneError:
        """The commonest cause; a metric that no trial ever logged is the configuration's fault."""
        told = table["error"].dropna().map(metric_never_logged)
        if len(told) == len(table) and told.all():
            return ConfigurationError(
                f"objective.primary_metric: in every trial {table['error'].iloc[0]}", "correct it, or log it"
            )
        return AllTrialsFailedError("no candidate got a finite score", commonest_cause(table))

    def finish(self, winner: Winner, out: Path | None) -> Finish:
        """The trial's own."""
        return self.trial.finish(winner.params, out)
