"""A sweep whose outputs are elsewhere goes on, on this machine or another."""

from __future__ import annotations

import itertools
import os
import signal
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from xgboost import XGBClassifier

from hptune.engine import SerialEngine
from hptune.errors import ConfigurationError
from hptune.fitters import MODEL_FILES
from hptune.interrupts import Stopped
from hptune.journal import read_journal
from hptune.outputs import WINNER_FILES
from hptune.records import Existing, FitTask, Outcome
from hptune.storage import fetch
from hptune.summary import SweepResult
from hptune.sweep import Sweep, run
from tests.builders import Case, classes_table, sweep_of
from tests.storage.conftest import Container, output_directory
from tests.test_resume import GRID, Recorded, answer

Session = Callable[..., SweepResult]


@pytest.fixture
def there(container: Container, monkeypatch: pytest.MonkeyPatch) -> Container:
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", container.server.connection_string)
    return container


@pytest.fixture
def session(there: Container, tmp_path: Path) -> Session:
    """Runs a sweep whose outputs go to the container, until its engine ends it."""

    def one(
        sweep: Sweep, engine: Recorded, existing: Existing = "resumed", machine: str = "one"
    ) -> SweepResult:
        said: list[str] = []
        place = output_directory(
            f"{there.uri}/run", existing=existing, cache=tmp_path / machine, say=said.append
        )
        with place as directory:
            resume = existing in ("resumed", "extended")
            return run(sweep, engine, out=directory, resume=resume, extend=existing == "extended")

    return one


def sweep(**grid: object) -> Sweep:
    return sweep_of(Case(XGBClassifier(), {**GRID, **grid}, *classes_table(90), cv=3))


def fetched(there: Container, tmp_path: Path) -> Path:
    directory = tmp_path / f"fetched{len(list(tmp_path.iterdir()))}"
    fetch(there.store("run"), directory)
    return directory


def versions(there: Container) -> dict[str, tuple[str, int]]:
    return {file.name: (file.version, file.size) for file in there.store("run").files()}


def test_another_machine_goes_on_where_this_one_was_stopped(
    there: Container, session: Session, tmp_path: Path
) -> None:
    with pytest.raises(Stopped):
        session(sweep(), Recorded(7, Stopped("enough")), "refused")
    partial = fetched(there, tmp_path)
    assert "partial" in pd.read_csv(partial / "results.csv")["status"].tolist()
    engine = Recorded()
    result = session(sweep(), engine, machine="two")
    assert len(engine.cells) == 11
    assert answer(result.table).equals(answer(run(sweep(), Recorded()).table))
    whole = fetched(there, tmp_path)
    assert [len(each.outcomes) for each in read_journal(whole / "journal.jsonl").sessions] == [7, 11]
    assert (whole / "best_params.json").exists() and (whole / "hptune.log").read_text().count("enough") == 1
    assert session(sweep(), Recorded(0), machine="three").savings.reused == 18  # type: ignore[union-attr]


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")  # other tests leave threads
def test_what_a_killed_driver_had_not_sent_is_not_lost(
    there: Container, session: Session, tmp_path: Path
) -> None:
    child = os.fork()
    if not child:  # the mirror's first round is half a minute away
        try:
            session(sweep(), Killed(), "refused")
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert versions(there) == {}
    with pytest.raises(ConfigurationError, match="that was not sent"):
        session(sweep(), Recorded(), "refused")
    engine = Recorded()
    session(sweep(), engine)
    assert len(engine.cells) == 11
    assert len(read_journal(fetched(there, tmp_path) / "journal.jsonl").sessions) == 2


class Killed(Recorded):
    """Its process is killed after some outcomes."""

    def run(
        self, tasks: Sequence[FitTask], work: Any, description: str
    ) -> Generator[list[Outcome], None, None]:
        outcomes = itertools.chain.from_iterable(SerialEngine.run(self, tasks, work, description))
        yield from ([outcome] for outcome in itertools.islice(outcomes, 7))
        os.kill(os.getpid(), signal.SIGKILL)


def test_another_sweep_changes_nothing_there(there: Container, session: Session) -> None:
    session(sweep(), Recorded(), "refused")
    before = versions(there)
    with pytest.raises(ConfigurationError, match="search_space is 9 candidates"):
        session(sweep(max_depth=[1, 2, 3]), Recorded(), machine="two")
    assert versions(there) == before


def test_an_old_winner_does_not_look_current_there(there: Container, session: Session) -> None:
    session(sweep(), Recorded(), "refused")
    assert set(MODEL_FILES) & versions(there).keys()
    with pytest.raises(Stopped):
        session(sweep(max_depth=[1, 2, 3]), Recorded(2, Stopped("enough")), "extended", machine="two")
    assert not set(WINNER_FILES) & versions(there).keys()
