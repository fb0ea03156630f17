"""From outcomes to tables: what is best, what is shown, and what a spreadsheet cannot run."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import Ridge

from hptune.records import Outcome
from hptune.results import (
    best_index,
    collect_cells,
    cv_table,
    ranked_table,
    sweeping_results,
    to_csv,
    to_parquet,
)
from tests.builders import outcome

SCORES = st.sampled_from([-1.0, -0.5, 0.0, 0.25, float("nan"), float("inf"), float("-inf")])


def table_of(
    means: list[float], params: list[dict[str, Any]] | None = None
) -> tuple[pd.DataFrame, dict[str, Any]]:
    candidates = params or [{"a": number} for number in range(len(means))]
    outcomes = [outcome(number, 0, mean) for number, mean in enumerate(means)]
    cells = collect_cells(outcomes, len(means), 1)
    results = cv_table(candidates, cells, ["score"])
    return ranked_table(results, cells, "score"), results


@given(st.lists(SCORES, min_size=1, max_size=8))
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_no_candidate_without_a_finite_mean_is_best(means: list[float]) -> None:
    table, results = table_of(means)
    finite = [mean for mean in means if np.isfinite(mean)]
    best = best_index(results, "score")
    assert (best is None) == (not finite)
    if best is not None:
        assert best == means.index(max(finite))
        assert table["candidate"].iloc[0] == best
        assert table["rank_test_score"].iloc[0] == 1
    last = table["rank_test_score"][len(finite) :]
    assert (last == len(finite) + 1).all()
    assert table["status"].tolist() == ["ok"] * len(finite) + ["not finite"] * (len(means) - len(finite))


def test_one_failed_fold_is_no_mean_over_the_others() -> None:
    outcomes = [outcome(0, 0), Outcome(0, 1, "failed", {}, error="Trace\n  deep\nValueError: no")]
    cells = collect_cells(outcomes, 1, 2)
    results = cv_table([{"a": 1}], cells, ["score"])
    assert np.isnan(results["mean_test_score"][0])
    assert ranked_table(results, cells, "score").loc[0, ["status", "error"]].tolist() == [
        "failed",
        "ValueError: no",
    ]


@pytest.mark.parametrize("status", ["failed", "crashed", "timeout"])
def test_what_became_of_a_fold_is_the_candidates_status(status: Any) -> None:
    cells = collect_cells([outcome(0, 0), Outcome(0, 1, status, {}, error="no")], 1, 2)
    table = ranked_table(cv_table([{"a": 1}], cells, ["score"]), cells, "score")
    assert table.loc[0, ["status", "error"]].tolist() == [status, "no"]


def test_a_failed_fit_of_several_metrics_has_no_score_in_any() -> None:
    good = Outcome(0, 0, "ok", {"r2": 1.0, "mae": 2.0})
    results = cv_table([{}, {}], [[good], [Outcome(1, 0, "failed", {})]], ["r2", "mae"])
    assert np.isnan(results["mean_test_r2"][1]) and np.isnan(results["mean_test_mae"][1])


def test_a_cell_without_an_outcome_is_refused_and_the_first_outcome_of_a_cell_wins() -> None:
    with pytest.raises(ValueError, match="1 cells have no outcome"):
        collect_cells([outcome(0, 0)], 1, 2)
    assert collect_cells([outcome(0, 0, 0.1), outcome(0, 0, 0.2)], 1, 1)[0][0].test_scores == {"score": 0.1}


ODD: dict[str, list[Any]] = {
    "lists": [[1, 2], [3]],
    "None and numbers": [None, 3],
    "None only": [None, None],
    "estimators": [Ridge(), Ridge(alpha=2)],
    "mixed": [1, "auto"],
    "large numbers": [2**70, 1],
    "complex": [1j, 2j],
    "bytes": [b"a", b"b"],
    "dicts": [{"a": 1}, {}],
    "functions": [len, max],
    "booleans": [True, False],
    "arrays": [np.arange(2), np.arange(3)],
    "not a number": [float("nan"), 1.0],
    "numpy": [np.float32(0.5), np.int64(3)],
    "text": ["a\nb", "🙂"],
}


@pytest.mark.parametrize("name", ODD)
def test_parameters_of_any_type_are_written(name: str) -> None:
    params = [{"odd": value} for value in ODD[name]] + [{"other": 1}]
    table, _ = table_of([0.3, 0.2, 0.1], params)
    parquet = pd.read_parquet(io.BytesIO(to_parquet(table)))
    csv = pd.read_csv(io.StringIO(to_csv(table)))
    assert len(parquet) == len(csv) == 3
    assert parquet["param_odd"].isna().tolist()[2]
    assert csv["param_odd"].isna().tolist()[2]


def test_whole_numbers_stay_whole_where_a_parameter_is_absent() -> None:
    table, _ = table_of([0.3, 0.2], [{"depth": 3}, {"other": True}])
    assert to_csv(table).splitlines()[1].count(",3,") == 1
    assert str(table["param_depth"].iloc[0]) == "3"


@given(st.lists(st.text(max_size=6), min_size=1, max_size=5))
def test_no_text_cell_can_be_taken_for_a_formula(texts: list[str]) -> None:
    frame = pd.DataFrame({"text": pd.Series(texts, dtype=object), "number": -1.5})
    back = pd.read_csv(io.StringIO(to_csv(frame)), dtype=str, keep_default_na=False, lineterminator="\n")
    for cell in back["text"]:
        assert not cell.startswith(("=", "@", "\t", "\r")) and (
            cell[:1] not in "+-" or not cell or is_number(cell)
        )
    assert set(back["number"]) == {"-1.5"}


def is_number(text: str) -> bool:
    try:
        return float(text) is not None
    except ValueError:
        return False


def test_headers_and_numbers_in_mixed_columns() -> None:
    assert to_csv(pd.DataFrame({"=cmd()": [1]})) == "'=cmd()\n1\n"
    assert to_csv(pd.DataFrame({"a": ["-1", "auto", "-1+cmd()"]})) == "a\n-1\nauto\n'-1+cmd()\n"


def test_scores_in_csv_are_exact() -> None:
    table, _ = table_of([1 / 3])
    back = pd.read_csv(io.StringIO(to_csv(table)), dtype=str)
    assert float(back["mean_test_score"].iloc[0]) == 1 / 3


def test_sweeping_results_is_the_references_format() -> None:
    _, results = table_of([-2.290964, float("nan")], [{"n": 300, "eta": 0.1}, {"n": 400, "eta": 0.1}])
    assert sweeping_results(results, "score", "neg_log_loss") == (
        "metric =  neg_log_loss\n"
        "mean: -2.29096, std: 0.00000, params: {'n': 300, 'eta': 0.1}\n"
        "mean: nan, std: nan, params: {'n': 400, 'eta': 0.1}\n"
    )
