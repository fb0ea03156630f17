"""Sweeps whose candidates are not known beforehand: what a sampler is asked and told while fits run."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hptune.errors import ConfigurationError
from hptune.plan import Plan
from hptune.records import FitTask, Outcome, Rung
from hptune.samplers import Sampler, Scored
from hptune.space import content_text

__all__ = ["Adaptive", "Asked", "Exploration", "expected_plan"]


@dataclass(frozen=True)
class Adaptive:
    """How a sweep finds its candidates while it runs.

    Parameters
    ----------
    sampler : callable
        Makes a sampler that was not asked yet.
    limit : int
        Candidates at most.
    deterministic : bool, default False
        As in `Exploration`.
    """

    sampler: Callable[[], Sampler]
    limit: int
    deterministic: bool = False


@dataclass(frozen=True)
class Asked:
    """One question to a sampler, kept so that its answer can be had again.

    Parameters
    ----------
    candidate : int
        Its number, from 0.
    params : str
        What the sampler answered, in its canonical text.
    told : tuple of int
        The candidates whose scores the sampler was told since the question before.
    """

    candidate: int
    params: str
    told: tuple[int, ...]


class Exploration:
    """Asks a sampler for candidates when there is room for more fits, and tells it what came of them.

    Parameters
    ----------
    sampler : Sampler
        It was not asked yet.
    limit : int
        Candidates at most.
    n_folds : int
        Folds of each.
    metric : str
        The score that the sampler is told, in the mean over the folds.
    plan_of : callable
        The plan of some candidates, numbered from 0.
    deterministic : bool, default False
        Ask for as many at once as there are slots, and for more only when all of them are done: what is asked and told
        then does not depend on which fit ends first. Else a candidate is asked for whenever there is room.

    Attributes
    ----------
    candidates : list of mapping
        What the sampler answered so far.
    """

    def __init__(
        self,
        sampler: Sampler,
        *,
        limit: int,
        n_folds: int,
        metric: str,
        plan_of: Callable[[Sequence[Mapping[str, Any]]], Plan],
        deterministic: bool = False,
    ) -> None:
        self._sampler = sampler
        self._limit = limit
        self._n_folds = n_folds
        self._metric = metric
        self._plan_of = plan_of
        self._deterministic = deterministic
        self._batch = 1
        self._pending: deque[FitTask] = deque()
        self._scores: list[
            dict[int, float | None]
        ] = []  # by candidate, then by fold; None: stopped before it
        self._untold: set[int] = set()
        self._told: list[int] = []
        self._questions: list[Asked] = []
        self._exhausted = False
        self._first_fit = 0
        self._tasks: list[FitTask] = []
        self._rounds_asked = 0
        self.candidates: list[Mapping[str, Any]] = []

    @property
    def plan(self) -> Plan:
        """All fits so far."""
        return Plan(tuple(self._tasks), len(self.candidates), self._n_folds, self._rounds_asked)

    def begin(self, slots: int) -> None:
        """Before the first fit: how many run at once."""
        if self._deterministic:
            self._batch = slots

    def feed(self, free: int) -> list[FitTask]:
        """At most `free` fits to begin now; none where others must end first, or where there are no more."""
        while len(self._pending) < free:
            self._tell_what_is_done()
            if (
                self._exhausted
                or len(self.candidates) >= self._limit
                or (self._deterministic and self._untold)
            ):
                break
            self._ask()
        return [self._pending.popleft() for _ in range(min(free, len(self._pending)))]

    def see(self, outcomes: Iterable[Outcome]) -> None:
        """Take in what came of fits on folds; the first outcome of a cell counts."""
        for outcome in outcomes:
            scores = self._scores[outcome.candidate]
            begun = outcome.status != "stopped" or outcome.test_scores
            score = outcome.test_scores.get(self._metric, math.nan) if begun else None
            scores.setdefault(outcome.fold, score)

    def questions(self) -> list[Asked]:
        """What was asked since the last call."""
        asked, self._questions = self._questions, []
        return asked

    def replay(self, asked: Sequence[Asked], outcomes: Iterable[Outcome], first_fit: int = 0) -> None:
        """Go through what an earlier session asked and told, so that this one goes on from there.

        Parameters
        ----------
        asked : sequence of Asked
            All questions, in their order.
        outcomes : iterable of Outcome
            Everything that is known of the candidates. What is missing will be fitted.
        first_fit : int, default 0
            The number of the first new fit.

        Raises
        ------
        ConfigurationError
            The sampler answers something else now.
        """
        self._first_fit = first_fit
        self._scores = [{} for _ in asked]
        self.see(outcomes)
        for question in asked:
            self._tell(question.told)
            answers = self._sampler.ask(1)
            if [content_text(params) for params in answers] != [question.params]:
                raise ConfigurationError(
                    f"the sampler draws another candidate {question.candidate} than before",
                    "give the same search_space, sampling_algorithm and versions, or choose another --out",
                )
            self.candidates += answers
            self._untold.add(question.candidate)
            self._told = []
        self._plan([n for n, scores in enumerate(self._scores) if len(scores) < self._n_folds])

    def _ask(self) -> None:
        first = len(self.candidates)
        wanted = min(self._batch, self._limit - first)
        answers = self._sampler.ask(wanted)
        self._exhausted = len(answers) < wanted
        for number, params in enumerate(answers, first):
            self._questions.append(Asked(number, content_text(params), tuple(self._told)))
            self._told = []
            self.candidates.append(params)
            self._scores.append({})
            self._untold.add(number)
        self._plan(range(first, len(self.candidates)))

    def _tell_what_is_done(self) -> None:
        done = sorted(number for number in self._untold if len(self._scores[number]) == self._n_folds)
        if not self._deterministic or len(done) == len(self._untold):
            self._tell(done)

    def _tell(self, candidates: Sequence[int]) -> None:
        self._sampler.tell(Scored(number, self._mean(number)) for number in candidates)
        self._untold.difference_update(candidates)
        self._told += candidates

    def _mean(self, candidate: int) -> float:
        """Over all folds; of a stopped candidate the last that was seen of it."""
        scores = [score for score in self._scores[candidate].values() if score is not None]
        return math.fsum(scores) / len(scores) if scores else math.nan

    def _plan(self, numbers: Sequence[int]) -> None:
        """Line up the fits of these candidates whose scores are missing."""
        if not numbers:
            return
        plan = self._plan_of([self.candidates[number] for number in numbers])
        self._rounds_asked += plan.rounds_asked
        for task in plan.tasks:
            rungs = tuple(replace(rung, candidate=numbers[rung.candidate]) for rung in task.rungs)
            left = tuple(
                rung for rung in rungs if not self._scores[rung.candidate].keys() >= set(task.all_folds)
            )
            if left:
                whole = replace(task, id=self._first_fit + len(self._tasks), rungs=rungs)
                self._tasks.append(whole.of_rungs(left))
                self._pending.append(self._tasks[-1])


def expected_plan(limit: int, n_folds: int) -> Plan:
    """What is known of a sweep before its candidates are: so many cells, all alike."""
    cells = [(candidate, fold) for candidate in range(limit) for fold in range(n_folds)]
    tasks = tuple(
        FitTask(number, fold, {}, (Rung(candidate),)) for number, (candidate, fold) in enumerate(cells)
    )
    return Plan(tasks, limit, n_folds, rounds_asked=0)
