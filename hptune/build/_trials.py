"""From a checked configuration of trials to a sweep that is ready to run."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path

from hptune.build._candidates import adaptive_of, candidates_of, silent
from hptune.build._names import imported
from hptune.config import TrialConfig, TrialSweepConfig
from hptune.errors import ConfigurationError
from hptune.policies import Policy, written
from hptune.storage import default_cache
from hptune.sweep import TrialSweep
from hptune.trials import (
    FunctionTrial,
    Inputs,
    Package,
    ScriptTrial,
    Trial,
    pack_directory,
    pack_files,
    parse_command,
)

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
    candidates, probes = candidates_of(config, say)
    trial = trial or _trial(config, {name for candidate in probes for name in candidate})
    objective = config.objective
    return TrialSweep(
        name=config.name,
        trial=trial,
        candidates=candidates,
        objective=objective,
        more_metrics=config.metrics,
        config=config.to_mapping(),
        early_termination=_policy(config),
        adaptive=adaptive_of(config, objective.name, cache or default_cache(), say),
    )


def _policy(config: TrialSweepConfig) -> Policy | None:
    """Early termination, unless it compares folds, which trials do not have."""
    policy = config.early_termination
    if policy is not None and policy.shape == "waves":
        raise ConfigurationError(
            f"early_termination {written(policy)['type']} compares fits over folds, which trials do not have",
            "use bandit, median_stopping, truncation_selection or asha",
        )
    return policy


def _trial(config: TrialSweepConfig, names: Collection[str]) -> Trial:
    return _function(config) if config.trial.function is not None else _script(config, names)


def _function(config: TrialSweepConfig) -> FunctionTrial:
    function = imported(str(config.trial.function), "trial.function")
    if not callable(function):
        raise ConfigurationError(
            f"trial.function {config.trial.function!r} is no function", "name one that takes the parameters"
        )
    return FunctionTrial(function, config.objective, config.trial.place, config.name)


def _script(config: TrialSweepConfig, names: Collection[str]) -> ScriptTrial:
    trial = config.trial
    code = _code(trial)
    command = parse_command(str(trial.command), code)
    inputs = Inputs({name: str(Path(path).resolve()) for name, path in trial.inputs.items()})
    command.check(names, [*trial.inputs, *trial.literals])
    return ScriptTrial(
        command=command,
        code=code,
        inputs=inputs,
        objective=config.objective,
        literals=trial.literals,
        place=trial.place,
        sweep=config.name,
        trial_timeout=config.limits.trial_timeout,
    )


def _code(trial: TrialConfig) -> Package:
    """The script's directory; without one the files of this directory that the command names."""
    if trial.code is None:
        words = str(trial.command).split()
        named = [word for word in words if not word.startswith("/") and Path(word).is_file()]
        return pack_files(Path(), named, "trial.command")
    directory = Path(trial.code.removeprefix("file://"))
    if not directory.is_dir():
        raise ConfigurationError(f"trial.code: {trial.code} is no directory", "name the script's directory")
    return pack_directory(directory, "trial.code")
