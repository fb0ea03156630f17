"""All feature sets and the 16-point grid, on Spark.

Takes the options of ``hptune sweep``. Its default ``--config`` is ``configs/talkingdata_spark.yaml``.
"""

import sys
from pathlib import Path

from hptune.cli import sweep_main

if __name__ == "__main__":
    sys.exit(sweep_main(Path(__file__).resolve().parent.parent / "configs" / "talkingdata_spark.yaml"))
