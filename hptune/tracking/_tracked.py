"""MLflow is told of a sweep: as it runs, or afterwards."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from hptune.config import TrackingConfig
from hptune.engine import DriverEngine, Engine, Feed, Work
from hptune.errors import ConfigurationError, HptuneError, InputDataError, StorageError
from hptune.locks import held
from hptune.observers import Background, MlflowRuns, Observer, autologging_off, has_mlflow, settings_kept
from hptune.outputs import JOURNAL
from hptune.records import FitTask, Outcome
from hptune.tracking._ledger import Ledger
from hptune.tracking._sender import Sender

__all__ = ["check_tracking", "send_missing", "tracked"]

_PATIENCE = {"patience": 10.0, "longest": 60.0}  # seconds, after the last fit
_LITTLE = {"patience": 1.0, "longest": 3.0}  # and after a stop

Say = Callable[[str], None]


def check_tracking(tracking: TrackingConfig | None) -> None:
    """Refuse to track without a client.

    Raises
    ------
    ConfigurationError
        MLflow is not installed.
    """
    if tracking is not None and not has_mlflow():
        raise ConfigurationError(
            "tracking needs MLflow", "install hptune[mlflow], or take the key tracking out"
        )


@contextmanager
def tracked(
    tracking: TrackingConfig | None, name: str, directory: Path, out: str, say: Say, engine: Engine
) -> Iterator[tuple[list[Observer], Engine]]:
    """Tell MLflow of the sweep that runs meanwhile, by the observers and on the engine that are yielded.

    Fits are not logged by MLflow itself meanwhile. A trial in this process is its child run's active one, so that
    what it logs by MLflow's own functions lands there.

    Nothing that the server does or fails to do is an error here. What it lacks in the end is told in one line.

    Parameters
    ----------
    tracking : TrackingConfig, optional
        Without it nothing is told.
    name : str
        The sweep's.
    directory : Path
        Where it writes.
    out : str
        What the user calls that.
    say : callable
        Gets the line.
    engine : Engine
        What the sweep runs on.
    """
    if tracking is None:
        yield [], engine
        return
    sender = Sender(directory, MlflowRuns(tracking.mlflow, tracking.experiment or name))
    background = Background(sender.steps)
    wait = _LITTLE
    try:
        if isinstance(engine, DriverEngine):
            with settings_kept():
                yield [background], _Inside(engine, sender.active)
        else:
            with autologging_off():
                yield [background], engine
        wait = _PATIENCE
    finally:
        background.close(**wait)
        if not background.finished:
            say(
                f"note: MLflow lacks a part of this sweep ({background.failure}): hptune mlflow {out} sends it"
            )


class _Inside(DriverEngine):
    """Runs each task inside a context."""

    def __init__(
        self, engine: DriverEngine, around: Callable[[FitTask], AbstractContextManager[None]]
    ) -> None:
        super().__init__(engine.slots, trial_timeout=engine.trial_timeout, give_up=engine.give_up)
        self._around = around

    def run_fed(self, feed: Feed, work: Work, description: str) -> Generator[list[Outcome], None, None]:
        """As the engine does."""

        def inside(task: FitTask) -> list[Outcome]:
            with self._around(task):
                return work(task)

        yield from super().run_fed(feed, inside, description)


def send_missing(directory: Path, uri: str | None, say: Say) -> None:
    """``hptune mlflow``: send what MLflow lacks of the sweep in a directory.

    Parameters
    ----------
    directory : Path
        It is held for this process meanwhile.
    uri : str, optional
        Another server than the sweep's.
    say : callable
        Gets a line about what was sent.

    Raises
    ------
    ConfigurationError
        There is no server, or no client.
    InputDataError
        There is no sweep.
    OutputInUseError
        The sweep runs: it tells MLflow itself.
    StorageError
        The server does not answer, or refuses.
    """
    if not (directory / JOURNAL).is_file():
        raise InputDataError(f"{directory} holds no sweep", "name the --out of a sweep")
    with held(directory, str(directory)):
        ledger = Ledger(directory)
        if not ledger.read():
            raise InputDataError(f"{directory} holds a sweep without a beginning", "run it again")
        tracking = _tracking(ledger, directory, uri)
        check_tracking(tracking)
        runs = MlflowRuns(tracking.mlflow, tracking.experiment or ledger.name)
        sender = Sender(directory, runs)
        try:
            for _ in sender.steps(last=True):
                pass
        except HptuneError:
            raise
        except Exception as error:  # of the client, and of whatever it uses
            reason = str(error).splitlines()[0] if str(error) else ""
            raise StorageError(
                f"MLflow did not take everything ({type(error).__name__}: {reason})",
                "give the command again when the server answers",
            ) from error
    say(f"{sender.sent} candidates sent, {len(runs.known)} are there")


def _tracking(ledger: Ledger, directory: Path, uri: str | None) -> TrackingConfig:
    given = TrackingConfig(**ledger.tracking) if ledger.tracking else None
    if uri is not None:
        return TrackingConfig(uri, given.experiment if given else None)
    if given is None:
        raise ConfigurationError(f"{directory} names no MLflow server", "add --tracking-uri")
    return given
