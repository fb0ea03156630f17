"""Fits report while they run: messages are lost, the driver stands still, workers are killed, strangers call."""

from __future__ import annotations

import signal
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.chaos.cluster import Cluster
from tests.chaos.live_port import Strangers, free_port, listening, lossy, port_of
from tests.chaos.processes import send, wait_until
from tests.chaos.rows import Figures, row
from tests.chaos.sweeps import (
    FITS,
    Done,
    Home,
    Run,
    kill_workers_until_the_end,
    local_spark,
    stopped,
    sweep_file,
)
from tests.chaos.tables import Table, journal_curves, journal_outcomes
from tests.warm import Warm

AWAY_SECONDS = 10
ROUNDS = 30
NEVER: dict[str, Any] = {"type": "bandit", "slack_amount": 1e6}  # watches, and stops nobody
BANDIT: dict[str, Any] = {"type": "bandit", "slack_factor": 0.2, "delay_evaluation": 5}
RATES = [0.01, 0.008, 1e-5, 1e-6]  # the last two learn next to nothing

VALUES = FITS // 3 * ROUNDS  # that candidates report

Curve = list[list[Any]]


def rounds_file(data: Path, policy: dict[str, Any] | None, *, seconds: float, **keys: Any) -> dict[str, Any]:
    """A sweep of `FITS` fits of `ROUNDS` rounds that take `seconds` each."""
    space = {"max_iter": ROUNDS, "eta0": RATES, "alpha": [1e-4, 1e-2], "seconds": seconds}
    watched = {} if policy is None else {"early_termination": policy}
    estimator = "tests.chaos.estimators.Stepwise"
    return sweep_file(data, estimator=estimator, **keys, **watched) | {"search_space": space}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, data: Path, warm: Warm) -> Table:
    """The table of the sweep without a policy."""
    home = Home(tmp_path_factory.mktemp("undisturbed"), data, warm)
    return home.quick(rounds_file(data, None, seconds=0.0)).table


@pytest.fixture(scope="module")
def reported(
    tmp_path_factory: pytest.TempPathFactory, data: Path, warm: Warm, undisturbed: Table
) -> dict[int, Curve]:
    """All that each candidate reports where nothing gets lost."""
    home = Home(tmp_path_factory.mktemp("reported"), data, warm)
    done = home.quick(rounds_file(data, NEVER, seconds=0.0))
    assert done.table.sha256 == undisturbed.sha256
    curves = {candidate: kept for candidate, (kept,) in journal_curves(done.out).items()}
    assert len(curves) == FITS // 3
    assert all([step for step, _ in curve] == [*range(1, ROUNDS + 1)] for curve in curves.values())
    return curves


def assert_counted_once(done: Done, reported: dict[int, Curve]) -> int:
    """Each fold's fit is in the journal once, and of each round that a candidate reported the one true value.

    What has not arrived at the end of a fit is missing; nothing is missing in between. Returns the number of values.
    """
    assert done.code == 0, done.errors[-3000:]
    cells = Counter((record["candidate"], record["fold"]) for record in done.journal)
    assert len(cells) == FITS and set(cells.values()) == {1}
    kept = journal_curves(done.out)
    assert [len(curves) for curves in kept.values()] == [1] * len(kept)
    for candidate, (curve,) in kept.items():
        assert curve == reported[candidate][: len(curve)]
    return sum(len(curve) for (curve,) in kept.values())


def assert_stops_only(done: Done, undisturbed: Table) -> int:
    """Whatever went to its end has its scores, and nothing else happened; returns how many were stopped."""
    statuses = done.table.statuses
    assert set(statuses) <= {"ok", "stopped"}
    whole = done.table.rows["status"] == "ok"
    scores = Table(done.table.rows[whole]).scores
    assert len(scores) == statuses["ok"]
    assert scores.items() <= undisturbed.scores.items()
    return statuses.get("stopped", 0)


def outlasted(run: Run, seconds: float) -> None:
    """What is open lasts so long, and the sweep longer."""
    time.sleep(seconds)
    assert not run.ended, run.errors[-3000:]


def disturbed_sweep(
    home: Home, cluster: Cluster, policy: dict[str, Any], seed: int, figures: Figures
) -> Done:
    """A sweep that loses half its messages, then for a while its server, and random workers until its end."""
    with lossy(cluster, seed) as (port, settings):
        run = home.start(rounds_file(home.data, policy, seconds=0.14, **settings))
        wait_until(lambda: port.messages >= 5 or run.ended, what="five messages")
        with port.away():
            outlasted(run, AWAY_SECONDS)
        before = port.messages
        figures["kills"] = kill_workers_until_the_end(run, cluster.processes, seed)
        done = run.wait()
        figures["messages"] = port.messages
        figures["of them lost"] = port.lost
        figures["answers lost, whose values came twice"] = port.seen["answer lost"]
        assert port.messages > before
        assert port.lost and port.seen["answered"]
    return done


@pytest.mark.spark
@row(27, "half the messages lost, the server away for 10 s, random workers killed", tries=5)
def test_a_channel_that_hardly_works_costs_no_fit_and_no_score(
    home: Home, cluster: Cluster, undisturbed: Table, reported: dict[int, Curve], seed: int, figures: Figures
) -> None:
    done = disturbed_sweep(home, cluster, NEVER, seed, figures)
    figures[f"values counted, of {VALUES}"] = assert_counted_once(done, reported)
    assert done.table.sha256 == undisturbed.sha256


@pytest.mark.spark
@row(27, "the same where candidates are stopped", tries=5)
def test_over_a_channel_that_hardly_works_candidates_are_stopped_or_have_their_scores(
    home: Home, cluster: Cluster, undisturbed: Table, reported: dict[int, Curve], seed: int, figures: Figures
) -> None:
    done = disturbed_sweep(home, cluster, BANDIT, seed, figures)
    figures["values counted"] = assert_counted_once(done, reported)
    figures["stopped, of 8"] = assert_stops_only(done, undisturbed)


@pytest.mark.spark
@row(27, "SIGSTOP the driver for 10 s", tries=2)
def test_a_driver_that_stands_still_costs_no_fit_and_no_score(
    home: Home, cluster: Cluster, undisturbed: Table, reported: dict[int, Curve], seed: int, figures: Figures
) -> None:
    run = home.start(rounds_file(home.data, NEVER, seconds=0.14, **cluster.settings()))
    run.wait_for_outcomes(1 + 3 * seed)
    with stopped(run.driver):
        outlasted(run, AWAY_SECONDS)
    done = run.wait()
    figures[f"values counted, of {VALUES}"] = assert_counted_once(done, reported)
    assert done.table.sha256 == undisturbed.sha256


@row(27, "SIGKILL a process in mid-fit, SIGSTOP the driver for 3 s; processes", short=1)
def test_on_processes_a_killed_fit_and_a_driver_that_stands_still_cost_nothing(
    home: Home, undisturbed: Table, reported: dict[int, Curve], figures: Figures
) -> None:
    run = home.start(rounds_file(home.data, NEVER, seconds=0.01, engine="processes"), how="warm")
    run.wait_for_outcomes(1)
    for fitting in workers_of(run):
        send(fitting, signal.SIGKILL)
    run.wait_for_outcomes(len(journal_outcomes(run.out)) + 1)
    with stopped(run.driver):
        outlasted(run, 3)
    done = run.wait()
    figures[f"values counted, of {VALUES}"] = assert_counted_once(done, reported)
    assert done.table.sha256 == undisturbed.sha256


def workers_of(run: Run) -> list[psutil.Process]:
    """The processes in which a driver without Spark fits: a child of it has forked them."""
    (server,) = run.driver.children()
    children = server.children()
    assert children
    return list(children)


@row(47, "silent clients, a slow one and one that sends garbage on the live port; processes", short=1)
@pytest.mark.parametrize(
    "policy",
    [pytest.param(NEVER, id="stops nobody", marks=pytest.mark.slow), pytest.param(BANDIT, id="bandit")],
)
def test_strangers_on_the_live_port_are_waited_for_by_nobody(
    home: Home, undisturbed: Table, reported: dict[int, Curve], policy: dict[str, Any], figures: Figures
) -> None:
    run = home.start(rounds_file(home.data, policy, seconds=0.01, engine="processes"), how="warm")
    with closing(Strangers(port_of(run), silent=5)) as strangers:
        assert_unheeded(run.wait(), strangers, undisturbed, reported, policy, figures)


@pytest.mark.spark
@row(47, "the same, 100 of them silent; local[2]")
@pytest.mark.parametrize("policy", [NEVER, BANDIT], ids=["stops nobody", "bandit"])
def test_a_crowd_on_the_live_port_is_waited_for_by_nobody(
    home: Home, undisturbed: Table, reported: dict[int, Curve], policy: dict[str, Any], figures: Figures
) -> None:
    port = free_port()
    settings = local_spark(spark_hptune_live_port=f"{port}")
    run = home.start(rounds_file(home.data, policy, seconds=0.05, **settings))
    wait_until(lambda: run.ended or port in listening(run.driver), what="the live channel's start")
    with closing(Strangers(port, silent=100)) as strangers:
        assert_unheeded(run.wait(), strangers, undisturbed, reported, policy, figures)


def assert_unheeded(
    done: Done,
    strangers: Strangers,
    undisturbed: Table,
    reported: dict[int, Curve],
    policy: dict[str, Any],
    figures: Figures,
) -> None:
    """Every value arrived, as did every word to stop, though the strangers were there.

    Who sends garbage is hung up on at once, and so far more often than the slow one, who has some seconds.
    """
    assert strangers.all_came
    assert strangers.hung_up["garbage"] > 10 * (1 + strangers.hung_up["slow"])
    n_values = assert_counted_once(done, reported)
    n_stopped = assert_stops_only(done, undisturbed)
    assert "reports of fits do not reach the driver" not in done.errors
    if policy is NEVER:
        assert n_values == VALUES
        assert done.table.sha256 == undisturbed.sha256
    else:
        assert 1 <= n_stopped <= 4
        figures["stopped, of 8"] = n_stopped
    for kind, number in strangers.hung_up.items():
        figures[f"{kind} connections hung up on"] = number
