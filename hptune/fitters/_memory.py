"""How much memory a fit needs, roughly: before any is made."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
import xgboost as xgb

from hptune.fitters._base import whole_number
from hptune.fitters._matrix_cache import nbytes_of

__all__ = ["FitBytes", "fit_bytes"]

_LIBRARIES = 200 << 20  # Python, scikit-learn and XGBoost in a process that has done nothing yet
_SAMPLE_ROWS = 2000
_TELLING = 4  # values of a column in the sample: fewer do not tell whether they repeat
_HISTOGRAM_ENTRY = 16  # bytes: a gradient and a hessian for each bin
_DEFAULT_BINS, _DEFAULT_DEPTH, _DEEPEST = 256, 6, 12


class FitBytes(NamedTuple):
    """Bytes of one process that fits: what it needs in any case, and what it may come to."""

    least: int
    most: int


def fit_bytes(
    estimator: Any,
    candidates: Iterable[Mapping[str, Any]],
    X: Any,
    n_folds: int,
    matrices: int,
    *,
    at_once: int = 1,
) -> FitBytes:
    """The memory of a process that fits, beside data that it shares.

    Parameters
    ----------
    estimator : estimator
        Unfitted.
    candidates : iterable of mapping
        Parameter settings; the hungriest counts.
    X : array or sparse matrix of shape (n_rows, n_columns)
        All training rows.
    n_folds : int
        How many folds they are cut into.
    matrices : int
        Bytes up to which quantised matrices are kept.
    at_once : int, default 1
        Fits that take turns in the process; 1 where they come one after the other.

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> needed = fit_bytes(Ridge(), [{"alpha": 1.0}], np.zeros((1 << 20, 16)), n_folds=4, matrices=0)
    >>> needed.least >> 20, needed.most >> 20
    (296, 456)
    """
    size = nbytes_of(X)
    train = at_once * size * (n_folds - 1) // n_folds
    if not isinstance(estimator, xgb.XGBModel):
        return FitBytes(_LIBRARIES + train, _LIBRARIES + (1 + at_once) * size)
    quantised = X.nnz if sp.issparse(X) else int(np.prod(X.shape))  # a byte a value, at least
    kept = max(train, min(matrices, n_folds * train // at_once))
    most = _LIBRARIES + at_once * size + kept + at_once * _histograms(estimator, candidates, X)
    return FitBytes(_LIBRARIES + train + at_once * quantised * (n_folds - 1) // n_folds, most)


def _histograms(estimator: Any, candidates: Iterable[Mapping[str, Any]], X: Any) -> int:
    """Of all nodes of the deepest tree."""
    own = estimator.get_params(deep=False)
    settings = [{**own, **candidate} for candidate in candidates]
    depth = max((whole_number(each.get("max_depth")) or _DEFAULT_DEPTH for each in settings), default=0)
    max_bin = max((whole_number(each.get("max_bin")) or _DEFAULT_BINS for each in settings), default=0)
    nodes = min(2 ** min(depth, _DEEPEST), 2 * X.shape[0])
    return int(nodes * _bins(X, max_bin) * _HISTOGRAM_ENTRY)


def _bins(X: Any, max_bin: int) -> int:
    """Bins of all columns together, told by a sample of rows; a column whose values hardly repeat has more."""
    step = max(1, X.shape[0] // _SAMPLE_ROWS)
    counts = [(len(np.unique(values)), len(values)) for values in _columns(X[::step])]
    bins = [
        different * step if given >= _TELLING and different > given // 2 else different
        for different, given in counts
    ]
    return int(np.minimum(np.array(bins) + 1, max_bin).sum())


def _columns(X: Any) -> Iterator[Any]:
    """The values of each column; of a sparse matrix those that are stored."""
    if not sp.issparse(X):
        yield from X.T
        return
    columns = X.tocsc()
    for start, end in zip(columns.indptr, columns.indptr[1:], strict=False):
        yield columns.data[start:end]
