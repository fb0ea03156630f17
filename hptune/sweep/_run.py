"""The loop: plan what is missing, run it, journal every outcome, reduce, refit."""

from __future__ import annotations

import functools
import itertools
import logging
import time
import uuid
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from hptune._sklearn_compat import routed_params
from hptune.adaptive import Exploration
from hptune.engine import Engine, Feed, Work
from hptune.errors import AllTrialsFailedError
from hptune.fitters import (
    Evaluation,
    Reports,
    evaluate,
    fit_alone,
    model_bytes,
    nothing_kept,
    warn_of_capped_threads,
)
from hptune.interrupts import undisturbed
from hptune.journal import Journal
from hptune.observers import Observer
from hptune.outputs import (
    Winner,
    clear_winner,
    logged,
    plain_json,
    write_model,
    write_predictions,
    write_results,
    write_sweep,
    write_winner,
)
from hptune.plan import Plan
from hptune.policies import Policy
from hptune.records import FitTask, Outcome
from hptune.results import best_index, best_rounds, collect_cells, commonest_cause, cv_table, ranked_table
from hptune.resume import Agenda, ended_curves
from hptune.sessions import open_session
from hptune.summary import SweepResult, savings
from hptune.sweep._sweep import Sweep, agenda, fit_params_of, prepared_estimator
from hptune.termination import Race, watched

__all__ = ["carry_out", "evaluation", "run"]

_log = logging.getLogger(__name__)


def run(
    sweep: Sweep,
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
    sweep : Sweep
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
    sweep: Sweep,
    agenda: Agenda,
    engine: Engine,
    *,
    out: Path | None = None,
    observers: Sequence[Observer] = (),
) -> SweepResult:
    """Do what is left of a sweep, to its end: `run`, for those who have the agenda."""
    outcomes = list(agenda.reused)
    with logged(out), _journal(sweep, agenda, out) as journal:
        try:
            _fit(sweep, agenda, engine, journal, observers, outcomes)
        except BaseException:
            if out is not None:
                _write_partial(sweep, agenda, out, outcomes)
            raise
        sweep, plan = _with_found(sweep, agenda)
        cells = collect_cells(outcomes, plan.n_candidates, plan.n_folds)
        results = cv_table(sweep.candidates, cells, sweep.metrics)
        table = ranked_table(results, cells, sweep.ranking_metric)
        if out is not None:
            write_results(out, table, results, sweep.ranking_metric, sweep.shown_metric)
        best = best_index(results, sweep.ranking_metric)
        if best is None:
            raise AllTrialsFailedError("no candidate got a finite score", commonest_cause(table))
        winner = Winner(
            params=sweep.candidates[best],
            metric=sweep.shown_metric,
            mean_test_score=float(results[f"mean_test_{sweep.ranking_metric}"][best]),
            refit_params=best_rounds(results, best),
        )
        if out is not None:
            clear_winner(out, winner if sweep.refit else None)
            write_winner(out, winner)
        model = _refit(sweep, winner) if sweep.refit else None
        load = None if out is None or model is None else _write_model(sweep, out, winner, model)
    return SweepResult(
        table=table,
        cv_results_=results,
        metric=sweep.ranking_metric,
        shown_metric=sweep.shown_metric,
        best_index=best,
        best_params=winner.params,
        best_score=winner.mean_test_score,
        open_model=functools.partial(_itself, model),
        savings=savings(plan, cells, reused=len(agenda.reused)),
        out=out,
        load_model=load,
    )


def _with_found(sweep: Sweep, agenda: Agenda) -> tuple[Sweep, Plan]:
    """The sweep with the candidates that were found while it ran, and the plan of what was fitted."""
    if agenda.exploration is None:
        return sweep, agenda.plan
    return replace(sweep, candidates=agenda.exploration.candidates), agenda.exploration.plan


def _fit(
    sweep: Sweep,
    agenda: Agenda,
    engine: Engine,
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
        with nothing_kept(), closing(_stream(sweep, agenda, engine, journal)) as stream:
            for arrived in stream:
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


def _stream(
    sweep: Sweep, agenda: Agenda, engine: Engine, journal: Journal | None
) -> Generator[list[Outcome], None, None]:
    if not agenda.tasks:
        return
    policy = sweep.early_termination
    if policy is None:
        yield from _outcomes(sweep, agenda, engine, journal)
    elif policy.shape == "waves":
        yield from _race(sweep, policy, agenda, engine, journal)
    else:
        with watched(policy, engine.live_place(), in_process=engine.in_process) as watch:
            for candidate, curve, stopped in ended_curves(agenda):
                watch.recall(candidate, curve, stopped=stopped)
            for arrived in _outcomes(sweep, agenda, engine, journal, watch.reports):
                for candidate, curve in watch.see(arrived):
                    key = agenda.identity.key(candidate, 0)
                    if journal is not None and key is not None:
                        journal.record({"record": "curve", "key": key, "values": curve})
                yield arrived


def _outcomes(
    sweep: Sweep, agenda: Agenda, engine: Engine, journal: Journal | None, reports: Reports | None = None
) -> Generator[list[Outcome], None, None]:
    """What comes of all fits that are missing; where they may stop, they report what they are decided by."""
    work, description = _work(sweep, agenda, engine, reports), _description(sweep, agenda)
    if agenda.exploration is None:
        stream = engine.run(agenda.tasks, work, description)
    else:
        agenda.exploration.begin(engine.slots)
        stream = engine.run_fed(
            functools.partial(_noted_tasks, agenda.exploration, journal), work, description
        )
    with closing(stream) as outcomes:
        yield from outcomes


def _race(
    sweep: Sweep, policy: Policy, agenda: Agenda, engine: Engine, journal: Journal | None
) -> Generator[list[Outcome], None, None]:
    """What comes of a race, in which a candidate takes fold after fold as long as the policy lets it."""
    if agenda.exploration is None:
        left = deque(agenda.tasks)
        source: Feed = lambda free: [left.popleft() for _ in range(len(left))]  # noqa: E731
    else:
        agenda.exploration.begin(engine.slots)
        source = functools.partial(_noted_tasks, agenda.exploration, journal)
    race = Race(policy, sweep.ranking_metric, agenda.plan.n_folds, source)
    lost = race.see(agenda.reused)
    if lost:
        yield lost
    work = _work(sweep, agenda, engine)
    with closing(engine.run_fed(race.feed, work, _description(sweep, agenda))) as outcomes:
        for arrived in outcomes:
            yield [*arrived, *race.see(arrived)]


def _work(sweep: Sweep, agenda: Agenda, engine: Engine, reports: Reports | None = None) -> Work:
    threads = engine.threads(len(agenda.tasks))
    warn_of_capped_threads(sweep.estimator, sweep.candidates, threads)
    return functools.partial(evaluate, replace(evaluation(sweep, threads), reports=reports))


def _description(sweep: Sweep, agenda: Agenda) -> str:
    return (
        f"hptune sweep {sweep.name}: {agenda.plan.n_candidates} candidates x {agenda.plan.n_folds} folds"
        f" in {len(agenda.tasks)} fits"
    )


def _noted_tasks(exploration: Exploration, journal: Journal | None, free: int) -> list[FitTask]:
    """At most `free` fits to begin, once the journal knows their candidates."""
    tasks = exploration.feed(free)
    for asked in exploration.questions():
        if journal is not None:
            journal.record({"record": "candidate", **asdict(asked)})
    return tasks


def evaluation(sweep: Sweep, threads: int) -> Evaluation:
    """What all fits of the sweep have in common, each with so many native threads."""
    fit_params, score_params = routed_params(sweep.estimator, sweep.scorer, fit_params_of(sweep.train))
    return Evaluation(
        estimator=prepared_estimator(sweep),
        X=sweep.train.X,
        y=sweep.train.y,
        folds=sweep.folds,
        scorer=sweep.scorer,
        fit_params=fit_params,
        score_params=score_params,
        threads=threads,
        run_id=uuid.uuid4().hex,
        early_stopping=sweep.early_stopping,
        groups=sweep.train.groups,
        scoring_errors=True,
        metric=sweep.ranking_metric,
    )


@contextmanager
def _journal(sweep: Sweep, agenda: Agenda, out: Path | None) -> Iterator[Journal | None]:
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


def _write_partial(sweep: Sweep, agenda: Agenda, out: Path, outcomes: Iterable[Outcome]) -> None:
    """The table so far. It is written beside another error, or again in the end: its own errors are only logged."""
    sweep, plan = _with_found(sweep, agenda)
    cells = collect_cells(outcomes, plan.n_candidates, plan.n_folds, partial=True)
    results = cv_table(sweep.candidates, cells, sweep.metrics)
    table = ranked_table(results, cells, sweep.ranking_metric)
    try:
        with undisturbed():
            write_results(out, table, results, sweep.ranking_metric, sweep.shown_metric)
            clear_winner(out)
    except Exception:
        _log.exception("the partial results were not written")


def _refit(sweep: Sweep, winner: Winner) -> Any:
    start = time.perf_counter()
    train = sweep.train
    params = {**winner.params, **winner.refit_params}
    model = fit_alone(
        sweep.estimator, params, train.X, train.y, fit_params_of(train), watched=sweep.in_lockstep
    )
    _log.info("refitted the best candidate in %.1f s", time.perf_counter() - start)
    return model


def _itself(model: Any) -> Any:
    return model


def _write_model(sweep: Sweep, out: Path, winner: Winner, model: Any) -> str:
    """The model and its predictions, the dearer first; returns the line of Python that loads it."""
    train = sweep.train
    saved = model_bytes(model, train.columns, train.classes, train.categories)
    write_model(out, winner, saved)
    if sweep.test is not None:
        write_predictions(out, model, sweep.test, train.classes, sweep.id_name)
    return saved.how_to_load.format(path=out / saved.name)
