"""What Spark itself does to a sweep: small results, speculation, exclusion, a broken accumulator."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.chaos.cluster import Cluster
from tests.chaos.rows import Figures, row
from tests.chaos.sweeps import BAD, FITS, Home, local_spark, sweep_file
from tests.chaos.tables import Table

pytestmark = pytest.mark.spark


@row(25, "spark.driver.maxResultSize=2m, thousands of fold fits", tries=2)
def test_thousands_of_outcomes_arrive_though_results_must_be_small(
    home: Home, seed: int, figures: Figures
) -> None:
    fits = (900, 5000)[seed]
    rates = [round(0.001 * number, 3) for number in range(1, fits // 6 + 1)]
    space = {"learning_rate": rates, "n_estimators": 1, "fault": ["", "raise emoji"]}
    config = sweep_file(home.data, cv=3) | {"search_space": space}
    done = home.sweep(config | local_spark(spark_driver_maxResultSize="2m"), seconds=1800)
    assert done.code == 0, done.errors
    undisturbed = home.quick(config, out="undisturbed", seconds=1800)
    assert done.table.sha256 == undisturbed.table.sha256
    lines = (done.out / "journal.jsonl").read_bytes().splitlines()
    lines = [line for line in lines if line.startswith(b'{"record":"outcome"')]
    assert len(lines) == len(rates) * 6
    figures["fits"] = len(lines)
    figures["bytes of the longest outcome"] = max(map(len, lines))
    figures["bytes of all"] = sum(map(len, lines))
    assert max(map(len, lines)) <= 4096
    assert sum(map(len, lines)) > 2 << 20 or seed == 0


@row(26, "speculation on two hosts")
def test_a_fit_that_is_tried_on_two_hosts_is_one_row(home: Home, cluster: Cluster, ref: Table) -> None:
    options = {
        "spark_speculation": "true",
        "spark_speculation_interval": "100ms",
        "spark_speculation_quantile": "0.3",
        "spark_speculation_multiplier": "1.5",
    }
    place = home.directory / "once"
    place.mkdir()
    config = sweep_file(home.data, seconds=0.2, bad=[BAD("hang once", place=str(place))])
    done = home.sweep(config | cluster.settings(**options))
    assert (place / "hangs").exists()
    assert done.code == 0, done.errors
    cells = Counter((record["candidate"], record["fold"]) for record in done.journal)
    assert len(cells) == FITS + 3 and set(cells.values()) == {1}
    assert done.table.of_fault("hang once")["status"] == "ok"
    assert ref.scores.items() == done.table.scores.items()


@row(28, "one of two hosts always fails, exclusion on")
def test_a_host_that_always_fails_is_left_alone(
    home: Home, cluster: Cluster, ref: Table, figures: Figures
) -> None:
    place = home.directory / "tried"
    place.mkdir()
    config = sweep_file(home.data, seconds=0.2)
    config["search_space"] |= {"fault": "exit on host", "place": str(place)}
    done = home.sweep(config | cluster.settings(spark_excludeOnFailure_enabled="true"), seconds=900)
    assert done.code == 0, done.errors
    assert done.table.scores == ref.scores
    tried = Counter(path.name.split("_")[0] for path in place.iterdir())
    figures["attempts a fit there, at most"] = max(tried.values())
    assert max(tried.values()) <= 2
    assert len(done.journal) == FITS


@row(47, "an accumulator update raises on the driver")
def test_outcomes_that_the_driver_lost_are_fitted_again(home: Home, ref: Table) -> None:
    config = sweep_file(home.data, seconds=0.1, **local_spark())
    done = home.start(config, module="tests.chaos.poisoned").wait()
    assert "poisoned 1 times" in done.output
    assert done.code == 0, done.errors
    assert done.table.sha256 == ref.sha256
    assert len(done.journal) == FITS
