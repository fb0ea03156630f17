"""What an estimator can learn from: category codes, missing values, weights."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import xgboost as xgb
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags

from hptune.errors import ConfigurationError

__all__ = ["takes_categories", "takes_missing", "takes_weights", "with_feature_types"]


def takes_categories(estimator: Any) -> bool:
    """Whether category codes mean categories to the estimator, once it knows which columns hold them.

    Examples
    --------
    >>> takes_categories(xgb.XGBRegressor()), takes_categories(xgb.XGBRegressor(booster="gblinear"))
    (True, False)
    """
    return isinstance(estimator, xgb.XGBModel) and estimator.get_params().get("booster") != "gblinear"


def takes_missing(estimator: Any) -> bool:
    """Whether NaN may reach the estimator, as far as it tells; one that wraps another is believed to.

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> takes_missing(Ridge()), takes_missing(xgb.XGBRegressor())
    (False, True)
    """
    if isinstance(estimator, Pipeline):
        return takes_missing(estimator.steps[0][1])
    wraps = any(hasattr(value, "get_params") for value in estimator.get_params().values())
    return wraps or not hasattr(estimator, "fit") or bool(get_tags(estimator).input_tags.allow_nan)


def takes_weights(estimator: Any) -> bool:
    """Whether ``fit`` takes ``sample_weight``, as far as it tells; keywords that it passes on are believed in.

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> from sklearn.neighbors import KNeighborsRegressor
    >>> takes_weights(Ridge()), takes_weights(KNeighborsRegressor())
    (True, False)
    """
    if isinstance(estimator, Pipeline):  # it takes keywords, but only those that name a step
        return False
    parameters = inspect.signature(estimator.fit).parameters.values()
    return any(each.name == "sample_weight" or each.kind is each.VAR_KEYWORD for each in parameters)


def with_feature_types(estimator: Any, feature_types: Sequence[str] | None) -> Any:
    """`estimator`, told which columns hold category codes ("c") and which numbers ("q").

    Raises
    ------
    ConfigurationError
        It has been told already.
    """
    if feature_types is None:
        return estimator
    if estimator.get_params().get("feature_types") is not None:
        what = "estimator.params sets feature_types, which are made from the table's columns"
        raise ConfigurationError(what, "take it out, or set data.categories: onehot")
    return estimator.set_params(feature_types=list(feature_types), enable_categorical=True)
