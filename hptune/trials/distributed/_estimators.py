"""Estimators of ``pyspark.ml``: their parameters by name, alone or inside a pipeline, and what they need."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from pyspark.ml import Estimator, Pipeline
from pyspark.ml.param import Params

from hptune.errors import ConfigurationError, did_you_mean

__all__ = [
    "check_names",
    "content_of",
    "is_barrier",
    "is_estimator",
    "is_pipeline",
    "returns_estimator",
    "stages_of",
    "takes_missing",
    "with_columns",
    "with_params",
    "workers_of",
]

Reads = TypeVar("Reads", bound=Params)

_WORKERS = ("num_workers", "numTasks")  # xgboost.spark's, SynapseML's
_BETWEEN = "__"  # a stage and its parameter


def is_estimator(named: Any) -> bool:
    """Whether something is an estimator of ``pyspark.ml``, or a class of them."""
    return issubclass(named, Estimator) if inspect.isclass(named) else isinstance(named, Estimator)


def is_pipeline(estimator: Estimator[Any]) -> bool:
    """Whether it makes its features itself."""
    return isinstance(estimator, Pipeline)


def returns_estimator(function: Any) -> bool:
    """Whether a function says by its annotation that it returns an estimator of ``pyspark.ml``."""
    try:
        returned = typing.get_type_hints(function).get("return")
    except (NameError, TypeError, AttributeError):
        return False
    return inspect.isclass(returned) and issubclass(returned, Estimator)


def stages_of(estimator: Any) -> list[Any]:
    """The estimator, or the stages of a pipeline, those of pipelines in it too."""
    if isinstance(estimator, Pipeline):
        return [inner for stage in estimator.getStages() for inner in stages_of(stage)]
    return [estimator]


def with_params(estimator: Estimator[Any], params: Mapping[str, Any]) -> Estimator[Any]:
    """A copy with other parameters, each of the type that the parameter wants.

    Raises
    ------
    ConfigurationError
        There is no such parameter, or several stages of the pipeline have it.
    TypeError, ValueError
        A value is none for its parameter.
    """
    changed = estimator.copy()
    for name, value in params.items():
        stage, param = _place(changed, name)
        stage.set(stage.getParam(param), value)
    return changed


def check_names(estimator: Estimator[Any], names: Iterable[str]) -> None:
    """Refuse a parameter that the estimator does not have.

    Raises
    ------
    ConfigurationError
        As in `with_params`.
    """
    for name in names:
        _place(estimator, name)


def with_columns(estimator: Reads, columns: Mapping[str, str]) -> Reads:
    """A copy that reads these columns, by the parameter that names each; one that it has not is left out."""
    changed = estimator.copy()
    for param, column in columns.items():
        if changed.hasParam(param):
            changed.set(changed.getParam(param), column)
    return changed


def workers_of(
    estimator: Estimator[Any], candidates: Iterable[Mapping[str, Any]], partitions: int, slots: int
) -> int:
    """The slots that a trial needs at once: its workers, else one for each part of its rows, and never all of more
    than there are.
    """
    stage = next((each for each in stages_of(estimator) if _workers_param(each)), None)
    if stage is None:
        return max(1, min(partitions, slots))
    name = str(_workers_param(stage))
    asked = [
        stage.getOrDefault(name),
        *(params[key] for params in candidates for key in params if key == name),
    ]
    return max(int(number) or slots for number in asked)  # SynapseML's 0: as many as there are


def is_barrier(estimator: Estimator[Any]) -> bool:
    """Whether all workers of a trial must run at the same time."""
    return any(_workers_param(stage) for stage in stages_of(estimator))


def takes_missing(estimator: Estimator[Any]) -> bool:
    """Whether it learns from rows with missing values."""
    last = stages_of(estimator)[-1]
    return bool(last.hasParam("missing") or last.hasParam("useMissing") or last.hasParam("zeroAsMissing"))


def content_of(estimator: Params) -> list[Any]:
    """Classes and parameters of all stages, defaults too, in texts."""
    return [[_class_name(stage), _texts(stage)] for stage in stages_of(estimator)]


def _texts(stage: Params) -> dict[str, str]:
    return {
        param.name: repr(value) for param, value in stage.extractParamMap().items() if param.name != "stages"
    }


def _workers_param(stage: Params) -> str | None:
    return next((name for name in _WORKERS if stage.hasParam(name)), None)


def _place(estimator: Estimator[Any], name: str) -> tuple[Any, str]:
    """The stage that has a parameter, and what it calls it: ``maxDepth``, or ``GBTRegressor__maxDepth``."""
    stages = stages_of(estimator)
    wanted, _, param = name.rpartition(_BETWEEN)
    having = [
        stage
        for stage in stages
        if stage.hasParam(param if wanted else name) and wanted in ("", type(stage).__name__)
    ]
    if wanted and not having:  # two underscores of its own
        having, param = [stage for stage in stages if stage.hasParam(name)], name
    if len(having) > 1:
        owners = " or ".join(f"{type(stage).__name__}{_BETWEEN}{param}" for stage in having)
        raise ConfigurationError(f"several stages have a parameter {name!r}", f"write {owners}")
    if not having:
        raise ConfigurationError(f"{_class_name(estimator)} has no parameter {name!r}", _mend(stages, name))
    return having[0], param or name


def _mend(stages: Sequence[Any], name: str) -> str:
    known = [param.name for stage in stages for param in stage.params]
    return did_you_mean(name, known, f"its parameters are {', '.join(sorted(known))}"[:500])


def _class_name(stage: Any) -> str:
    return f"{type(stage).__module__}.{type(stage).__qualname__}"
