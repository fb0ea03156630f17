"""``hptune.minimize``: the best parameters of a function, as Hyperopt's ``fmin`` finds them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, Literal

from hptune.build import build_trials
from hptune.config import TrialSweepConfig, parse_config
from hptune.engine import DriverEngine, Engine, ProcessesEngine, active_session, engine_of
from hptune.errors import ConfigurationError
from hptune.interrupts import Stopped, deadline
from hptune.observers import Observer
from hptune.outputs import clear_output
from hptune.records import Outcome
from hptune.remote import claimed_output, prepared_output
from hptune.resume import Agenda
from hptune.storage import default_cache
from hptune.summary import SweepResult
from hptune.sweep import TrialSweep, agenda, carry_out, partial_result
from hptune.trials import FunctionTrial

__all__ = ["minimize"]


def minimize(
    fn: Callable[[dict[str, Any]], Any],
    space: Mapping[str, Any] | Sequence[Mapping[str, Any]],
    *,
    max_evals: int,
    sampler: str = "bayesian",
    place: Literal["executors", "driver"] = "executors",
    max_concurrent: int | None = None,
    seed: int = 0,
    timeout: float | str | None = None,
    out: str | Path | None = None,
) -> SweepResult:
    """Find the parameters at which a function is smallest.

    The function runs on the executors of the active Spark session; without one, in processes of this machine.

    Parameters
    ----------
    fn : callable
        ``fn(params)`` returns a number, or a dict with ``loss``; ``status`` "ok" or "fail", other numbers, which
        become metrics, and anything small may stand beside it. It is sent with what it closes over. Where it raises
        or returns something else, that is the candidate's row.
    space : mapping, or sequence of mappings
        As `search_space` in a sweep file, with the expressions of `hptune.space` or their texts.
    max_evals : int
        Candidates that are tried.
    sampler : {"bayesian", "random", "sobol", "grid"}, default "bayesian"
        How they are found.
    place : {"executors", "driver"}, default "executors"
        With "driver" the function is called in threads of this process, where it can use the Spark session itself.
    max_concurrent : int, optional
        Calls at once; by default as many as there are slots, on the driver one.
    seed : int, default 0
        Of the sampler.
    timeout : float or str, optional
        Seconds, or ``"30m"``: what is finished by then is the result. In the main thread only.
    out : str or Path, optional
        An output directory. Where it holds a part of this same search, that is not called again; a larger `max_evals`
        goes on with it.

    Returns
    -------
    SweepResult
        ``best_score`` is the negative of the smallest loss, because larger is better in all tables;
        ``best_run().metrics["loss"]`` is the loss itself.

    Raises
    ------
    ConfigurationError
        The space, the sampler or a limit cannot be meant, or `out` holds another search.
    AllTrialsFailedError
        No call gave a finite loss; the commonest reason is told.

    Examples
    --------
    >>> import hptune
    >>> space = {"x": "uniform(-5, 5)"}
    >>> result = hptune.minimize(lambda params: (params["x"] - 1) ** 2, space, max_evals=20, place="driver")
    >>> abs(result.best_params["x"] - 1) < 0.5, len(result.children())
    (True, 20)
    """
    if not callable(fn):
        raise ConfigurationError(f"minimize needs a function but got {fn!r}", "give one that takes a dict")
    config = _config(fn, space, place, out, seed, sampler, (max_evals, max_concurrent, timeout))
    trial = FunctionTrial(fn, config.objective, place, config.name)
    sweep = build_trials(config, trial=trial)
    with deadline(config.limits.timeout), closing(_engine(place, max_concurrent)) as engine:
        if out is None:
            return _minimized(sweep, agenda(sweep), engine, None)
        with ExitStack() as stack:
            directory = stack.enter_context(claimed_output(str(out), cache=default_cache()))
            place_ = prepared_output(directory, str(out), existing="resumed", say=_unsaid)
            stack.enter_context(place_)
            todo = agenda(sweep, directory, resume=True, extend=True, shown=str(out))
            if todo.kept is None or not todo.kept.sessions:
                clear_output(directory)
            return _minimized(sweep, todo, engine, directory)


def _config(
    fn: Any,
    space: Any,
    place: str,
    out: str | Path | None,
    seed: int,
    sampler: str,
    limits: tuple[int, int | None, float | str | None],
) -> TrialSweepConfig:
    """The sweep file that says the same, but for the function where that has no name to be imported by."""
    name = getattr(fn, "__qualname__", type(fn).__qualname__)
    names = ("max_total_trials", "max_concurrent_trials", "timeout")
    config = parse_config(
        {
            "name": "minimize",
            "trial": {"function": f"{getattr(fn, '__module__', '__main__')}:{name}", "place": place},
            "search_space": space,
            "sampling_algorithm": {"type": sampler, "seed": seed},
            "limits": dict(zip(names, limits, strict=True)),
            "seed": seed,
            "out": None if out is None else str(out),
        }
    )
    if not isinstance(config, TrialSweepConfig):  # it names a function
        raise TypeError(type(config))
    return config


def _engine(place: str, max_concurrent: int | None) -> Engine:
    if place == "driver":
        return DriverEngine(max_concurrent or 1)
    session = active_session()
    if session is not None:
        return engine_of(session, max_concurrent)
    return ProcessesEngine(max_tasks=max_concurrent)


class _Kept(Observer):
    """Keeps what comes, for a search that is stopped."""

    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []

    def on_outcome(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)


def _minimized(sweep: TrialSweep, todo: Agenda, engine: Engine, out: Path | None) -> SweepResult:
    kept = _Kept()
    try:
        return carry_out(sweep, todo, engine, out=out, observers=[kept])
    except Stopped:
        if not kept.outcomes and not todo.reused:
            raise
        return partial_result(sweep, todo, kept.outcomes, out)


def _unsaid(line: str) -> None:
    return None
