"""The test suite."""

import sys

# For JVMs that live for seconds: a compiler that optimises them takes more time than it saves, and what they load
# is in the archive that tests/run.sh makes. A JVM that does not find it, or does not know it, loads classes itself.
SHORT_LIVED_JVM = (
    f'-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xlog:disable -XX:SharedArchiveFile="{sys.prefix}/spark.jsa"'
)
