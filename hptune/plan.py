"""The plan: which fits a sweep makes, in which order, and how short ones are packed. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hptune.fitters import Ladder, apply_params, fitter_for
from hptune.records import FitTask, Rung
from hptune.space import Uncanonical, canonical

__all__ = ["Plan", "make_plan", "pack", "rungs_served"]

BUNDLE_SECONDS = 2.0  # short fits share one Spark task up to about this much work
_SHORTEST_BUNDLE_SECONDS = 0.25  # below it, Spark's own cost of a task outweighs better balance


@dataclass(frozen=True)
class Plan:
    """The fits of a sweep, the longest first.

    `rounds_asked` counts the rounds or trees that the candidates would need if each were fitted apart.
    """

    tasks: tuple[FitTask, ...]
    n_candidates: int
    n_folds: int
    rounds_asked: int

    @property
    def n_cells(self) -> int:
        """Fold scores that the sweep ends with: candidates x folds."""
        return self.n_candidates * self.n_folds


@dataclass(frozen=True)
class _Group:
    """Candidates that share a fit, and the longest one's parameters."""

    params: Mapping[str, Any]
    rungs: tuple[Rung, ...]
    parameter: str | None
    cost: float


def make_plan(
    estimator: Any,
    candidates: Sequence[Mapping[str, Any]],
    n_folds: int,
    fit_params: Mapping[str, Any],
    *,
    lockstep: bool = False,
) -> Plan:
    """Candidates x folds, with the candidates of a ladder drawn together.

    Parameters
    ----------
    estimator : estimator
        Unfitted.
    candidates : sequence of mapping
        Parameter settings in the table's order.
    n_folds : int
        Number of folds, at least 1.
    fit_params : mapping
        What ``fit`` will get beside X and y; some of it rules ladders out.
    lockstep : bool, default False
        Make one task of all folds of a candidate, or of a ladder's candidates.

    Returns
    -------
    Plan
        Tasks by falling cost, so that no long fit starts last; ties by fold, so that neighbours share it.
    """
    unfitted = [_applied(estimator, params) for params in candidates]
    ladders = [_ladder(candidate, fit_params) for candidate in unfitted]
    groups = [_group(unfitted, candidates, ladders, members) for members in _members(candidates, ladders)]
    parts = [tuple(range(n_folds))] if lockstep else [(fold,) for fold in range(n_folds)]
    fits = [(group, folds) for group in groups for folds in parts]
    fits.sort(key=lambda fit: (-fit[0].cost, fit[1]))
    tasks = tuple(
        FitTask(
            id=number,
            fold=folds[0],
            params=group.params,
            rungs=group.rungs,
            rung_parameter=group.parameter,
            cost=group.cost * len(folds),
            folds=folds if lockstep else (),
        )
        for number, (group, folds) in enumerate(fits)
    )
    rounds = sum(ladder.rounds for ladder in ladders if ladder is not None)
    return Plan(tasks, len(candidates), n_folds, rounds * n_folds)


def pack(tasks: Sequence[FitTask], seconds_per_cost: float, slots: int) -> list[tuple[FitTask, ...]]:
    """Tasks in bundles that each make one Spark task: long fits alone, short ones together.

    Bundles shrink towards the end (guided self-scheduling), so that the slots finish together. None takes
    more than its share of the tasks that are left: one fit's duration may tell little of the others'.

    Parameters
    ----------
    tasks : sequence of FitTask
        Longest first.
    seconds_per_cost : float
        Measured duration of a task divided by its cost.
    slots : int
        Tasks that run at once.

    Examples
    --------
    >>> fits = [FitTask(i, 0, {}, (Rung(i),)) for i in range(8)]
    >>> [len(bundle) for bundle in pack(fits, seconds_per_cost=0.2, slots=1)]
    [4, 2, 1, 1]
    >>> [len(bundle) for bundle in pack(fits, seconds_per_cost=5.0, slots=1)]
    [1, 1, 1, 1, 1, 1, 1, 1]
    """
    seconds = [task.cost * seconds_per_cost for task in tasks]
    remaining = sum(seconds)
    bundles: list[tuple[FitTask, ...]] = []
    start = 0
    while start < len(tasks):
        target = min(BUNDLE_SECONDS, max(_SHORTEST_BUNDLE_SECONDS, remaining / (2 * slots)))
        end, held = start + 1, seconds[start]
        last = start + math.ceil((len(tasks) - start) / (2 * slots))
        while end < last and held + seconds[end] <= target * (1 + 1e-9):
            held += seconds[end]
            end += 1
        bundles.append(tuple(tasks[start:end]))
        remaining -= held
        start = end
    return bundles


def _applied(estimator: Any, params: Mapping[str, Any]) -> Any | None:
    try:
        return apply_params(estimator, params)
    except Exception:  # whatever a clone or set_params raises
        return None  # the fit will say what is wrong with these parameters


def _ladder(candidate: Any | None, fit_params: Mapping[str, Any]) -> Ladder | None:
    return None if candidate is None else fitter_for(candidate).ladder(candidate, fit_params)


def _members(candidates: Sequence[Mapping[str, Any]], ladders: Sequence[Ladder | None]) -> list[list[int]]:
    """Candidate numbers, drawn together where a ladder allows it and all other parameters are equal."""
    groups: dict[str | int, list[int]] = {}
    for number, (params, ladder) in enumerate(zip(candidates, ladders, strict=True)):
        groups.setdefault(_group_key(number, params, ladder), []).append(number)
    return list(groups.values())


def _group_key(number: int, params: Mapping[str, Any], ladder: Ladder | None) -> str | int:
    if ladder is None:
        return number
    try:
        return canonical({name: value for name, value in params.items() if name != ladder.parameter})
    except Uncanonical:
        return number


def _group(
    unfitted: Sequence[Any | None],
    candidates: Sequence[Mapping[str, Any]],
    ladders: Sequence[Ladder | None],
    members: Sequence[int],
) -> _Group:
    rungs = sorted(
        (Rung(number, None if (ladder := ladders[number]) is None else ladder.rounds) for number in members),
        key=lambda rung: (rung.rounds or 0, rung.candidate),
    )
    longest = rungs[-1].candidate
    ladder = ladders[longest]
    params, cost = candidates[longest], _cost(unfitted[longest])
    if ladder is None:
        return _Group(params, tuple(rungs), None, cost)
    return _Group({**params, ladder.parameter: ladder.rounds}, tuple(rungs), ladder.parameter, cost)


def _cost(candidate: Any | None) -> float:
    try:
        cost = 0.0 if candidate is None else fitter_for(candidate).cost(candidate)
    except Exception:  # values of any type, which the fit may understand, or say what is wrong with them
        return 0.0
    return cost if math.isfinite(cost) else 0.0


def rungs_served(tasks: Iterable[FitTask]) -> dict[int, tuple[Rung, ...]]:
    """By candidate the rungs that a fit as long as its own serves, shortest first.

    A shared fit that takes too long, or ends its process, is made again without its longest rung, so each rung may come
    to be the longest.

    Examples
    --------
    >>> task = FitTask(0, 0, {}, (Rung(4, 10), Rung(3, 20)))
    >>> rungs_served([task])[4]
    (Rung(candidate=4, rounds=10),)
    """
    return {rung.candidate: task.rungs[:count] for task in tasks for count, rung in enumerate(task.rungs, 1)}
