"""joblib's seam for other backends, and the one private of it that hptune leans on.

scikit-learn's searches hand their fits to joblib. A joblib backend is public API; that the calls of a batch
are found in its attribute ``items`` is not, though every third-party backend uses it.
``tests/test_joblib_compat.py`` fails clearly when it changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

from joblib import parallel_config
from joblib.parallel import ParallelBackendBase

__all__ = ["Call", "collected_calls"]

Call: TypeAlias = tuple[Any, tuple[Any, ...], Mapping[str, Any]]


class _CollectingBackend(ParallelBackendBase):  # type: ignore[misc]  # joblib publishes no types
    """Collects all calls of one `joblib.Parallel` and runs them together when the first result is asked for."""

    supports_retrieve_callback = False

    def __init__(self, run: Callable[[Sequence[Call]], Sequence[Any]]) -> None:
        super().__init__(nesting_level=0)
        self._run = run
        self._calls: list[Call] = []
        self._results: Sequence[Any] | None = None
        self.on_bound: Callable[[], None] = lambda: None

    def configure(self, n_jobs: int = 1, parallel: Any = None, **options: Any) -> int:
        """Ask for all calls at once, and let every later `joblib.Parallel` have the backend it would have had."""
        self.on_bound()
        self.parallel = parallel
        parallel.pre_dispatch = "all"
        return self.effective_n_jobs(n_jobs)

    def effective_n_jobs(self, n_jobs: int) -> int:
        """2: joblib itself runs the calls where it is 1."""
        if n_jobs == 0:
            raise ValueError("n_jobs == 0 in Parallel has no meaning")
        return 2

    def start_call(self) -> None:
        """Forget the calls before: a search may evaluate candidates in several goes."""
        self._calls, self._results = [], None

    def submit(self, func: Any, callback: Callable[[Any], None] | None = None) -> range:
        """Note a batch of calls; their numbers stand for their results."""
        start = len(self._calls)
        self._calls.extend(func.items)
        if callback is not None:
            callback(None)
        return range(start, len(self._calls))

    apply_async = submit  # its name before joblib 1.5

    def retrieve_result(self, out: range, timeout: float | None = None) -> list[Any]:
        """Results of a batch, in the order of its calls."""
        if self._results is None:
            self._results = self._run(self._calls)
        return [self._results[number] for number in out]


@contextmanager
def collected_calls(run: Callable[[Sequence[Call]], Sequence[Any]]) -> Iterator[None]:
    """The first `joblib.Parallel` that starts in the context hands all of its calls to `run` at once.

    `run` returns their results in order. Parallels that start later, such as those of an estimator that is
    refitted in the context, are joblib's own again.
    """
    backend = _CollectingBackend(run)
    config = parallel_config(backend=backend)
    backend.on_bound = config.unregister
    with config:
        yield
