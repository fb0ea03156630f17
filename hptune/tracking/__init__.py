"""A sweep's directory told to MLflow: while the sweep runs, and later what was not told then.

Everything is read from the journal, by both: what is sent later is what would have been sent at once.
"""

from hptune.tracking._tracked import check_tracking, send_missing, tracked

__all__ = ["check_tracking", "send_missing", "tracked"]
