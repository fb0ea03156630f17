"""An engine's slots for scikit-learn's own ``n_jobs``."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from joblib import parallel_config

from hptune.engine._base import Engine

__all__ = ["parallel"]


@contextmanager
def parallel(engine: Engine) -> Iterator[str]:
    """Run joblib's parallel loops on an engine; gives the name of joblib's backend.

    On Spark this is joblibspark's backend; where that is not installed, this machine's processes. Leave
    ``n_jobs`` at None inside.

    Examples
    --------
    >>> from hptune.engine import SerialEngine
    >>> with parallel(SerialEngine()) as backend:
    ...     print(backend)
    sequential
    """
    backend = _BACKENDS.get(engine.name, "loky")
    if backend == "spark" and not _registered():
        backend = "loky"
    with warnings.catch_warnings():
        # joblibspark tells of stage-level scheduling and tags, neither of which matters here.
        warnings.filterwarnings("ignore", category=UserWarning)
        warnings.filterwarnings("ignore", message=".*apply_async.*", category=DeprecationWarning)
        with parallel_config(backend=backend, n_jobs=engine.slots):
            yield backend


_BACKENDS = {"serial": "sequential", "processes": "loky", "spark": "spark"}


def _registered() -> bool:
    try:
        from joblibspark import register_spark  # an extra: only this engine can use it
    except ModuleNotFoundError:
        return False
    register_spark()
    return True
