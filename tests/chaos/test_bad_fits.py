"""Fits that raise, crash, hang or score nonsense: one row of the table each, and no other row changes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.rows import Figures, row
from tests.chaos.sweeps import BAD, Done, Home, local_spark, sweep_file
from tests.chaos.tables import Table
from tests.warm import Warm


def assert_others_equal(done: Done, ref: Table) -> None:
    assert done.table.good.sha256 == ref.sha256


@row(17, "a parameter set raises", short=1)
def test_a_raising_parameter_set_is_ranked_last(home: Home, ref: Table, figures: Figures) -> None:
    done = home.quick(sweep_file(home.data, seconds=0.0, bad=[BAD("raise")]))
    assert done.code == 0
    last = done.table.rows.iloc[-1]
    assert (last["param_fault"], last["status"]) == ("raise", "failed")
    assert "ValueError: the test asks for an error" in last["error"]
    assert_others_equal(done, ref)
    tries = [record for record in done.journal if record["status"] == "failed"]
    figures["attempts a fit"] = len(tries) / 3
    assert len(tries) == 3


@row(18, "every fit fails", short=1)
def test_where_all_fail_the_cause_is_told_and_the_table_is_written(home: Home) -> None:
    config = sweep_file(home.data, seconds=0.0) | {"search_space": BAD("raise", "raise emoji", "sys.exit")}
    config["search_space"]["max_depth"] = [2, 3]
    config["search_space"]["learning_rate"] = [0.1, 0.3]
    done = home.quick(config)
    assert done.code == 5
    assert done.error.startswith("hptune: error: no candidate got a finite score: most often: ")
    assert done.table.statuses == {"failed": 12}


@row(19, "scores that are NaN or infinite", short=1)
def test_a_score_that_is_no_number_is_never_best(home: Home, ref: Table) -> None:
    for metric in ("neg_log_loss", "roc_auc", "accuracy"):
        config = sweep_file(home.data, objective={"primary_metric": metric})
        config |= {
            "estimator": {"class": "xgboost.XGBClassifier", "params": {"random_state": 0}},
            "search_space": [
                {"learning_rate": [float("nan")], "n_estimators": [5, 20]},
                {"learning_rate": [0.1, 0.3], "n_estimators": [5, 20]},
            ],
        }
        done = home.quick(config, "--overwrite")
        assert done.code == 0
        table = done.table.rows
        assert table["status"].tolist()[:4] == ["ok"] * 4
        assert "nan" not in table["param_learning_rate"][:4].tolist(), metric
        assert json.loads((done.out / "best_params.json").read_text())["params"]["learning_rate"] in (
            0.1,
            0.3,
        )
        assert len(done.journal) == 18  # each parsed as strict JSON


@row(19, "scores that are NaN or infinite", short=1)
def test_an_infinite_score_is_never_best(home: Home, ref: Table) -> None:
    config = sweep_file(home.data, seconds=0.0, bad=[BAD("nan")])
    done = home.quick(config | {"objective": {"primary_metric": "tests.chaos.estimators:endless"}})
    assert done.code == 0
    last = done.table.rows.iloc[-1]
    assert (last["param_fault"], last["mean_test_score"], last["status"]) == ("nan", "inf", "not finite")
    assert len(done.journal) == 27
    assert "Infinity" not in (done.out / "journal.jsonl").read_text()


@row(20, "one fold of three fails", short=1)
def test_one_failed_fold_leaves_no_mean_of_the_others(home: Home, ref: Table) -> None:
    done = home.quick(sweep_file(home.data, seconds=0.0, bad=[BAD("raise in one fold")]))
    found = done.table.of_fault("raise in one fold")
    folds = [found[f"split{number}_test_score"] for number in range(3)]
    assert folds.count("") == 1
    assert (found["mean_test_score"], found["status"]) == ("", "failed")
    assert_others_equal(done, ref)


@pytest.fixture(scope="module")
def on_spark(tmp_path_factory: pytest.TempPathFactory, data: Path, warm: Warm) -> Iterator[Done]:
    """One sweep on Spark in which fits go wrong in every way that needs no help from outside."""
    home = Home(tmp_path_factory.mktemp("spark"), data, warm)
    bad = BAD("raise", "kill", "segfault", "raise unpicklable", "raise 50 MiB", "raise emoji", "sys.exit")
    config = sweep_file(data, seconds=0.05, bad=[bad])
    yield home.sweep(config | local_spark(), seconds=900)
    home.close()


CRASHED = ("failed", "crashed")


@row(2, "a parameter set kills its process every time")
def test_what_kills_its_process_every_time_is_one_row(on_spark: Done, ref: Table, figures: Figures) -> None:
    assert on_spark.code == 0
    found = on_spark.table.of_fault("kill")
    assert found["status"] in CRASHED
    assert found["error"]
    assert_others_equal(on_spark, ref)
    figures.bounded("seconds for the whole sweep", on_spark.seconds, 120)


@row(23, "a segfault in a fit")
def test_a_segfault_is_named(on_spark: Done, ref: Table) -> None:
    found = on_spark.table.of_fault("segfault")
    assert found["status"] in CRASHED
    assert "Segmentation fault" in found["error"]
    assert "Segmentation fault" not in on_spark.table.of_fault("kill")["error"]
    assert_others_equal(on_spark, ref)


@row(24, "errors that cannot be pickled, of 50 MiB, of emoji")
@pytest.mark.parametrize("fault", ["raise unpicklable", "raise 50 MiB", "raise emoji"])
def test_an_unkind_error_is_kept_short(on_spark: Done, ref: Table, fault: str, figures: Figures) -> None:
    found = on_spark.table.of_fault(fault)
    assert found["status"] == "failed"
    records = [r for r in on_spark.journal if str(r["candidate"]) == found["candidate"]]
    assert len(records) == 3
    longest = max(len(record["error"].encode()) for record in records)  # strict: what is no UTF-8 raises
    figures["bytes kept"] = longest
    assert 0 < longest <= 2048
    assert_others_equal(on_spark, ref)


@row(17, "a parameter set raises")
@pytest.mark.parametrize("fault", ["raise", "sys.exit"])
def test_on_spark_a_raising_parameter_set_is_tried_once(on_spark: Done, ref: Table, fault: str) -> None:
    found = on_spark.table.of_fault(fault)
    assert found["status"] == "failed"
    assert "ValueError: the test asks" in found["error"] or "SystemExit" in found["error"]
    assert sum(str(r["candidate"]) == found["candidate"] for r in on_spark.journal) == 3
    assert_others_equal(on_spark, ref)
