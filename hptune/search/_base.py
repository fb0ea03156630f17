"""What both searches add to scikit-learn's."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from typing import Any

import joblib

from hptune._joblib_compat import collected_calls
from hptune._sklearn_compat import has_callbacks
from hptune.engine import (
    Engine,
    ProcessesEngine,
    SerialEngine,
    active_session,
    engine_of,
    pickle_by_reference,
)
from hptune.policies import Policy
from hptune.search._calls import run_calls
from hptune.search._records import Records, directory_of, nowhere, ranking_metric
from hptune.search._stopping import Stopping, stopping_by

__all__ = ["SearchOnEngine", "engine_for", "with_spark"]


class SearchOnEngine:
    """`spark` and `out`, and how the calls of a fit are run; the other base class is one of scikit-learn's searches."""

    spark: Any
    out: Any
    n_jobs: int | None
    scoring: Any
    refit: Any

    def fit(self, X: Any, y: Any = None, **params: Any) -> Any:
        """Run the search. Parameters, results, warnings and errors are those of scikit-learn's `fit`.

        Examples
        --------
        >>> from hptune import GridSearchCV
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.linear_model import LogisticRegression
        >>> X, y = load_iris(return_X_y=True)
        >>> search = GridSearchCV(LogisticRegression(max_iter=500), {"C": [0.1, 1.0]}, spark="serial")
        >>> search.fit(X, y).best_params_
        {'C': 1.0}
        """
        _check(self.spark)
        fit, policy = super().fit, self._policy()  # type: ignore[misc]
        if has_callbacks(self):
            _check_callbacks(self.spark, self.out, policy)
            return fit(X, y, **params)

        with self._records(policy) as records, self._stopped_by(policy) as stopping:

            def run(calls: Any) -> list[dict[str, Any]]:
                with closing(engine_for(self.spark, self.n_jobs)) as engine:
                    return self._handed_over(run_calls(engine, calls, records, stopping))

            with collected_calls(run):
                return fit(X, y, **params)

    def _policy(self) -> Policy | None:
        """What stops candidates that are not worth going on with."""
        return None

    @contextmanager
    def _stopped_by(self, policy: Policy | None) -> Iterator[Stopping | None]:
        """The policy at work, over all goes of the fit."""
        if policy is None:
            yield None
            return
        with closing(engine_for(self.spark, self.n_jobs)) as engine:
            place, in_process = engine.live_place(), engine.in_process
        with stopping_by(
            policy, ranking_metric(self.scoring, self.refit), place, in_process=in_process
        ) as found:
            yield found

    def _handed_over(self, results: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """What scikit-learn gets to see of some fits."""
        return results

    def _records(self, policy: Policy | None) -> AbstractContextManager[Records]:
        if self.out is None:
            return nullcontext(nowhere)
        return directory_of(self.out, self.scoring, self.refit, type(self).__name__, policy).opened()

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The parameters, as in scikit-learn. `clone` copies their values and joblib hashes them, a session too."""
        if _is_session(self.spark):
            pickle_by_reference(self.spark)
        params: dict[str, Any] = super().get_params(deep)  # type: ignore[misc]
        return params

    def __copy__(self) -> Any:
        twin = type(self).__new__(type(self))
        twin.__dict__.update(self.__dict__)
        return twin

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        memo[id(self.spark)] = self.spark
        twin = type(self).__new__(type(self))
        memo[id(self)] = twin
        twin.__dict__.update(copy.deepcopy(self.__dict__, memo))
        return twin

    def __getstate__(self) -> Any:
        state: Any = super().__getstate__()
        return {**state, "spark": self.spark if isinstance(self.spark, str) else None}


def with_spark(search: Any) -> Any:
    """``__init__`` of one of scikit-learn's searches with `spark` and `out` behind its own parameters, in its
    signature too.

    scikit-learn reads the signature to copy, print and check an estimator. It is the installed version's.
    """

    def __init__(self: Any, *args: Any, spark: Any = None, out: Any = None, **params: Any) -> None:
        search.__init__(self, *args, **params)
        self.spark = spark
        self.out = out

    own = inspect.signature(search.__init__)
    last = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None) for name in ("spark", "out")
    ]
    __init__.__signature__ = own.replace(parameters=[*own.parameters.values(), *last])  # type: ignore[attr-defined]
    return __init__


_ENGINES: dict[str, Callable[[int | None], Engine]] = {
    "serial": lambda n_jobs: SerialEngine(),
    "processes": lambda n_jobs: ProcessesEngine(-1 if n_jobs is None else n_jobs),
}


def _check(spark: Any) -> None:
    known = spark in _ENGINES if isinstance(spark, str) else spark is None or _is_session(spark)
    if not known:
        names = ", ".join(repr(name) for name in _ENGINES)
        raise ValueError(f"spark must be a SparkSession, None or one of {names} but is {spark!r}")


def _is_session(value: Any) -> bool:
    """Whether the value is one of pyspark's sessions, told without importing pyspark."""
    bases = [f"{base.__module__}.{base.__qualname__}" for base in type(value).__mro__]
    return any(base.startswith("pyspark.sql.") and base.endswith(".SparkSession") for base in bases)


def _check_callbacks(spark: Any, out: Any, policy: Policy | None) -> None:
    """scikit-learn's callbacks live in this process and watch every single fit: its own loop honours them."""
    if policy is not None:
        raise NotImplementedError(
            "a search with callbacks set by set_callbacks stops no candidates: use early_termination=None"
        )
    if out is not None:
        raise NotImplementedError(
            "a search with callbacks set by set_callbacks keeps no journal: use out=None"
        )
    if not isinstance(spark, str) and (spark or active_session()) is not None:
        raise NotImplementedError(
            "callbacks set by set_callbacks cannot watch fits on a Spark cluster: use spark='serial' or 'processes'"
        )


def engine_for(spark: Any, n_jobs: int | None) -> Engine:
    """The engine that a search's `spark` and `n_jobs` mean."""
    if isinstance(spark, str):
        return _ENGINES[spark](n_jobs)
    session = active_session() if spark is None else spark
    if session is not None:
        return _spark_engine(session, n_jobs)
    processes = joblib.effective_n_jobs(n_jobs)
    return SerialEngine() if processes == 1 else ProcessesEngine(processes)


def _spark_engine(session: Any, n_jobs: int | None) -> Engine:
    """Negative `n_jobs` count from the cluster's slots: -2 leaves one free."""
    engine = engine_of(session)
    if n_jobs in (None, -1):
        return engine
    return engine_of(session, n_jobs if n_jobs > 0 else max(1, engine.slots + 1 + n_jobs))
