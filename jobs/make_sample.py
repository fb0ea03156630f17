"""Write a generated sample of the TalkingData files: what ``hptune sample`` does."""

import sys

from hptune.cli import main

if __name__ == "__main__":
    sys.exit(main(["sample", *sys.argv[1:]]))
