"""The key `tracking`: where a sweep is told to MLflow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from hptune.config._records import TrackingConfig
from hptune.config._sections import check_keys
from hptune.errors import ConfigurationError

__all__ = ["checked_tracking_uri", "tracking_section"]

_KEYS = ("mlflow", "experiment")


def tracking_section(value: Any) -> TrackingConfig | None:
    """`tracking`, where it is given."""
    if not value:
        return None
    example = "write tracking: {mlflow: 'http://localhost:5000', experiment: NAME}"
    if not isinstance(value, Mapping):
        raise ConfigurationError("tracking must be a map", example)
    check_keys("tracking.", value, _KEYS)
    uri, experiment = value.get("mlflow"), value.get("experiment")
    if not isinstance(uri, str) or not uri:
        raise ConfigurationError("tracking.mlflow must be the address of an MLflow server", example)
    if experiment is not None and (not isinstance(experiment, str) or not experiment):
        raise ConfigurationError("tracking.experiment must be a name", example)
    return TrackingConfig(checked_tracking_uri(uri, "tracking.mlflow"), experiment)


def checked_tracking_uri(uri: str, key: str) -> str:
    """An address of an MLflow server that holds no secret; the error does not repeat it.

    Examples
    --------
    >>> checked_tracking_uri("http://localhost:5000", "tracking.mlflow")
    'http://localhost:5000'
    """
    try:
        parts = urlsplit(uri)
    except ValueError as error:
        raise ConfigurationError(f"{key} is no address ({error})", "correct it") from error
    is_web = parts.scheme in ("http", "https")
    if parts.password or (is_web and (parts.username is not None or parts.query)):
        raise ConfigurationError(
            f"{key} holds a credential, which others can read there",
            "take it out and set MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and"
            " MLFLOW_TRACKING_PASSWORD, in the environment",
        )
    return uri
