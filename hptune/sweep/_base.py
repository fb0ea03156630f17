"""What the loop needs of a sweep, whatever its trials are, and what is left to do of one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

import pandas as pd

from hptune.adaptive import Adaptive, Exploration
from hptune.engine import Engine, Work
from hptune.errors import HptuneError
from hptune.fitters import Reports
from hptune.identity import CellIdentity
from hptune.outputs import JOURNAL, Winner, plain_json
from hptune.plan import Plan
from hptune.policies import Policy, written
from hptune.records import Reject
from hptune.resume import Agenda, exploring_agenda, fresh_agenda, resumed_agenda, resumed_exploration
from hptune.trials import Finish

__all__ = ["AnySweep", "agenda", "further_of"]

_DECIDES = (
    "sampling_algorithm",
    "search_space",
    "constraints",
    "deterministic",
)  # which candidates are found


class AnySweep(Protocol):
    """A sweep, checked and ready to run: candidates, what a trial of one is, and what ranks them."""

    @property
    def name(self) -> str:
        """Shown in Spark's UI."""

    @property
    def candidates(self) -> Sequence[Mapping[str, Any]]:
        """Parameter settings in the table's order; none where they are found while the sweep runs."""

    @property
    def adaptive(self) -> Adaptive | None:
        """How candidates are found while the sweep runs."""

    @property
    def n_folds(self) -> int:
        """Outcomes of each candidate."""

    @property
    def metrics(self) -> Sequence[str]:
        """Names of the scores in the table."""

    @property
    def ranking_metric(self) -> str:
        """The one of `metrics` that ranks and picks the winner."""

    @property
    def shown_metric(self) -> str:
        """What people call the metric that ranks."""

    @property
    def config(self) -> Mapping[str, Any]:
        """The resolved configuration, as it is written to ``sweep.yaml``."""

    @property
    def refit(self) -> bool:
        """Whether `finish` leaves a model of the winner."""

    @property
    def shares_fits(self) -> bool:
        """Whether one task may answer for several candidates."""

    @property
    def rejects(self) -> Sequence[Reject] | None:
        """The rows that were left out of the data; None where bad rows are errors, or nobody looked."""

    @property
    def size(self) -> str:
        """What a trial works on or with, in a few words."""

    def with_candidates(self, candidates: Sequence[Mapping[str, Any]]) -> AnySweep:
        """The sweep with the candidates that were found."""

    def plan(self, candidates: Sequence[Mapping[str, Any]]) -> Plan:
        """The tasks of some candidates, numbered from 0."""

    def identity(self, candidates: Sequence[Mapping[str, Any]]) -> CellIdentity:
        """What makes the sweep the one that it is."""

    @property
    def early_termination(self) -> Policy | None:
        """Which candidates are not worth going on with."""

    def working(
        self, engine: Engine, n_tasks: int, out: Path | None, reports: Reports | None = None
    ) -> AbstractContextManager[Work]:
        """What the engine does with each of so many tasks, for as long as the context is open.

        Where they may be stopped, `reports` takes what decides.
        """

    def without_scores(self, table: pd.DataFrame) -> HptuneError:
        """What to tell where no candidate of the ranked table has a finite score."""

    def finish(self, winner: Winner, out: Path | None) -> Finish:
        """Make of the winner what people want of it, after the table is written."""


def agenda(
    sweep: AnySweep, out: Path | None = None, *, resume: bool = False, extend: bool = False, shown: str = ""
) -> Agenda:
    """What is left to do of a sweep; nothing is written, and no engine is needed.

    `shown` is what the user calls `out`, if that is not its path; the rest is as in `run`.
    """
    config, shown = plain_json(sweep.config), shown or str(out)
    if sweep.adaptive is not None:
        exploration = _exploration(sweep, sweep.adaptive)
        todo = exploring_agenda(exploration, sweep.identity(exploration.candidates), sweep.adaptive.limit)
        if out is None or not resume:
            return todo
        return resumed_exploration(todo, exploration, out / JOURNAL, config, shown)
    plan, identity = sweep.plan(sweep.candidates), sweep.identity(sweep.candidates)
    if out is None:
        return Agenda(plan, identity, plan.tasks)
    if not resume:
        return fresh_agenda(plan, identity)
    return resumed_agenda(plan, identity, out / JOURNAL, config, shown, extend=extend)


def further_of(sweep: AnySweep) -> dict[str, Any]:
    """What decides beside data, fits and metric: the policy, and how candidates are found while the sweep runs."""
    policy = sweep.early_termination
    stopping = {} if policy is None else {"early_termination": written(policy)}
    sampling = {} if sweep.adaptive is None else {key: sweep.config.get(key) for key in _DECIDES}
    return stopping | sampling


def _exploration(sweep: AnySweep, adaptive: Adaptive) -> Exploration:
    return Exploration(
        adaptive.sampler(),
        limit=adaptive.limit,
        n_folds=sweep.n_folds,
        metric=sweep.ranking_metric,
        plan_of=sweep.plan,
        deterministic=adaptive.deterministic,
    )
