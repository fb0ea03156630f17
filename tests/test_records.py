"""Outcomes survive whatever an error's text holds."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hptune.records import ERROR_BYTES, FitTask, Outcome, Rung, clipped
from tests.builders import outcome

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=300)


@given(text=ANY_TEXT, score=st.floats(), limit=st.integers(0, 300))
def test_an_outcome_travels_without_loss(text: str, score: float, limit: int) -> None:
    sent = Outcome(1, 2, "failed", {"score": score}, error=clipped(text, limit), fit_time=0.1)
    got = Outcome.from_json(sent.to_json().encode("utf-8"))
    assert repr(got) == repr(sent)


@given(text=ANY_TEXT, limit=st.integers(1, 300))
def test_a_clipped_text_is_short_valid_and_steers_no_terminal(text: str, limit: int) -> None:
    kept = clipped(text, limit)
    assert len(kept.encode("utf-8")) <= limit
    assert not any(ord(sign) < 32 and sign not in "\t\n" for sign in kept)


@pytest.mark.parametrize("sign", ["x", "🙂", "\n", '"', "\\", "\x00", "\udcff", "é"])
def test_an_outcome_is_at_most_4_kib(sign: str) -> None:
    failed = Outcome(10**6, 100, "failed", {"score": math.nan}, error=clipped(sign * 100_000), host="h" * 63)
    assert len(failed.to_json().encode("utf-8")) <= 4096
    assert len(clipped(sign * 100_000)) > 0


def test_the_end_of_a_long_traceback_is_kept() -> None:
    assert clipped("x" * 10_000 + "ValueError: no").endswith("ValueError: no")
    assert len(clipped("x" * 10_000)) == ERROR_BYTES


def test_whole_scores_stay_whole() -> None:
    assert repr(Outcome.from_json(outcome(0, score=3).to_json()).test_scores) == "{'score': 3}"


def test_a_rung_alone_is_the_fit_of_its_own_rounds() -> None:
    task = FitTask(0, 1, {"n_estimators": 9, "a": 1}, (Rung(0, 3), Rung(1, 9)), "n_estimators")
    alone = task.alone(task.rungs[0])
    assert (alone.params, alone.rungs) == ({"n_estimators": 3, "a": 1}, (Rung(0, 3),))
