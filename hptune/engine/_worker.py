"""What hptune changes in the Python worker processes that Spark lends it."""

from __future__ import annotations

import functools
import gc
import os
import zipimport

__all__ = ["freeze_modules", "keep_zip_indexes"]

_READ: dict[str, tuple[int, int]] = {}  # size and change time of each archive when its index was last read


@functools.cache
def freeze_modules() -> None:
    """Take what is loaded by now, the libraries' modules above all, out of the garbage collector's sight for good.

    Spark collects all garbage of a worker after every task. Looking through scikit-learn's and XGBoost's
    objects takes 0.1 to 0.3 s of each task, and finds nothing. Repeating this call changes nothing.
    """
    gc.freeze()


def keep_zip_indexes() -> None:
    """Keep the index of a zip file on ``sys.path`` for as long as the file does not change.

    Spark invalidates Python's import caches before every task, upon which `zipimport` reads the indexes of
    pyspark.zip and of every jar on the path again: about 0.1 s a task. Repeating this call changes nothing.
    """
    original = zipimport.zipimporter.invalidate_caches
    if original.__module__ == __name__:
        return

    def invalidate_caches(importer: zipimport.zipimporter) -> None:
        state = _state(importer.archive)
        if state is None or _READ.get(importer.archive) != state:
            original(importer)
        if state is not None:
            _READ[importer.archive] = state

    zipimport.zipimporter.invalidate_caches = invalidate_caches  # type: ignore[assignment,method-assign]


def _state(archive: str) -> tuple[int, int] | None:
    try:
        found = os.stat(archive)
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns
