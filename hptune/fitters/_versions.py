"""Versions of everything that a score depends on, and how two processes differ in them."""

from __future__ import annotations

import functools
import sys
from collections.abc import Mapping

import numpy as np
import scipy
import sklearn
import xgboost

from hptune import __version__

__all__ = ["difference", "loaded_versions"]


@functools.cache
def loaded_versions() -> Mapping[str, str]:
    """Of Python and the libraries that this process has loaded, whatever else may be installed."""
    return {
        "Python": f"{sys.version_info.major}.{sys.version_info.minor}",
        "hptune": __version__,
        "numpy": np.__version__,
        "scipy": scipy.__version__,
        "scikit-learn": sklearn.__version__,
        "xgboost": xgboost.__version__,
    }


def difference(theirs: Mapping[str, str], ours: Mapping[str, str]) -> str:
    """What another process has in the place of ours; empty where all is equal.

    Examples
    --------
    >>> difference({"Python": "3.11", "xgboost": "2.1.4"}, {"Python": "3.11", "xgboost": "3.2.0"})
    'xgboost 2.1.4 instead of 3.2.0'
    """
    return ", ".join(
        f"{name} {theirs.get(name, 'missing')} instead of {version}"
        for name, version in ours.items()
        if theirs.get(name) != version
    )
