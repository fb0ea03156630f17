"""Logs values that rise from ``--start``; with ``--deaf`` it does not listen whether it should stop."""

import sys
import time

from hptune import Run

run = Run.get_context()
start, deaf = run.params["--start"], run.params.get("--deaf", False)
steps = 0
while steps < 5 or (start < 0.5 and steps < 6000):
    run.log("score", start + min(steps, 5) / 100)
    steps += 1
    if run.should_stop() and not deaf:
        print("stopped after", steps)
        sys.exit(0)
    time.sleep(0.05 if start < 0.5 else 0.0)
