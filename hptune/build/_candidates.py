"""The candidates of a sweep: drawn before it begins, or found while it runs."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from hptune.adaptive import Adaptive
from hptune.build._names import imported
from hptune.config import CommonConfig
from hptune.engine import hadoop_opener
from hptune.errors import ConfigurationError
from hptune.finished import finished_files, read_result
from hptune.samplers import BY_NAME as SAMPLERS
from hptune.samplers import RandomSampler, Sampler
from hptune.space import Params, SearchSpace

__all__ = ["adaptive_of", "candidates_of", "silent"]

_PROBES = 100  # candidates that stand for those of a sweep that finds its own


def silent(line: str) -> None:
    """Say nothing."""
    return None


def candidates_of(config: CommonConfig, say: Callable[[str], None]) -> tuple[list[Params], list[Params]]:
    """What is known of the candidates before anything is tried: all of them, or none and some that may come."""
    space, limit = _space(config), config.limits.max_total_trials or sys.maxsize
    sampler = SAMPLERS[config.sampling.type]
    if sampler.adaptive:
        limit = min(limit, _PROBES)
        candidates, probes = [], RandomSampler(space).ask(limit)
    else:
        candidates = probes = sampler(space, config.sampling.seed).ask(limit)
    if not probes:
        raise ConfigurationError("the constraints allow no candidate", "loosen them or widen search_space")
    if len(probes) < limit < sys.maxsize:
        say(f"note: search_space has only {len(probes)} candidates, not {config.limits.max_total_trials}")
    if config.sampling.type != "grid":
        for dimension in space.dimensions:
            say(f"{dimension.name or 'one of the maps'}: {dimension.expression.extent}")
    return candidates, probes


def adaptive_of(
    config: CommonConfig, metric: str, cache: Path, say: Callable[[str], None]
) -> Adaptive | None:
    """How candidates are found while the sweep runs, where the sampler learns from their scores."""
    if not SAMPLERS[config.sampling.type].adaptive:
        return None
    return Adaptive(
        sampler=functools.partial(_taught_sampler, config, metric, cache, say),
        limit=config.limits.max_total_trials or sys.maxsize,
        deterministic=config.deterministic,
    )


def _taught_sampler(config: CommonConfig, metric: str, cache: Path, say: Callable[[str], None]) -> Sampler:
    """The sampler, which has learned from the sweeps that it is to begin with."""
    sampling = config.sampling
    sampler = SAMPLERS[sampling.type](_space(config), sampling.seed)
    if sampling.warm_start_from:
        found = [one for out in sampling.warm_start_from for one in _found(out, config, metric, cache, say)]
        known = sampler.learn(found)
        say(f"{sampling.type} sampling begins with {known} of the {len(found)} candidates that it was given")
    return sampler


def _found(
    out: str, config: CommonConfig, metric: str, cache: Path, say: Callable[[str], None]
) -> list[tuple[Params, float]]:
    """Candidates and scores of the finished sweep in `out`."""
    hadoop = hadoop_opener(config.spark)
    with finished_files(out, cache=cache, say=say, hadoop=hadoop) as directory:
        result = read_result(directory, out=out, cache=cache, say=say, hadoop=hadoop)
    if result.shown_metric != metric:
        raise ConfigurationError(
            f"sampling_algorithm.warm_start_from: {out} is ranked by {result.shown_metric}, this sweep by {metric}",
            "name sweeps of the same metric",
        )
    means = result.cv_results_[f"mean_test_{result.metric}"]
    return [(dict(p), float(mean)) for p, mean in zip(result.cv_results_["params"], means, strict=True)]


def _space(config: CommonConfig) -> SearchSpace:
    """The search space with the functions that its constraints name."""
    constraints = tuple(imported(name, "constraint") for name in config.constraints)
    for name, constraint in zip(config.constraints, constraints, strict=True):
        if not callable(constraint):
            raise ConfigurationError(
                f"constraint {name!r} is no function", "name one that takes the parameters"
            )
    return replace(config.search_space, constraints=constraints)
