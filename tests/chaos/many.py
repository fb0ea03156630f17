"""Many sweeps in one Spark session: ``python -m tests.chaos.many CONFIG OUT NUMBER``.

Prints a JSON line after each: its table's checksum, and what driver and workers hold of memory, files and handles.
"""

from __future__ import annotations

import json
import sys
import tempfile
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import psutil

from hptune.build import build_sweep
from hptune.config import load_config, parse_config
from hptune.engine import BY_NAME
from hptune.outputs import prepare_output
from hptune.sweep import run
from tests.chaos.tables import read_table

__all__ = ["main"]


def main(config_file: str, out: str, number: str) -> None:
    config = parse_config(load_config(Path(config_file)))
    with closing(BY_NAME["spark"](config.spark, config.name)) as engine:
        for sweep_number in range(int(number)):
            directory = Path(out) / str(sweep_number)
            prepare_output(directory, overwrite=False)
            built = build_sweep(config, cache=Path(out) / "cache")
            run(built, engine, out=directory)
            print(json.dumps({"sha256": read_table(directory).good.sha256, **held()}), flush=True)


def held() -> dict[str, Any]:
    """What this process and the Python workers hold."""
    me = psutil.Process()
    workers = {}
    for child in me.children(recursive=True):
        with suppress(psutil.Error):
            if "pyspark.daemon" in child.cmdline():
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
