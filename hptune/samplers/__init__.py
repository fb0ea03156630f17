"""Samplers: which candidates of a search space are tried."""

from hptune.samplers._base import Sampler
from hptune.samplers._grid import GridSampler
from hptune.samplers._points import RandomSampler, SobolSampler

__all__ = ["BY_NAME", "GridSampler", "RandomSampler", "Sampler", "SobolSampler"]

BY_NAME: dict[str, type[Sampler]] = {
    "grid": GridSampler,
    "random": RandomSampler,
    "sobol": SobolSampler,
}
