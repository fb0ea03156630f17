"""Spark-distributed hyperparameter sweeps: scikit-learn's answer from a fraction of the work."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hptune.api import load, run_sweep
    from hptune.context import Run
    from hptune.functions import minimize
    from hptune.search import BayesSearchCV, GridSearchCV, RandomizedSearchCV

__version__ = "0.1.0"
__all__ = [
    "BayesSearchCV",
    "GridSearchCV",
    "RandomizedSearchCV",
    "Run",
    "__version__",
    "load",
    "minimize",
    "run_sweep",
]

_HOMES = {
    "BayesSearchCV": "hptune.search",
    "GridSearchCV": "hptune.search",
    "RandomizedSearchCV": "hptune.search",
    "Run": "hptune.context",
    "load": "hptune.api",
    "minimize": "hptune.functions",
    "run_sweep": "hptune.api",
}


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})


def __getattr__(name: str) -> Any:
    """Public names are imported when they are first used: executors need few of them, and fast."""
    if name not in _HOMES:
        raise AttributeError(f"module 'hptune' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
