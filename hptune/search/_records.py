"""What a search keeps on disk: a journal of its fits, from which the same search goes on."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any, TypeAlias

import joblib

from hptune.fitters import Evaluation
from hptune.history import curve_record
from hptune.identity import Identity
from hptune.journal import Journal, Kept, decode_outcome, find_journal, key_of
from hptune.locks import held
from hptune.outputs import JOURNAL, check_output, held_files
from hptune.plan import Plan, rungs_served
from hptune.policies import Policy, written
from hptune.records import FitTask, Outcome
from hptune.resume import Agenda, ended_curves, missing_tasks, refuse_another_sweep
from hptune.sessions import open_session

__all__ = ["Directory", "Left", "Records", "directory_of", "nowhere", "ranking_metric"]


@dataclass(frozen=True)
class Left:
    """What is left to do of some candidates.

    Parameters
    ----------
    tasks : tuple of FitTask
        The fits that are missing.
    reused : tuple of Outcome
        What earlier sessions finished.
    keep : callable
        Puts outcomes on disk.
    curves : tuple of (int, list, bool)
        What the fits of earlier sessions reported: candidate, curve, and whether it was stopped.
    keep_curve : callable
        Puts on disk what a candidate's fit reported.
    """

    tasks: tuple[FitTask, ...]
    reused: tuple[Outcome, ...] = ()
    keep: Callable[[Sequence[Outcome]], None] = lambda outcomes: None
    curves: tuple[tuple[int, list[Any], bool], ...] = ()
    keep_curve: Callable[[int, list[Any]], None] = lambda candidate, values: None


Records: TypeAlias = Callable[[Plan, Evaluation, Sequence[Mapping[str, Any]]], Left]
"""What is left of a plan for some candidates."""


def nowhere(plan: Plan, data: Evaluation, candidates: Sequence[Mapping[str, Any]]) -> Left:
    """Everything, for a search that keeps nothing."""
    return Left(plan.tasks)


@dataclass(frozen=True)
class Directory:
    """A search's output directory.

    Parameters
    ----------
    path : Path
        Made where there is none.
    metrics : tuple of str
        Names of the scores.
    ranking_metric : str
        The one of them that ``hptune status`` ranks by.
    name : str
        What ``hptune status`` calls the search.
    policy : Policy, optional
        Stops candidates.
    """

    path: Path
    metrics: tuple[str, ...]
    ranking_metric: str
    name: str
    policy: Policy | None = None

    @contextmanager
    def opened(self) -> Iterator[Records]:
        """The records of one search; the directory belongs to this process while the context is open.

        Raises
        ------
        ConfigurationError
            It holds another search, or some sweep's results.
        OutputInUseError
            Another process holds it.
        OutputError
            The journal is damaged, or cannot be written.
        """
        shown = str(self.path)
        with ExitStack() as stack:
            stack.enter_context(held(self.path, shown))
            check_output(held_files(self.path), shown, "resumed")
            yield _Records(self, find_journal(self.path / JOURNAL), stack)


class _Records:
    """What a directory has of a search, which hands over its candidates in one or several goes."""

    def __init__(self, directory: Directory, kept: Kept | None, stack: ExitStack) -> None:
        self._directory = directory
        self._kept = kept
        self._stack = stack
        self._journal: Journal | None = None
        self._fingerprint = ""
        self._numbers: dict[str, int] = {}  # of the journal's candidates, by their canonical texts
        self._n_candidates = 0
        self._next_fit = 0

    def __call__(self, plan: Plan, data: Evaluation, candidates: Sequence[Mapping[str, Any]]) -> Left:
        """What is left of the plan; its candidates are numbered from 0, whatever was asked before."""
        if self._journal is None:
            self._fingerprint = joblib.hash([data.X, data.y, data.fit_params, data.score_params])
            self._journal = self._begun(plan, self._identity(data, []))
        identity, journal = self._identity(data, candidates), self._journal
        numbers = self._numbered(identity, journal)
        reused = tuple(self._known(identity, plan))
        tasks = missing_tasks(plan, {(outcome.candidate, outcome.fold) for outcome in reused})
        first, self._next_fit = self._next_fit, self._next_fit + len(plan.tasks)

        def keep(outcomes: Sequence[Outcome]) -> None:
            journal.append(
                (identity.key(each.candidate, each.fold), replace(each, candidate=numbers[each.candidate]))
                for each in outcomes
            )

        served = rungs_served(tasks)

        def keep_curve(run: int, values: list[Any]) -> None:
            rungs = [replace(rung, candidate=numbers[rung.candidate]) for rung in served[run]]
            journal.record(curve_record(identity.key(run, 0), values, rungs))

        tasks = tuple(replace(task, id=first + task.id) for task in tasks)
        curves = tuple(ended_curves(Agenda(plan, identity, (), reused=reused, kept=self._kept)))
        return Left(tasks, reused, keep, curves, keep_curve)

    def _begun(self, plan: Plan, identity: Identity) -> Journal:
        kept, directory = self._kept, self._directory
        if kept is not None and kept.sessions:
            refuse_another_sweep(identity, {}, kept.sessions, str(directory.path))
            self._numbers = {text: number for number, text in enumerate(kept.grid)}
            self._n_candidates = len(kept.grid)
            self._next_fit = 1 + max((outcome.fit_id for outcome in self._outcomes.values()), default=-1)
        about = {
            "name": directory.name,
            "metrics": list(directory.metrics),
            "ranking_metric": directory.ranking_metric,
            "shown_metric": directory.ranking_metric,
            "expected": plan.n_candidates,
        }
        agenda = Agenda(plan, identity, (), kept=kept, first_fit=self._next_fit)
        return self._stack.enter_context(open_session(directory.path, agenda, about))

    @cached_property
    def _outcomes(self) -> dict[str, Outcome]:
        """The journal's outcomes by their keys; the first one of a key counts."""
        found: dict[str, Outcome] = {}
        for session in () if self._kept is None else self._kept.sessions:
            for line in session.outcomes:
                key = key_of(line)
                if key is not None and key not in found:
                    found[key] = decode_outcome(line)
        return found

    def _known(self, identity: Identity, plan: Plan) -> Iterator[Outcome]:
        for candidate, fold in product(range(plan.n_candidates), range(plan.n_folds)):
            outcome = self._outcomes.get(identity.key(candidate, fold) or "")
            if outcome is not None:
                yield replace(outcome, candidate=candidate, fold=fold)

    def _numbered(self, identity: Identity, journal: Journal) -> list[int]:
        """The journal's number of each candidate, which has a record then."""
        if identity.unknown is not None:
            shown = self._directory.path
            warnings.warn(f"what {shown} holds of it is fitted again: {identity.unknown}", stacklevel=2)
        numbers = []
        for candidate, text in enumerate(identity.grid):
            number = self._numbers.get(text)
            if number is None or identity.key(candidate, 0) is None:
                number = self._n_candidates
                self._n_candidates += 1
                journal.record({"record": "candidate", "candidate": number, "params": text, "told": []})
                self._numbers[text] = number
            numbers.append(number)
        return numbers

    def _identity(self, data: Evaluation, candidates: Sequence[Mapping[str, Any]]) -> Identity:
        policy = self._directory.policy
        return Identity(
            train=_Data(self._fingerprint),
            folds=data.folds,
            estimator=data.estimator,
            candidates=candidates,
            scorer=data.scorer,
            metrics=self._directory.metrics,
            further={
                "error_score": str(data.error_score),
                "return_train_score": data.return_train_score,
                **({} if policy is None else {"early_termination": written(policy)}),
            },
        )


@dataclass(frozen=True)
class _Data:
    """What a search is fitted on."""

    fingerprint: str


def ranking_metric(scoring: Any, refit: Any) -> str:
    """Of the metrics that a search's `scoring` names the one that `refit` does, else the first."""
    metrics = _metrics(scoring, refit)
    return refit if isinstance(refit, str) and refit in metrics else metrics[0]


def _metrics(scoring: Any, refit: Any) -> tuple[str, ...]:
    if isinstance(scoring, (list, tuple, dict)):
        return tuple(scoring)
    # What a function gives is not known before it is called: several scores, where `refit` names one.
    return (refit,) if callable(scoring) and isinstance(refit, str) else ("score",)


def directory_of(out: Any, scoring: Any, refit: Any, name: str, policy: Policy | None = None) -> Directory:
    """The directory that a search's `out` names, with the metrics that its `scoring` does.

    Raises
    ------
    ValueError
        `out` is no local path.
    """
    if not isinstance(out, (str, os.PathLike)) or not os.fspath(out) or "://" in str(out):
        raise ValueError(f"out must be a local directory or None but is {out!r}")
    return Directory(Path(out), _metrics(scoring, refit), ranking_metric(scoring, refit), name, policy)
