"""Hadoop's file systems through Spark's JVM: the one place where the driver speaks to them."""

from __future__ import annotations

import logging
import re
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from py4j.protocol import Py4JError, Py4JJavaError
from pyspark.sql import SparkSession

from hptune.errors import StorageError
from hptune.storage import (
    ChangedError,
    PassingError,
    Patience,
    RemoteFile,
    Retrier,
    checked_name,
    refuse_query,
)

__all__ = ["HadoopStore", "open_hadoop"]

_log = logging.getLogger(__name__)

_FINAL = {
    "AccessControlException": "access is denied",
    "AccessDeniedException": "access is denied",
    "UnsupportedFileSystemException": "Hadoop has no file system for this scheme",
    "UnknownHostException": "the host name is unknown",
    "FileNotFoundException": "there is no such place",
    "ClassNotFoundException": "the file system's jar is not on Spark's class path",
    "IllegalArgumentException": "the address is malformed",
}
_MEND = "check the address, and the file system's settings and credentials on this cluster"


def open_hadoop(spark: SparkSession, uri: str, patience: Patience | None = None) -> HadoopStore:
    """The place that `uri` names, with the session's Hadoop configuration and credentials."""
    refuse_query(uri)
    return HadoopStore(spark, uri.rstrip("/"), patience or Patience())


class HadoopStore:
    """A directory or a file of a Hadoop file system. Bytes go from the JVM to local files, not through Python."""

    def __init__(self, spark: SparkSession, uri: str, patience: Patience) -> None:
        self.uri = uri
        self.retrier = Retrier(uri, patience)
        self._single = False  # known once it was listed
        sc: Any = spark.sparkContext
        self._jvm: Any = sc._jvm  # the public API has no way to a Hadoop file system
        self._gateway: Any = sc._gateway
        self._conf = sc._jsc.hadoopConfiguration()
        with self._told():
            self._root = self._path(uri)
            self._fs = self._root.getFileSystem(self._conf)

    def files(self) -> list[RemoteFile]:
        """Every file below the directory, or the file itself."""
        return self.retrier.call(self._listed, f"listing {self.uri}")

    def copy_range(self, file: RemoteFile, offset: int, length: int, target: Path) -> None:
        """Copy a range within the JVM; size and time of modification are compared before and after."""
        with self._told():
            path = self._at(file.name)
            self._check(file, path)
            with (
                closing(self._fs.open(path)) as source,
                closing(self._jvm.java.io.RandomAccessFile(str(target), "rw")) as out,
            ):
                source.seek(offset)
                out.seek(offset)
                stream = self._jvm.java.io.FileOutputStream(out.getFD())
                self._jvm.org.apache.hadoop.io.IOUtils.copyBytes(source, stream, length, False)
            self._check(file, path)

    def check_writable(self) -> None:
        """Make a file under a temporary name, and remove it."""

        def check() -> None:
            with self._told():
                scratch = self._scratch(self._root, "probe")
                self._fs.create(scratch).close()
                self._fs.delete(scratch, False)

        self.retrier.call(check, f"writing to {self.uri}")

    def put(self, source: Path, name: str, sha256: str, md5: str) -> None:
        """Copy under a temporary name, then rename over the old file."""
        self.retrier.call(lambda: self._put(source, name), f"uploading {name}")

    def remove(self, name: str) -> None:
        """Remove a file; one that is not there is no error."""

        def delete() -> None:
            with self._told():
                self._fs.delete(self._path(f"{self.uri}/{name}"), False)

        self.retrier.call(delete, f"removing {name}")

    def _put(self, source: Path, name: str) -> None:
        with self._told():
            target = self._path(f"{self.uri}/{name}")
            scratch = self._scratch(target.getParent(), target.getName())
            self._fs.mkdirs(target.getParent())
            try:
                self._fs.copyFromLocalFile(False, True, self._path(f"file://{source.resolve()}"), scratch)
                self._replace(scratch, target)
            except BaseException:
                self._fs.delete(scratch, False)
                raise

    def _replace(self, scratch: Any, target: Any) -> None:
        """FileContext's rename: the one that replaces its target in a single step."""
        rename = self._jvm.org.apache.hadoop.fs.Options.Rename
        options = self._gateway.new_array(rename, 1)
        options[0] = rename.OVERWRITE
        context = self._jvm.org.apache.hadoop.fs.FileContext.getFileContext(target.toUri(), self._conf)
        context.rename(scratch, target, options)

    def _listed(self) -> list[RemoteFile]:
        with self._told():
            if not self._fs.exists(self._root):
                return []
            status = self._fs.getFileStatus(self._root)
            self._single = bool(status.isFile())
            if self._single:
                return [self._file(status, self._root.getName())]
            base = self._fs.resolvePath(self._root).toUri().getPath().rstrip("/")
            found, entries = [], self._fs.listFiles(self._root, True)
            while entries.hasNext():
                entry = entries.next()
                name = self._relative(entry.getPath().toUri().getPath(), base)
                if not _is_hidden(name):
                    found.append(self._file(entry, checked_name(name, self.uri)))
            return sorted(found, key=lambda file: file.name)

    def _relative(self, path: str, base: str) -> str:
        own = self._root.toUri().getPath().rstrip("/")
        for prefix in (own, base):
            if path.startswith(f"{prefix}/"):
                return path[len(prefix) + 1 :]
        raise StorageError(f"{self.uri} lists a file outside of itself", "check the file system's mounts")

    def _check(self, file: RemoteFile, path: Any) -> None:
        if self._file(self._fs.getFileStatus(path), file.name).version != file.version:
            raise ChangedError(f"{self.uri}/{file.name}")

    def _scratch(self, directory: Any, name: str) -> Any:
        return self._path(f"{directory.toString()}/.{name}.{uuid.uuid4().hex}.tmp")

    def _at(self, name: str) -> Any:
        return self._root if self._single else self._path(f"{self.uri}/{name}")

    def _path(self, uri: str) -> Any:
        return self._jvm.org.apache.hadoop.fs.Path(uri)

    @staticmethod
    def _file(status: Any, name: str) -> RemoteFile:
        size = int(status.getLen())
        return RemoteFile(name, size, f"{int(status.getModificationTime()):x}-{size:x}")

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Java's exceptions as ours, by their class: their texts may hold whole configurations."""
        try:
            yield
        except Py4JJavaError as error:
            raise self._translated(error) from None
        except (Py4JError, OSError) as error:
            raise StorageError(
                f"{self.uri}: Spark's JVM is gone ({type(error).__name__})", "start again"
            ) from None

    def _translated(self, error: Py4JJavaError) -> Exception:
        names = re.findall(r"\b(\w+(?:Exception|Error))\b", str(error.java_exception.toString()))
        names.append(str(error.java_exception.getClass().getSimpleName()))
        known = next((name for name in names if name in _FINAL), None)
        if known is not None:
            return StorageError(f"{self.uri}: {_FINAL[known]} ({known})", _MEND)
        if any(name.endswith(("IOException", "TimeoutException", "ConnectException")) for name in names):
            return PassingError(names[0], answered=False)
        return StorageError(f"{self.uri}: {names[0]}", _MEND)


def _is_hidden(name: str) -> bool:
    return any(part.startswith((".", "_")) for part in name.split("/"))
