"""What Spark itself does to a sweep: small results, a broken accumulator."""

from __future__ import annotations

import pytest

from tests.chaos.rows import Figures, row
from tests.chaos.sweeps import FITS, Home, local_spark, sweep_file
from tests.chaos.tables import Table

pytestmark = pytest.mark.spark


@row(25, "spark.driver.maxResultSize=2m, thousands of fold fits", tries=2)
def test_thousands_of_outcomes_arrive_though_results_must_be_small(
    home: Home, seed: int, figures: Figures
) -> None:
    arrive(home, (900, 5000)[seed], 2 << 20, figures)


@row(25, "spark.driver.maxResultSize=128k, 150 fold fits", short=1)
def test_outcomes_arrive_though_results_must_be_smaller(home: Home, figures: Figures) -> None:
    arrive(home, 150, 128 << 10, figures)


def arrive(home: Home, fits: int, limit: int, figures: Figures) -> None:
    rates = [round(0.001 * number, 3) for number in range(1, fits // 6 + 1)]
    space = {"learning_rate": rates, "n_estimators": 1, "fault": ["", "raise emoji"]}
    config = sweep_file(home.data, cv=3) | {"search_space": space}
    done = home.quick(config | local_spark(spark_driver_maxResultSize=f"{limit}b"), seconds=1800)
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
    assert sum(map(len, lines)) > limit or fits == 900


@row(47, "an accumulator update raises on the driver")
def test_outcomes_that_the_driver_lost_are_fitted_again(home: Home, ref: Table) -> None:
    config = sweep_file(home.data, seconds=0.1, **local_spark())
    done = home.start(config, module="tests.chaos.poisoned").wait()
    assert "poisoned 1 times" in done.output
    assert done.code == 0, done.errors
    assert done.table.sha256 == ref.sha256
    assert len(done.journal) == FITS
