"""The first four feature sets and the 4-point grid, for small machines; no Spark.

Takes the options of ``hptune sweep``. Its default ``--config`` is ``configs/talkingdata_small.yaml``.
"""

import sys
from pathlib import Path

from hptune.cli import sweep_main

if __name__ == "__main__":
    sys.exit(sweep_main(Path(__file__).resolve().parent.parent / "configs" / "talkingdata_small.yaml"))
