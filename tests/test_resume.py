"""A sweep that was cut off anywhere goes on to the table of an undisturbed one, and fits nothing twice."""

from __future__ import annotations

import functools
import io
import json
import os
import random
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import check_scoring, make_scorer, zero_one_loss
from xgboost import XGBClassifier

from hptune import identity
from hptune.engine import SerialEngine
from hptune.errors import AllTrialsFailedError, ClusterError, ConfigurationError, OutputError
from hptune.interrupts import Stopped
from hptune.journal import read_journal
from hptune.observers import Observer, ProgressLines
from hptune.outputs import OUTPUT_FILES, WINNER_FILES
from hptune.plan import Plan
from hptune.records import EarlyStopping, FitTask, Outcome
from hptune.results import UNFINISHED
from hptune.summary import SweepResult, closing_lines
from hptune.sweep import Sweep, agenda, run
from tests.builders import Case, assert_same_results, classes_table, flat, sweep_of

GRID = {"n_estimators": [2, 4, 6], "max_depth": [1, 2], "subsample": [0.5], "random_state": [0]}
WORK = ("fit_time", "score_time", "work_time", "fit_id", "rounds_trained", "prefix_fits")


def ladders(**fields: Any) -> Sweep:
    """Two ladders of three rungs on three folds: 18 cells, 6 fits."""
    return sweep_of(Case(XGBClassifier(), GRID, *classes_table(90), cv=3), **fields)


class Recorded(SerialEngine):
    """The serial engine; it remembers what it fitted, and ends when told to."""

    def __init__(self, end_after: int | None = None, error: BaseException | None = None) -> None:
        self.end_after, self.error = end_after, error
        self.cells: list[tuple[int, int]] = []
        self.rounds = 0

    def run(
        self, tasks: Sequence[FitTask], work: Any, description: str
    ) -> Generator[list[Outcome], None, None]:
        for outcome in flat(super().run(tasks, work, description)):
            if len(self.cells) == self.end_after:
                raise self.error or KeyboardInterrupt
            self.cells.append((outcome.candidate, outcome.fold))
            self.rounds += outcome.rounds_trained
            yield [outcome]


def cut_off(sweep: Sweep, out: Path, after: int, error: BaseException | None = None) -> Recorded:
    """A sweep that ended after some outcomes."""
    engine = Recorded(after, error)
    with pytest.raises(type(error) if error else KeyboardInterrupt):
        run(sweep, engine, out=out)
    return engine


def table_of(out: Path) -> pd.DataFrame:
    return pd.read_csv(out / "results.csv", dtype=str, keep_default_na=False)


def answer(table: pd.DataFrame) -> pd.DataFrame:
    """What must not depend on how often the sweep was cut off."""
    return table[[name for name in table if not name.endswith(WORK)]]


def assert_equal_answers(out: Path, reference: SweepResult, result: SweepResult) -> None:
    assert reference.out is not None
    assert answer(table_of(out)).equals(answer(table_of(reference.out)))
    assert_same_results(result.cv_results_, reference.cv_results_)
    for name in ("sweeping_results.txt", "best_params.json", "model.ubj"):
        assert (out / name).read_bytes() == (reference.out / name).read_bytes(), name


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> SweepResult:
    return run(ladders(), SerialEngine(), out=tmp_path_factory.mktemp("reference"))


def test_what_arrives_together_is_one_record_a_score_and_one_fsync(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal, fsync = tmp_path / "journal.jsonl", os.fsync
    on_disk: list[int] = []  # scores in the journal at each fsync of it

    def counted(file: int) -> None:
        fsync(file)
        if journal.exists() and os.path.samestat(os.fstat(file), journal.stat()):
            records = [json.loads(line)["record"] for line in journal.read_text().splitlines()]
            on_disk.append(records.count("outcome"))

    monkeypatch.setattr(os, "fsync", counted)
    run(ladders(), SerialEngine(), out=tmp_path)
    assert [count for count in on_disk if 0 < count < 18] == [3, 6, 9, 12, 15]
    assert on_disk[-1] == 18
    (session,) = read_journal(tmp_path / "journal.jsonl").sessions
    assert len(session.outcomes) == 18


@pytest.mark.parametrize("after", [0, 1, 3, 4, 10, 17])
def test_resume_refits_nothing_that_finished(tmp_path: Path, reference: SweepResult, after: int) -> None:
    first = cut_off(ladders(), tmp_path, after)
    second = Recorded()
    result = run(ladders(), second, out=tmp_path, resume=True)
    assert len(first.cells) == after
    assert sorted(first.cells + second.cells) == [(c, f) for c in range(6) for f in range(3)]
    assert result.savings.reused == after
    assert_equal_answers(tmp_path, reference, result)
    assert table_of(tmp_path)["fit_id"].tolist() == table_of(reference.out)["fit_id"].tolist()  # type: ignore[arg-type]


def test_a_sweep_cut_off_after_every_outcome_ends_all_the_same(
    tmp_path: Path, reference: SweepResult
) -> None:
    cut_off(ladders(), tmp_path, 1)
    for _ in range(16):
        engine = Recorded(1)
        with pytest.raises(KeyboardInterrupt):
            run(ladders(), engine, out=tmp_path, resume=True)
    result = run(ladders(), Recorded(), out=tmp_path, resume=True)
    assert_equal_answers(tmp_path, reference, result)
    assert len(read_journal(tmp_path / "journal.jsonl").sessions) == 18


def test_a_finished_sweep_resumed_fits_nothing_and_writes_its_results_again(
    tmp_path: Path, reference: SweepResult
) -> None:
    run(ladders(), SerialEngine(), out=tmp_path)
    for name in ("results.csv", "best_params.json"):
        (tmp_path / name).unlink()
    engine = Recorded(0)
    result = run(ladders(), engine, out=tmp_path, resume=True)
    assert result.savings.reused == 18
    assert_equal_answers(tmp_path, reference, result)
    shown = closing_lines(result, SerialEngine())
    assert "18 of 18 fold scores were in the journal and not fitted again" in shown
    assert "slot" not in shown


@pytest.mark.parametrize("there", [False, True])
def test_resume_where_nothing_is_simply_starts_and_says_so(tmp_path: Path, there: bool) -> None:
    if there:
        (tmp_path / "journal.jsonl").write_bytes(b'{"record":"hea')
    todo = agenda(ladders(), tmp_path, resume=True)
    assert todo.notices == (f"{tmp_path} holds nothing to resume: starting from the beginning",)
    assert run(ladders(), SerialEngine(), out=tmp_path, resume=True).savings.reused == 0
    assert len(read_journal(tmp_path / "journal.jsonl").sessions[0].outcomes) == 18


def test_a_cut_last_record_costs_that_fit_alone(tmp_path: Path, reference: SweepResult) -> None:
    cut_off(ladders(), tmp_path, 9)
    journal = tmp_path / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    whole = b"".join(line for line in lines if not line.startswith(b'{"record":"stopped"'))
    for at in random.Random(0).sample(range(len(whole) - len(lines[-2]), len(whole)), 5):  # noqa: S311
        journal.write_bytes(whole[:at])
        todo = agenda(ladders(), tmp_path, resume=True)
        assert len(todo.reused) == 8
        assert todo.notices == ("the journal's last record was cut off and is dropped",) or at == len(
            whole
        ) - len(lines[-2])
        engine = Recorded()
        result = run(ladders(), engine, out=tmp_path, resume=True)
        assert len(engine.cells) == 10
        assert_equal_answers(tmp_path, reference, result)


def test_a_damaged_record_is_told_and_left_alone(tmp_path: Path) -> None:
    cut_off(ladders(), tmp_path, 9)
    journal = tmp_path / "journal.jsonl"
    content = bytearray(journal.read_bytes())
    content[content.index(b"\n") + 40] ^= 1
    journal.write_bytes(content)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(OutputError, match=r"journal.jsonl:2: the record is damaged"):
        run(ladders(), SerialEngine(), out=tmp_path, resume=True)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def double(estimator: Any, X: Any, y: Any) -> float:
    return 2.0 * float(estimator.score(X, y))


CONFIG = {"data": {"path": "a.csv"}, "cv": 3, "search_space": {"max_depth": [1, 2]}, "seed": 0}
OTHERS: dict[str, tuple[Callable[[], Sweep], str]] = {
    "grid": (
        lambda: replace(ladders(), candidates=[{"max_depth": 3}]),
        "search_space is 1 candidates, but {out} was started with 6 candidates",
    ),
    "grid by name": (
        lambda: replace(
            ladders(), candidates=[{"max_depth": 3}], config={**CONFIG, "search_space": {"max_depth": [3]}}
        ),
        "search_space.max_depth is [3], but {out} was started with [1, 2]",
    ),
    "order of the grid": (
        lambda: replace(ladders(), candidates=ladders().candidates[::-1]),
        "search_space is 6 candidates",
    ),
    "data": (lambda: sweep_of(Case(XGBClassifier(), GRID, *classes_table(90, seed=1), cv=3)), "data is "),
    "data by name": (
        lambda: sweep_of(
            Case(XGBClassifier(), GRID, *classes_table(90, seed=1), cv=3),
            config={**CONFIG, "data": {"path": "b.csv"}},
        ),
        "data.path is b.csv, but {out} was started with a.csv",
    ),
    "weights": (
        lambda: sweep_of(Case(XGBClassifier(), GRID, *classes_table(90), cv=3, weights=np.ones(90))),
        "data is ",
    ),
    "folds": (lambda: sweep_of(Case(XGBClassifier(), GRID, *classes_table(90), cv=2)), "cv is "),
    "seed": (lambda: ladders(config={**CONFIG, "seed": 1}), "seed is 1, but {out} was started with 0"),
    "estimator": (lambda: replace(ladders(), estimator=RandomForestClassifier()), "estimator[0] is "),
    "a parameter of the estimator": (
        lambda: replace(ladders(), estimator=XGBClassifier(gamma=1.0)),
        'estimator[1].gamma is ["float", "1.0"], but {out} was started with ["NoneType", "None"]',
    ),
    "metric": (lambda: ladders(scorer=check_scoring(XGBClassifier(), scoring="f1")), "objective is "),
    "metrics": (lambda: ladders(metrics=("score", "f1")), "metrics is "),
    "early stopping": (lambda: ladders(early_stopping=EarlyStopping(3)), "early_stopping is [3, 0.1, 0]"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_another_sweep_is_refused_by_name_and_nothing_is_written(tmp_path: Path, name: str) -> None:
    changed, told = OTHERS[name]
    cut_off(ladders(config=CONFIG), tmp_path, 5)
    other = changed()
    other = other if other.config else replace(other, config=CONFIG)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(ConfigurationError) as refused:
        agenda(other, tmp_path, resume=True)
    assert told.format(out=tmp_path) in str(refused.value)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("library", ["python", "numpy", "scipy", "scikit-learn", "xgboost", "hptune"])
def test_another_version_is_refused_with_both(
    tmp_path: Path, library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut_off(ladders(), tmp_path, 5)
    versions = identity.library_versions()
    monkeypatch.setattr(identity, "library_versions", lambda: {**versions, library: "0.0.1"})
    with pytest.raises(ConfigurationError) as refused:
        agenda(ladders(), tmp_path, resume=True)
    what, mend = refused.value.what, refused.value.mend
    assert what == f"versions.{library} is 0.0.1, but {tmp_path} was started with {versions[library]}"
    assert mend.startswith("install the version")


def test_what_changes_no_score_may_change(tmp_path: Path, reference: SweepResult) -> None:
    cut_off(ladders(config=CONFIG), tmp_path, 5)
    config = {
        **CONFIG,
        "engine": "processes",
        "out": "elsewhere",
        "data": {"path": "moved.csv"},
        "refit": True,
    }
    result = run(replace(ladders(config=config), name="renamed"), Recorded(), out=tmp_path, resume=True)
    assert result.savings.reused == 5
    assert_equal_answers(tmp_path, reference, result)


def wider(**grid: Any) -> Sweep:
    return sweep_of(Case(XGBClassifier(), {**GRID, **grid}, *classes_table(90), cv=3))


@pytest.mark.parametrize("after", [4, 18])
@pytest.mark.parametrize(
    "grid",
    [{"max_depth": [1, 2, 3]}, {"n_estimators": [1, 2, 4, 5, 6, 8]}, {"max_depth": [3, 2, 1]}],
    ids=["values", "rungs", "reordered"],
)
def test_a_wider_grid_reuses_every_finished_rung(tmp_path: Path, grid: dict[str, Any], after: int) -> None:
    if after == 18:
        run(ladders(), Recorded(), out=tmp_path)
    else:
        cut_off(ladders(), tmp_path, after)
    whole = run(wider(**grid), SerialEngine())
    with pytest.raises(ConfigurationError, match="add --extend"):
        agenda(wider(**grid), tmp_path, resume=True)
    engine = Recorded()
    result = run(wider(**grid), engine, out=tmp_path, resume=True, extend=True)
    assert result.savings.reused == after
    assert len(engine.cells) == len(result.table) * 3 - after
    assert answer(result.table).equals(answer(whole.table))
    assert_same_results(result.cv_results_, whole.cv_results_)
    shared = result.table.groupby("fit_id")["candidate"].apply(list)
    depths = result.table.set_index("candidate")["param_max_depth"]
    assert all(len(set(depths[candidates])) == 1 for candidates in shared)  # no fit serves what it cannot


def test_a_longer_rung_alone_is_one_fit_a_fold_from_the_first_round(tmp_path: Path) -> None:
    run(ladders(), Recorded(), out=tmp_path)
    engine = Recorded()
    result = run(wider(n_estimators=[2, 4, 6, 9]), engine, out=tmp_path, resume=True, extend=True)
    assert (len(engine.cells), engine.rounds) == (6, 6 * 9)
    assert result.savings is not None and result.savings.fits == 6 + 6


def test_a_shorter_rung_alone_is_fitted_no_longer_than_it_is(tmp_path: Path) -> None:
    run(ladders(), Recorded(), out=tmp_path)
    engine = Recorded()
    run(wider(n_estimators=[1, 2, 4, 6]), engine, out=tmp_path, resume=True, extend=True)
    assert (len(engine.cells), engine.rounds) == (6, 6 * 1)


def test_an_extended_sweep_is_cut_off_and_resumed_like_any_other(tmp_path: Path) -> None:
    cut_off(ladders(), tmp_path, 7)
    grid = {"n_estimators": [2, 4, 6, 8], "max_depth": [1, 2, 3]}
    with pytest.raises(KeyboardInterrupt):
        run(wider(**grid), Recorded(5), out=tmp_path, resume=True, extend=True)
    with pytest.raises(ConfigurationError, match="search_space is 6 candidates"):
        agenda(ladders(), tmp_path, resume=True)
    result = run(wider(**grid), Recorded(), out=tmp_path, resume=True)
    assert result.savings.reused == 12
    assert answer(result.table).equals(answer(run(wider(**grid), SerialEngine()).table))


def test_a_grid_without_what_was_fitted_is_refused(tmp_path: Path) -> None:
    cut_off(ladders(), tmp_path, 7)
    with pytest.raises(ConfigurationError) as refused:
        agenda(wider(max_depth=[2, 3]), tmp_path, resume=True, extend=True)
    assert f"search_space lacks 3 of the candidates of {tmp_path}, such as" in str(refused.value)
    assert '"max_depth": "1"' in str(refused.value)


STOPS = {
    "a signal": Stopped("stopped by SIGTERM", 143),
    "Ctrl-C": KeyboardInterrupt(),
    "the cluster": ClusterError("the session ended", "start again"),
    "a defect": RuntimeError("no"),
}


@pytest.mark.parametrize("name", STOPS)
@pytest.mark.parametrize("after", [0, 5])
def test_whatever_ends_a_sweep_leaves_marked_results(tmp_path: Path, name: str, after: int) -> None:
    cut_off(ladders(), tmp_path, after, STOPS[name])
    table = table_of(tmp_path)
    assert len(table) == 6
    done = {0: {"not run": 6}, 5: {"ok": 0, "partial": 3, "not run": 3}}[after]
    assert table["status"].value_counts().to_dict() == {status: n for status, n in done.items() if n}
    scores = [name for name in table if name.startswith("split") and name.endswith("test_score")]
    assert sum(cell != "" for score in scores for cell in table[score]) == after
    assert (table["mean_test_score"] == "").all()
    text = (tmp_path / "sweeping_results.txt").read_text()
    assert text.count("mean: nan") == sum(text.count(f"status: {status}") for status in UNFINISHED) == 6
    assert not any((tmp_path / file).exists() for file in WINNER_FILES)
    (session,) = read_journal(tmp_path / "journal.jsonl").sessions
    assert len(session.outcomes) == after and session.endings[0]["record"] == "stopped"


def test_candidates_with_missing_folds_rank_behind_those_that_are_whole(tmp_path: Path) -> None:
    grid = {"C": [0.01, 0.1, 1.0]}
    sweep = sweep_of(Case(LogisticRegression(), grid, *classes_table(90), cv=3))

    class InOrder(Recorded):
        def run(
            self, tasks: Sequence[FitTask], work: Any, description: str
        ) -> Generator[Outcome, None, None]:
            by_candidate = sorted(tasks, key=lambda task: (task.rungs[0].candidate, task.fold))
            yield from super().run(by_candidate, work, description)

    with pytest.raises(KeyboardInterrupt):
        run(sweep, InOrder(5), out=tmp_path)
    table = table_of(tmp_path)
    assert table["candidate"].tolist() == ["0", "1", "2"]
    assert table["status"].tolist() == ["ok", "partial", "not run"]
    assert table["rank_test_score"].tolist() == ["1", "2", "2"]
    assert table["mean_test_score"].tolist()[1:] == ["", ""]


def test_a_finished_sweep_that_is_extended_and_stopped_looks_finished_no_longer(tmp_path: Path) -> None:
    run(ladders(), SerialEngine(), out=tmp_path)
    (tmp_path / "importances.csv").write_text("of the old winner")
    with pytest.raises(KeyboardInterrupt):
        run(wider(max_depth=[1, 2, 3]), Recorded(2), out=tmp_path, resume=True, extend=True)
    assert not any((tmp_path / file).exists() for file in WINNER_FILES)
    assert table_of(tmp_path)["status"].value_counts().to_dict() == {"ok": 6, "partial": 2, "not run": 1}


def test_results_of_a_sweep_that_fits_again_are_marked_before_the_first_fit(tmp_path: Path) -> None:
    """A driver that is killed has no last words."""
    run(ladders(), SerialEngine(), out=tmp_path)

    class Looking(Observer):
        def on_start(self, plan: Plan) -> None:
            assert "not run" in table_of(tmp_path)["status"].tolist()
            assert not (tmp_path / "model.ubj").exists()
            seen.append(plan.n_candidates)

    seen: list[int] = []
    run(wider(max_depth=[1, 2, 3]), Recorded(), out=tmp_path, resume=True, extend=True, observers=[Looking()])
    assert seen == [9]


class Failing(ClassifierMixin, BaseEstimator):
    """Raises where it is told to."""

    def __init__(self, fails: bool = False, constant: int = 0) -> None:
        self.fails = fails
        self.constant = constant

    def fit(self, X: Any, y: Any) -> Failing:
        if self.fails:
            raise ValueError("no luck")
        self.classes_ = np.unique(y)
        return self

    def predict(self, X: Any) -> Any:
        return np.full(len(X), self.constant)


def test_a_failed_fit_is_finished_too(tmp_path: Path) -> None:
    case = Case(Failing(), [{"fails": [True]}, {"constant": [0, 1]}], *classes_table(40), cv=2)
    reference = run(sweep_of(case), SerialEngine())
    cut_off(sweep_of(case), tmp_path, 5)
    engine = Recorded()
    result = run(sweep_of(case), engine, out=tmp_path, resume=True)
    assert len(engine.cells) == 1
    assert answer(result.table).equals(answer(reference.table))
    assert result.table["status"].tolist() == ["ok", "ok", "failed"]


def test_when_all_fail_the_commonest_cause_is_told_and_the_sweep_is_over(tmp_path: Path) -> None:
    case = Case(Failing(), {"fails": [True], "constant": [0, 1]}, *classes_table(40), cv=2)
    for resume in (False, True):
        with pytest.raises(AllTrialsFailedError, match="most often: ValueError: no luck"):
            run(sweep_of(case), Recorded(), out=tmp_path, resume=resume)
        assert table_of(tmp_path)["status"].tolist() == ["failed"] * 2
    sessions = read_journal(tmp_path / "journal.jsonl").sessions
    assert [session.endings[0]["record"] for session in sessions] == ["finished"] * 2
    assert [len(session.outcomes) for session in sessions] == [4, 0]


UNKNOWN: dict[str, Callable[[], Sweep]] = {
    "an estimator": lambda: ladders_of(LogisticRegression(random_state=np.random.RandomState(0))),
    "a candidate": lambda: ladders_of(
        LogisticRegression(), {"C": [1.0], "random_state": [0, np.random.RandomState(0)]}
    ),
    "the scorer": lambda: ladders_of(LogisticRegression(), scorer=lambda e, X, y: 1.0),
}


def ladders_of(estimator: Any, grid: Any = None, **fields: Any) -> Sweep:
    return sweep_of(Case(estimator, grid or {"C": [0.1, 1.0]}, *classes_table(60), cv=2), **fields)


@pytest.mark.parametrize("what", UNKNOWN)
def test_what_cannot_be_known_again_is_fitted_again_and_said_once(tmp_path: Path, what: str) -> None:
    sweep = UNKNOWN[what]()
    (notice,) = agenda(sweep, tmp_path).notices
    assert "would be fitted again" in notice
    run(sweep, Recorded(), out=tmp_path)
    again = UNKNOWN[what]()
    assert agenda(again, tmp_path, resume=True).notices == (notice,)
    engine = Recorded()
    result = run(again, engine, out=tmp_path, resume=True)
    known = 2 if what == "a candidate" else 0
    assert (result.savings.reused, len(engine.cells)) == (known, 4 - known)
    assert len(result.table) == 2


SCORERS: dict[str, Any] = {
    "by name": "f1",
    "several": {"f1": "f1", "accuracy": "accuracy"},
    "made": make_scorer(zero_one_loss, greater_is_better=False, normalize=False),
    "a function": double,
    "the estimator's": None,
}


@pytest.mark.parametrize("name", SCORERS)
def test_a_scorer_is_known_again_by_what_it_is(tmp_path: Path, name: str) -> None:
    def sweep() -> Sweep:
        metrics = tuple(SCORERS[name]) if name == "several" else ("score",)
        scorer = check_scoring(LogisticRegression(), scoring=SCORERS[name])
        return replace(ladders_of(LogisticRegression()), scorer=scorer, metrics=metrics)

    cut_off(sweep(), tmp_path, 2)
    assert run(sweep(), Recorded(), out=tmp_path, resume=True).savings.reused == 2


def test_scorers_that_differ_in_a_parameter_are_not_the_same(tmp_path: Path) -> None:
    def sweep(normalize: bool) -> Sweep:
        return replace(
            ladders_of(LogisticRegression()), scorer=make_scorer(zero_one_loss, normalize=normalize)
        )

    cut_off(sweep(True), tmp_path, 2)
    with pytest.raises(ConfigurationError, match=r"objective\[3\].normalize is"):
        agenda(sweep(False), tmp_path, resume=True)


def test_early_stopping_resumes_to_the_same_table(tmp_path: Path) -> None:
    sweep = functools.partial(ladders, early_stopping=EarlyStopping(2, 0.2))
    reference = run(sweep(), SerialEngine())
    cut_off(sweep(), tmp_path, 7)
    result = run(sweep(), Recorded(), out=tmp_path, resume=True)
    assert answer(result.table).equals(answer(reference.table))


def test_progress_starts_from_what_is_done(tmp_path: Path) -> None:
    cut_off(ladders(), tmp_path, 12)
    shown = io.StringIO()
    run(ladders(), Recorded(), out=tmp_path, resume=True, observers=[ProgressLines("score", shown, 0)])
    first, *others = shown.getvalue().splitlines()
    assert first.startswith("12/18 fits were done, ")
    assert [line.split()[0] for line in others] == [f"{number}/18" for number in range(13, 19)]


def test_the_log_of_every_session_is_kept(tmp_path: Path) -> None:
    cut_off(ladders(), tmp_path, 12, Stopped("enough"))
    run(ladders(), Recorded(), out=tmp_path, resume=True)
    text = (tmp_path / "hptune.log").read_text()
    assert "Stopped: enough" in text and "refitted the best candidate" in text


def test_results_that_cannot_be_written_hide_no_other_error(tmp_path: Path) -> None:
    (tmp_path / "results.parquet").mkdir()
    cut_off(ladders(), tmp_path, 5, Stopped("enough"))
    assert "the partial results were not written" in (tmp_path / "hptune.log").read_text()


def test_the_winners_files_of_another_ranking_metric_do_not_stay(tmp_path: Path) -> None:
    scorers = {"first": "accuracy", "second": make_scorer(zero_one_loss)}
    sweep = replace(
        ladders_of(LogisticRegression(), {"C": [1e-4, 1.0]}),
        scorer=check_scoring(LogisticRegression(), scoring=scorers),
        metrics=("first", "second"),
    )
    first = run(sweep, SerialEngine(), out=tmp_path)
    (tmp_path / "importances.csv").write_text("of the first winner")
    second = run(replace(sweep, ranks_by="second", refit=False), Recorded(), out=tmp_path, resume=True)
    assert first.best_params != second.best_params
    assert json.loads((tmp_path / "best_params.json").read_text())["params"] == second.best_params
    assert not {"model.skops", "importances.csv"} & {path.name for path in tmp_path.iterdir()}


def test_every_file_is_one_that_is_cleared(tmp_path: Path) -> None:
    run(ladders(), SerialEngine(), out=tmp_path)
    assert {path.name for path in tmp_path.iterdir()} <= set(OUTPUT_FILES)
