"""The loop: plan what is missing, run it, journal every outcome, reduce, refit."""

from __future__ import annotations

import functools
import itertools
import logging
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import pandas as pd

from hptune.children import Curve, children_of
from hptune.engine import Engine
from hptune.interrupts import undisturbed
from hptune.journal import Journal
from hptune.observers import Observer
from hptune.outputs import (
    Winner,
    clear_winner,
    logged,
    plain_json,
    write_results,
    write_sweep,
    write_winner,
)
from hptune.plan import Plan
from hptune.records import Outcome
from hptune.results import (
    Cells,
    best_index,
    best_rounds,
    collect_cells,
    cv_table,
    ranked_table,
)
from hptune.resume import Agenda
from hptune.sessions import open_session
from hptune.summary import SweepResult, savings
from hptune.sweep._base import AnySweep, agenda
from hptune.sweep._stream import kept_curves, stream
from hptune.trials import Finish

__all__ = ["carry_out", "partial_result", "run"]

_log = logging.getLogger(__name__)


def run(
    sweep: AnySweep,
    engine: Engine,
    *,
    out: Path | None = None,
    observers: Sequence[Observer] = (),
    resume: bool = False,
    extend: bool = False,
) -> SweepResult:
    """Run a sweep to its end.

    Parameters
    ----------
    sweep : Sweep or TrialSweep
        What to run.
    engine : Engine
        Where to run it; it stays open.
    out : Path, optional
        A prepared output directory.
    observers : sequence of Observer
        See every outcome once it is on disk.
    resume : bool, default False
        Go on with the sweep that `out` holds: what is finished is not fitted again.
    extend : bool, default False
        With `resume`, allow candidates that the sweep in `out` does not have.

    Raises
    ------
    AllTrialsFailedError
        No candidate got a finite score. The table is written all the same.
    ConfigurationError
        `out` holds another sweep than the one to be resumed.
    OutputError
        An output file cannot be written, or the journal is damaged.
    Stopped, KeyboardInterrupt
        The sweep was stopped from outside. What is finished is in the journal, and in a table that is marked
        as partial; so it is with every other error while fits run.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import Ridge
    >>> from sklearn.metrics import check_scoring
    >>> from hptune.engine import SerialEngine
    >>> from hptune.matrix import FeatureMatrix
    >>> from hptune.sweep import Sweep
    >>> X, rows = np.arange(8.0).reshape(8, 1), np.arange(8)
    >>> train = FeatureMatrix(X, ("x",), y=2 * X[:, 0])
    >>> folds = [(rows[:4], rows[4:]), (rows[4:], rows[:4])]
    >>> sweep = Sweep("line", train, Ridge(), [{"alpha": 0.1}, {"alpha": 9.0}], folds, check_scoring(Ridge()))
    >>> run(sweep, SerialEngine()).best_params
    {'alpha': 0.1}
    """
    todo = agenda(sweep, out, resume=resume, extend=extend)
    return carry_out(sweep, todo, engine, out=out, observers=observers)


def carry_out(
    sweep: AnySweep,
    agenda: Agenda,
    engine: Engine,
    *,
    out: Path | None = None,
    observers: Sequence[Observer] = (),
) -> SweepResult:
    """Do what is left of a sweep, to its end: `run`, for those who have the agenda."""
    outcomes, curves = list(agenda.reused), kept_curves(agenda)
    with logged(out), _journal(sweep, agenda, out) as journal:
        try:
            arriving = stream(sweep, agenda, engine, journal, out, curves)
            _take_in(arriving, agenda, journal, observers, outcomes)
        except BaseException:
            if out is not None:
                _write_partial(sweep, agenda, out, outcomes)
            raise
        found = _found(sweep, agenda, outcomes, curves)
        if out is not None:
            write_results(out, found.table, found.results, sweep.ranking_metric, sweep.shown_metric)
        winner = found.winner()
        if out is not None:
            clear_winner(out, winner if sweep.refit else None)
            write_winner(out, winner)
        finish = found.sweep.finish(winner, out)
    return found.result(winner, out, finish, reused=len(agenda.reused))


def partial_result(
    sweep: AnySweep, agenda: Agenda, outcomes: Iterable[Outcome], out: Path | None = None
) -> SweepResult:
    """What was found by the outcomes that there are, where a sweep was stopped.

    Raises
    ------
    AllTrialsFailedError
        There is no finite score among them.
    """
    found = _found(sweep, agenda, [*agenda.reused, *outcomes], partial=True)
    return found.result(found.winner(), out, Finish(), reused=len(agenda.reused))


class _Found(NamedTuple):
    """A sweep's outcomes in their tables."""

    sweep: AnySweep
    plan: Plan
    cells: Cells
    results: Mapping[str, Any]
    table: pd.DataFrame
    curves: Mapping[int, Curve]

    def winner(self) -> Winner:
        """The best candidate."""
        metric = self.sweep.ranking_metric
        best = best_index(self.results, metric)
        if best is None:
            raise self.sweep.without_scores(self.table)
        return Winner(
            params=self.sweep.candidates[best],
            metric=self.sweep.shown_metric,
            mean_test_score=float(self.results[f"mean_test_{metric}"][best]),
            refit_params=best_rounds(self.results, best),
        )

    def result(self, winner: Winner, out: Path | None, finish: Finish, *, reused: int) -> SweepResult:
        """For whoever ran the sweep."""
        sweep = self.sweep
        return SweepResult(
            table=self.table,
            cv_results_=self.results,
            metric=sweep.ranking_metric,
            shown_metric=sweep.shown_metric,
            best_index=best_index(self.results, sweep.ranking_metric) or 0,
            best_params=winner.params,
            best_score=winner.mean_test_score,
            open_model=functools.partial(_itself, finish.model),
            open_children=functools.partial(
                children_of,
                sweep.name,
                sweep.candidates,
                self.cells,
                sweep.ranking_metric,
                sweep.shown_metric,
                out,
                self.curves,
            ),
            savings=savings(self.plan, self.cells, reused=reused) if sweep.shares_fits else None,
            out=out,
            load_model=finish.load_model,
            notes=finish.notes,
        )


def _found(
    sweep: AnySweep,
    agenda: Agenda,
    outcomes: Iterable[Outcome],
    curves: Mapping[int, Curve] = MappingProxyType({}),
    *,
    partial: bool = False,
) -> _Found:
    sweep, plan = _with_found(sweep, agenda)
    cells = collect_cells(outcomes, plan.n_candidates, plan.n_folds, partial=partial)
    results = cv_table(sweep.candidates, cells, sweep.metrics)
    table = ranked_table(results, cells, sweep.ranking_metric)
    return _Found(sweep, plan, cells, results, table, curves)


def _with_found(sweep: AnySweep, agenda: Agenda) -> tuple[AnySweep, Plan]:
    """The sweep with the candidates that were found while it ran, and the plan of what was fitted."""
    if agenda.exploration is None:
        return sweep, agenda.plan
    return sweep.with_candidates(agenda.exploration.candidates), agenda.exploration.plan


def _take_in(
    arriving: Generator[list[Outcome], None, None],
    agenda: Agenda,
    journal: Journal | None,
    observers: Sequence[Observer],
    outcomes: list[Outcome],
) -> None:
    """Add every missing outcome to `outcomes`, as soon as it is on disk; then the observers see it."""
    key = agenda.identity.key
    for observer in observers:
        observer.on_start(agenda.plan)
        observer.on_resume(agenda.reused)
    try:
        with closing(arriving):
            for arrived in arriving:
                with undisturbed():
                    if journal is not None:
                        journal.append((key(each.candidate, each.fold), each) for each in arrived)
                    outcomes.extend(arrived)
                    if agenda.exploration is not None:
                        agenda.exploration.see(arrived)
                for outcome, observer in itertools.product(arrived, observers):
                    observer.on_outcome(outcome)
    finally:
        for observer in observers:
            observer.on_finish()


@contextmanager
def _journal(sweep: AnySweep, agenda: Agenda, out: Path | None) -> Iterator[Journal | None]:
    if out is None:
        yield None
        return
    about = {
        "name": sweep.name,
        "metrics": list(sweep.metrics),
        "ranking_metric": sweep.ranking_metric,
        "shown_metric": sweep.shown_metric,
        "config": plain_json(sweep.config),
        "expected": agenda.plan.n_candidates,
    }
    for notice in agenda.notices:
        _log.info("%s", notice)
    with open_session(out, agenda, about) as journal:
        write_sweep(out, sweep.config)
        if agenda.tasks and agenda.kept is not None:  # what was written of a finished sweep is so no longer
            _write_partial(sweep, agenda, out, agenda.reused)
        yield journal


def _write_partial(sweep: AnySweep, agenda: Agenda, out: Path, outcomes: Iterable[Outcome]) -> None:
    """The table so far, where there are candidates.

    It is written beside another error, or again in the end: its own errors are only logged.
    """
    if agenda.exploration is not None and not agenda.exploration.candidates:
        return
    try:
        found = _found(sweep, agenda, outcomes, partial=True)
        with undisturbed():
            write_results(out, found.table, found.results, sweep.ranking_metric, sweep.shown_metric)
            clear_winner(out)
    except Exception:
        _log.exception("the partial results were not written")


def _itself(model: Any) -> Any:
    return model
