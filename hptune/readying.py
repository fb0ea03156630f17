"""What a sweep needs before its first trial: an engine, inputs that are here, and everything checked.

Each function imports what it works with when it starts to work, as in `hptune.commands`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from hptune.config import AnyConfig, SweepConfig, TrialSweepConfig
from hptune.engine import BY_NAME as ENGINES
from hptune.engine import DriverEngine, Engine, FitLimits
from hptune.errors import ConfigurationError
from hptune.storage import Opener

if TYPE_CHECKING:
    from hptune.sweep import AnySweep

__all__ = [
    "built_sweep",
    "check_inputs",
    "early_engine",
    "inputs",
    "own_engine",
    "saves_model",
    "started_engine",
]

Say = Callable[[str], None]


def early_engine(config: AnyConfig, stack: ExitStack, say: Say) -> tuple[Engine | None, float]:
    """The engine, where Spark itself reads inputs or outputs, or runs inside each trial."""
    from hptune.remote import hadoop_uris

    uris, distributed = hadoop_uris(config), _is_distributed(config)
    if not uris and not distributed:
        return None, 0.0
    if config.engine != "spark":
        what = f"{uris[0]} is read through Spark" if uris else "each trial is a Spark job"
        raise ConfigurationError(what, "use the spark engine")
    say("starting the spark engine" + (", which reads the files" if uris else ""))
    return started_engine(config, stack, FitLimits() if distributed else None)


def _is_distributed(config: AnyConfig) -> bool:
    if not isinstance(config, SweepConfig) or config.is_of_one_machine:
        return False
    from hptune.build import is_distributed

    return is_distributed(config)


def saves_model(config: AnyConfig) -> bool:
    """Whether the sweep leaves a model that Spark saves, which is a directory."""
    return isinstance(config, SweepConfig) and config.refit is not False and _is_distributed(config)


@contextmanager
def inputs(config: AnyConfig, cache: Path, say: Say, hadoop: Opener) -> Iterator[AnyConfig]:
    """The configuration over local copies of its inputs; what a Spark job reads by itself stays where it is."""
    from hptune.remote import hadoop_uris, local_inputs

    if _is_distributed(config) and hadoop_uris(config):
        yield config
        return
    with local_inputs(config, cache=cache, say=say, hadoop=hadoop) as local:
        yield local


def check_inputs(config: AnyConfig) -> None:
    """Refuse data that are not there, before anything takes time."""
    if isinstance(config, SweepConfig) and not _is_distributed(config):
        from hptune.formats import check_data

        check_data(config.data)


def built_sweep(
    local: AnyConfig, config: AnyConfig, engine: Engine | None, cache: Path, say: Say
) -> AnySweep:
    """The sweep over the local copies, its folds looked at; its configuration is the one that was asked for."""
    from hptune.build import build_distributed, build_sweep, build_trials
    from hptune.preflight import check_scorable

    if isinstance(local, TrialSweepConfig):
        if local.notice:
            say(f"note: {local.notice}")
        return replace(build_trials(local, cache=cache, progress=say), config=config.to_mapping())
    if engine is not None and _is_distributed(local):
        trials = build_distributed(local, slots=engine.slots, cache=cache, progress=say)
        return replace(trials, config=config.to_mapping())
    built = replace(build_sweep(local, cache=cache, progress=say), config=config.to_mapping())
    named = (local.primary_metric, *local.metrics)
    check_scorable(built, tuple(name for name in named if name is not None and ":" not in name))
    return built


def own_engine(built: AnySweep, config: AnyConfig) -> Engine | None:
    """Threads of this process for trials that run beside it."""
    from hptune.sweep import TrialSweep

    if not isinstance(built, TrialSweep) or built.trial.place != "driver":
        return None
    limits = config.limits
    return DriverEngine(
        limits.max_concurrent_trials or built.trial.at_once,
        trial_timeout=limits.trial_timeout,
        give_up=built.trial.give_up,
    )


def started_engine(
    config: AnyConfig, stack: ExitStack, limits: FitLimits | None = None
) -> tuple[Engine, float]:
    """The configuration's engine, open until the stack is closed, and the seconds that it took to start."""
    start = time.monotonic()
    given = FitLimits(config.limits.max_concurrent_trials, config.limits.trial_timeout)
    if isinstance(config, TrialSweepConfig) and config.trial.command is not None:
        given = replace(given, trial_timeout=None)  # a script's own process is ended, not the one around it
    engine = stack.enter_context(closing(ENGINES[config.engine](config.spark, config.name, limits or given)))
    return engine, time.monotonic() - start
