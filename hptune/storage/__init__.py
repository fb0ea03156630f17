"""Where files live: local paths, Azure Blob containers and whatever file systems Hadoop knows, behind one seam."""

from __future__ import annotations

from collections.abc import Callable

from hptune.errors import ConfigurationError
from hptune.storage._base import (
    ByteProgress,
    ChangedError,
    Opener,
    PassingError,
    Patience,
    RemoteFile,
    Retrier,
    Store,
    checked_name,
    is_remote,
    refuse_query,
    scheme_of,
)
from hptune.storage._cache import cached_copies, default_cache, evict
from hptune.storage._credentials import refuse_secrets, take_credentials, texts_of
from hptune.storage._fetch import Fetched, fetch
from hptune.storage._local import (
    clear_scratch,
    make_private_directory,
    open_local,
    sync_directory,
    write_atomically,
)
from hptune.storage._upload import MIRROR_SECONDS, Mirror, upload

__all__ = [
    "BY_SCHEME",
    "MIRROR_SECONDS",
    "ByteProgress",
    "ChangedError",
    "Fetched",
    "Mirror",
    "Opener",
    "PassingError",
    "Patience",
    "RemoteFile",
    "Retrier",
    "Store",
    "cached_copies",
    "checked_name",
    "clear_scratch",
    "default_cache",
    "evict",
    "fetch",
    "is_remote",
    "make_private_directory",
    "needs_hadoop",
    "open_store",
    "refuse_query",
    "refuse_secrets",
    "scheme_of",
    "sync_directory",
    "take_credentials",
    "texts_of",
    "upload",
    "write_atomically",
]


def _azure(uri: str, patience: Patience) -> Store:
    from hptune.storage._azure import open_azure  # the SDK takes half a second to import

    return open_azure(uri, patience)


BY_SCHEME: dict[str, Callable[[str, Patience], Store]] = {
    "": open_local,
    "az": _azure,
    "file": open_local,
    "http": _azure,
    "https": _azure,
}


def needs_hadoop(uri: str) -> bool:
    """Whether a URI's scheme is none of ours, so that Hadoop is asked."""
    return scheme_of(uri) not in BY_SCHEME


def open_store(uri: str, *, hadoop: Opener | None = None, patience: Patience | None = None) -> Store:
    """The place that a path or URI names.

    Parameters
    ----------
    uri : str
        A local path, ``az://account/container/prefix``, the address of a blob service, or a URI that Hadoop knows.
    hadoop : callable, optional
        Opens the URIs of Hadoop's file systems.
    patience : Patience, optional
        How long to wait for storage.

    Raises
    ------
    ConfigurationError
        The URI is malformed, or Hadoop's and `hadoop` is not given.
    StorageError
        Credentials are malformed or out of date.

    Examples
    --------
    >>> open_store("data/sample").uri
    'data/sample'
    """
    opened = BY_SCHEME.get(scheme_of(uri))
    if opened is not None:
        return opened(uri, patience or Patience())
    refuse_query(uri)
    if hadoop is None:
        raise ConfigurationError(f"{uri} is read through Spark", "use the spark engine")
    return hadoop(uri)
