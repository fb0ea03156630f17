"""From a checked configuration to a sweep that is ready to run: data read, names resolved, folds drawn."""

from hptune.build._distributed import build_distributed, is_distributed
from hptune.build._fits import build_sweep, ranking_scorer
from hptune.build._trials import build_trials

__all__ = ["build_distributed", "build_sweep", "build_trials", "is_distributed", "ranking_scorer"]
