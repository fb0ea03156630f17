"""Estimators that take as long as they are told to; one of them goes wrong as it is told to."""

from __future__ import annotations

import ctypes
import faulthandler
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import SGDClassifier
from xgboost import XGBClassifier

__all__ = ["PLANTED", "Learner", "Stepwise", "endless"]

PLANTED = 1000.0  # a value of the first column that one row of the data has: its fold misses it in training
_LONG = 600


class Learner(ClassifierMixin, BaseEstimator):
    """A small booster.

    Parameters
    ----------
    max_depth, learning_rate, subsample, n_estimators
        XGBoost's.
    seconds : float
        How long a fit rests before it learns: on a busy machine too, it costs no CPU.
    fault : str
        What goes wrong, a key of `FAULTS`; nothing where it is empty.
    place : str
        A directory for faults that happen once, or a host for those that happen on one.
    begun : str
        A file that each fit makes when it begins.
    """

    def __init__(
        self,
        max_depth: int = 2,
        learning_rate: float = 0.3,
        subsample: float = 1.0,
        n_estimators: int = 20,
        seconds: float = 0.0,
        fault: str = "",
        place: str = "",
        begun: str = "",
    ) -> None:
        self.max_depth = max_depth
        self.learning_rate = learning_rate
        self.subsample = subsample
        self.n_estimators = n_estimators
        self.seconds = seconds
        self.fault = fault
        self.place = place
        self.begun = begun

    def fit(self, X: Any, y: Any) -> Learner:
        if self.begun:
            Path(self.begun).touch()
        time.sleep(self.seconds)
        if self.fault:
            FAULTS[self.fault](self, X)
        self.model_ = XGBClassifier(
            max_depth=self.max_depth,
            learning_rate=self.learning_rate,
            subsample=self.subsample,
            n_estimators=self.n_estimators,
            n_jobs=1,
            random_state=0,
        ).fit(X, y)
        self.classes_ = self.model_.classes_
        return self

    def predict_proba(self, X: Any) -> Any:
        chances = self.model_.predict_proba(X)
        return np.full_like(chances, np.nan) if self.fault == "nan" else chances

    def predict(self, X: Any) -> Any:
        return self.model_.predict(X)


class Stepwise(ClassifierMixin, BaseEstimator):
    """A linear model that learns pass by pass, and rests in each pass; `PLANTED` does not upset it.

    Parameters
    ----------
    max_iter : int
        Passes.
    eta0, alpha
        scikit-learn's SGD's.
    seconds : float
        How long a pass rests before it learns.
    """

    def __init__(
        self, max_iter: int = 100, eta0: float = 0.01, alpha: float = 1e-4, seconds: float = 0.0
    ) -> None:
        self.max_iter = max_iter
        self.eta0 = eta0
        self.alpha = alpha
        self.seconds = seconds

    def fit(self, X: Any, y: Any) -> Stepwise:
        vars(self).pop("model_", None)
        for _ in range(self.max_iter):
            self.partial_fit(X, y, classes=np.unique(y))
        return self

    def partial_fit(self, X: Any, y: Any, classes: Any = None) -> Stepwise:
        time.sleep(self.seconds)
        if not hasattr(self, "model_"):
            self.model_ = SGDClassifier(
                loss="log_loss", learning_rate="constant", eta0=self.eta0, alpha=self.alpha, random_state=0
            )
        self.model_.partial_fit(np.clip(X, -5, 5), y, classes=classes)
        self.classes_ = self.model_.classes_
        return self

    def predict_proba(self, X: Any) -> Any:
        return self.model_.predict_proba(np.clip(X, -5, 5))

    def predict(self, X: Any) -> Any:
        return self.model_.predict(np.clip(X, -5, 5))


def endless(learner: Learner, X: Any, y: Any) -> float:
    """A scorer that thinks too much of one candidate."""
    return float("inf") if learner.fault == "nan" else float(learner.model_.score(X, y))


class Unpicklable(Exception):
    """Cannot travel, and tells so in an unkind way."""

    def __reduce__(self) -> Any:
        raise RuntimeError("this exception does not travel")


def raises(learner: Learner, X: Any) -> None:
    raise ValueError("the test asks for an error")


def raises_in_one_fold(learner: Learner, X: Any) -> None:
    if not (np.asarray(X)[:, 0] == PLANTED).any():
        raise ValueError("the test asks for an error in one fold")


def raises_what_cannot_travel(learner: Learner, X: Any) -> None:
    raise Unpicklable("the test asks for an error that cannot be pickled")


def raises_much(learner: Learner, X: Any) -> None:
    raise ValueError("x" * (50 << 20))


def raises_emoji(learner: Learner, X: Any) -> None:
    raise ValueError("🙂" * 5000)


def ends_by_itself(learner: Learner, X: Any) -> None:
    os._exit(1)


def asks_to_exit(learner: Learner, X: Any) -> None:
    sys.exit(3)


def is_killed(learner: Learner, X: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def segfaults(learner: Learner, X: Any) -> None:
    faulthandler._sigsegv()  # type: ignore[attr-defined]  # a read of address 0, as the standard library's tests do


def wants_memory(learner: Learner, X: Any) -> None:
    held = [np.ones(1 << 23) for _ in range(128)]  # 64 MiB each, 8 GiB in all
    raise AssertionError(f"{len(held)} arrays were had")


def hangs(learner: Learner, X: Any) -> None:
    ctypes.CDLL(None).sleep(_LONG)  # native code that has let go of the interpreter


def hangs_with_the_interpreter(learner: Learner, X: Any) -> None:
    ctypes.PyDLL(None).sleep(_LONG)  # native code that holds the GIL


def hangs_once(learner: Learner, X: Any) -> None:
    """The first try of one fold's fit hangs, and leaves its process's number; another try of it does not."""
    if (np.asarray(X)[:, 0] == PLANTED).any():
        return
    try:
        with (Path(learner.place) / "hangs").open("x") as note:
            note.write(f"{os.getpid()}")
    except FileExistsError:
        return
    hangs(learner, X)


def hangs_once_and_raises(learner: Learner, X: Any) -> None:
    hangs_once(learner, X)
    raises(learner, X)


def ends_on_host(learner: Learner, X: Any) -> None:
    """On the second host every fit ends its process, and leaves a note that it was tried there."""
    if os.environ.get("SPARK_LOCAL_IP") != "127.0.0.2":
        return
    fit = f"{learner.max_depth}-{learner.learning_rate}-{learner.subsample}-{float(np.sum(X)):.3f}"
    (Path(learner.place) / f"{fit}_{time.time_ns()}").touch()
    os._exit(1)


FAULTS: dict[str, Callable[[Learner, Any], None]] = {
    "raise": raises,
    "raise in one fold": raises_in_one_fold,
    "raise unpicklable": raises_what_cannot_travel,
    "raise 50 MiB": raises_much,
    "raise emoji": raises_emoji,
    "nan": lambda learner, X: None,
    "exit": ends_by_itself,
    "sys.exit": asks_to_exit,
    "kill": is_killed,
    "segfault": segfaults,
    "memory": wants_memory,
    "hang": hangs,
    "hang holding the GIL": hangs_with_the_interpreter,
    "hang once": hangs_once,
    "hang once, then raise": hangs_once_and_raises,
    "exit on host": ends_on_host,
}
