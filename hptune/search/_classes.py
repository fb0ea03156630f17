"""The two searches, with the signatures of scikit-learn's, `spark` and `out` beside them."""

from __future__ import annotations

import sklearn.model_selection

from hptune.search._base import SearchOnEngine, with_spark

__all__ = ["GridSearchCV", "RandomizedSearchCV"]


class GridSearchCV(SearchOnEngine, sklearn.model_selection.GridSearchCV):  # type: ignore[misc]
    """Exhaustive search, as `sklearn.model_selection.GridSearchCV`, on a Spark cluster.

    Parameters
    ----------
    estimator, param_grid, scoring, n_jobs, refit, cv, verbose, pre_dispatch, error_score, return_train_score
        As in scikit-learn. On Spark `n_jobs` bounds the tasks that run at once (None and -1: all slots), and
        `pre_dispatch` is not used.
    spark : SparkSession, "serial", "processes" or None, default None
        Where fits run. None: the active session, else `n_jobs` processes, else this process. A session is held
        by reference: clones and copies share it, pickles drop it.
    out : path-like, optional
        A local directory that keeps a journal of the fits. `fit` of the same search there, after an interruption or
        with a wider grid, makes only the fits that are missing; ``hptune status`` shows how far it is.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> search = GridSearchCV(RandomForestClassifier(random_state=0), {"n_estimators": [5, 10]}, cv=3)
    >>> float(search.fit(X, y).best_score_) > 0.9
    True
    """

    __init__ = with_spark(sklearn.model_selection.GridSearchCV)


class RandomizedSearchCV(SearchOnEngine, sklearn.model_selection.RandomizedSearchCV):  # type: ignore[misc]
    """Random search, as `sklearn.model_selection.RandomizedSearchCV`, on a Spark cluster.

    Parameters
    ----------
    estimator, param_distributions, n_iter, scoring, n_jobs, refit, cv, verbose, pre_dispatch, random_state, \
error_score, return_train_score
        As in scikit-learn; `n_jobs` and `pre_dispatch` on Spark as in `GridSearchCV`.
    spark, out
        As in `GridSearchCV`. Going on needs an int as `random_state`.

    Examples
    --------
    >>> from scipy.stats import loguniform
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> X, y = load_iris(return_X_y=True)
    >>> search = RandomizedSearchCV(
    ...     LogisticRegression(max_iter=500), {"C": loguniform(0.01, 10)}, n_iter=3, random_state=0
    ... )
    >>> len(search.fit(X, y).cv_results_["params"])
    3
    """

    __init__ = with_spark(sklearn.model_selection.RandomizedSearchCV)
