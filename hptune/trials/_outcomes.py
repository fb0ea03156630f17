"""From what a trial answered to its outcome."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from hptune.engine import failed
from hptune.records import FitTask, Objective, Outcome
from hptune.trials._answer import Unusable, read_answer

__all__ = ["answered"]


def answered(task: FitTask, objective: Objective, answer: Callable[[], Any]) -> list[Outcome]:
    """The outcome of a trial that gives its answer when it is called.

    Parameters
    ----------
    task : FitTask
        The trial's; it has one rung.
    objective : Objective
        What ranks.
    answer : callable
        Returns what `read_answer` reads. What it raises leaves, and is the engine's to tell.
    """
    started, begun = time.time(), time.perf_counter()
    value = answer()
    seconds = time.perf_counter() - begun
    try:
        told = read_answer(value, objective)
    except Unusable as error:
        outcomes = failed(task, str(error))
    else:
        scores = {objective.name: objective.score(told.metrics[objective.metric])}
        done = Outcome(task.rungs[0].candidate, task.fold, "ok", scores, fit_id=task.id)
        outcomes = [replace(done, metrics=told.metrics, told=told.told)]
    return [
        replace(
            outcome,
            fit_time=seconds,
            work_time=seconds,
            started=started,
            host=socket.gethostname(),
            pid=os.getpid(),
        )
        for outcome in outcomes
    ]
