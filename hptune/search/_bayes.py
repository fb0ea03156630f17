"""Bayesian search in the manner of scikit-learn's searches."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, nullcontext
from itertools import product
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from hptune._sklearn_compat import BaseSearchCV, judge_failures
from hptune.errors import ConfigurationError
from hptune.fitters import trains_in_passes
from hptune.policies import Policy, parse_policy
from hptune.samplers import BayesianSampler, Scored
from hptune.search._base import SearchOnEngine, engine_for
from hptune.search._stopping import Stopping
from hptune.space import parse_space
from hptune.termination import check_rounds

__all__ = ["BayesSearchCV"]

_FIRST = (
    10  # so many candidates TPE draws before it looks at a score; scikit-learn gives up if all of them fail
)


class BayesSearchCV(SearchOnEngine, BaseSearchCV):  # type: ignore[misc]  # scikit-learn publishes no types
    """Search where the scores so far promise most, by Optuna's TPE, on a Spark cluster.

    After the first ten, candidates are asked for in batches of as many as there are slots, so that the same
    `random_state` finds the same ones again on as many slots. A score that is NaN counts as worse than all others.

    Parameters
    ----------
    estimator : estimator
        As in `GridSearchCV`.
    search_spaces : dict, or list of dict
        Lists of values, expressions of `hptune.space`, frozen distributions of `scipy.stats`; several dicts are
        alternatives.
    n_iter : int, default 50
        Candidates. A finite space that has fewer is tried out.
    scoring, n_jobs, refit, cv, verbose, pre_dispatch, error_score, return_train_score
        As in `GridSearchCV`. With several metrics the one that `refit` names guides the search, else the first.
    random_state : int, RandomState or None, default None
        Draws the candidates. Going on in `out` needs an int.
    early_termination : Policy, str, mapping or None, default None
        Which candidates are not worth going on with: one of `hptune.policies`, or as in a sweep file. A candidate
        that it stops has NaN for scores, ranks last, and guides the search by what was seen of it last. Where
        `scoring` is a function that gives several scores, `refit` must name the one that the policy sees.
        ``cv_results_`` then has ``status`` ("ok", "stopped", or what became of a fit that failed),
        ``stopped_after`` (rounds, in a race folds; NaN where it was not) and ``last_score``.
    spark, out
        As in `GridSearchCV`.

    Raises
    ------
    ConfigurationError
        By `fit`: a space or a policy that cannot be meant, or an estimator of which the policy would see nothing.
    ValueError
        By `fit`: `n_iter` is no whole number from 1 on.

    Examples
    --------
    >>> from hptune.space import float_
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> X, y = load_iris(return_X_y=True)
    >>> search = BayesSearchCV(
    ...     LogisticRegression(max_iter=500), {"C": float_(0.01, 10, log=True)}, n_iter=4, random_state=0
    ... )
    >>> len(search.fit(X, y).cv_results_["params"])
    4
    """

    def __init__(
        self,
        estimator: Any,
        search_spaces: Any,
        *,
        n_iter: int = 50,
        scoring: Any = None,
        n_jobs: int | None = None,
        refit: Any = True,
        cv: Any = None,
        verbose: int = 0,
        pre_dispatch: int | str = "2*n_jobs",
        random_state: Any = None,
        error_score: Any = np.nan,
        return_train_score: bool = False,
        early_termination: Any = None,
        spark: Any = None,
        out: Any = None,
    ) -> None:
        super().__init__(
            estimator=estimator,
            scoring=scoring,
            n_jobs=n_jobs,
            refit=refit,
            cv=cv,
            verbose=verbose,
            pre_dispatch=pre_dispatch,
            error_score=error_score,
            return_train_score=return_train_score,
        )
        self.search_spaces = search_spaces
        self.n_iter = n_iter
        self.random_state = random_state
        self.early_termination = early_termination
        self.spark = spark
        self.out = out

    def _run_search(self, evaluate_candidates: Callable[..., Any]) -> None:
        """Ask for candidates, have them evaluated, and tell what came of them, until there are `n_iter`."""
        if not isinstance(self.n_iter, Integral) or self.n_iter < 1:
            raise ValueError(f"n_iter must be a whole number from 1 on but is {self.n_iter!r}")
        seed = check_random_state(self.random_state).randint(np.iinfo(np.int32).max)
        sampler = BayesianSampler(parse_space(self.search_spaces), seed)
        with closing(engine_for(self.spark, self.n_jobs)) as engine:
            slots = engine.slots
        stopping, done = getattr(self, "_stopping", None), 0
        more: dict[str, Any] = (
            {} if stopping is None else {"more_results": stopping.columns}
        )  # each go fills it
        # What has no such method, numbers and iterables of splits, gives every go the same ones anyway.
        folds = {"cv": _SplitOnce(self.cv)} if hasattr(self.cv, "split") else {}
        self._fits: _Fits = _Fits()
        try:
            while batch := sampler.ask(min(slots if done else max(slots, _FIRST), int(self.n_iter) - done)):
                with _stopped_unremarked() if more else nullcontext():
                    scores = self._guide(evaluate_candidates(batch, **more, **folds))[done:]
                sampler.tell(Scored(number, float(score)) for number, score in enumerate(scores, done))
                done += len(batch)
            judge_failures(self._fits.results, self.error_score)
        finally:
            del self._fits

    def _policy(self) -> Policy | None:
        policy = None if self.early_termination is None else parse_policy(self.early_termination)
        if policy is None:
            return None
        check_rounds(policy, self.estimator)
        if policy.shape == "lockstep" and self.refit and trains_in_passes(self.estimator):
            name = type(self.estimator).__name__
            raise ConfigurationError(
                f"early_termination trains {name} by partial_fit, and scikit-learn refits by fit",
                "use refit=False, or run_sweep, whose refit does the same as its fits",
            )
        return policy

    def _handed_over(self, results: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return self._fits.handed_over(results)

    @contextmanager
    def _stopped_by(self, policy: Policy | None) -> Iterator[Stopping | None]:
        with super()._stopped_by(policy) as self._stopping:
            try:
                yield self._stopping
            finally:
                del self._stopping

    def _guide(self, results: Mapping[str, Any]) -> Any:
        """The scores of all candidates so far in the metric that guides the search; of a stopped one the last seen."""
        means = [name for name in results if name.startswith("mean_test_")]
        named = f"mean_test_{self.refit}"
        scores = results[named if named in means else means[0]]
        if "last_score" not in results:
            return scores
        return np.where(results["status"] == "stopped", results["last_score"], scores)


class _Fits:
    """What came of the fits of all goes, and what scikit-learn was given of it.

    Attributes
    ----------
    results : list of dict
        In its form, with their errors.
    """

    def __init__(self) -> None:
        self.results: list[dict[str, Any]] = []
        self._given: list[dict[str, Any]] = []

    def handed_over(self, results: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """A go's results without errors: scikit-learn would give up when all fits of one batch fail.

        Where `scoring` is a function, a failed fit has one number, and scikit-learn gives it the names of the scores
        that another one has, but by the errors and within a go. So this is done here, for the goes before too.
        """
        self.results += results
        self._given += [{**result, "fit_error": None} for result in results]
        names = next(
            (scores for each in self._given if isinstance(scores := each["test_scores"], dict)), None
        )
        for each, kind in product(self._given if names else (), ("test_scores", "train_scores")):
            if not isinstance(each.get(kind, {}), dict):
                each[kind] = dict.fromkeys(names or (), each[kind])
        return self._given[len(self._given) - len(results) :]


class _SplitOnce:
    """A splitter that is asked once, in a search's first go: a new draw would compare candidates on other folds."""

    def __init__(self, splitter: Any) -> None:
        self._splitter = splitter
        self._splits: list[Any] = []

    def split(self, *args: Any, **params: Any) -> list[Any]:
        self._splits = self._splits or list(self._splitter.split(*args, **params))
        return self._splits


@contextmanager
def _stopped_unremarked() -> Iterator[None]:
    """Without scikit-learn's warning of scores that are not finite: those of stopped candidates are meant to be so."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "One or more of the (test|train) scores are non-finite")
        yield
