"""Samplers: which candidates of a search space are tried."""

from hptune.samplers._base import Sampler, Scored
from hptune.samplers._bayesian import BayesianSampler
from hptune.samplers._grid import GridSampler
from hptune.samplers._points import RandomSampler, SobolSampler

__all__ = ["BY_NAME", "BayesianSampler", "GridSampler", "RandomSampler", "Sampler", "Scored", "SobolSampler"]

BY_NAME: dict[str, type[Sampler]] = {
    "bayesian": BayesianSampler,
    "grid": GridSampler,
    "random": RandomSampler,
    "sobol": SobolSampler,
}
