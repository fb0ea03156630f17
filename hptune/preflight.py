"""What is looked at before the first fit: whether a sweep can be scored, and whether its hosts can run it."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import is_classifier, is_regressor
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.metrics import get_scorer

from hptune.engine import Engine, Host
from hptune.errors import InputDataError
from hptune.fitters import fit_bytes
from hptune.sweep import AnySweep, Sweep

__all__ = ["HostMemory", "check_memory", "check_scorable", "memory_on", "size"]

_TIGHT = 0.9  # of the memory that there is


class HostMemory(NamedTuple):
    """Bytes on a host: what its fits need together in any case, what they may come to, and what there is."""

    host: Host
    data: int
    least: int
    most: int


def check_scorable(sweep: Sweep, metrics: tuple[str, ...]) -> None:
    """Refuse a fold that a metric cannot score, whatever the model.

    Each metric scores, on each fold, what scikit-learn's dummy estimator predicts.

    Parameters
    ----------
    sweep : Sweep
        Its estimator, labels and folds.
    metrics : tuple of str
        Names of scikit-learn's scorers.

    Raises
    ------
    InputDataError
        Naming the fold: it has one class only, or the metric is not defined for its labels.
    """
    y = sweep.train.y
    if y is None or not (is_classifier(sweep.estimator) or is_regressor(sweep.estimator)):
        return
    for number, (train, test) in enumerate(sweep.folds):
        if is_classifier(sweep.estimator) and len(np.unique(y[train])) == 1:
            raise _refused(sweep, number, f"is trained on one class only, {_label(sweep, y[train][0])}")
        for metric in metrics:
            if problem := _problem(metric, sweep, y[train], y[test]):
                raise _refused(sweep, number, f"cannot be scored by {metric} ({problem})")


def check_memory(sweep: AnySweep, engine: Engine, say: Callable[[str], None]) -> list[HostMemory]:
    """Ask the engine for its hosts; refuse a sweep of fits that does not fit into their memory.

    What other trials need, only they know.

    Raises
    ------
    ClusterError
        The hosts are not there, or not as the driver is.
    InputDataError
        With the sizes.
    """
    hosts = engine.hosts()
    needed = [memory_on(host, sweep) for host in hosts] if isinstance(sweep, Sweep) else []
    for each in needed:
        host = each.host
        fits = f"{host.slots} fits at once" if host.slots > 1 else "a fit"
        if each.least > host.memory:
            raise InputDataError(
                f"{fits} on {host.name} need at least {size(each.least)} of memory, {size(each.data)} of it for"
                f" the data, but there are {size(host.memory)}",
                "run fewer at once (limits.max_concurrent_trials), give them more memory, or use fewer columns",
            )
        if each.most > _TIGHT * host.memory:
            say(
                f"warning: memory may not do: {fits} on {host.name} may come to {size(each.most)},"
                f" and there are {size(host.memory)}"
            )
    return needed


def memory_on(host: Host, sweep: Sweep) -> HostMemory:
    """What a sweep needs on a host."""
    train = sweep.train
    copies = host.slots if train.nbytes < host.shared_from else 1
    one = fit_bytes(
        sweep.estimator,
        sweep.candidates,
        train.X,
        len(sweep.folds),
        host.memory // 4 // host.slots,
        at_once=len(sweep.folds) if sweep.in_lockstep else 1,
    )
    data = copies * train.nbytes
    return HostMemory(host, data, data + host.slots * one.least, data + host.slots * one.most)


def size(nbytes: int) -> str:
    """Bytes as people read them.

    Examples
    --------
    >>> size(3 << 29), size(5 << 20)
    ('1.5 GiB', '5 MiB')
    """
    return f"{nbytes / (1 << 30):.1f} GiB" if nbytes >= 1 << 30 else f"{max(1, nbytes >> 20)} MiB"


def _problem(metric: str, sweep: Sweep, y_train: Any, y_test: Any) -> str:
    """Why a metric has no number for a fold; empty where it has."""
    dummy = DummyClassifier() if is_classifier(sweep.estimator) else DummyRegressor()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            dummy.fit(np.zeros((len(y_train), 1)), y_train)
            score = get_scorer(metric)(dummy, np.zeros((len(y_test), 1)), y_test)
        except Exception as error:  # whatever a metric raises
            return str(error).splitlines()[0][:200] if str(error) else type(error).__name__
    if np.isfinite(score):
        return ""
    labels = np.unique(y_test)
    one = len(labels) == 1 and is_classifier(sweep.estimator)
    return f"it has one class only, {_label(sweep, labels[0])}" if one else f"the score is {score}"


def _label(sweep: Sweep, code: Any) -> str:
    classes = sweep.train.classes
    return str(code) if classes is None else repr(classes[int(code)])


def _refused(sweep: Sweep, number: int, what: str) -> InputDataError:
    return InputDataError(
        f"fold {number} of {len(sweep.folds)}, counted from 0, {what}",
        "use a cv that is stratified or shuffled, or another metric",
    )
