"""What a policy needs of the fits that it watches."""

from __future__ import annotations

from typing import Any

from hptune.errors import ConfigurationError
from hptune.fitters import fitter_for
from hptune.policies import Policy, written

__all__ = ["check_race", "check_rounds"]

_LEAST_RACE = 3  # folds: two are compared, and the rest is what can be saved


def check_rounds(policy: Policy, estimator: Any) -> None:
    """Refuse a policy that would see nothing of the estimator's fits.

    Raises
    ------
    ConfigurationError
        They have no rounds.
    """
    if policy.shape != "lockstep" or fitter_for(estimator).watches(estimator):
        return
    raise ConfigurationError(
        f"early_termination {written(policy)['type']} needs fits that go round by round, which"
        f" {type(estimator).__name__} has not",
        "use racing, or an estimator of XGBoost, GradientBoosting or one with partial_fit and max_iter",
    )


def check_race(policy: Policy, n_folds: int) -> None:
    """Refuse a race that would be over before it could tell anything.

    Raises
    ------
    ConfigurationError
        There are too few folds.
    """
    if policy.shape != "waves" or n_folds >= _LEAST_RACE:
        return
    raise ConfigurationError(
        f"early_termination {written(policy)['type']} compares candidates over folds, and there are {n_folds}",
        f"use a cv of {_LEAST_RACE} or more",
    )
