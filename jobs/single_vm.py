"""All feature sets and the 4-point grid, on this machine's processes; no Spark.

Takes the options of ``hptune sweep``. Its default ``--config`` is ``configs/talkingdata_single_vm.yaml``.
"""

import sys
from pathlib import Path

from hptune.cli import sweep_main

if __name__ == "__main__":
    sys.exit(sweep_main(Path(__file__).resolve().parent.parent / "configs" / "talkingdata_single_vm.yaml"))
