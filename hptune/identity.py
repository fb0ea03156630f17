"""What makes a sweep what it is: compared when it is resumed, and hashed into a key for each of its cells."""

from __future__ import annotations

import ast
import hashlib
import json
import platform
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.metadata import PackageNotFoundError, version
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np

from hptune import __version__
from hptune._sklearn_compat import scorer_content
from hptune.journal import KEY_DIGITS
from hptune.records import EarlyStopping, Objective
from hptune.space import Uncanonical, canonical, content_text

__all__ = ["CellIdentity", "Identity", "TrialIdentity", "library_versions", "plain_params", "shown_params"]

_NOT_OF_A_CELL = (
    "cv",
    "seed",
    "metrics",
    "deterministic",
    "early_termination",
    "sampling_algorithm",
    "search_space",
)
_LITERALS = ("NoneType", "bool", "int", "float", "str")
_LIBRARIES = {
    "numpy": ("numpy",),
    "scipy": ("scipy",),
    "scikit-learn": ("scikit-learn",),
    "xgboost": ("xgboost", "xgboost-cpu"),
}


class HasFingerprint(Protocol):
    """Data that is known by its content."""

    @property
    def fingerprint(self) -> str:
        """Equal for equal content."""


class CellIdentity(ABC):
    """What makes a sweep's cells known again, whatever its trials are.

    Attributes
    ----------
    candidates : sequence of mapping
        Parameter settings in the table's order. There may come more of them.
    kind : str
        What a trial is; cells of different kinds are never the same.
    """

    candidates: Sequence[Mapping[str, Any]]
    kind: ClassVar[str]

    @property
    @abstractmethod
    def fields(self) -> Mapping[str, Any]:
        """All but the grid, as JSON holds it. What has no canonical form is told by its type."""

    @property
    @abstractmethod
    def _folds(self) -> Sequence[str]:
        """What tells the folds apart."""

    @property
    @abstractmethod
    def _shared(self) -> Mapping[str, _Told]:
        """What all cells have in common and may lack a canonical form."""

    @property
    def grid(self) -> list[str]:
        """The canonical text of each candidate's parameters; a value without one is told by its type."""
        return [told.text for told in self._params]

    @property
    def unknown(self) -> str | None:
        """What keeps cells from being known again in a later session; None where nothing does."""
        named = [*self._shared.items(), *(("a candidate", told) for told in self._params)]
        return next((f"{what}: {told.reason}" for what, told in named if told.reason), None)

    def key(self, candidate: int, fold: int) -> str | None:
        """The cell's key, equal in every session in which its fit is the same; None where that cannot be told."""
        begun = self._begun[candidate]
        if begun is None:
            return None
        digest = begun.copy()
        digest.update(self._folds[fold].encode())
        return str(digest.hexdigest()[:KEY_DIGITS])

    @property
    def _begun(self) -> list[Any | None]:
        """For each candidate the hash of all that its folds have in common."""
        hashes = self._hashes
        for told in self._params[len(hashes) :]:
            hashes.append(
                None if told.reason or self._common is None else _continued(self._common, told.text)
            )
        return hashes

    @cached_property
    def _common(self) -> Any | None:
        """The hash of all that the candidates have in common."""
        if any(told.reason for told in self._shared.values()):
            return None
        shared = {name: value for name, value in self.fields.items() if name not in _NOT_OF_A_CELL}
        return hashlib.sha256(json.dumps([self.kind, shared], sort_keys=True).encode())

    @property
    def _params(self) -> list[_Told]:
        texts = self._texts
        texts.extend(
            _told(params) for params in self.candidates[len(texts) :]
        )  # some sweeps find more of them
        return texts

    @cached_property
    def _texts(self) -> list[_Told]:
        return []

    @cached_property
    def _hashes(self) -> list[Any | None]:
        return []


@dataclass(frozen=True)
class Identity(CellIdentity):
    """Everything on which the scores of fits on folds depend.

    Parameters
    ----------
    train : HasFingerprint
        Rows to learn from, with labels, weights and groups: a `FeatureMatrix`, say.
    folds : sequence of (train_rows, test_rows)
        Row numbers of each fold.
    estimator : estimator
        Unfitted, without the candidates' parameters.
    candidates : sequence of mapping
        As in `CellIdentity`.
    scorer : callable
        A scorer, or scikit-learn's multi-metric scorer.
    metrics : sequence of str
        Names in the table.
    early_stopping : EarlyStopping, optional
        How fits are stopped.
    seed : int, optional
        The configuration's, where there is one.
    further : mapping, optional
        What else decides, by the key of the configuration that tells it: the policy that stops candidates; of a sweep
        that finds them while it runs, what decides which.
    """

    kind = "fit on a fold"

    train: HasFingerprint
    folds: Sequence[tuple[Any, Any]]
    estimator: Any
    candidates: Sequence[Mapping[str, Any]]
    scorer: Any
    metrics: Sequence[str]
    early_stopping: EarlyStopping | None = None
    seed: int | None = None
    further: Mapping[str, Any] | None = None

    @cached_property
    def fields(self) -> dict[str, Any]:
        """All but the grid, as JSON holds it. What has no canonical form is told by its type."""
        early = self.early_stopping
        return {
            "versions": library_versions(),
            "data": self.train.fingerprint,
            "seed": self.seed,
            "cv": self._folds,
            "estimator": self._shared["the estimator"].text,
            "metrics": list(self.metrics),
            "objective": self._shared["the scorer"].text,
            "early_stopping": early and [early.rounds, early.validation_fraction, early.seed],
            **(self.further or {}),
        }

    @cached_property
    def _folds(self) -> list[str]:
        return [_fold_hash(train, test) for train, test in self.folds]

    @cached_property
    def _shared(self) -> dict[str, _Told]:
        return {"the estimator": _told(self.estimator), "the scorer": _told(scorer_content(self.scorer))}


@dataclass(frozen=True)
class TrialIdentity(CellIdentity):
    """Everything on which the metrics of trials depend that are no fits on folds.

    Parameters
    ----------
    kind : str
        As in `CellIdentity`.
    content : mapping
        What decides what a trial gives, by the key of the configuration that tells it.
    candidates : sequence of mapping
        As in `CellIdentity`.
    objective : Objective
        What ranks.
    n_folds : int, default 1
        Runs of each candidate.
    seed, further
        As in `Identity`.
    """

    kind: str  # type: ignore[misc]  # of each instance its own
    content: Mapping[str, Any]
    candidates: Sequence[Mapping[str, Any]]
    objective: Objective
    n_folds: int = 1
    seed: int | None = None
    further: Mapping[str, Any] | None = None

    @cached_property
    def fields(self) -> dict[str, Any]:
        """All but the grid, as JSON holds it. What has no canonical form is told by its type."""
        return {
            "versions": library_versions(),
            "seed": self.seed,
            **{name: told.text for name, told in self._shared.items()},
            "cv": self._folds,
            "objective": [self.objective.metric, self.objective.goal],
            **(self.further or {}),
        }

    @property
    def _folds(self) -> list[str]:
        return [f"run {number}" for number in range(self.n_folds)]

    @cached_property
    def _shared(self) -> dict[str, _Told]:
        return {name: _told(value) for name, value in self.content.items()}


def library_versions() -> dict[str, str]:
    """Versions on which scores may depend.

    Examples
    --------
    >>> sorted(library_versions())
    ['hptune', 'numpy', 'python', 'scikit-learn', 'scipy', 'xgboost']
    """
    found = {library: _version(names) for library, names in _LIBRARIES.items()}
    python = ".".join(platform.python_version_tuple()[:2])
    return {"hptune": __version__, "python": python, **found}


def shown_params(text: str) -> dict[str, str]:
    """The parameters in one of a grid's texts, as people write them.

    Examples
    --------
    >>> shown_params(canonical({"max_depth": 3, "kernel": "rbf", "sizes": [1, 2.5]}))
    {'kernel': "'rbf'", 'max_depth': '3', 'sizes': '[1, 2.5]'}
    """
    return {name: _shown(value) for name, value in json.loads(text).items()}


def plain_params(text: str) -> dict[str, Any]:
    """The parameters in one of a grid's texts as values: what is no number, text, list or map is its text.

    Examples
    --------
    >>> plain_params(canonical({"max_depth": 3, "kernel": "rbf", "sizes": [1, 2.5], "seed": None}))
    {'kernel': 'rbf', 'max_depth': 3, 'seed': None, 'sizes': [1, 2.5]}
    """
    return {name: _plain(value) for name, value in json.loads(text).items()}


def _plain(node: Any) -> Any:
    if isinstance(node, dict):
        return {name: _plain(value) for name, value in node.items()}
    if isinstance(node, list) and node and node[0] in ("list", "tuple"):
        return [_plain(item) for item in node[1:]]
    if isinstance(node, list) and len(node) == 2 and node[0] in _LITERALS:
        return float(node[1]) if node[0] == "float" else ast.literal_eval(node[1])
    return _shown(node)


def _shown(node: Any) -> str:
    if isinstance(node, list) and len(node) > 1 and all(isinstance(part, str) for part in node):
        return str(node[1])  # of a number its text, of a function its name
    if isinstance(node, list) and node and node[0] in ("list", "tuple"):
        return f"[{', '.join(map(_shown, node[1:]))}]"
    return json.dumps(node)


def _fold_hash(train: Any, test: Any) -> str:
    """The hash of a fold's row numbers, whatever integers hold them."""
    digest = hashlib.sha256()
    for rows in (train, test):
        numbers = np.ascontiguousarray(rows, dtype="<i8")
        digest.update(f"{numbers.size}:".encode())
        digest.update(numbers.tobytes())
    return digest.hexdigest()


@cache
def _version(names: tuple[str, ...]) -> str:
    for name in names:
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return "none"


class _Told(NamedTuple):
    """A canonical text; where there is none, a text without what differs between sessions, and the reason."""

    text: str
    reason: str | None = None


def _told(value: Any) -> _Told:
    try:
        return _Told(canonical(value))
    except Uncanonical as error:
        return _Told(content_text(value), str(error))


def _continued(common: Any, text: str) -> Any:
    digest = common.copy()
    digest.update(text.encode())
    return digest
