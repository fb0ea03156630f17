"""What each command does, once its arguments are parsed.

Each imports what it works with when it starts to work: scikit-learn alone takes seconds, and what is wrong with
an address or a key is told before.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from hptune.config import SweepConfig
from hptune.engine import BY_NAME as ENGINES
from hptune.engine import Engine, FitLimits, hadoop_opener
from hptune.errors import ConfigurationError, InputDataError
from hptune.interrupts import deadline
from hptune.observers import FailureLimit, Observer, duration, progress_observer, transfer_progress
from hptune.storage import Store, default_cache, fetch, is_remote, open_store, upload

if TYPE_CHECKING:
    from hptune.summary import SweepResult
    from hptune.sweep import Sweep

__all__ = ["explain", "features", "fetch_files", "sample", "say", "sweep", "upload_files"]

Say = Callable[[str], None]


def sample(arguments: argparse.Namespace, say: Say) -> None:
    """``hptune sample``: the seven generated raw files."""
    from hptune.sample import write_sample

    options = {"scale": arguments.scale, "seed": arguments.seed, "leak": arguments.leak}
    write_sample(arguments.directory, **options, progress=say)


def features(arguments: argparse.Namespace, say: Say) -> None:
    """``hptune features``: build the feature matrix, or find it in the cache."""
    from hptune.features import load_talkingdata
    from hptune.remote import local_copies

    cache = arguments.cache or default_cache()
    copies = local_copies(
        arguments.data, cache=cache, say=say, hadoop=hadoop_opener({}), format="talkingdata"
    )
    with copies as directory:
        dataset = load_talkingdata(
            directory, features=arguments.features, encoding=arguments.encoding, cache=cache, progress=say
        )
    rows, columns = dataset.train.shape
    tests = 0 if dataset.test is None else dataset.test.shape[0]
    say(f"{rows} training rows and {tests} test rows, {columns} columns")


def say(line: str) -> None:
    """Tell what is being done, on standard error."""
    with suppress(BrokenPipeError):  # nobody listens any more, as when spark-submit has gone
        print(f"hptune: {line}", file=sys.stderr, flush=True)


def sweep(
    config: SweepConfig, cache: Path, say: Say, *, overwrite: bool, quiet: bool, show: Say = print
) -> SweepResult:
    """``hptune sweep``: inputs brought here, everything checked, then the engine, then the fits.

    `say` gets what is being done, `show` what was found.
    """
    from hptune.formats import check_data
    from hptune.remote import local_inputs, output_directory

    with deadline(config.limits.timeout), ExitStack() as stack, ExitStack() as outputs:
        engine, seconds = _early_engine(config, stack, say)
        opener = hadoop_opener(config.spark)
        local = stack.enter_context(local_inputs(config, cache=cache, say=say, hadoop=opener))
        check_data(local.data)
        out = config.out or f"runs/{config.name}-{time.strftime('%Y%m%d-%H%M%S')}"
        directory = outputs.enter_context(
            output_directory(config, out, overwrite=overwrite, cache=cache, say=say, hadoop=opener)
        )
        from hptune.build import build_sweep
        from hptune.outputs import clear_output

        built = replace(build_sweep(local, cache=cache, progress=say), config=config.to_mapping())
        say(
            f"{built.train.shape[0]} rows x {built.train.shape[1]} columns, {len(built.candidates)} candidates"
            f" x {len(built.folds)} folds; starting the {config.engine} engine"
        )
        if engine is None:
            engine, seconds = _started(config, stack)
        clear_output(directory)
        started = time.monotonic()
        observers = _observers(config, built, quiet=quiet)
        result, closing_text = _run_and_report(built, engine, directory, out, observers, show=show)
        outputs.close()  # what cannot be sent to a remote place is told before anybody reads that it is there
        show(closing_text)
        show(f"engine started in {duration(seconds)}, sweep took {duration(time.monotonic() - started)}")
    return replace(result, out=out, load_model=None) if is_remote(out) else result


def fetch_files(arguments: argparse.Namespace, say: Say) -> None:
    """``hptune fetch``: verified copies of files."""
    store = _opened(arguments.uri)
    files = store.files()
    if not files:
        raise InputDataError(f"{store.uri} holds no files", "check container and prefix")
    with transfer_progress(say) as progress:
        fetched = fetch(store, arguments.directory, files, progress=progress.update)
    say(f"{len(fetched.names)} files in {arguments.directory} verified, {fetched.bytes:,} bytes fetched")


def upload_files(arguments: argparse.Namespace, say: Say) -> None:
    """``hptune upload``: a directory's files to storage."""
    files, size = upload(arguments.directory, _opened(arguments.uri), progress=say)
    say(f"{files} files with {size:,} bytes sent to {arguments.uri}")


def explain(arguments: argparse.Namespace, say: Say) -> None:
    """``hptune explain``: importances and learning curve of a sweep's winner."""
    from hptune.explain import explain as explained

    places = {"cache": arguments.cache, "hadoop": hadoop_opener({})}
    print(explained(arguments.out, engine=arguments.engine, say=say, **places))


def _early_engine(config: SweepConfig, stack: ExitStack, say: Say) -> tuple[Engine | None, float]:
    """The engine, where inputs or outputs are on a file system that only Spark reads."""
    from hptune.remote import hadoop_uris

    uris = hadoop_uris(config)
    if not uris:
        return None, 0.0
    if config.engine != "spark":
        raise ConfigurationError(f"{uris[0]} is read through Spark", "use the spark engine")
    say("starting the spark engine, which reads the files")
    return _started(config, stack)


def _started(config: SweepConfig, stack: ExitStack) -> tuple[Engine, float]:
    start = time.monotonic()
    limits = FitLimits(config.limits.max_concurrent_trials, config.limits.trial_timeout)
    engine = stack.enter_context(closing(ENGINES[config.engine](config.spark, config.name, limits)))
    return engine, time.monotonic() - start


def _observers(config: SweepConfig, built: Sweep, *, quiet: bool) -> list[Observer]:
    observers: list[Observer] = [] if quiet else [progress_observer(built.ranking_metric)]
    most = config.limits.max_failed_trials
    return observers if most is None else [*observers, FailureLimit(most)]


def _run_and_report(
    built: Sweep, engine: Engine, directory: Path, out: str, observers: list[Observer], *, show: Say
) -> tuple[SweepResult, str]:
    """The result, whose best candidates are shown, and the lines that close the report."""
    from hptune.summary import closing_lines, ranking
    from hptune.sweep import run

    result = run(built, engine, out=directory, observers=observers)
    show(ranking(result))
    return result, closing_lines(result, engine, out=out)


def _opened(uri: str) -> Store:
    return open_store(uri, hadoop=hadoop_opener({}))
