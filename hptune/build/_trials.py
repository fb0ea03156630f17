"""From a checked configuration of trials to a sweep that is ready to run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from hptune.build._candidates import adaptive_of, candidates_of, silent
from hptune.build._names import imported
from hptune.config import TrialSweepConfig
from hptune.errors import ConfigurationError
from hptune.storage import default_cache
from hptune.sweep import TrialSweep
from hptune.trials import FunctionTrial, Trial

__all__ = ["build_trials"]


def build_trials(
    config: TrialSweepConfig,
    *,
    cache: Path | None = None,
    progress: Callable[[str], None] | None = None,
    trial: Trial | None = None,
) -> TrialSweep:
    """Everything checked, from the function's name to the candidates; Spark is not touched.

    Parameters
    ----------
    config : TrialSweepConfig
        A checked configuration.
    cache : Path, optional
        Where feature matrices are kept; `default_cache` where it is not given.
    progress : callable, optional
        Gets a short line for each step that takes time.
    trial : Trial, optional
        What runs, where that is an object that no file can name.

    Raises
    ------
    ConfigurationError
        The function, the script or a constraint is not there.
    """
    say = progress or silent
    trial = trial or _trial(config)
    candidates, _ = candidates_of(config, say)
    objective = config.objective
    return TrialSweep(
        name=config.name,
        trial=trial,
        candidates=candidates,
        objective=objective,
        more_metrics=config.metrics,
        config=config.to_mapping(),
        adaptive=adaptive_of(config, objective.name, cache or default_cache(), say),
    )


def _trial(config: TrialSweepConfig) -> Trial:
    function = imported(str(config.trial.function), "trial.function")
    if not callable(function):
        raise ConfigurationError(
            f"trial.function {config.trial.function!r} is no function", "name one that takes the parameters"
        )
    return FunctionTrial(function, config.objective, config.trial.place, config.name)
