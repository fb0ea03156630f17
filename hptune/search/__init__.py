"""``GridSearchCV`` and ``RandomizedSearchCV``: scikit-learn's own classes with another way to evaluate candidates.
``BayesSearchCV`` beside them finds its candidates while it runs.

``fit`` is scikit-learn's. Only the fits that it hands to joblib are taken over: they become one plan, in which
candidates share work, and run on Spark, in processes or in this process.
"""

from hptune.search._bayes import BayesSearchCV
from hptune.search._classes import GridSearchCV, RandomizedSearchCV

__all__ = ["BayesSearchCV", "GridSearchCV", "RandomizedSearchCV"]
