"""From outcomes to tables. Pure functions."""

from __future__ import annotations

import ast
import io
import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from hptune._sklearn_compat import cv_results
from hptune.records import Outcome

__all__ = [
    "UNFINISHED",
    "Cells",
    "best_index",
    "best_rounds",
    "collect_cells",
    "commonest_cause",
    "cv_table",
    "cv_table_again",
    "error_line",
    "ranked_table",
    "stopping_point",
    "sweeping_results",
    "to_csv",
    "to_parquet",
]

Cells: TypeAlias = list[list[Outcome | None]]
"""``cells[candidate][fold]``; None where a sweep that was stopped has no outcome."""

UNFINISHED = ("partial", "not run")  # statuses of a candidate whose fits were not all run

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
_ERROR = re.compile(r"[A-Za-z_][\w.]*(Error|Exception|Exit|Interrupt|Warning)(:|$)")  # ends a traceback
_SPLIT_SCORE = re.compile(r"split\d+_test_")
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")  # what makes a spreadsheet run a text cell


def collect_cells(
    outcomes: Iterable[Outcome], n_candidates: int, n_folds: int, *, partial: bool = False
) -> Cells:
    """Outcomes as ``cells[candidate][fold]``; the first outcome of a cell wins.

    Raises
    ------
    ValueError
        A cell has no outcome, and the table is not a `partial` one.
    """
    cells: dict[tuple[int, int], Outcome] = {}
    for outcome in outcomes:
        cells.setdefault((outcome.candidate, outcome.fold), outcome)
    rows = [[cells.get((candidate, fold)) for fold in range(n_folds)] for candidate in range(n_candidates)]
    absent = [(c, f) for c, row in enumerate(rows) for f, outcome in enumerate(row) if outcome is None]
    if absent and not partial:
        raise ValueError(f"{len(absent)} cells have no outcome, the first is candidate, fold = {absent[0]}")
    return rows


def cv_table(
    candidates: Sequence[Mapping[str, Any]], cells: Cells, metrics: Sequence[str], error_score: float = np.nan
) -> dict[str, Any]:
    """``cv_results_`` as scikit-learn's searches build it: same keys, dtypes, masks, ranks and order.

    With early stopping it has ``split{k}_best_iteration`` and ``mean_best_iteration`` too: boosting rounds up to
    and including the best, counted from 1.

    Parameters
    ----------
    candidates : sequence of mapping
        In the table's order.
    cells : list of list of Outcome
        ``cells[candidate][fold]``. A candidate without one of its outcomes, or that was stopped, has no mean.
    metrics : sequence of str
        Scorer names; ``["score"]`` for a single metric.
    error_score : float, default nan
        The score of a failed fit.
    """
    failed = dict.fromkeys(metrics, error_score)
    not_run = {"test_scores": dict.fromkeys(metrics, np.nan), "fit_time": np.nan, "score_time": np.nan}
    flat = [not_run if outcome is None else _scored(outcome, failed) for row in cells for outcome in row]
    with warnings.catch_warnings():
        # "One or more of the test scores are non-finite": the table's status column says which and why.
        warnings.simplefilter("ignore", UserWarning)
        results = cv_results(candidates, flat, len(cells[0]), return_train_score=False)
    return {**results, **_best_iterations(cells)}


def _scored(outcome: Outcome, failed: Mapping[str, float]) -> dict[str, Any]:
    told = {} if outcome.status == "stopped" else {**outcome.metrics, **outcome.test_scores}
    scores = {name: told.get(name, value) for name, value in failed.items()}
    if outcome.status == "stopped":
        scores = dict.fromkeys(failed, np.nan)
    return {"test_scores": scores, "fit_time": outcome.fit_time, "score_time": outcome.score_time}


def best_index(results: Mapping[str, Any], metric: str) -> int | None:
    """The first candidate with the best finite mean; None where no mean is finite.

    scikit-learn lets an infinite mean win; here it never does.
    """
    means = np.asarray(results[f"mean_test_{metric}"], dtype=float)
    finite = np.isfinite(means)
    return int(np.argmax(np.where(finite, means, -np.inf))) if finite.any() else None


def best_rounds(results: Mapping[str, Any], index: int) -> dict[str, int | None]:
    """The parameters that refit a candidate without early stopping; empty where there was none.

    Examples
    --------
    >>> best_rounds({"mean_best_iteration": [41.6]}, 0)
    {'n_estimators': 42, 'early_stopping_rounds': None}
    """
    if "mean_best_iteration" not in results:
        return {}
    rounds = round(float(results["mean_best_iteration"][index]))
    return {"n_estimators": rounds, "early_stopping_rounds": None}


def _best_iterations(cells: Cells) -> dict[str, Any]:
    """A column for each fold and their mean; empty where no fit stopped early. A failed fit has no number."""
    numbers = np.array([[each and each.best_iteration for each in row] for row in cells], dtype=float)
    if np.isnan(numbers).all():
        return {}
    columns = {f"split{fold}_best_iteration": column for fold, column in enumerate(numbers.T)}
    return {**columns, "mean_best_iteration": numbers.mean(axis=1)}


def ranked_table(results: Mapping[str, Any], cells: Cells, metric: str) -> pd.DataFrame:
    """The table that people look at first, best candidate on top.

    The columns of ``cv_results_`` (parameters masked there are missing here), then ``status`` ("ok", what became
    of the first fold that is not, "stopped" by a policy of early termination among it, for scores that are no
    finite number "not finite", and where the sweep was stopped "partial" or "not run"), ``error`` (the line that
    names that fold's), ``fit_id`` (candidates with an equal one shared their fits), ``rounds_trained``,
    ``prefix_fits`` and ``work_time``, whose sums over the table are the work really done. Where a policy stopped
    candidates, ``stopped_after`` tells after how many rounds (in a race, folds) and ``last_score`` the mean that
    the policy saw last; it is no score of the candidate, which comes after all that have one.
    """
    table = pd.DataFrame({name: _plain(column) for name, column in results.items() if name != "params"})
    table.insert(0, "candidate", range(len(table)))
    table["params"] = [str(dict(params)) for params in results["params"]]
    finite = np.isfinite(np.asarray(results[f"mean_test_{metric}"], dtype=float))
    table["status"] = [_status(row, ok) for row, ok in zip(cells, finite, strict=True)]
    there = [[outcome for outcome in row if outcome is not None] for row in cells]
    table["error"] = [error_line(row) for row in there]
    table["fit_id"] = [row[0].fit_id if row else -1 for row in there]
    table["rounds_trained"] = [sum(outcome.rounds_trained for outcome in row) for row in there]
    table["prefix_fits"] = [sum(outcome.prefix_fits for outcome in row) for row in there]
    table["work_time"] = [sum(outcome.work_time for outcome in row) for row in there]
    table[f"rank_test_{metric}"] = _ranks(results[f"mean_test_{metric}"])
    order = {"finite": finite, f"rank_test_{metric}": table[f"rank_test_{metric}"]}
    rising = [False, True]
    if (table["status"] == "stopped").any():
        stopped = [stopping_point(row, metric) for row in there]
        table["stopped_after"] = pd.array([rounds for rounds, _ in stopped], dtype="Int64")
        table["last_score"] = [score for _, score in stopped]
        order |= {name: table[name] for name in ("stopped_after", "last_score")}
        rising += [False, False]
    order["candidate"] = table["candidate"]
    ordered = pd.DataFrame(order).sort_values([*order], ascending=[*rising, True])
    return table.loc[ordered.index].reset_index(drop=True)


def stopping_point(row: Sequence[Outcome], metric: str) -> tuple[int | None, float]:
    """After how many rounds or folds a policy stopped a candidate, and the mean that it saw last."""
    rounds = [outcome.stopped_after for outcome in row if outcome.stopped_after is not None]
    if not rounds:
        return None, np.nan
    scores = [outcome.test_scores[metric] for outcome in row if metric in outcome.test_scores]
    return rounds[0], float(np.mean(scores)) if scores else np.nan


def cv_table_again(table: pd.DataFrame) -> dict[str, Any]:
    """``cv_results_`` from a ranked table, such as one that was read from ``results.parquet``.

    Scores, times, masks, types and ranks are those that `cv_table` made. A parameter that is no number, text,
    list or the like is the text that the table has for it.
    """
    in_order = table.sort_values("candidate")
    candidates = [_params_of(row) for _, row in in_order.iterrows()]
    splits = [name for name in table if _SPLIT_SCORE.match(name)]
    n_folds = 1 + max(int(name.removeprefix("split").partition("_")[0]) for name in splits)
    metrics = [name.removeprefix("split0_test_") for name in splits if name.startswith("split0_")]
    scores = {name: in_order[name].tolist() for name in splits}
    cells = [
        {
            "test_scores": {metric: scores[f"split{fold}_test_{metric}"][number] for metric in metrics},
            "fit_time": 0.0,
            "score_time": 0.0,
        }
        for number in range(len(candidates))
        for fold in range(n_folds)
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # as in `cv_table`
        results = cv_results(candidates, cells, n_folds, return_train_score=False)
    kept = [name for name in table if name.endswith(("_time", "_best_iteration")) and name != "work_time"]
    return {**results, **{name: in_order[name].to_numpy() for name in kept}}


def _params_of(row: pd.Series) -> dict[str, Any]:
    """A candidate's parameters: from its text where that is Python's literals, else from its columns."""
    try:
        tree = ast.parse(row["params"], mode="eval").body
        pairs = zip(tree.keys, tree.values, strict=True)
        return {ast.literal_eval(name): _value(value, row["params"]) for name, value in pairs}
    except (AttributeError, MemoryError, RecursionError, SyntaxError, TypeError, ValueError):
        given = row.filter(like="param_").dropna()
        return {str(name).removeprefix("param_"): value for name, value in given.items()}


def _value(node: ast.expr, text: str) -> Any:
    """A literal, ``nan`` and ``inf`` among them; for everything else what stands in the text."""
    named = _Numbers().visit(node)
    try:
        return ast.literal_eval(named)
    except ValueError:
        return ast.get_source_segment(text, node)


class _Numbers(ast.NodeTransformer):
    """The two numbers that Python writes as names."""

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return ast.Constant(float(node.id)) if node.id in ("nan", "inf") else node


def commonest_cause(table: pd.DataFrame) -> str:
    """Why a ranked table has no score, as far as its errors tell."""
    causes = table["error"].dropna()
    if causes.empty:
        return "check the metric and the labels: every score is NaN or infinite"
    return f"most often: {causes.mode().iloc[0]}"


def sweeping_results(
    results: Mapping[str, Any], metric: str, shown: str, statuses: Sequence[str] = ()
) -> str:
    """The reference workload's ``sweeping_results.txt``: a line a candidate, in grid order, five decimals.

    Parameters
    ----------
    results : mapping
        ``cv_results_``.
    metric, shown : str
        The key in `results`, and the name that the first line gives it.
    statuses : sequence of str
        In grid order; a candidate whose fits were not all run says so.

    Examples
    --------
    >>> results = {"mean_test_score": [np.nan], "std_test_score": [np.nan], "params": [{"alpha": 1}]}
    >>> sweeping_results(results, "score", "r2", ["partial"])
    "metric =  r2\\nmean: nan, std: nan, params: {'alpha': 1}, status: partial\\n"
    """
    lines = [f"metric =  {shown}"]
    columns = (results[f"mean_test_{metric}"], results[f"std_test_{metric}"], results["params"])
    for number, (mean, std, params) in enumerate(zip(*columns, strict=True)):
        status = statuses[number] if statuses else "ok"
        mark = f", status: {status}" if status in (*UNFINISHED, "stopped") else ""
        lines.append(f"mean: {mean:.5f}, std: {std:.5f}, params: {params}{mark}")
    return "\n".join(lines) + "\n"


def to_csv(table: pd.DataFrame) -> str:
    """CSV with full precision, in which no text cell or column name can be taken for a spreadsheet's formula.

    Examples
    --------
    >>> to_csv(pd.DataFrame({"name": ["=1+1"], "score": [-0.5]}))
    "name,score\\n'=1+1,-0.5\\n"
    """
    safe = table.apply(lambda column: column.map(_neutral) if column.dtype.kind not in "biufc" else column)
    return str(safe.rename(columns=_neutral).to_csv(index=False, lineterminator="\n"))


def to_parquet(table: pd.DataFrame) -> bytes:
    """The table as the bytes of a Parquet file."""
    buffer = io.BytesIO()
    table.to_parquet(buffer, index=False)
    return buffer.getvalue()


def _ranks(means: Any) -> Any:
    """scikit-learn's ranks, but that an infinite mean, as a missing one, is among the last."""
    finite = pd.Series(means, dtype=float).replace([np.inf, -np.inf], np.nan).fillna(-np.inf)
    return finite.rank(method="min", ascending=False).astype("int32").to_numpy()


def _plain(column: Any) -> Any:
    """A column without masks, of one type that CSV and Parquet can hold."""
    hidden = np.ma.getmaskarray(column)
    series = pd.Series(np.ma.getdata(column))
    if series.dtype.kind in "biuf":
        nullable = series if series.dtype.kind == "f" else series.convert_dtypes()  # a whole number stays one
        return nullable.mask(hidden) if hidden.any() else series
    series = series.astype(object)
    if {type(value) for value in series[~hidden]} != {bool}:
        series = series.map(str)
    return series.mask(hidden, None)


def _neutral(value: Any) -> Any:
    is_formula = isinstance(value, str) and value.startswith(_FORMULA_STARTS) and not _NUMBER.fullmatch(value)
    return "'" + value if is_formula else value


def _status(row: Sequence[Outcome | None], finite: bool) -> str:
    there = [outcome for outcome in row if outcome is not None]
    unfit = [outcome.status for outcome in there if outcome.status != "ok"]
    if unfit:
        return unfit[0]
    if len(there) < len(row):
        return "partial" if there else "not run"
    return "ok" if finite else "not finite"


def error_line(row: Sequence[Outcome]) -> str | None:
    """The line that names the error of the first outcome that has one; None where none has."""
    errors = [
        outcome.error.strip().splitlines() for outcome in row if outcome.error and outcome.error.strip()
    ]
    if not errors:
        return None
    named = [line for line in errors[0] if _ERROR.match(line)]
    return named[-1] if named else errors[0][-1]
