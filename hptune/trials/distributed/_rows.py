"""A table of any size as DataFrames: read, made ready to learn from, and split by a hash of its rows.

A row's part depends on the row and the seed alone, not on how many partitions or executors there are: a sweep that
is resumed elsewhere goes on with the same parts. Rows that are equal are in the same part.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from pathlib import Path
from typing import Any

from pyspark.errors import PySparkException
from pyspark.ml import PipelineModel
from pyspark.ml.feature import OneHotEncoder, StringIndexer, VectorAssembler
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import NumericType, StringType

from hptune.errors import ConfigurationError, InputDataError
from hptune.trials.distributed._ranking import QUERY_COLUMNS, with_queries

__all__ = ["Rows", "Source", "local_uri", "open_rows"]

FEATURES = "features"
_PART = "hptune_part"
_TEST = -1
_BY_GROUP = "LeaveOneGroupOut"  # scikit-learn's name
_MOST_GROUPS = 100
_BITS = 32  # of the number that decides a row's part
_FORMATS = {".csv": "csv", ".gz": "csv", ".parquet": "parquet", ".libsvm": "libsvm", ".svm": "libsvm"}


def local_uri(path: Path) -> str:
    """What Spark calls a path of this machine: it takes names as they are, spaces and umlauts too, and decodes none."""
    return f"file://{path.resolve()}"


@dataclass(frozen=True)
class Source:
    """Where the rows are and what their columns mean.

    Parameters
    ----------
    path : str
        A path that all executors see, or a URI of one of Spark's file systems.
    format : str
        csv, parquet, libsvm, or auto: by the name's ending.
    target : str, optional
        The column to predict; ``label`` in libsvm files.
    id, weight, group : str, optional
        A column that is not learned from, that weighs the rows, and whose rows stay together.
    queries : bool, default False
        Whether a group is a query, of which estimators are told.
    """

    path: str
    format: str = "auto"
    target: str | None = None
    id: str | None = None
    weight: str | None = None
    group: str | None = None
    queries: bool = False

    @property
    def query(self) -> str | None:
        """The column of queries."""
        return self.group if self.queries else None

    @property
    def columns(self) -> dict[str, str]:
        """Names of columns by the parameter of an estimator that tells them."""
        weight = {"weightCol": self.weight} if self.weight else {}
        return {"featuresCol": FEATURES, "labelCol": self.label, **weight, **self.query_columns}

    @property
    def query_columns(self) -> dict[str, str]:
        """Of them that of queries; an evaluator may have it too."""
        return dict.fromkeys(QUERY_COLUMNS, self.query) if self.query else {}

    @property
    def uri(self) -> str:
        """With its scheme: a plain path is this machine's, whatever Spark's default file system is."""
        return self.path if "://" in self.path else local_uri(Path(self.path))

    @property
    def kind(self) -> str:
        """The format."""
        return _FORMATS.get(Path(self.path).suffix, "parquet") if self.format == "auto" else self.format

    @property
    def label(self) -> str:
        """The column to predict."""
        if self.target is None and self.kind != "libsvm":
            raise ConfigurationError("key 'data.target' is missing", "name the column to predict")
        return self.target or "label"


@dataclass(frozen=True)
class Rows:
    """Rows in their parts, cached by the executors.

    Parameters
    ----------
    frame : DataFrame
        All of them.
    n_folds : int
        1 with a validation part.
    preparation : PipelineModel, optional
        What made the column of features.
    fingerprint : str
        Of the rows as they were read.
    source : Source
        Where they are from.
    by_group : bool, default False
        Whether the groups are the folds.
    """

    frame: DataFrame
    n_folds: int
    preparation: PipelineModel | None
    fingerprint: str
    source: Source
    by_group: bool = False

    def train(self, fold: int) -> DataFrame:
        """What a trial learns from."""
        return self._of((F.col(_PART) != fold) & (F.col(_PART) != _TEST))

    def scored(self, fold: int) -> DataFrame:
        """What it is ranked by."""
        return self._of(F.col(_PART) == fold)

    @property
    def development(self) -> DataFrame:
        """All but the test part."""
        return self._of(F.col(_PART) != _TEST)

    @cached_property
    def test(self) -> DataFrame | None:
        """The part that no trial sees; None where there is none."""
        rows = self._of(F.col(_PART) == _TEST)
        return None if rows.isEmpty() else rows

    @cached_property
    def sizes(self) -> dict[int, int]:
        """Rows of each part."""
        counted = self.frame.groupBy(_PART).count().collect()
        return {row[_PART]: row["count"] for row in counted}

    def _of(self, condition: Column) -> DataFrame:
        return self.frame.where(condition).drop(_PART)

    def close(self) -> None:
        """Give the executors' memory back."""
        self.frame.unpersist()


def open_rows(
    spark: SparkSession, source: Source, cv: Any, seed: int, *, assemble: bool, missing: bool
) -> Rows:
    """The rows of a table, in the parts that `cv` asks for.

    Parameters
    ----------
    spark : SparkSession
        Reads them.
    source : Source
        The table.
    cv : int or mapping
        A number of folds; ``{type: LeaveOneGroupOut}``, where each value of the column ``group`` is a fold; or
        ``{type: holdout, validation: 0.15, test: 0.25}``: `test` of all rows, `validation` of the others.
    seed : int
        Draws the parts.
    assemble : bool
        Make one column of features of all that is no role: numbers as they are, texts one-hot encoded.
    missing : bool
        Whether missing numbers may be among them.

    Raises
    ------
    ConfigurationError
        `cv` or a column cannot be meant.
    InputDataError
        The rows cannot be read or learned from.
    """
    by_group = _is_by_group(cv, source)
    n_folds, shares = (0, (0.0, 0.0)) if by_group else _parts(cv)
    try:
        raw = _read(spark, source)
        if by_group:
            parted, n_folds = _parted_by_group(raw, source)
        else:
            hashed = [source.group] if source.group else raw.columns
            parted = raw.withColumn(_PART, _part(hashed, seed, n_folds, shares))
        fingerprint = _fingerprint(raw)
        frame, preparation = parted, None
        if assemble and FEATURES not in raw.columns:
            names = [
                name
                for name in raw.columns
                if name not in (source.label, source.id, source.weight, source.group)
            ]
            if not missing:
                _check_missing(raw, names)
            preparation = _preparation(parted, names)
            frame = preparation.transform(parted)
            roles = [name for name in (source.label, source.weight, source.query) if name]
            frame = frame.select(*roles, FEATURES, _PART)
        frame = _labelled(frame, source.label)
        if source.query:
            frame = with_queries(frame, source.query)
        frame = frame.persist()
        rows = Rows(frame, n_folds, preparation, fingerprint, source, by_group)
        _check_sizes(rows, shares)
    except PySparkException as error:
        reason = str(error).strip().splitlines()[0][:300]
        raise InputDataError(
            f"{source.path} cannot be read by Spark ({reason})", "check path and format"
        ) from error
    return rows


def _read(spark: SparkSession, source: Source) -> DataFrame:
    reader = spark.read.format(source.kind)
    if source.kind == "csv":
        reader = reader.option("header", True).option("inferSchema", True)
    raw = reader.load(source.uri)
    for role in ("target", "id", "weight", "group"):
        name = getattr(source, role)
        if name is not None and name not in raw.columns:
            raise InputDataError(f"{source.path} has no column {name!r}", f"correct data.{role}")
    source.label  # noqa: B018 - refuses a table without a target
    return raw.drop(source.id) if source.id else raw


def _is_by_group(cv: Any, source: Source) -> bool:
    """Whether each group is a fold."""
    if not isinstance(cv, Mapping) or cv.get("type") != _BY_GROUP:
        return False
    if cv.keys() != {"type"}:
        raise ConfigurationError(f"cv {dict(cv)} has more than a type", f"write cv: {{type: {_BY_GROUP}}}")
    if source.group is None:
        raise ConfigurationError(
            f"cv.type {_BY_GROUP} makes each value of a column a fold", "name the column as data.group"
        )
    return True


def _parted_by_group(raw: DataFrame, source: Source) -> tuple[DataFrame, int]:
    """Each value of the column is a fold, in their order; it is learned from by nothing."""
    column = F.col(f"`{source.group}`")
    groups = [row[0] for row in raw.select(column).distinct().limit(_MOST_GROUPS + 1).collect()]
    shown = f"column {str(source.group)[:60]!r}"
    if not groups:
        raise InputDataError(f"{source.path} has no rows", "give a table with rows")
    if any(group is None or group != group for group in groups):  # NaN differs from itself
        raise InputDataError(f"{shown} has missing values", "give every row a fold")
    if not 1 < len(groups) <= _MOST_GROUPS:
        many = f"more than {_MOST_GROUPS} values" if len(groups) > 1 else "the same value in all rows"
        raise InputDataError(f"{shown} has {many}, each of which is a fold", "name a column of folds")
    folds = F.array(*map(F.lit, sorted(groups)))
    part = (F.array_position(folds, column) - 1).cast("int")
    parted = raw.withColumn(_PART, part)
    return (parted if source.queries else parted.drop(str(source.group))), len(groups)


def _parts(cv: Any) -> tuple[int, tuple[float, float]]:
    """Folds, and the shares of validation and test rows."""
    if isinstance(cv, int):
        if cv < 2:
            raise ConfigurationError(f"cv must be at least 2 but is {cv}", "use 5, the default")
        return cv, (0.0, 0.0)
    example = (
        f"write cv: 5, cv: {{type: {_BY_GROUP}}}, or cv: {{type: holdout, validation: 0.15, test: 0.25}}"
    )
    if cv.get("type") != "holdout" or not cv.keys() <= {"type", "validation", "test"}:
        raise ConfigurationError(f"cv {dict(cv)} is not known to distributed trials", example)
    shares = cv.get("validation", 0.15), cv.get("test", 0.25)
    if not all(isinstance(share, (int, float)) and 0 <= share < 1 for share in shares) or not shares[0]:
        raise ConfigurationError("cv.validation and cv.test must lie between 0 and 1", example)
    return 1, (float(shares[0]), float(shares[1]))


def _part(names: Sequence[str], seed: int, n_folds: int, shares: tuple[float, float]) -> Column:
    """A fold's number; with a holdout 0 for validation rows, 1 for training rows and -1 for test rows."""
    columns = [F.col(f"`{name}`") for name in names]

    def draw(which: int, below: int) -> Column:
        return F.pmod(F.xxhash64(F.lit(2 * seed + which), *columns), F.lit(below))

    if n_folds > 1:
        return draw(0, n_folds).cast("int")
    validation, test = (F.lit(round(share * 2**_BITS)) for share in shares)
    held_out = F.when(draw(1, 2**_BITS) < validation, 0).otherwise(1)
    return F.when(draw(0, 2**_BITS) < test, _TEST).otherwise(held_out)


def _fingerprint(raw: DataFrame) -> str:
    """Of columns and rows, in whatever order and partitions these are."""
    row_hash = F.xxhash64(*(F.col(f"`{name}`") for name in raw.columns)).cast("decimal(38,0)")
    told = raw.select(F.count(F.lit(1)), F.sum(row_hash)).first()
    return hashlib.sha256(f"{raw.schema.json()}:{told}".encode()).hexdigest()


def _check_missing(raw: DataFrame, names: Sequence[str]) -> None:
    numeric = [name for name in names if isinstance(raw.schema[name].dataType, NumericType)]
    absent = [F.max((F.col(f"`{name}`").isNull() | F.isnan(f"`{name}`")).cast("int")) for name in numeric]
    found = raw.select(*absent).first() if absent else None
    for name, has in zip(numeric, found or (), strict=False):
        if has:
            raise InputDataError(
                f"column {name[:60]!r} has missing values, which the estimator does not take",
                "use xgboost.spark, or a factory of a Pipeline that begins with an Imputer",
            )


def _preparation(parted: DataFrame, names: Sequence[str]) -> PipelineModel:
    """Texts to one-hot columns, then everything into one column."""
    texts = [name for name in names if isinstance(parted.schema[name].dataType, StringType)]
    others = [name for name in names if name not in texts]
    for name in others:
        if not isinstance(parted.schema[name].dataType, NumericType):
            what = parted.schema[name].dataType.simpleString()
            raise InputDataError(
                f"column {name[:60]!r} is {what}, no number or text", "use a Pipeline that reads it"
            )
    stages: list[Any] = []
    encoded = [f"{name}_encoded" for name in texts]
    if texts:
        indexed = [f"{name}_index" for name in texts]
        indexer = StringIndexer(
            inputCols=texts, outputCols=indexed, handleInvalid="keep", stringOrderType="alphabetAsc"
        )
        stages.append(indexer.fit(parted.where(F.col(_PART) != _TEST)))
        frame = stages[0].transform(parted)
        encoder = OneHotEncoder(inputCols=indexed, outputCols=encoded, dropLast=False, handleInvalid="keep")
        stages.append(encoder.fit(frame))
    stages.append(VectorAssembler(inputCols=[*others, *encoded], outputCol=FEATURES, handleInvalid="keep"))
    return PipelineModel(stages)


def _labelled(frame: DataFrame, label: str) -> DataFrame:
    """Numbers as labels; texts by their place in the alphabet."""
    kind = frame.schema[label].dataType
    if isinstance(kind, NumericType):
        numbers = frame.withColumn(label, F.col(f"`{label}`").cast("double"))
    elif isinstance(kind, StringType):
        name = f"{label}_index"
        model = StringIndexer(inputCol=label, outputCol=name, stringOrderType="alphabetAsc").fit(frame)
        numbers = model.transform(frame).drop(label).withColumnRenamed(name, label)
    else:
        raise InputDataError(f"the target {label!r} is {kind.simpleString()}", "give numbers or texts")
    absent = reduce(Column.__or__, [F.col(f"`{label}`").isNull(), F.isnan(f"`{label}`")])
    if not numbers.where(absent).isEmpty():
        raise InputDataError(f"the target {label!r} has missing values", "leave those rows out")
    return numbers


def _check_sizes(rows: Rows, shares: tuple[float, float]) -> None:
    wanted = {*range(rows.n_folds if rows.n_folds > 1 else 2), *([_TEST] if shares[1] else [])}
    empty = wanted - rows.sizes.keys()
    if empty:
        raise InputDataError(
            f"the table has {sum(rows.sizes.values())} rows, too few to be split by cv",
            "use fewer parts, or more rows",
        )
