"""What a search keeps on disk: a journal of its fits, from which the same search goes on."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib

from hptune.fitters import Evaluation
from hptune.identity import Identity
from hptune.locks import held
from hptune.outputs import JOURNAL, check_output, held_files
from hptune.plan import Plan
from hptune.records import FitTask, Outcome
from hptune.resume import resumed_agenda
from hptune.sessions import open_session

__all__ = ["Directory", "Left", "directory_of", "nowhere"]


@dataclass(frozen=True)
class Left:
    """What is left to do of a search.

    Parameters
    ----------
    tasks : tuple of FitTask
        The fits that are missing.
    reused : tuple of Outcome
        What earlier fits of the search finished.
    keep : callable
        Puts outcomes on disk.
    """

    tasks: tuple[FitTask, ...]
    reused: tuple[Outcome, ...] = ()
    keep: Callable[[Sequence[Outcome]], None] = lambda outcomes: None


@contextmanager
def nowhere(plan: Plan, data: Evaluation, candidates: Sequence[Mapping[str, Any]]) -> Iterator[Left]:
    """Everything, for a search that keeps nothing."""
    yield Left(plan.tasks)


@dataclass(frozen=True)
class Directory:
    """A search's output directory.

    Parameters
    ----------
    path : Path
        Made where there is none.
    metrics : tuple of str
        Names of the scores.
    ranking_metric : str
        The one of them that ``hptune status`` ranks by.
    name : str
        What ``hptune status`` calls the search.
    """

    path: Path
    metrics: tuple[str, ...]
    ranking_metric: str
    name: str

    @contextmanager
    def __call__(
        self, plan: Plan, data: Evaluation, candidates: Sequence[Mapping[str, Any]]
    ) -> Iterator[Left]:
        """What is left of the search; the directory belongs to this process while the context is open.

        Raises
        ------
        ConfigurationError
            It holds another search, or some sweep's results.
        OutputInUseError
            Another process holds it.
        OutputError
            The journal is damaged, or cannot be written.
        """
        shown = str(self.path)
        with held(self.path, shown):
            check_output(held_files(self.path), shown, "resumed")
            identity = self._identity(data, candidates)
            agenda = resumed_agenda(plan, identity, self.path / JOURNAL, {}, shown, extend=True)
            if identity.unknown is not None:
                warnings.warn(f"what {shown} holds is fitted again: {identity.unknown}", stacklevel=2)
            with open_session(self.path, agenda, self._about()) as journal:
                yield Left(
                    agenda.tasks,
                    agenda.reused,
                    lambda outcomes: journal.append(
                        (identity.key(each.candidate, each.fold), each) for each in outcomes
                    ),
                )

    def _identity(self, data: Evaluation, candidates: Sequence[Mapping[str, Any]]) -> Identity:
        return Identity(
            train=_Data(joblib.hash([data.X, data.y, data.fit_params, data.score_params])),
            folds=data.folds,
            estimator=data.estimator,
            candidates=candidates,
            scorer=data.scorer,
            metrics=self.metrics,
            further={
                "error_score": str(data.error_score),
                "return_train_score": data.return_train_score,
            },
        )

    def _about(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "metrics": list(self.metrics),
            "ranking_metric": self.ranking_metric,
            "shown_metric": self.ranking_metric,
        }


@dataclass(frozen=True)
class _Data:
    """What a search is fitted on."""

    fingerprint: str


def directory_of(out: Any, scoring: Any, refit: Any, name: str) -> Directory:
    """The directory that a search's `out` names, with the metrics that its `scoring` does.

    Raises
    ------
    ValueError
        `out` is no local path.
    """
    if not isinstance(out, (str, os.PathLike)) or not os.fspath(out) or "://" in str(out):
        raise ValueError(f"out must be a local directory or None but is {out!r}")
    metrics = tuple(scoring) if isinstance(scoring, (list, tuple, set, dict)) else ("score",)
    ranking = refit if isinstance(refit, str) and refit in metrics else metrics[0]
    return Directory(Path(out), metrics, ranking, name)
