"""How values get from fits to the judge: directly in one process, over the live channel from others."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from hptune.fitters import Reports
from hptune.live import Address, LiveServer, Place, reporter_to
from hptune.policies import Policy
from hptune.records import Outcome
from hptune.termination._judge import Judge

__all__ = ["DriverReports", "watched"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Direct:
    """For fits in the driver's own process."""

    judge: Judge

    def reads(self, step: int) -> bool:
        return self.judge.policy.reads(step)

    def report(self, run: int, step: int, value: float) -> bool:
        return self.judge.report(run, step, value)

    def stops(self, run: int) -> bool:
        return self.judge.stops(run)

    def finish(self, run: int) -> int:
        return 0


@dataclass(frozen=True)
class _Remote:
    """For fits in other processes; it travels there."""

    address: Address
    policy: Policy

    def reads(self, step: int) -> bool:
        return self.policy.reads(step)

    def report(self, run: int, step: int, value: float) -> bool:
        hurry = self.policy.applies_at(step)
        return reporter_to(self.address).report(str(run), step, value, hurry=hurry)

    def stops(self, run: int) -> bool:
        return reporter_to(self.address).stops(str(run))

    def finish(self, run: int) -> int:
        return reporter_to(self.address).finish(str(run))


class DriverReports:
    """The driver's side of what fits report.

    Parameters
    ----------
    judge : Judge
        Hears of runs that end.
    reports : Reports, optional
        For the fits; None where nothing can be reported.
    """

    def __init__(self, judge: Judge, reports: Reports | None) -> None:
        self.reports = reports
        self._judge = judge
        self._warned = False

    def recall(self, run: int, curve: Sequence[Sequence[Any]], *, stopped: bool) -> None:
        """Take in what a run reported that ended in an earlier session."""
        self._judge.recall(run, curve, stopped=stopped)

    def see(self, outcomes: Iterable[Outcome]) -> Iterator[tuple[int, list[list[Any]]]]:
        """Take in what came of fits; gives the runs that have ended and what they reported.

        Warns once if reports did not arrive.
        """
        for outcome in outcomes:
            curve = self._judge.end(outcome.candidate, stopped=outcome.status == "stopped")
            if curve:
                yield outcome.candidate, curve
            if outcome.unreported and not self._warned:
                self._warned = True
                warnings.warn(
                    "reports of fits do not reach the driver: fits go on without early termination where they do not"
                    " (executors must be able to connect to spark.driver.host; spark.hptune.live.port fixes the port)",
                    UserWarning,
                    stacklevel=2,
                )


@contextmanager
def watched(policy: Policy, place: Place | None, *, in_process: bool) -> Iterator[DriverReports]:
    """Let a policy watch fits while this is open.

    Parameters
    ----------
    policy : Policy
        Decides on the driver.
    place : Place, optional
        Where the channel listens; None where it must not, of which the user is warned.
    in_process : bool
        The fits run in this very process and need no channel.
    """
    judge = Judge(policy)
    if in_process:
        yield DriverReports(judge, _Direct(judge))
        return
    server = _server(judge, place)
    if server is None:
        yield DriverReports(judge, None)
        return
    with server:
        _log.info("the live channel listens on port %d", server.address.port)
        yield DriverReports(judge, _Remote(server.address, policy))


def _server(judge: Judge, place: Place | None) -> LiveServer | None:
    """The channel's server; where there is none, fits go on to their ends, of which the user is warned."""
    reason = "Spark's traffic is encrypted, and the live channel is not"
    if place is not None:
        try:
            return LiveServer(judge.take, place)
        except OSError as error:
            reason = f"the live channel cannot listen on {place.bind}, port {place.port} ({error.strerror})"
    warnings.warn(f"{reason}: fits go on without early termination", UserWarning, stacklevel=3)
    return None
