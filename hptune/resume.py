"""Which fits a session of a sweep still has to make, and what earlier sessions left in its journal."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hptune.adaptive import Asked, Exploration, expected_plan
from hptune.errors import ConfigurationError
from hptune.identity import CellIdentity, shown_params
from hptune.journal import Kept, Session, decode_outcome, find_journal, key_of
from hptune.plan import Plan
from hptune.records import FitTask, Outcome
from hptune.space import CODE

__all__ = [
    "Agenda",
    "ended_curves",
    "exploring_agenda",
    "fresh_agenda",
    "missing_tasks",
    "refuse_another_sweep",
    "resumed_agenda",
    "resumed_exploration",
]

_CUT_OFF = "the journal's last record was cut off and is dropped"
_SHOWN = 100  # characters of a value in a message


@dataclass(frozen=True)
class Agenda:
    """What a session has to do.

    Parameters
    ----------
    plan : Plan
        All fits of the sweep.
    identity : Identity
        What makes it this sweep.
    tasks : tuple of FitTask
        The fits that are missing, the longest first.
    reused : tuple of Outcome
        What earlier sessions finished, numbered as this one's candidates are.
    kept : Kept, optional
        The journal that is gone on with.
    renumbered : tuple of int, optional
        In a wider grid the number of each candidate that the journal knows.
    first_fit : int
        The smallest number of a fit.
    notices : tuple of str
        What the user should be told, a sentence each.
    exploration : Exploration, optional
        Finds the candidates while the sweep runs; `plan` and `tasks` tell then only how many fits there will be.
    """

    plan: Plan
    identity: CellIdentity
    tasks: tuple[FitTask, ...]
    reused: tuple[Outcome, ...] = ()
    kept: Kept | None = None
    renumbered: tuple[int, ...] | None = None
    first_fit: int = 0
    notices: tuple[str, ...] = ()
    exploration: Exploration | None = None


def fresh_agenda(plan: Plan, identity: CellIdentity) -> Agenda:
    """Every fit of the plan, for a journal that is to be begun."""
    return Agenda(plan, identity, plan.tasks, notices=tuple(_of_unknown(identity)))


def resumed_agenda(
    plan: Plan, identity: CellIdentity, journal: Path, config: Mapping[str, Any], shown: str, *, extend: bool
) -> Agenda:
    """The fits whose outcomes are not in the journal; every fit, where there is no journal yet.

    Parameters
    ----------
    plan : Plan
        All fits of the sweep.
    identity : Identity
        What makes it this sweep.
    journal : Path
        Where earlier sessions wrote.
    config : mapping
        The configuration, to name what differs.
    shown : str
        What the user calls the journal's directory.
    extend : bool
        Allow candidates that the journal does not know.

    Raises
    ------
    ConfigurationError
        The journal is another sweep's.
    OutputError
        The journal is damaged.
    """
    kept = find_journal(journal)
    if kept is None or not kept.sessions:
        agenda = replace(fresh_agenda(plan, identity), kept=kept)
        return _noted(agenda, f"{shown} holds nothing to resume: starting from the beginning")
    known = _known_grid(kept.sessions)
    refuse_another_sweep(identity, config, kept.sessions, shown)
    wider = identity.grid != known
    if wider:
        _refuse_another_grid(identity.grid, known, config, kept.sessions, shown, extend=extend)
    reused = tuple(_reused(identity, plan, kept.sessions))
    first_fit = int(kept.sessions[-1].first.get("first_fit", 0))
    if wider:
        first_fit = 1 + max((outcome.fit_id for outcome in reused), default=-1)
    plan = _numbered_from(plan, first_fit)
    places = {text: number for number, text in reversed(list(enumerate(identity.grid)))}
    agenda = Agenda(
        plan=plan,
        identity=identity,
        tasks=missing_tasks(plan, {(outcome.candidate, outcome.fold) for outcome in reused}),
        reused=reused,
        kept=kept,
        renumbered=tuple(places[text] for text in known) if wider else None,
        first_fit=first_fit,
        notices=tuple(_of_unknown(identity)),
    )
    if kept.torn:
        agenda = _noted(agenda, _CUT_OFF)
    return agenda


def exploring_agenda(exploration: Exploration, identity: CellIdentity, limit: int) -> Agenda:
    """Every fit of candidates that are still to be found, at most `limit` of them."""
    plan = expected_plan(limit, exploration.plan.n_folds)
    return Agenda(plan, identity, plan.tasks, notices=tuple(_of_unknown(identity)), exploration=exploration)


def resumed_exploration(
    agenda: Agenda, exploration: Exploration, journal: Path, config: Mapping[str, Any], shown: str
) -> Agenda:
    """The agenda of `exploring_agenda` for what is left, after `exploration` has gone through the journal.

    Raises
    ------
    ConfigurationError
        The journal is another sweep's, or the sampler draws other candidates than before.
    OutputError
        The journal is damaged.
    """
    kept = find_journal(journal)
    if kept is None or not kept.sessions:
        return _noted(
            replace(agenda, kept=kept), f"{shown} holds nothing to resume: starting from the beginning"
        )
    refuse_another_sweep(agenda.identity, config, kept.sessions, shown)
    found = (record for session in kept.sessions for record in session.candidates)
    asked = [Asked(number, record["params"], tuple(record["told"])) for number, record in enumerate(found)]
    cells: dict[tuple[int, int], Outcome] = {}
    for outcome in map(decode_outcome, (line for session in kept.sessions for line in session.outcomes)):
        cells.setdefault((outcome.candidate, outcome.fold), outcome)
    first_fit = 1 + max((outcome.fit_id for outcome in cells.values()), default=-1)
    exploration.replay(asked, cells.values(), first_fit)
    plan = expected_plan(max(agenda.plan.n_candidates, len(asked)), agenda.plan.n_folds)
    resumed = replace(
        agenda,
        plan=plan,
        tasks=missing_tasks(plan, set(cells)),
        reused=tuple(cells.values()),
        kept=kept,
        first_fit=first_fit,
    )
    return _noted(resumed, _CUT_OFF) if kept.torn else resumed


def missing_tasks(plan: Plan, done: Set[tuple[int, int]]) -> tuple[FitTask, ...]:
    """The plan's fits for cells (candidate, fold) that are not done, the longest first.

    Rungs that are done leave their ladder. A rung above them is fitted from round 0: a booster that is
    continued differs as soon as rows or columns are sampled.
    """
    left = []
    for task in plan.tasks:
        rungs = tuple(
            rung for rung in task.rungs if not {(rung.candidate, fold) for fold in task.all_folds} <= done
        )
        if rungs:
            left.append(task.of_rungs(rungs))
    return tuple(sorted(left, key=lambda task: (-task.cost, task.fold)))


def ended_curves(agenda: Agenda) -> Iterator[tuple[int, list[list[Any]], bool]]:
    """What the fits of earlier sessions reported that have ended: candidate, curve, and whether it was stopped."""
    kept = {} if agenda.kept is None else _kept_curves(agenda.kept)
    statuses = {outcome.candidate: outcome.status for outcome in agenda.reused}
    for candidate, status in statuses.items():
        curve = kept.get(agenda.identity.key(candidate, 0) or "")
        if curve:
            yield candidate, curve, status == "stopped"


def _kept_curves(kept: Kept) -> dict[str, list[list[Any]]]:
    """The last curve of each key: a fit that was cut off is made again."""
    curves = (record for session in kept.sessions for record in session.curves)
    return {record["key"]: record["values"] for record in curves if "key" in record}


def _of_unknown(identity: CellIdentity) -> Iterator[str]:
    if identity.unknown is not None:
        yield f"what --resume cannot know again would be fitted again ({identity.unknown})"


def _noted(agenda: Agenda, notice: str) -> Agenda:
    return replace(agenda, notices=(*agenda.notices, notice))


def _numbered_from(plan: Plan, first: int) -> Plan:
    return replace(plan, tasks=tuple(replace(task, id=task.id + first) for task in plan.tasks))


def _known_grid(sessions: Sequence[Session]) -> list[str]:
    """The grid of the last session that had one of its own."""
    return next(list(session.first["grid"]) for session in reversed(sessions) if "grid" in session.first)


def _reused(identity: CellIdentity, plan: Plan, sessions: Sequence[Session]) -> Iterator[Outcome]:
    lines: dict[str, bytes] = {}
    for session in sessions:
        for line in session.outcomes:
            key = key_of(line)
            if key is not None:
                lines.setdefault(key, line)
    for candidate in range(plan.n_candidates):
        for fold in range(plan.n_folds):
            key = identity.key(candidate, fold)
            if key in lines:
                yield replace(decode_outcome(lines[key]), candidate=candidate, fold=fold)


_NOTHING = "nothing"
_MEND = "give the same, or choose another --out"
_MEND_VERSION = "install the version that it was started with, or choose another --out"


def refuse_another_sweep(
    identity: CellIdentity, config: Mapping[str, Any], sessions: Sequence[Session], shown: str
) -> None:
    """Compare what decides the scores with what the journal's header has.

    Raises
    ------
    ConfigurationError
        It differs, and the message names in what.
    """
    was = sessions[0].first["identity"]
    for name in {**identity.fields, **was}:
        value = identity.fields.get(name)
        if value == was.get(name):
            continue
        now, then = _said(config, name), _said(_config_of(sessions), name)
        if now == then:  # the configuration says the same, so what it led to tells the difference
            now, then = _parsed(value), _parsed(was.get(name, _NOTHING))
            _refuse_changed_code(name, [now], then, shown)
        mend = _MEND_VERSION if name == "versions" else _MEND
        raise ConfigurationError(_told_difference(name, now, then, shown), mend)


def _refuse_changed_code(name: str, now: Iterable[Any], then: Any, shown: str) -> None:
    if _without_code(then) in map(_without_code, now):
        raise ConfigurationError(
            f"the code of {name} has changed since {shown} was started", "undo that, or choose another --out"
        )


def _without_code(node: Any) -> Any:
    """A canonical form without the texts that tell what code does."""
    if isinstance(node, Mapping):
        return {name: _without_code(item) for name, item in node.items()}
    if not isinstance(node, list):
        return node
    return [_without_code(item) for item in node if not (isinstance(item, str) and item.startswith(CODE))]


def _refuse_another_grid(
    grid: Sequence[str],
    known: Sequence[str],
    config: Mapping[str, Any],
    sessions: Sequence[Session],
    shown: str,
    *,
    extend: bool,
) -> None:
    lost = list(dict.fromkeys(text for text in known if text not in set(grid)))
    if extend and not lost:
        return
    if lost:
        _refuse_changed_code("search_space", map(json.loads, grid), json.loads(lost[0]), shown)
    if extend:
        raise ConfigurationError(
            f"search_space lacks {len(lost)} of the candidates of {shown}, such as {_short(shown_params(lost[0]))}",
            "keep what it had and add to it, or choose another --out",
        )
    now, then = config.get("search_space", _NOTHING), _config_of(sessions).get("search_space", _NOTHING)
    if now == then:
        now, then = f"{len(grid)} candidates", f"{len(known)} candidates"
    mend = _MEND if lost else "give the same, add --extend to fit what is new, or choose another --out"
    raise ConfigurationError(_told_difference("search_space", now, then, shown), mend)


def _config_of(sessions: Sequence[Session]) -> Mapping[str, Any]:
    config: Mapping[str, Any] = sessions[-1].first.get("config", {})
    return config


def _said(config: Any, key: str) -> Any:
    """What a configuration says of a key, such as ``cv`` or ``data.group``."""
    for part in key.split("."):
        config = config.get(part, _NOTHING) if isinstance(config, Mapping) else _NOTHING
    return config


def _told_difference(name: str, now: Any, then: Any, shown: str) -> str:
    path, now, then = _first_difference(name, now, then)
    return f"{path} is {_short(now)}, but {shown} was started with {_short(then)}"


def _first_difference(path: str, now: Any, then: Any) -> tuple[str, Any, Any]:
    """The innermost place at which two JSON values differ, and both values there."""
    if isinstance(now, Mapping) and isinstance(then, Mapping):
        for name in (*now, *(name for name in then if name not in now)):
            pair = now.get(name, _NOTHING), then.get(name, _NOTHING)
            if pair[0] != pair[1]:
                return _first_difference(f"{path}.{name}", *pair)
    if (
        isinstance(now, list)
        and isinstance(then, list)
        and len(now) == len(then)
        and any(map(_is_nested, now))
    ):
        for number, pair in enumerate(zip(now, then, strict=True)):
            if pair[0] != pair[1]:
                return _first_difference(f"{path}[{number}]", *pair)
    return path, now, then


def _is_nested(value: Any) -> bool:
    return isinstance(value, (Mapping, list))


def _parsed(value: Any) -> Any:
    """A canonical text as the value that it is the text of."""
    return json.loads(value) if isinstance(value, str) and value.startswith(("[", "{")) else value


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
