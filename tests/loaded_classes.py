"""What Spark's JVMs do in most tests: ``tests/run.sh`` archives the classes that it loads, for theirs to start from."""

from __future__ import annotations

import sys

from pyspark import SparkConf, SparkContext


def main() -> int:
    """Run a job in this JVM, and one on executors of their own; 0 where both did what they should."""
    return 0 if [_total(master) for master in ("local[2]", "local-cluster[1,1,1024]")] == [6, 6] else 1


def _total(master: str) -> int:
    settings = {"spark.ui.enabled": "false", "spark.executor.memory": "512m"}
    with SparkContext(master, "classes", conf=SparkConf().setAll(list(settings.items()))) as context:
        total = context.accumulator(0)
        context.broadcast(range(4))
        context.parallelize(range(4), 2).foreach(total.add)
        return int(total.value)


if __name__ == "__main__":
    sys.exit(main())
