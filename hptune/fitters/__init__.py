"""Fitting and scoring on an executor, one member for each way to share work between candidates."""

from hptune.fitters._base import (
    Evaluation,
    Fitter,
    Ladder,
    Reports,
    apply_params,
    thread_caps,
    warn_of_capped_threads,
)
from hptune.fitters._data_needs import takes_categories, takes_missing, takes_weights, with_feature_types
from hptune.fitters._early_stopping import stopping_early
from hptune.fitters._matrix_cache import nothing_kept
from hptune.fitters._memory import FitBytes, fit_bytes
from hptune.fitters._models import MODEL_FILES, SavedModel, model_bytes, read_model
from hptune.fitters._registry import BY_NAME, evaluate, fit_alone, fitter_for, trains_in_passes
from hptune.fitters._versions import difference, loaded_versions
from hptune.fitters._xgboost_parameters import check_parameter_names

__all__ = [
    "BY_NAME",
    "MODEL_FILES",
    "Evaluation",
    "FitBytes",
    "Fitter",
    "Ladder",
    "Reports",
    "SavedModel",
    "apply_params",
    "check_parameter_names",
    "difference",
    "evaluate",
    "fit_alone",
    "fit_bytes",
    "fitter_for",
    "loaded_versions",
    "model_bytes",
    "nothing_kept",
    "read_model",
    "stopping_early",
    "takes_categories",
    "takes_missing",
    "takes_weights",
    "thread_caps",
    "trains_in_passes",
    "warn_of_capped_threads",
    "with_feature_types",
]
