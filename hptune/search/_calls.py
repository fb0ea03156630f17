"""The fits that scikit-learn's searches hand to joblib, run as one plan."""

from __future__ import annotations

import functools
import math
import uuid
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from multiprocessing.pool import RemoteTraceback  # type: ignore[attr-defined] # public, typeshed lacks it
from typing import Any, TypeAlias

from hptune._joblib_compat import Call
from hptune._sklearn_compat import warning_filters, with_warning_filters
from hptune.engine import Engine, Work, original_exception
from hptune.fitters import Evaluation, evaluate, nothing_kept
from hptune.plan import make_plan
from hptune.records import FitTask, Outcome
from hptune.search._records import Left, Records, nowhere
from hptune.search._stopping import Stopping
from hptune.termination import check_race

__all__ = ["run_calls"]

Begin: TypeAlias = Callable[[Work, str], Generator[list[Outcome], None, None]]
"""Begins what is left to do, with what an engine does with a task and how people see it."""


def run_calls(
    engine: Engine, calls: Sequence[Call], records: Records = nowhere, stopping: Stopping | None = None
) -> list[dict[str, Any]]:
    """The results of all fits of a search, in scikit-learn's order.

    Parameters
    ----------
    engine : Engine
        Where fits run.
    calls : sequence of Call
        What scikit-learn handed to joblib.
    records : callable, default nowhere
        Tells what is left to do, and keeps what was done.
    stopping : Stopping, optional
        Decides which candidates are not worth going on with; their scores are NaN.

    Raises
    ------
    ConfigurationError
        There are too few folds for the policy.
    BaseException
        Whatever a fit raised that scikit-learn does not turn into a score, with its own type; the fits that
        have not ended are cancelled.
    """
    n_folds = calls[0][2]["split_progress"][1]
    candidates = [call[2]["parameters"] for call in calls[::n_folds]]
    data = _evaluation(calls, n_folds)
    if stopping is not None:
        check_race(stopping.policy, n_folds)
        data = stopping.watching(data)
    lockstep = stopping is not None and stopping.in_lockstep
    plan = make_plan(data.estimator, candidates, n_folds, data.fit_params, lockstep=lockstep)
    left = records(plan, data, candidates)
    cells = {(outcome.candidate, outcome.fold): outcome for outcome in left.reused}
    begin: Begin = functools.partial(engine.run, left.tasks)
    if stopping is not None:
        begin = functools.partial(stopping.outcomes, engine, plan, left)
    if left.tasks or stopping is not None:
        data = replace(data, threads=engine.threads(max(1, len(left.tasks))))
        _run(engine, begin, left, data, calls[0], cells)
    rows = [[cells[candidate, fold] for fold in range(n_folds)] for candidate in range(len(candidates))]
    outcomes = [outcome for row in rows for outcome in row]
    if stopping is not None:
        some = stopping.tell(rows)
    else:
        some = next((outcome for outcome in outcomes if outcome.final_scores), None)
    return [_result(_scored(outcome, some, data)) for outcome in outcomes]


def _run(
    engine: Engine,
    begin: Begin,
    left: Left,
    data: Evaluation,
    call: Call,
    cells: dict[tuple[int, int], Outcome],
) -> None:
    """Fill `cells` with what is left, each outcome once it is kept."""
    raised: list[BaseException] = []
    work = functools.partial(_noting, raised, _work(engine, data, call))
    description = (
        f"hptune search: {len(left.tasks)} fits on {len(data.folds)} folds of {type(data.estimator).__name__}"
    )
    with nothing_kept(), closing(begin(work, description)) as stream:
        for arrived in stream:
            errors = [_error(outcome, raised, data.error_score) for outcome in arrived]
            fine = [outcome for outcome, error in zip(arrived, errors, strict=True) if error is None]
            left.keep(fine)
            for error in filter(None, errors):
                raise error
            for outcome in fine:
                cells.setdefault((outcome.candidate, outcome.fold), outcome)


def _evaluation(calls: Sequence[Call], n_folds: int) -> Evaluation:
    _, (estimator, X, y), options = calls[0]
    return Evaluation(
        estimator=estimator,
        X=X,
        y=y,
        folds=[(call[2]["train"], call[2]["test"]) for call in calls[:n_folds]],
        scorer=options["scorer"],
        fit_params=options["fit_params"] or {},
        score_params=options["score_params"] or {},
        return_train_score=options["return_train_score"],
        error_score=options["error_score"],
        verbose=options["verbose"],
        run_id=uuid.uuid4().hex,
    )


def _work(engine: Engine, data: Evaluation, call: Call) -> Work:
    """`evaluate`, in other processes under the warning filters of this one, as scikit-learn's own workers are."""
    work = functools.partial(evaluate, data)
    if engine.name == "serial":
        return work
    return functools.partial(with_warning_filters, warning_filters(call[0]), work)


def _noting(raised: list[BaseException], work: Work, task: FitTask) -> list[Outcome]:
    """The work's outcomes. What it raises is noted: an exception that stays in this process need not travel."""
    try:
        return work(task)
    except BaseException as error:
        raised.append(error)
        raise


def _error(outcome: Outcome, raised: Sequence[BaseException], error_score: Any) -> BaseException | None:
    """What is to be raised again of a fit; such an outcome is none."""
    if raised:
        return raised[0]
    error = original_exception(outcome)
    if error is not None:
        error.__cause__ = RemoteTraceback(outcome.error)
        return error
    if outcome.status not in ("ok", "stopped") and error_score == "raise":
        return RuntimeError(outcome.error)
    return None


def _scored(outcome: Outcome, some: Outcome | None, data: Evaluation) -> Outcome:
    """The outcome; one of a fit that ended its process gets error scores, named as those of another fit.

    One that was stopped has none: what a policy saw of it is no score of the candidate.
    """
    if outcome.final_scores:
        return outcome
    names = ["score"] if some is None else list(some.test_scores)
    scores = dict.fromkeys(names, math.nan if outcome.status == "stopped" else float(data.error_score))
    return replace(
        outcome,
        test_scores=scores,
        train_scores=scores if data.return_train_score else {},
        multimetric=some is not None and some.multimetric,
    )


def _result(outcome: Outcome) -> dict[str, Any]:
    """An outcome in the form of scikit-learn's ``_fit_and_score``."""

    def scores(by_name: Mapping[str, float]) -> Any:
        return dict(by_name) if outcome.multimetric else by_name["score"]

    result = {
        "test_scores": scores(outcome.test_scores),
        "n_test_samples": outcome.n_test_samples,
        "fit_time": outcome.fit_time,
        "score_time": outcome.score_time,
        "fit_error": outcome.error,
    }
    if outcome.train_scores:
        result["train_scores"] = scores(outcome.train_scores)
    return result
