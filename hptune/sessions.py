"""One session of a sweep in its journal: the record it begins with, its outcomes, and how it ended."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from hptune.errors import AllTrialsFailedError, HptuneError
from hptune.interrupts import Stopped
from hptune.journal import FORMAT, Journal
from hptune.outputs import JOURNAL, OUTPUT_FILES
from hptune.records import clipped
from hptune.resume import Agenda
from hptune.storage import clear_scratch

__all__ = ["open_session"]


@contextmanager
def open_session(out: Path, agenda: Agenda, about: Mapping[str, Any]) -> Iterator[Journal]:
    """The journal of a sweep in `out`, open for what the agenda has left to do.

    What leaves the context is told by the journal's last record.

    Parameters
    ----------
    out : Path
        The output directory.
    agenda : Agenda
        What is to be done, and the journal that is gone on with.
    about : mapping
        What a reader of the journal should know of the sweep; JSON values.

    Raises
    ------
    OutputError
        The journal cannot be written.
    """
    started = time.time()
    first = {
        **_first_record(agenda),
        "started": started,
        "host": socket.gethostname(),
        "pid": os.getpid(),
        **about,
    }
    keep = None if agenda.kept is None else agenda.kept.end
    with Journal(out / JOURNAL, first, keep=keep) as journal:
        with suppress(OSError):  # it is only in the way
            clear_scratch(out, OUTPUT_FILES)
        try:
            yield journal
        except BaseException as error:
            ending = {"record": "finished"} if isinstance(error, AllTrialsFailedError) else _stopped(error)
            with suppress(HptuneError):  # the error that ended the session is the one to be told
                journal.record({**ending, "seconds": time.time() - started})
            raise
        journal.record({"record": "finished", "seconds": time.time() - started})


def _first_record(agenda: Agenda) -> dict[str, Any]:
    if agenda.kept is None or not agenda.kept.sessions:
        identity = {"identity": agenda.identity.fields, "grid": agenda.identity.grid}
        return {"record": "header", "format": FORMAT, **identity}
    record: dict[str, Any] = {"record": "resumed", "first_fit": agenda.first_fit}
    if agenda.renumbered is not None:
        record |= {"grid": agenda.identity.grid, "renumbered": list(agenda.renumbered)}
    return record


def _stopped(error: BaseException) -> dict[str, Any]:
    if isinstance(error, Stopped):
        reason = error.reason
    elif isinstance(error, HptuneError):
        reason = error.what
    else:
        reason = "interrupted" if isinstance(error, KeyboardInterrupt) else f"{type(error).__name__}: {error}"
    return {"record": "stopped", "reason": clipped(reason)}
