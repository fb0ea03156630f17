"""Who watches a sweep: the progress on a terminal or in a log, limits, and MLflow."""

from hptune.observers._background import Background
from hptune.observers._mlflow import (
    CandidateRun,
    Ending,
    MlflowRuns,
    SweepRun,
    autologging_off,
    has_mlflow,
    settings_kept,
)
from hptune.observers._progress import (
    FailureLimit,
    Observer,
    ProgressBar,
    ProgressLines,
    Tally,
    TransferBar,
    TransferLines,
    duration,
    progress_observer,
    transfer_progress,
)

__all__ = [
    "Background",
    "CandidateRun",
    "Ending",
    "FailureLimit",
    "MlflowRuns",
    "Observer",
    "ProgressBar",
    "ProgressLines",
    "SweepRun",
    "Tally",
    "TransferBar",
    "TransferLines",
    "autologging_off",
    "duration",
    "has_mlflow",
    "progress_observer",
    "settings_kept",
    "transfer_progress",
]
