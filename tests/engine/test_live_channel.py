"""Policies over the live channel: fits in other processes stop, soon, and go on to their ends where it is cut."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from xgboost import XGBRegressor

from hptune.engine import Engine, ProcessesEngine, SerialEngine
from hptune.fitters import evaluate
from hptune.live import LiveServer, Place
from hptune.live import _client as client
from hptune.observers import Observer
from hptune.plan import make_plan
from hptune.policies import BanditPolicy, Policy, SuccessiveHalvingPolicy
from hptune.records import Outcome
from hptune.sweep import run
from hptune.termination import Judge, _reports, watched
from tests.builders import Case, evaluation, numbers_table, sweep_of
from tests.sessions import spark_session

BANDIT = BanditPolicy(slack_factor=0.2, delay_evaluation=5)
CASE = Case(
    XGBRegressor(max_depth=3, subsample=0.5, seed=0, n_jobs=1),
    {"n_estimators": [300], "learning_rate": [0.3, 0.2, 0.001, 0.0005, 0.0002]},
    *numbers_table(rows=150),
    scoring="neg_root_mean_squared_error",
    cv=3,
)


@pytest.fixture(
    scope="module", params=["local[2,4]", pytest.param("local-cluster[2,1,1024]", marks=pytest.mark.slow)]
)
def spark(request: pytest.FixtureRequest) -> Iterator[Engine]:
    from hptune.engine._spark import SparkEngine

    with spark_session(request.param) as session:
        yield SparkEngine(session)


@pytest.mark.spark
@pytest.mark.parametrize(
    "policy",
    [pytest.param(BANDIT, marks=pytest.mark.slow), SuccessiveHalvingPolicy(min_resource=5)],
    ids=["bandit", "asha"],
)
def test_on_spark_bad_candidates_are_stopped_and_good_ones_have_their_scores(
    spark: Engine, policy: Policy
) -> None:
    exhaustive = run(sweep_of(CASE), SerialEngine()).table.set_index("candidate")["mean_test_score"]
    result = run(sweep_of(CASE, early_termination=policy), spark)
    whole = result.table[result.table["status"] == "ok"].set_index("candidate")["mean_test_score"]
    assert set(result.table["status"]) == {"ok", "stopped"}
    assert whole.to_dict() == {number: exhaustive[number] for number in whole.index}
    assert result.best_params["learning_rate"] >= 0.2
    assert result.table["rounds_trained"].sum() < 5 * 300 * 3


class Elsewhere(ProcessesEngine):
    """Its channel listens where no fit looks for it."""

    def live_place(self) -> Place:
        return Place(bind="127.0.0.1", host="127.0.0.99")


def statuses_and_warnings(engine: Engine, *observers: Observer) -> tuple[list[str], list[str], Any]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = run(sweep_of(CASE, early_termination=BANDIT), engine, observers=observers)
    return result.table["status"].tolist(), [str(each.message) for each in caught], result


@pytest.mark.slow
def test_where_the_channel_cannot_be_reached_everything_finishes_with_one_warning() -> None:
    statuses, told, result = statuses_and_warnings(Elsewhere(2))
    assert statuses == ["ok"] * 5
    assert len(told) == 1 and "reports of fits do not reach the driver" in told[0]
    assert result.cv_results_["mean_test_score"].tolist() == (
        run(sweep_of(CASE), SerialEngine()).cv_results_["mean_test_score"].tolist()
    )


@pytest.mark.slow
def test_where_the_channel_is_cut_meanwhile_everything_finishes_with_one_warning(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    servers: list[LiveServer] = []

    class Kept(LiveServer):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            servers.append(self)

    class Cut(Observer):
        def on_outcome(self, outcome: Outcome) -> None:
            servers[0].close()

    monkeypatch.setattr(_reports, "LiveServer", Kept)
    statuses, told, _ = statuses_and_warnings(ProcessesEngine(1), Cut())
    assert statuses == ["ok"] * 5
    assert len(told) == 1 and "reports of fits do not reach the driver" in told[0]


def test_where_traffic_is_encrypted_or_the_port_is_taken_there_is_one_warning() -> None:
    with (
        pytest.warns(UserWarning, match="encrypted.*without early termination") as caught,
        watched(BANDIT, None, in_process=False) as watch,
    ):
        assert watch.reports is None
    assert len(caught) == 1
    with LiveServer(lambda key, values: False) as server:
        place = Place(port=server.address.port)
        with (
            pytest.warns(UserWarning, match="cannot listen on 127.0.0.1") as caught,
            watched(BANDIT, place, in_process=False) as watch,
        ):
            assert watch.reports is None
    assert len(caught) == 1


@pytest.mark.parametrize("every", [1, 7])
def test_a_stop_takes_effect_within_two_rounds(every: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rounds that take longer than the channel's shortest pause, which is less than a second."""
    monkeypatch.setattr(client, "_PAUSE_SECONDS", 1e-9)
    monkeypatch.setattr(client, "_HURRIED", 10_000)
    policy = BanditPolicy(slack_amount=0.0, evaluation_interval=every)
    judge, told = Judge(policy), 0

    class Overtaken:
        """Another run is better, as is told while this one is in its tenth round."""

        def reads(self, step: int) -> bool:
            return step % every == 0

        def report(self, run: int, step: int, value: float) -> bool:
            return remote.report(run, step, value)

        def stops(self, run: int) -> bool:
            nonlocal told
            told += 1
            if told == 10:
                for step in range(1, 15):
                    judge.report(99, step, 1e9)
            return remote.stops(run)

        def finish(self, run: int) -> int:
            return remote.finish(run)

    case = replace(CASE, grid={"n_estimators": [100]}, cv=2)
    (task,) = make_plan(case.estimator, [{"n_estimators": 100}], 2, {}, lockstep=True).tasks
    with LiveServer(judge.take) as server:
        remote = _reports._Remote(server.address, policy)
        outcomes = evaluate(replace(evaluation(case, run_id="stop"), reports=Overtaken()), task)
    assert {each.status for each in outcomes} == {"stopped"}
    assert max(each.rounds_trained for each in outcomes) <= 10 + 2
    assert all(each.stopped_after == outcomes[0].stopped_after for each in outcomes)
