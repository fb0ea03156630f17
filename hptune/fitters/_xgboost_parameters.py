"""XGBoost's parameter names, checked before anything is fitted: XGBoost silently accepts misspelt ones.

Names and aliases as in XGBoost's parameter documentation (releases 2.1 to 3.4).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import xgboost as xgb

from hptune.errors import ConfigurationError, did_you_mean

__all__ = ["check_parameter_names"]

_ALIASES = {
    "alpha": "reg_alpha",
    "eta": "learning_rate",
    "lambda": "reg_lambda",
    "min_split_loss": "gamma",
    "nthread": "n_jobs",
    "seed": "random_state",
}

_DOCUMENTED_NAMES = """
aft_loss_distribution aft_loss_distribution_scale base_score booster colsample_bylevel colsample_bynode
colsample_bytree device disable_default_eval_metric eval_metric extmem_single_page feature_selector gamma
grow_policy huber_slope interaction_constraints lambdarank_bias_norm lambdarank_normalization
lambdarank_num_pair_per_sample lambdarank_pair_method lambdarank_score_normalization lambdarank_unbiased
max_bin max_cached_hist_node max_cat_threshold max_cat_to_onehot max_delta_step max_depth max_leaves
min_child_weight monotone_constraints multi_strategy ndcg_exp_gain normalize_type num_class
num_parallel_tree objective one_drop process_type quantile_alpha rate_drop refresh_leaf sample_type
sampling_method scale_pos_weight seed_per_iteration sketch_ratio skip_drop subsample top_k tree_method
tweedie_variance_power updater validate_parameters verbosity
"""
_DOCUMENTED = frozenset(_DOCUMENTED_NAMES.split())


def check_parameter_names(estimator: Any, names: Iterable[str]) -> None:
    """Refuse parameter names that `estimator` does not know, and two spellings of one parameter.

    Parameters
    ----------
    estimator : estimator
        Unfitted; parameters of nested estimators are named ``step__parameter``.
    names : iterable of str
        The names that one parameter setting sets.

    Raises
    ------
    ConfigurationError
        Names the parameter, and the closest known one.

    Examples
    --------
    >>> check_parameter_names(xgb.XGBRegressor(), ["max_detph"])
    Traceback (most recent call last):
        ...
    hptune.errors.ConfigurationError: unknown parameter 'max_detph' of XGBRegressor: did you mean 'max_depth'?
    """
    params = estimator.get_params(deep=True)
    spelled: dict[str, str] = {}
    for name in names:
        _check_known(estimator, params, name)
        canonical = _canonical_name(estimator, params, name)
        if canonical in spelled:
            raise ConfigurationError(
                f"{spelled[canonical]!r} and {name!r} are two spellings of one parameter", "keep one of them"
            )
        spelled[canonical] = name


def _check_known(estimator: Any, params: Mapping[str, Any], name: str) -> None:
    owner, leaf = _owner(estimator, params, name)
    if name in params and leaf not in _swallowed(owner):
        return
    if _is_xgboost(owner) and (leaf in _DOCUMENTED or leaf in _ALIASES):
        return
    prefix = name[: len(name) - len(leaf)]
    known = [known for known in params if known != name]
    if _is_xgboost(owner):
        known += [prefix + documented for documented in (*_DOCUMENTED, *_ALIASES)]
    listed = "see get_params() of the estimator for the names it knows"
    raise ConfigurationError(
        f"unknown parameter {name!r} of {type(estimator).__name__}", did_you_mean(name, known, listed)
    )


def _canonical_name(estimator: Any, params: Mapping[str, Any], name: str) -> str:
    owner, leaf = _owner(estimator, params, name)
    if not _is_xgboost(owner):
        return name
    return name[: len(name) - len(leaf)] + _ALIASES.get(leaf, leaf)


def _owner(estimator: Any, params: Mapping[str, Any], name: str) -> tuple[Any, str]:
    owner, _, leaf = name.rpartition("__")
    return (params.get(owner) if owner else estimator), leaf


def _swallowed(estimator: Any) -> Mapping[str, Any]:
    """Names that XGBoost's constructor took without knowing them; get_params() lists them ever after."""
    return getattr(estimator, "kwargs", None) or {} if _is_xgboost(estimator) else {}


def _is_xgboost(estimator: Any) -> bool:
    return isinstance(estimator, xgb.XGBModel)
