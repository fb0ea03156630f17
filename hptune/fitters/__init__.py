"""Fitting and scoring on an executor, one member for each way to share work between candidates."""

from hptune.fitters._base import Evaluation, Fitter, Ladder, apply_params, thread_caps, warn_of_capped_threads
from hptune.fitters._data_needs import takes_categories, takes_missing, takes_weights, with_feature_types
from hptune.fitters._early_stopping import stopping_early
from hptune.fitters._matrix_cache import nothing_kept
from hptune.fitters._models import MODEL_FILES, SavedModel, model_bytes, read_model
from hptune.fitters._registry import BY_NAME, evaluate, fit_alone, fitter_for
from hptune.fitters._xgboost_parameters import check_parameter_names

__all__ = [
    "BY_NAME",
    "MODEL_FILES",
    "Evaluation",
    "Fitter",
    "Ladder",
    "SavedModel",
    "apply_params",
    "check_parameter_names",
    "evaluate",
    "fit_alone",
    "fitter_for",
    "model_bytes",
    "nothing_kept",
    "read_model",
    "stopping_early",
    "takes_categories",
    "takes_missing",
    "takes_weights",
    "thread_caps",
    "warn_of_capped_threads",
    "with_feature_types",
]
