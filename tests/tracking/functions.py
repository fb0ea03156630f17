"""Functions as trials that log to MLflow themselves."""

from __future__ import annotations

from typing import Any

__all__ = ["logging_itself"]


def logging_itself(params: dict[str, Any]) -> float:
    """Logs a metric, and a run of its own below."""
    import mlflow

    mlflow.log_metric("own", 10 * params["x"])
    with mlflow.start_run(nested=True, run_name=f"inner {params['x']}"):
        mlflow.log_metric("deep", params["x"])
    return float(params["x"])
