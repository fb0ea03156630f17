"""Sessions among the parameters of an estimator: scikit-learn and joblib copy, hash and pickle these."""

from __future__ import annotations

import copyreg
import uuid
import weakref
from typing import Any

from pyspark.errors import PySparkRuntimeError
from pyspark.sql import SparkSession

__all__ = ["register"]

_KEYS: weakref.WeakKeyDictionary[SparkSession, str] = weakref.WeakKeyDictionary()
_SESSIONS: weakref.WeakValueDictionary[str, SparkSession] = weakref.WeakValueDictionary()


def register(kind: type[SparkSession]) -> None:
    """Let sessions of class `kind` be pickled, as references to themselves.

    Copies are then the session itself, and its hash by joblib is always the same. A reference that is loaded in
    another process raises what pyspark without this raises on the way there: sessions are for the driver only.
    """
    copyreg.pickle(kind, _reduced)


def _reduced(session: SparkSession) -> tuple[Any, ...]:
    key = _KEYS.setdefault(session, uuid.uuid4().hex)
    _SESSIONS[key] = session
    return _session, (key,)


def _session(key: str) -> SparkSession:
    session = _SESSIONS.get(key)
    if session is None:
        raise PySparkRuntimeError(errorClass="CONTEXT_ONLY_VALID_ON_DRIVER", messageParameters={})
    return session
