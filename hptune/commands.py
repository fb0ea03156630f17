"""What each command does, once its arguments are parsed.

Each imports what it works with when it starts to work: scikit-learn alone takes seconds, and what is wrong with
an address or a key is told before.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from hptune.config import AnyConfig, checked_tracking_uri
from hptune.engine import Engine, SerialEngine, hadoop_opener
from hptune.errors import AllTrialsFailedError, ConfigurationError, InputDataError
from hptune.interrupts import deadline
from hptune.observers import FailureLimit, Observer, Tally, duration, progress_observer, transfer_progress
from hptune.readying import (
    built_sweep,
    check_inputs,
    early_engine,
    inputs,
    own_engine,
    saves_model,
    started_engine,
)
from hptune.records import Existing
from hptune.storage import Store, default_cache, fetch, is_remote, open_store, upload

if TYPE_CHECKING:
    from hptune.resume import Agenda
    from hptune.summary import SweepResult
    from hptune.sweep import AnySweep

__all__ = [
    "existing_sweep",
    "explain",
    "features",
    "fetch_files",
    "mlflow",
    "rehearse",
    "runs",
    "sample",
    "say",
    "show",
    "status",
    "sweep",
    "upload_files",
]

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
    config: AnyConfig,
    cache: Path,
    say: Say,
    *,
    existing: Existing,
    again: Callable[[str], str],
    quiet: bool,
    show: Say = print,
) -> SweepResult:
    """``hptune sweep``: inputs brought here, everything checked, then the engine, then the fits.

    Of a sweep that `config.out` holds becomes what `existing` says. `again` makes the command that resumes, from
    the output directory's name. `say` gets what is being done, `show` what was found.
    """
    from hptune.remote import claimed_output, prepared_output, send_directories

    resume = existing in ("resumed", "extended")
    if resume and config.out is None:
        raise ConfigurationError("--resume without the directory of a sweep", "name it with --out")
    _check_tracking(config)
    # Waiting OpenMP threads must not spin: other programs want the cores too. Read when the library loads.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    with deadline(config.limits.timeout), ExitStack() as stack, ExitStack() as outputs:
        engine, seconds = early_engine(config, stack, say)
        opener = hadoop_opener(config.spark)
        out = config.out or _new_directory(config.name)
        directory = stack.enter_context(claimed_output(out, cache=cache, hadoop=opener))
        local = stack.enter_context(inputs(config, cache, say, opener))
        check_inputs(local)
        prepared = prepared_output(
            directory, out, existing=existing, say=say, hadoop=opener, saves_model=saves_model(config)
        )
        outputs.enter_context(prepared)
        from hptune.outputs import clear_output, write_rejects
        from hptune.preflight import check_memory
        from hptune.summary import closing_lines
        from hptune.sweep import agenda
        from hptune.tracking import tracked

        built = built_sweep(local, config, engine, cache, say)
        engine = own_engine(built, config) or engine
        todo = agenda(built, directory, resume=resume, extend=existing == "extended", shown=out)
        for notice in todo.notices:
            say(f"note: {notice}")
        say(_work_ahead(built, todo, config.engine))
        if engine is None and todo.tasks:
            engine, seconds = started_engine(config, stack)
        if engine is not None and todo.tasks:
            check_memory(built, engine, say)
        if not resume:
            clear_output(directory)
        if (rejects := built.rejects) is not None:
            write_rejects(directory, rejects)
        started = time.monotonic()
        engine = engine or SerialEngine()  # for which nothing is left
        with tracked(config.tracking, config.name, directory, out, say, engine) as (observing, on):
            run = _Run(built, todo, on, directory, out, config.limits.max_failed_trials)
            result = _carried_out(run, observing, again=again, quiet=quiet, show=show)
        closing_text = closing_lines(result, engine, out=out)
        send_directories(directory, out, opener, say)
        outputs.close()  # what cannot be sent to a remote place is told before anybody reads that it is there
        show(closing_text)
        show(f"engine started in {duration(seconds)}, sweep took {duration(time.monotonic() - started)}")
    return replace(result, out=out, load_model=None) if is_remote(out) else result


def _new_directory(name: str) -> str:
    """One that nobody else is given, whoever begins in the same second."""
    now = time.time_ns()
    return (
        f"runs/{name}-{time.strftime('%Y%m%d-%H%M%S', time.localtime(now // 10**9))}-{now // 1000 % 10**6:06}"
    )


def _check_tracking(config: AnyConfig) -> None:
    if config.tracking is not None:
        from hptune.tracking import check_tracking

        check_tracking(config.tracking)


def rehearse(
    config: AnyConfig, cache: Path, say: Say, *, existing: Existing = "refused", show: Say = print
) -> None:
    """``hptune sweep --dry-run``: everything checked, one fit made, nothing written but the caches of inputs."""
    from hptune.preflight import check_memory
    from hptune.rehearsal import rehearse as lines_of
    from hptune.sweep import agenda

    resume = existing in ("resumed", "extended")
    if resume and (config.out is None or is_remote(config.out)):
        raise ConfigurationError("--dry-run --resume without a local directory", "name one with --out")
    with deadline(config.limits.timeout), ExitStack() as stack:
        engine, _ = early_engine(config, stack, say)
        opener = hadoop_opener(config.spark)
        local = stack.enter_context(inputs(config, cache, say, opener))
        check_inputs(local)
        built = built_sweep(local, config, engine, cache, say)
        engine = own_engine(built, config) or engine
        directory = Path(str(config.out).removeprefix("file://")) if resume else None
        todo = agenda(built, directory, resume=resume, extend=existing == "extended")
        if engine is None:
            say(f"starting the {config.engine} engine")
            engine, _ = started_engine(config, stack)
        for line in lines_of(built, todo, engine, check_memory(built, engine, say)):
            show(line)


def existing_sweep(*, overwrite: bool, resume: bool, extend: bool) -> Existing:
    """What becomes of a sweep that the output directory holds already.

    Raises
    ------
    ConfigurationError
        The options contradict each other.
    """
    if extend and not resume:
        raise ConfigurationError("--extend goes with --resume", "add --resume")
    if resume and overwrite:
        raise ConfigurationError("--resume keeps what --overwrite removes", "give one of them")
    if resume:
        return "extended" if extend else "resumed"
    return "replaced" if overwrite else "refused"


def fetch_files(arguments: argparse.Namespace, say: Say) -> None:
    """``hptune fetch``: verified copies of files."""
    store = _opened(arguments.uri)
    files = store.files()
    if not files:
        raise InputDataError(f"{store.uri} holds no files", "check container and prefix")
    with transfer_progress(say) as progress:
        fetched = fetch(store, arguments.directory, files, progress=progress.update, say=say)
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


def status(arguments: argparse.Namespace, say: Say) -> None:
    """``hptune status``: what a directory holds."""
    directory = _local_directory(arguments.path, "status")
    from rich.console import Console

    from hptune.status import show_status
    from hptune.summary import terminal_width

    console = Console(width=terminal_width())
    show_status(directory, console, watch=arguments.watch)


def runs(arguments: argparse.Namespace, say: Say) -> None:
    """``hptune runs``: the child runs of a sweep."""
    from rich.console import Console

    from hptune.history import read_children
    from hptune.runs import chosen, shown_runs
    from hptune.summary import terminal_width

    children = read_children(_local_directory(arguments.out, "runs"))
    shown = shown_runs(chosen(children, sort=arguments.sort, status=arguments.status), arguments.format)
    if isinstance(shown, str):
        print(shown)
    else:
        Console(width=terminal_width()).print(shown)


def show(arguments: argparse.Namespace, say: Say) -> None:
    """``hptune show``: one child run."""
    from hptune.runs import found_run, shown_run

    print(shown_run(found_run(_local_directory(arguments.out, "show"), arguments.run_id)))


def _local_directory(path: str, command: str) -> Path:
    if is_remote(path):
        raise ConfigurationError(
            f"{command} reads directories, not {path}", "fetch it first: hptune fetch URI DIR"
        )
    return Path(path.removeprefix("file://"))


def mlflow(arguments: argparse.Namespace, say: Say) -> None:
    """``hptune mlflow``: what MLflow lacks of a sweep."""
    directory = _local_directory(arguments.out, "mlflow")
    uri = arguments.tracking_uri and checked_tracking_uri(arguments.tracking_uri, "--tracking-uri")
    from hptune.tracking import send_missing

    send_missing(directory, uri, say)


def _work_ahead(built: AnySweep, todo: Agenda, engine: str) -> str:
    folds = f" x {todo.plan.n_folds} folds" if todo.plan.n_folds > 1 else ""
    cells = f"{todo.plan.n_candidates} candidates{folds}"
    if not todo.tasks:
        return f"{built.size}, {cells}: nothing is left to fit"
    done = f", {len(todo.reused)} of {todo.plan.n_cells} fold scores done" if todo.reused else ""
    return f"{built.size}, {cells}{done}; starting the {engine} engine"


class _Run(NamedTuple):
    """A sweep, what is left to do of it, and where."""

    sweep: AnySweep
    agenda: Agenda
    engine: Engine
    directory: Path
    out: str
    max_failed: int | None


def _carried_out(
    run: _Run, observing: Sequence[Observer], *, again: Callable[[str], str], quiet: bool, show: Say
) -> SweepResult:
    """The result, whose best candidates are shown; of a sweep that is stopped, how to go on with it."""
    from hptune.summary import ranking, stopped_lines
    from hptune.sweep import carry_out

    tally = Tally()
    observers: list[Observer] = [tally, *observing]
    if not quiet:
        observers.append(progress_observer(run.sweep.ranking_metric, run.engine.slots))
    if run.max_failed is not None:
        observers.append(FailureLimit(run.max_failed))
    try:
        result = carry_out(run.sweep, run.agenda, run.engine, out=run.directory, observers=observers)
    except AllTrialsFailedError:
        raise
    except BaseException:
        if tally.total:
            with suppress(BrokenPipeError):
                show(stopped_lines(tally.done, tally.total, run.out, again(run.out)))
        raise
    show(ranking(result))
    return result


def _opened(uri: str) -> Store:
    return open_store(uri, hadoop=hadoop_opener({}))
