"""The fitters' seam: what all fits of a sweep share, and what each member can do with it."""

from __future__ import annotations

import os
import traceback
import warnings
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Integral
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
import sklearn
from sklearn.base import clone

from hptune.records import EarlyStopping, FitTask, Outcome, clipped

__all__ = [
    "Evaluation",
    "Fitter",
    "Fold",
    "Ladder",
    "LongFit",
    "Reports",
    "StepFitter",
    "TrainingRows",
    "Watch",
    "apply_params",
    "is_multimetric",
    "scores_by_name",
    "scoring_error",
    "thread_caps",
    "warn_of_capped_threads",
    "whole_number",
]

Fold: TypeAlias = tuple[npt.NDArray[Any], npt.NDArray[Any]]
Watch: TypeAlias = Callable[[int, Callable[[], Any]], bool]
"""``watch(rounds, scores)`` at the end of each round: whether to stop; ``scores()`` scores the model so far."""

_THREAD_PARAMETERS = ("n_jobs", "nthread", "thread_count")


@dataclass(frozen=True)
class Ladder:
    """A candidate's place among those that may share its fit: which parameter counts rounds, and how many."""

    parameter: str
    rounds: int


class Reports(Protocol):
    """Where values go that a policy decides by; runs are known by the numbers of their candidates."""

    def reads(self, step: int) -> bool:
        """Whether the value after so many rounds is wanted."""

    def report(self, run: int, step: int, value: float) -> bool:
        """Report a value, larger is better; whether the run should stop."""

    def stops(self, run: int) -> bool:
        """Whether the run should stop, as far as it is known here."""

    def finish(self, run: int) -> int:
        """No more values of the run come; how many of them did not arrive."""


@dataclass(frozen=True)
class Evaluation:
    """What all fits of a sweep have in common; it travels to each worker once.

    Parameters
    ----------
    estimator : estimator
        Unfitted; cloned for every fit.
    X, y
        As the user gave them: type, dtype and order are kept.
    folds : sequence of (train_rows, test_rows)
        Row numbers of each fold.
    scorer : callable or scikit-learn multi-metric scorer
        ``scorer(estimator, X, y)``, larger is better.
    fit_params, score_params : mapping
        Passed to ``fit`` and to the scorer; entries with one value a row are cut to the fold.
    return_train_score : bool, default False
        Score the training rows too.
    error_score : float or "raise", default nan
        The score of a failed fit.
    threads : int, default 1
        Native threads that one fit may use.
    verbose : int, default 0
        As in scikit-learn's searches, for fits that are not shared.
    config : mapping
        scikit-learn's global configuration where the sweep was started.
    run_id : str
        Names the sweep; what a worker caches for another run is dropped.
    early_stopping : EarlyStopping, optional
        How many validation rows are taken from each fold's training rows, and when to stop.
    groups : array of shape (n_rows,), optional
        Rows of a group are not parted by early stopping's validation rows.
    scoring_errors : bool, default False
        Tell in an outcome's error what a scorer raised, at the price of calling it again where a score is NaN.
    reports : Reports, optional
        Gets the values of tasks whose folds are fitted in lockstep.
    metric : str, default "score"
        The score that is reported.
    watch : Watch, optional
        Sees each round of the one fit at hand.
    """

    estimator: Any
    X: Any
    y: Any
    folds: Sequence[Fold]
    scorer: Any
    fit_params: Mapping[str, Any] = field(default_factory=dict)
    score_params: Mapping[str, Any] = field(default_factory=dict)
    return_train_score: bool = False
    error_score: float | str = float("nan")
    threads: int = 1
    verbose: int = 0
    config: Mapping[str, Any] = field(default_factory=sklearn.get_config)
    run_id: str = ""
    early_stopping: EarlyStopping | None = None
    groups: Any = None
    scoring_errors: bool = False
    reports: Reports | None = None
    metric: str = "score"
    watch: Watch | None = None


@dataclass(frozen=True)
class TrainingRows:
    """The rows that one fit learns from.

    Parameters
    ----------
    X, y
        Cut to the fold's training rows.
    fit_params : mapping
        Passed to ``fit``, cut likewise.
    key : hashable
        Names X among everything that the fits of a run learn from.
    run_id : str
        Names the run.
    started : float
        ``time.perf_counter()`` when the work for this fit began.
    watch : callable, optional
        ``watch(rounds, model)`` is called at the end of each round, where ``model()`` is the model so far, and says
        whether to stop there.
    """

    X: Any
    y: Any
    fit_params: Mapping[str, Any]
    key: Hashable
    run_id: str
    started: float
    watch: Callable[[int, Callable[[], Any]], bool] | None = None


@dataclass(frozen=True)
class LongFit:
    """A fit at its longest rung.

    Parameters
    ----------
    model_of : callable
        ``model_of(rounds)`` is a real model as a fit of `rounds` rounds would have left it; ``model_of(None)``
        is the fitted estimator itself.
    seconds_at : callable
        ``seconds_at(rounds)``: seconds from the work's start to the end of that round.
    rounds : int
        Rounds really trained.
    reused_seconds : float
        What an earlier fit spent on what this one found ready.
    matrices_built, prefix_fits, best_iteration
        As in `Outcome`.
    stopped : bool, default False
        Whether the watch stopped it.
    """

    model_of: Callable[[int | None], Any]
    seconds_at: Callable[[int | None], float]
    rounds: int = 0
    reused_seconds: float = 0.0
    matrices_built: int = 0
    prefix_fits: int = 0
    best_iteration: int | None = None
    stopped: bool = False


class Fitter(Protocol):
    """Knows how to fit a family of estimators, and which of their candidates may share one fit."""

    def watches(self, estimator: Any) -> bool:
        """Whether its fits have rounds that can be watched, and end where the watch says so."""

    def accepts(self, estimator: Any) -> bool:
        """Whether this member takes the estimator (exact types: a subclass may behave otherwise)."""

    def ladder(self, estimator: Any, fit_params: Mapping[str, Any]) -> Ladder | None:
        """The ladder on which the estimator, its parameters set, may stand; None: it is fitted apart."""

    def cost(self, estimator: Any) -> float:
        """Expected work relative to other settings of the same estimator, any unit."""

    def rounds_of(self, fitted: Any) -> int:
        """Boosting rounds or trees that a fitted estimator holds; 0 where there are none."""

    def fit_and_score(self, task: FitTask, data: Evaluation) -> list[Outcome]:
        """Outcomes of all rungs of `task`; a fit that raises is a failed outcome, not an exception."""


class StepFitter(Fitter, Protocol):
    """One that fits a pipeline's last step too, on rows that the steps before it made."""

    def fit(self, estimator: Any, rows: TrainingRows) -> LongFit:
        """Fit the estimator once, to its longest rung."""


def apply_params(estimator: Any, params: Mapping[str, Any]) -> Any:
    """A fresh clone of `estimator` with (clones of) `params` set, as scikit-learn's searches do."""
    return clone(estimator).set_params(**{k: clone(v, safe=False) for k, v in params.items()})


def thread_caps(estimator: Any, threads: int) -> dict[str, int]:
    """Values for all thread parameters, nested ones too, that would use more than `threads`.

    ``n_jobs=None`` of scikit-learn and of our searches means one and 0 is an error; elsewhere both mean all cores.
    """
    caps = {}
    params = estimator.get_params(deep=True)
    for name, value in params.items():
        owner, _, parameter = name.rpartition("__")
        if parameter not in _THREAD_PARAMETERS:
            continue
        holder = params[owner] if owner else estimator
        if _uses_more_than(value, threads, type(holder).__module__):
            caps[name] = threads
    return caps


def warn_of_capped_threads(estimator: Any, candidates: Iterable[Mapping[str, Any]], threads: int) -> None:
    """Warn once where the user's own thread parameters ask for more than a fit gets: `threads`."""
    if threads >= (os.cpu_count() or 1):
        return  # a fit has the machine to itself
    asked = [
        *estimator.get_params(deep=True).items(),
        *(item for params in candidates for item in params.items()),
    ]
    capped = {
        name
        for name, value in asked
        if name.rpartition("__")[2] in _THREAD_PARAMETERS
        and (count := whole_number(value)) is not None
        and not 0 <= count <= threads
    }
    if capped:
        warnings.warn(
            f"{', '.join(sorted(capped))} is held at {threads} in each fit, because fits run side by side",
            UserWarning,
            stacklevel=3,
        )


def scores_by_name(scores: Any) -> dict[str, float]:
    """A scorer's result as a mapping: a single metric is called ``score``, as in ``cv_results_``.

    Whole numbers stay; all else that scikit-learn takes for a number, such as a fraction, is the float that its table
    holds.
    """
    by_name = scores if isinstance(scores, Mapping) else {"score": scores}
    plain = {name: np.asarray(value).item() for name, value in by_name.items()}
    return {name: value if isinstance(value, int) else float(value) for name, value in plain.items()}


def scoring_error(
    data: Evaluation, scores: Any, model: Any, X: Any, y: Any, score_params: Mapping[str, Any]
) -> str | None:
    """The traceback of a scorer that raised when it gave `scores`; None where none did, or nobody asks."""
    if not data.scoring_errors or np.isfinite([*scores_by_name(scores).values()]).all():
        return None
    try:
        again = data.scorer(model, X, *(() if y is None else (y,)), **score_params)
    except Exception:
        return clipped(traceback.format_exc())
    texts = [text for text in again.values() if isinstance(text, str)] if is_multimetric(again) else []
    return clipped(texts[0]) if texts else None


def is_multimetric(scores: Any) -> bool:
    """Whether a scorer's result is a mapping of metrics."""
    return isinstance(scores, Mapping)


def whole_number(value: Any) -> int | None:
    """An integer of any integer type, and no bool, as an int; None for everything else."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        return None
    return int(value)


def _uses_more_than(value: Any, threads: int, module: str) -> bool:
    if value is None or value == 0:
        return not module.startswith(("sklearn.", "hptune."))
    return isinstance(value, Integral) and not 0 <= int(value) <= threads
