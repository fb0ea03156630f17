"""``python -m hptune``: the command where its script is not on the path."""

import sys

from hptune.cli import main

if __name__ == "__main__":
    sys.exit(main())
