"""Functions that tests tune, importable in every process."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

import numpy as np

from hptune import Run

__all__ = ["ANSWERS", "answers", "climbing", "crashing", "hanging", "parabola", "talkative"]

ANSWERS: dict[str, Any] = {
    "number": 0.25,
    "numpy": np.float32(0.25),
    "whole": 3,
    "loss": {"loss": 0.25, "status": "ok"},
    "metrics": {"loss": 0.25, "r2": 0.5, "note": "fine", "sizes": [1, 2.5]},
    "none": None,
    "nan": float("nan"),
    "infinite": {"loss": float("inf")},
    "text": "0.25",
    "truth": True,
    "fail": {"loss": 0.25, "status": "fail", "error": "no luck"},
    "unknown status": {"loss": 0.25, "status": "new"},
    "other metric": {"r2": 0.5},
    "large": np.zeros(100 << 17),
    "large beside": {"loss": 0.25, "model": b"x" * (100 << 20)},
}


def answers(params: dict[str, Any]) -> Any:
    if params["answer"] == "raise":
        raise RuntimeError("no luck")
    return ANSWERS[params["answer"]]


def parabola(params: dict[str, Any]) -> float:
    return float((params["x"] - 1) ** 2)


def crashing(params: dict[str, Any]) -> float:
    if params["x"] == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return parabola(params)


def hanging(params: dict[str, Any]) -> float:
    if params["x"] == 2:
        time.sleep(600)
    return parabola(params)


def climbing(params: dict[str, Any]) -> None:
    """Logs ten values that rise from `start`, as long as it may go on."""
    run = Run.get_context()
    for step in range(10):
        run.log("score", params["start"] + step / 100)
        if run.should_stop():
            return


def talkative(params: dict[str, Any]) -> dict[str, Any]:
    """Tells as much as it may, and logs more."""
    for number in range(300):
        Run.get_context().log(f"metric {number}", number / 7)
    if params["fails"]:
        raise RuntimeError("\x1f\N{OGHAM LETTER BEITH}" * 3000)
    return {"loss": 0.5, "note": "\N{OGHAM LETTER BEITH}" * 670}
