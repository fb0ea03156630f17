"""Candidates where the scores so far promise most: Optuna's tree-structured Parzen estimator."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any, ClassVar

from hptune.errors import ConfigurationError
from hptune.samplers._base import Sampler, Scored
from hptune.samplers._points import RandomSampler
from hptune.space import Dimension, Params, SearchSpace

if TYPE_CHECKING:
    from optuna import Study, Trial

__all__ = ["BayesianSampler"]

_TRIES = 20  # suggestions in a row that were tried or are refused: then a random candidate has its turn
_BELOW_ONE = 1 - 2.0**-53


class BayesianSampler(Sampler):
    """Optuna's TPE over every expression, by ask and tell.

    A candidate that is not told yet counts as a bad one (the "constant liar"), so that several asked for at once
    spread out. One that failed, and one that the constraints refuse, counts as worse than all others.
    """

    adaptive: ClassVar[bool] = True

    def __init__(self, space: SearchSpace, seed: int = 0) -> None:
        super().__init__(space, seed)
        self._study = _new_study(seed)
        self._asked: list[Trial] = []
        self._random = RandomSampler(space, seed)

    def ask(self, n: int) -> list[Params]:
        """The next `n` candidates, given what was told."""
        return list(islice(self._candidates(), n))

    def tell(self, results: Iterable[Scored]) -> None:
        """Learn what came of candidates."""
        for result in results:
            self._finish(self._asked[result.candidate], result.score)

    def learn(self, found: Iterable[tuple[Mapping[str, Any], float]]) -> int:
        """Learn what candidates of an earlier sweep scored; how many of them belong to the space."""
        known = 0
        for params, score in found:
            point = self.space.units_of(params)
            if point is not None:
                known += 1
                self._finish(self._placed(point), score)
        return known

    def _candidates(self) -> Iterator[Params]:
        while True:
            found = self._suggested() or self._drawn()
            if found is None:
                return
            params, trial = found
            self._asked.append(trial)
            yield params

    def _suggested(self) -> tuple[Params, Trial] | None:
        """A candidate that TPE suggests and that is new."""
        from optuna.trial import TrialState

        for _ in range(_TRIES):
            trial = self._study.ask()
            params = self.space.candidate(_coordinate(trial))
            allowed = self.space.allows(params)
            if self._random.tried.add(params) and allowed:
                return params, trial
            self._study.tell(trial, state=TrialState.FAIL if allowed else TrialState.PRUNED)
        return None

    def _drawn(self) -> tuple[Params, Trial] | None:
        """A candidate that is drawn at random; None where there are no more."""
        drawn = self._random.ask(1)
        return (drawn[0], self._placed(self.space.units_of(drawn[0]) or [])) if drawn else None

    def _placed(self, point: Iterable[tuple[Dimension, float]]) -> Trial:
        """A trial at a point of the unit cube."""
        self._study.enqueue_trial({dimension.name: _native(dimension, unit) for dimension, unit in point})
        trial = self._study.ask()
        for dimension, _ in point:
            _coordinate(trial)(dimension)
        return trial

    def _finish(self, trial: Trial, score: float) -> None:
        from optuna.trial import TrialState

        if math.isfinite(score):
            self._study.tell(trial, score)
        else:
            self._study.tell(trial, state=TrialState.PRUNED)  # which TPE ranks below all that have a value


def _new_study(seed: int) -> Study:
    try:
        import optuna
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            "sampling_algorithm bayesian needs optuna", "pip install 'hptune[bayesian]'"
        ) from error
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # no line for a study in memory
    try:
        return optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
    finally:
        optuna.logging.set_verbosity(before)


def _coordinate(trial: Trial) -> Callable[[Dimension], float]:
    """Where the trial stands on a dimension: TPE is told of options without order, and of all others as numbers."""

    def unit_of(dimension: Dimension) -> float:
        if not dimension.expression.categorical:
            return min(trial.suggest_float(dimension.name, 0.0, 1.0), _BELOW_ONE)
        options = range(dimension.expression.size or 0)
        return (trial.suggest_categorical(dimension.name, options) + 0.5) / len(options)

    return unit_of


def _native(dimension: Dimension, unit: float) -> float | int:
    """What Optuna knows a unit as."""
    return int(unit * (dimension.expression.size or 0)) if dimension.expression.categorical else unit
