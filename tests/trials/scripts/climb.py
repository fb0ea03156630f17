"""Logs values that rise from ``--start``; a low one is slow. With ``--deaf`` it does not listen whether to stop."""

import sys
import time

from hptune import Run

run = Run.get_context()
start, deaf = run.params["--start"], run.params.get("--deaf", False)
for step in range(2000):
    run.log("score", start + min(step, 5) / 100)
    if run.should_stop() and not deaf:
        print("stopped after", step + 1)
        sys.exit(0)
    if start < 0.5:
        time.sleep(0.1)
