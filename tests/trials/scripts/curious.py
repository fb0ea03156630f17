"""Tells what it was started with, and does what its parameters say."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from hptune import Run

run = Run.get_context()
behaviour = run.params.get("--behaviour", "fine")
print("stdout of", run.id)
print("stderr of", run.id, file=sys.stderr)
if behaviour == "raise":
    raise ValueError("no luck")
if behaviour == "silent":
    sys.exit(0)
if behaviour == "other":
    run.log("precision", 0.5)
    sys.exit(0)
if behaviour == "hang":
    child = "import os, time; print(os.getpid(), file=open(os.environ['PIDS'], 'w')); time.sleep(600)"
    subprocess.Popen([sys.executable, "-c", child])
    while not os.path.exists(os.environ["PIDS"]):
        time.sleep(0.01)
    time.sleep(600)
if behaviour == "json":
    print(json.dumps({"score": 0.75, "note": "printed"}))
    print("done")
    sys.exit(0)
if behaviour == "offers":
    run.log_list("loss", [3.0, 2.0, 1.0])
    run.log("note", "a text")
told = {
    "arguments": sys.argv[1:],
    "variables": {
        name: value for name, value in os.environ.items() if name.startswith(("HPTUNE_", "AZUREML_"))
    },
    "code": sorted(path.name for path in Path().iterdir()),
    "params": run.params,
}
os.makedirs("outputs/deep", exist_ok=True)
Path("outputs/deep/told.json").write_text(json.dumps(told))
run.log("score", 0.25)
run.log("score", 0.5)
