"""The only place where a data format's name meets its reader."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hptune.config import DataConfig
from hptune.errors import ConfigurationError, InputDataError
from hptune.features import check_talkingdata, load_talkingdata
from hptune.matrix import Dataset
from hptune.tables import (
    Roles,
    check_libsvm,
    check_npz,
    check_table,
    load_libsvm,
    load_npz,
    load_table,
    table_format,
)

__all__ = ["BY_NAME", "Format", "Reading", "check_data", "format_of"]


@dataclass(frozen=True)
class Reading:
    """What a reader must know beside the `data` key.

    Parameters
    ----------
    cache : Path
        Where feature matrices are kept between runs.
    classifier : bool
        Whether the target's values are classes.
    native : bool
        Whether the estimator takes category codes.
    progress : callable
        Gets what a person may want to see.
    """

    cache: Path
    classifier: bool
    native: bool
    progress: Callable[[str], None]


@dataclass(frozen=True)
class Format:
    """How a format is checked at once, and read later; `options` are its keys beside path and format."""

    check: Callable[[DataConfig], None]
    load: Callable[[DataConfig, Reading], Dataset]
    options: frozenset[str]
    id_name: str = "id"


def check_data(data: DataConfig) -> None:
    """Refuse files that cannot be read, before anything slow is started; raises as `format_of` does."""
    format_of(data).check(data)


def format_of(data: DataConfig) -> Format:
    """The member that reads `data`.

    Raises
    ------
    ConfigurationError
        A key is set that the format does not have, or the target is missing.
    InputDataError
        There is nothing at the path.
    """
    if not Path(data.path).exists():
        raise InputDataError(f"there is no file or directory {data.path}", "give the data's place to --data")
    if Path(data.path).is_dir() and data.target is not None:
        raise InputDataError(
            f"{data.path} is a directory, and a table is one file",
            "name a file; of parts that Spark wrote, write one by coalesce(1)",
        )
    name = data.format if data.format != "auto" else _found(Path(data.path))
    member = BY_NAME[name]
    for key, default in _DEFAULTS.items():
        if getattr(data, key) != default and key not in member.options:
            raise ConfigurationError(f"data.{key} has no meaning for the format {name}", "take it out")
    if name in ("csv", "parquet") and data.target is None:
        raise ConfigurationError(f"key 'data.target' is missing for {data.path}", "name a column by --target")
    return member


def _found(path: Path) -> str:
    return "talkingdata" if path.is_dir() else table_format(path)


def _roles(data: DataConfig) -> Roles:
    return Roles(target=data.target, id=data.id, weight=data.weight, group=data.group)


def _test(data: DataConfig) -> Path | None:
    return None if data.test is None else Path(data.test)


def _load_talkingdata(data: DataConfig, reading: Reading) -> Dataset:
    return load_talkingdata(
        Path(data.path),
        features=data.features,
        encoding=data.encoding,
        cache=reading.cache,
        strict=data.strict,
        progress=reading.progress,
    )


def _table(name: str) -> Format:
    def check(data: DataConfig) -> None:
        check_table(Path(data.path), _roles(data), test=_test(data), format=name)

    def load(data: DataConfig, reading: Reading) -> Dataset:
        return load_table(
            Path(data.path),
            _roles(data),
            test=_test(data),
            format=name,
            classifier=reading.classifier,
            native=reading.native,
            strict=data.strict,
            progress=reading.progress,
        )

    return Format(check, load, frozenset({"test", "target", "id", "weight", "group", "categories", "strict"}))


_DEFAULTS = {
    "test": None,
    "target": None,
    "id": None,
    "weight": None,
    "group": None,
    "categories": None,
    "features": "all",
    "encoding": "fraction",
    "strict": True,
}

BY_NAME: dict[str, Format] = {
    "talkingdata": Format(
        check=lambda data: check_talkingdata(Path(data.path)),
        load=_load_talkingdata,
        options=frozenset({"features", "encoding", "strict"}),
        id_name="device_id",
    ),
    "csv": _table("csv"),
    "parquet": _table("parquet"),
    "libsvm": Format(
        check=lambda data: check_libsvm(Path(data.path), _test(data)),
        load=lambda data, reading: load_libsvm(
            Path(data.path), test=_test(data), classifier=reading.classifier
        ),
        options=frozenset({"test"}),
    ),
    "npz": Format(
        check=lambda data: check_npz(Path(data.path), _roles(data), _test(data)),
        load=lambda data, reading: load_npz(
            Path(data.path), _roles(data), test=_test(data), classifier=reading.classifier
        ),
        options=frozenset({"test", "target", "id", "weight", "group"}),
    ),
}
