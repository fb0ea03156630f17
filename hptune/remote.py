"""Inputs and outputs of a sweep that are not on this machine: verified copies, and a directory that is mirrored.

What writes outputs needs scikit-learn and all fitters, which take seconds to import: not before a place has answered.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import shlex
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeVar

from hptune.config import AnyConfig, SweepConfig, TrialSweepConfig
from hptune.errors import ConfigurationError, InputDataError, StorageError
from hptune.features import raw_file_names
from hptune.locks import held
from hptune.observers import duration, transfer_progress
from hptune.records import MODEL, Existing
from hptune.storage import (
    MIRROR_SECONDS,
    Mirror,
    Opener,
    Patience,
    RemoteFile,
    Store,
    cached_copies,
    fetch,
    is_remote,
    needs_hadoop,
    open_store,
    upload,
)

__all__ = [
    "claimed_output",
    "hadoop_uris",
    "local_copies",
    "local_inputs",
    "prepared_output",
    "send_directories",
]

_INPUTS = ("path", "test")
_LAST_WORDS = Patience(first=1, silence=2, total=3)

Say = Callable[[str], None]
Config = TypeVar("Config", bound=AnyConfig)


def hadoop_uris(config: AnyConfig) -> list[str]:
    """The addresses of a sweep that need Spark before they can be read."""
    named = [*(value for _, value in _remote_inputs(config)), config.out or ""]
    return [uri for uri in named if needs_hadoop(uri)]


@contextmanager
def local_inputs(config: Config, *, cache: Path, say: Say, hadoop: Opener | None = None) -> Iterator[Config]:
    """The same configuration over local copies of its inputs, which stay in the cache.

    Raises
    ------
    InputDataError
        A place lacks files, or one of them is empty; also what the context raises, with the copies' directory
        replaced by where they are from.
    StorageError
        A place does not answer, or refuses the credentials.
    """
    places: dict[str, str] = {}
    with ExitStack() as stack:
        inputs = _inputs(config)
        copies = {name: uri.removeprefix("file://") for name, uri in inputs.items() if not is_remote(uri)}
        kind = config.data.format if isinstance(config, SweepConfig) else "any"
        for name, uri in _remote_inputs(config):
            context = local_copies(uri, cache=cache, say=say, hadoop=hadoop, format=kind)
            copies[name] = str(stack.enter_context(context))
            places[copies[name]] = uri
        try:
            yield _with_inputs(config, copies)
        except InputDataError as error:
            what = error.what
            for local, uri in places.items():
                what = what.replace(local, uri)
            raise InputDataError(what, error.mend) from error


@contextmanager
def local_copies(
    uri: str, *, cache: Path, say: Say, hadoop: Opener | None = None, format: str = "auto"
) -> Iterator[Path]:
    """The file or directory `uri`, copied into the cache where it is not there yet; nothing is, if it is local."""
    if not is_remote(uri):
        yield Path(uri.removeprefix("file://"))
        return
    store = open_store(uri, hadoop=hadoop)
    files = _wanted(store, format)
    with transfer_progress(say) as progress, ExitStack() as stack:
        directory, fetched = stack.enter_context(
            cached_copies(store, files, cache, progress=progress.update, say=say)
        )
        progress.close()
        many = f"{len(files)} file" + ("s" if len(files) != 1 else "")
        how = (
            f"{fetched.bytes:,} bytes fetched"
            if fetched.fetched
            else "nothing to fetch, the cache is verified"
        )
        say(f"{many} from {uri}: {how}")
        single = len(files) == 1 and uri.rstrip("/").endswith(f"/{files[0].name}")
        yield directory / files[0].name if single else directory


@contextmanager
def claimed_output(out: str, *, cache: Path, hadoop: Opener | None = None) -> Iterator[Path]:
    """The local directory for the outputs, held for this process alone; nothing in it is looked at yet.

    Raises
    ------
    ConfigurationError
        It is a file.
    OutputInUseError
        Another process writes to it; for a remote place, another one on this machine.
    OutputError
        It cannot be made or written to.
    """
    if is_remote(out):
        uri = open_store(out, hadoop=hadoop).uri
        directory = cache / "staging" / hashlib.sha256(uri.encode()).hexdigest()[:32]
    else:
        directory = Path(out.removeprefix("file://"))
    with held(directory, out):
        yield directory


@contextmanager
def prepared_output(
    directory: Path,
    out: str,
    *,
    existing: Existing,
    say: Say,
    hadoop: Opener | None = None,
    saves_model: bool = False,
) -> Iterator[None]:
    """Check the claimed `directory` for the outputs, and mirror it to `out` where that is remote.

    A remote sweep that is to be resumed is brought here first. `existing` is as in `check_output`; `saves_model` tells
    whether the sweep writes a model that is a directory.

    Raises
    ------
    ConfigurationError
        There is a sweep already, or one that cannot be resumed.
    StorageError
        The place cannot be written to, or what was not sent yet cannot be sent in the end.
    """
    if not is_remote(out):
        from hptune.outputs import check_output, held_files

        model = saves_model and os.path.lexists(directory / MODEL)
        check_output(held_files(directory), out, existing, model=model)
        yield
        return
    store = open_store(out, hadoop=hadoop)
    there = store.files()
    from hptune.outputs import OUTPUT_DIRECTORIES, OUTPUT_FILES, check_output, clear_output

    ours = [file for file in there if file.name in OUTPUT_FILES]
    names = sorted(file.name for file in ours)
    model = saves_model and any(file.name.partition("/")[0] == MODEL for file in there)
    check_output(names, out, existing, model=model)
    store.check_writable()
    if existing in ("resumed", "extended"):
        mirror = Mirror(directory, store, OUTPUT_FILES, interval=MIRROR_SECONDS)
        mirror.adopt(_brought_back(store, ours, directory, say))
    else:
        _refuse_unsent(directory, out, overwrite=existing == "replaced")
        clear_output(directory)
        inner = [file.name for file in there if file.name.partition("/")[0] in OUTPUT_DIRECTORIES]
        replaced = [*names, *(inner if names else ())]
        mirror = Mirror(directory, store, OUTPUT_FILES, replaced=replaced, interval=MIRROR_SECONDS)
    say(f"outputs are mirrored to {store.uri} every {duration(MIRROR_SECONDS)} and at the end")
    yield from _mirrored(mirror, directory, say)


def send_directories(directory: Path, out: str, hadoop: Opener | None, say: Say) -> None:
    """What trials left, sent to a remote place, where only the sweep's own files are mirrored while it runs.

    Of an earlier model there no file stays: Spark would read it as a part of the new one.

    Raises
    ------
    StorageError
        The place refuses, or does not answer.
    """
    from hptune.outputs import OUTPUT_DIRECTORIES

    for name in OUTPUT_DIRECTORIES if is_remote(out) else ():
        if not (directory / name).is_dir():
            continue
        store = open_store(f"{out.rstrip('/')}/{name}", hadoop=hadoop)
        for file in store.files() if name == MODEL else ():
            if not (directory / name / file.name).exists():
                store.remove(file.name)
        upload(directory / name, store, progress=say)


def _refuse_unsent(staging: Path, out: str, *, overwrite: bool) -> None:
    """Refuse to drop what an earlier run could not send."""
    from hptune.outputs import held_files

    if not overwrite and held_files(staging):
        raise ConfigurationError(
            f"{staging} holds a sweep for {out} that was not sent",
            f"{shlex.join(['hptune', 'upload', str(staging), out])}, or add --resume or --overwrite",
        )


def _brought_back(store: Store, there: Sequence[RemoteFile], staging: Path, say: Say) -> list[str]:
    """Fetch the place's files; returns the names of those that are now here as they are there.

    A journal that goes on here where the place's ends is kept: a driver was killed before it could send the rest.
    """
    from hptune.outputs import JOURNAL, clear_output

    names = [file.name for file in there]
    with tempfile.TemporaryDirectory(prefix="fetched-", dir=staging.parent) as scratch:
        fetched = Path(scratch)
        if there:
            fetch(store, fetched, there)
        if _goes_on(staging / JOURNAL, fetched / JOURNAL):
            say(f"{staging / JOURNAL} holds fits that {store.uri} does not have yet")
            os.replace(staging / JOURNAL, fetched / JOURNAL)
            names = [name for name in names if name != JOURNAL]
        clear_output(staging)
        for name in {*names, JOURNAL}:
            if (fetched / name).exists():
                os.replace(fetched / name, staging / name)
    return names


def _goes_on(here: Path, there: Path) -> bool:
    """Whether a local journal begins with all of another one and has more."""
    if here.is_symlink() or not here.is_file():
        return False
    mine = here.read_bytes()
    theirs = there.read_bytes() if there.exists() else b""
    return len(mine) > len(theirs) and mine.startswith(theirs)


def _mirrored(mirror: Mirror, staging: Path, say: Say) -> Iterator[None]:
    mirror.start()
    try:
        yield
    except BaseException:
        try:
            mirror.close(_LAST_WORDS)
        except StorageError as error:
            say(str(error))
        else:
            shutil.rmtree(staging, ignore_errors=True)
        raise
    mirror.close()
    shutil.rmtree(staging, ignore_errors=True)


def _inputs(config: AnyConfig) -> dict[str, str]:
    """Where the files are that a sweep reads, by the names of their keys."""
    if isinstance(config, TrialSweepConfig):
        return dict(config.trial.inputs)
    named = {name: getattr(config.data, name) for name in _INPUTS}
    return {name: value for name, value in named.items() if value is not None}


def _with_inputs(config: Config, inputs: dict[str, Any]) -> Config:
    """The configuration with its files elsewhere."""
    if isinstance(config, TrialSweepConfig):
        return dataclasses.replace(config, trial=dataclasses.replace(config.trial, inputs=inputs))
    return dataclasses.replace(config, data=dataclasses.replace(config.data, **inputs))


def _remote_inputs(config: AnyConfig) -> list[tuple[str, str]]:
    return [(name, value) for name, value in _inputs(config).items() if is_remote(value)]


def _wanted(store: Store, format: str) -> list[RemoteFile]:
    """The files that the format reads, all of which hold something."""
    files = store.files()
    if not files:
        raise InputDataError(f"{store.uri} holds no files", "check container and prefix")
    names = _names(store, [file.name for file in files], format)
    wanted = [file for file in files if file.name in names]
    empty = [file.name for file in wanted if not file.size]
    if empty:
        raise InputDataError(f"{store.uri}/{empty[0]} is empty", "upload the file again")
    return wanted


def _names(store: Store, names: Sequence[str], format: str) -> set[str]:
    """Of a table that is named itself that one, else the raw files."""
    if format == "any" or (len(names) == 1 and store.uri.endswith(f"/{names[0]}")):
        return set(names)
    table = f"name a table itself, such as {store.uri}/{names[0]}"
    if format not in ("auto", "talkingdata"):
        raise InputDataError(f"{store.uri} is no {format} file", table)
    if not raw_file_names(names, store.uri, required=False):
        raise InputDataError(f"{store.uri} holds no raw files", table)
    return set(raw_file_names(names, store.uri, required=True))
