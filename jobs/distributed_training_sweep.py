"""California housing by trials that are Spark jobs themselves: untuned against tuned, on rows that no trial saw.

Takes the options of ``hptune sweep``. Its default ``--config`` is ``configs/housing_distributed.yaml``.
"""

import sys
from pathlib import Path

from hptune.cli import sweep_main

if __name__ == "__main__":
    sys.exit(sweep_main(Path(__file__).resolve().parent.parent / "configs" / "housing_distributed.yaml"))
