"""What reaches the judge twice, late or from a fit's second attempt counts once."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from hptune.live import Value
from hptune.policies import BanditPolicy, History, Policy, Report
from hptune.records import Outcome
from hptune.termination import DriverReports, Judge

VALUES = {run: [Value(step, step / (run + 2)) for step in range(1, 13)] for run in range(3)}


@dataclass(frozen=True, kw_only=True)
class Noting(BanditPolicy):
    """Notes what it is asked."""

    asked: list[Report] = field(default_factory=list)

    def decide(self, report: Report, history: History) -> frozenset[int]:
        self.asked.append(report)
        return super().decide(report, history)


@st.composite
def deliveries(draw: st.DrawFn) -> list[tuple[int, list[Value]]]:
    """Batches of three runs as a bad channel brings them: none before what comes before it, some of them again."""
    sent = dict.fromkeys(VALUES, 0)
    batches = []
    for _ in range(draw(st.integers(1, 40))):
        run = draw(st.sampled_from(sorted(VALUES)))
        first = draw(st.integers(0, sent[run]))  # smaller where an answer was lost or the fit began anew
        last = draw(st.integers(first, len(VALUES[run])))
        sent[run] = max(sent[run], last)
        batches.append((run, VALUES[run][first:last]))
    return batches


@given(deliveries())
def test_each_value_counts_once_however_often_it_comes(batches: list[tuple[int, list[Value]]]) -> None:
    policy = Noting(slack_factor=0.5)
    judge = Judge(policy)
    told = {run: 0 for run in VALUES}
    for run, values in batches:
        stops = judge.take(str(run), values)
        told[run] = max([told[run], *(value.step for value in values)])
        assert stops == judge.stops(run)
    asked = Counter((report.run, report.step) for report in policy.asked)
    assert asked == Counter((run, step) for run, last in told.items() for step in range(1, last + 1))
    for run, last in told.items():
        assert judge.end(run, stopped=False) == [[value.step, value.value] for value in VALUES[run][:last]]


@given(deliveries(), st.data())
def test_what_comes_again_changes_no_decision(
    batches: list[tuple[int, list[Value]]], data: st.DataObject
) -> None:
    policy: Policy = BanditPolicy(slack_factor=0.5)
    once, again = Judge(policy), Judge(policy)
    for number, (run, values) in enumerate(batches):
        earlier, repeated = batches[data.draw(st.integers(0, number))]
        assert once.take(str(run), values) == again.take(str(run), values)
        assert again.take(str(earlier), repeated) == once.stops(earlier)
    assert once.just_stopped() == again.just_stopped()


def test_a_fit_that_begins_anew_after_it_was_stopped_is_told_so_at_once() -> None:
    judge = Judge(BanditPolicy(slack_amount=0.1))
    judge.take("1", [Value(1, 0.9), Value(2, 0.9)])
    assert judge.take("0", [Value(1, 0.5)])
    assert judge.take("0", [Value(1, 0.5)])  # its second attempt, from the first round
    assert judge.end(0, stopped=True) == [[1, 0.5]]
    assert not judge.take("1", [])


def test_what_a_run_reported_is_told_once_though_a_message_comes_after_its_end() -> None:
    """A message that was held up: its fit, which had no answer, has sent the same again and ended since."""
    policy = Noting(slack_factor=0.5)
    judge = Judge(policy)
    judge.take("0", VALUES[0][:7])
    told = []
    for run, curve in DriverReports(judge, None).see([Outcome(0, fold, "ok", {}) for fold in range(3)]):
        judge.take("0", VALUES[0])
        told.append((run, curve))
    assert told == [(0, [[value.step, value.value] for value in VALUES[0][:7]])]
    assert len(policy.asked) == 7
