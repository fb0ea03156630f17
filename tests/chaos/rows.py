"""Rows of the fault table: which fault a test is about, how often it is tried, and what was measured."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pytest

__all__ = ["Figures", "Row", "row", "rows_of", "table_lines"]

Test = TypeVar("Test", bound=Callable[..., Any])

TRIES = "tries"  # a test that tries more than once by itself tells it under this name


def row(number: int, fault: str, *, tries: int = 1, short: int = 0) -> Callable[[Test], Test]:
    """Mark a test as one row's.

    Parameters
    ----------
    number : int
        The row of the fault table in docs/reliability.md.
    fault : str
        What is done to the sweep.
    tries : int, default 1
        How often the test runs, each time with another `seed`; a test that runs once needs no such argument.
    short : int, default 0
        The tries that belong to the default suite, where they are quick and no busy machine can fail them; the
        others are slow.
    """

    def mark(test: Test) -> Test:
        if tries > 1:
            seeds = [
                pytest.param(seed, marks=() if seed < short else pytest.mark.slow, id=f"seed{seed}")
                for seed in range(tries)
            ]
            test = pytest.mark.parametrize("seed", seeds)(test)
        elif not short:
            test = pytest.mark.slow(test)
        return pytest.mark.row(number, fault)(test)  # type: ignore[no-any-return]

    return mark


class Figures:
    """What a test measured: a number, or a word, for each name.

    Parameters
    ----------
    store : list
        Properties of the test, to which each figure is added.
    limited : bool, default True
        Whether limits count: not where other tests take the cores meanwhile.
    """

    def __init__(self, store: list[tuple[str, object]], *, limited: bool = True) -> None:
        self._store = store
        self._limited = limited

    def __setitem__(self, name: str, value: float | str) -> None:
        self._store.append((f"figure:{name}", value))

    def bounded(self, name: str, value: float, limit: float) -> None:
        """A figure with its limit; a try above that has not held."""
        self[f"{name} (at most {limit:.4g})"] = value
        assert value <= limit or not self._limited, f"{name}: {value:.1f}, more than {limit:.4g}"


@dataclass
class Row:
    """What came of one fault's tests."""

    number: int
    fault: str
    tries: int = 0
    held: int = 0
    skipped: str = ""
    seeds: list[int] = field(default_factory=list)
    figures: dict[str, list[Any]] = field(default_factory=dict)


def rows_of(reports: Iterable[pytest.TestReport]) -> list[Row]:
    """The rows in their order, from the reports of their tests; a row of several faults is told as several."""
    rows: dict[tuple[int, str], Row] = {}
    for report in reports:
        properties = dict(report.user_properties)
        if "row" in properties:
            key = int(str(properties["row"])), str(properties["fault"])
            _count(rows.setdefault(key, Row(*key)), report)
    return sorted(rows.values(), key=lambda entry: entry.number)


def _count(entry: Row, report: pytest.TestReport) -> None:
    if report.outcome == "skipped":
        entry.skipped = str(report.longrepr[2]) if isinstance(report.longrepr, tuple) else "skipped"
        return
    tries, seeds = 1, []
    for name, value in report.user_properties:
        if name == "seed":
            seeds.append(int(str(value)))
        elif name == f"figure:{TRIES}":
            tries = int(str(value))
        elif name.startswith("figure:"):
            entry.figures.setdefault(name.removeprefix("figure:"), []).append(value)
    if report.when == "call":
        entry.tries += tries
        entry.held += tries if report.passed else 0
    elif report.failed:  # a process that was left behind shows when the test is over
        entry.held -= tries if report.when == "teardown" else 0
        entry.tries += 0 if report.when == "teardown" else tries
    entry.seeds += [seed for seed in seeds if seed not in entry.seeds]


def table_lines(rows: Iterable[Row]) -> Iterator[str]:
    """The table as Markdown."""
    yield "| row | fault | tries | held | figures |"
    yield "|---|---|---|---|---|"
    for entry in rows:
        figures = "; ".join(f"{name} {_span(values)}" for name, values in entry.figures.items())
        note = figures or entry.skipped.removeprefix("Skipped: ")
        yield f"| {entry.number} | {entry.fault} | {entry.tries} | {entry.held} | {note} |"


def _span(values: list[Any]) -> str:
    if not all(isinstance(value, (int, float)) for value in values):
        return ", ".join(dict.fromkeys(map(str, values)))
    low, high = min(values), max(values)
    return _shown(low) if low == high else f"{_shown(low)} to {_shown(high)}"


def _shown(value: float) -> str:
    return f"{value:.1f}" if isinstance(value, float) else f"{value}"
