"""Many sweeps in one Spark session: ``python -m tests.chaos.many OUT NUMBER CONFIG...``, the files in turn.

Prints a JSON line after each: its table's checksum, and what driver and workers hold of memory, files and handles.
"""

from __future__ import annotations

import json
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from hptune import run_sweep
from hptune.config import load_config
from tests.chaos.processes import is_pyspark
from tests.chaos.tables import read_table
from tests.sessions import spark_session

__all__ = ["main"]


def main(out: str, number: str, *configs: str) -> None:
    settings = load_config(Path(configs[0]))["spark"]
    with spark_session(settings.pop("master"), **settings):
        for each in range(int(number)):
            run_sweep(configs[each % len(configs)], cache=Path(out) / "cache", out=f"{out}/{each}")
            print(json.dumps({"sha256": read_table(Path(out, str(each))).good.sha256, **held()}), flush=True)


def held() -> dict[str, Any]:
    """What this process and the Python workers hold."""
    me = psutil.Process()
    workers = {}
    for child in me.children(recursive=True):
        with suppress(psutil.Error):
            if is_pyspark(child):
                workers[child.pid] = child.memory_info().rss
    temporary = [path for path in Path(tempfile.gettempdir()).rglob("*") if path.is_file()]
    return {
        "driver": me.memory_info().rss,
        "handles": me.num_fds(),
        "threads": me.num_threads(),
        "workers": workers,
        "temporary files": len(temporary),
    }


if __name__ == "__main__":
    main(*sys.argv[2:])
