"""Where the live channel listens beside Spark."""

from __future__ import annotations

from pyspark import SparkConf

from hptune.errors import ConfigurationError
from hptune.live import Place

__all__ = ["place_of"]

_PORT = "spark.hptune.live.port"
_LAST_PORT = 65535
_ENCRYPTED = (
    "spark.authenticate.enableSaslEncryption",
    "spark.network.crypto.enabled",
    "spark.ssl.rpc.enabled",
)


def place_of(conf: SparkConf, *, is_local: bool) -> Place | None:
    """Where executors reach the driver; None where Spark's own traffic is encrypted.

    Examples
    --------
    >>> conf = SparkConf(loadDefaults=False).set("spark.driver.host", "10.0.0.7").set("spark.hptune.live.port", "4050")
    >>> place_of(conf, is_local=False)
    Place(bind='10.0.0.7', host='10.0.0.7', port=4050)
    >>> place_of(conf.set("spark.network.crypto.enabled", "true"), is_local=False) is None
    True
    """
    port = str(conf.get(_PORT, "0"))
    if not port.isdecimal() or int(port) > _LAST_PORT:
        raise ConfigurationError(f"{_PORT} must be a port but is {port!r}", "give a number from 0 to 65535")
    if is_local:
        return Place(port=int(port))
    if any(str(conf.get(name, "")).lower() == "true" for name in _ENCRYPTED):
        return None
    host = str(conf.get("spark.driver.host", "127.0.0.1"))
    return Place(bind=str(conf.get("spark.driver.bindAddress", host)), host=host, port=int(port))
