"""The two privates of XGBoost that hptune leans on, each named in few functions.

``tests/test_private_interfaces.py`` fails clearly when a release changes them.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from hptune.interrupts import undisturbed

__all__ = ["model_in_training", "model_of_rounds", "shared_matrix"]


@contextmanager
def shared_matrix(estimator: Any, cached: Callable[[Callable[[], Any]], Any]) -> Iterator[None]:
    """Let ``estimator.fit`` take its training matrix from `cached`, which may build it by the given function.

    XGBoost has no public way to fit its scikit-learn classes from a ready matrix, so this shadows the private
    method ``_create_dmatrix`` (a ranker's ``_create_ltr_dmatrix``) on the instance while the fit runs.
    """
    name = "_create_ltr_dmatrix" if hasattr(estimator, "_create_ltr_dmatrix") else "_create_dmatrix"
    build = getattr(estimator, name)

    def create(ref: Any, **kwargs: Any) -> Any:
        # Native code fetches the rows by functions that must not raise: a stop would be dropped, or end the process.
        with undisturbed():
            if ref is not None:  # an evaluation set's matrix, not the training rows'
                return build(ref, **kwargs)
            return cached(lambda: build(None, **kwargs))

    setattr(estimator, name, create)
    try:
        yield
    finally:
        delattr(estimator, name)


def model_of_rounds(estimator: Any, rounds: int) -> Any:
    """A real model of the first `rounds` rounds of a fitted estimator, as a shorter fit would have left it.

    Loading a sliced booster the public way (``load_model``) would go through bytes and lose the parameters,
    so the private attribute ``_Booster`` of a shallow copy is set.
    """
    model = copy.copy(estimator)
    model._Booster = estimator.get_booster()[:rounds]
    model.n_estimators = rounds
    return model


def model_in_training(estimator: Any, booster: Any) -> Any:
    """A model that predicts by a booster in training, for as long as no further round begins.

    ``fit`` sets the private attribute ``_Booster`` only when it ends; here a shallow copy has it before.
    """
    model = copy.copy(estimator)
    model._Booster = booster
    return model
