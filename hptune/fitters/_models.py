"""Fitted models as bytes that load without running code."""

from __future__ import annotations

import importlib
import inspect
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import xgboost as xgb

from hptune.errors import ConfigurationError, OutputError

__all__ = ["MODEL_FILES", "SavedModel", "feature_names", "model_bytes", "read_model"]

MODEL_FILES = ("model.ubj", "model.skops")

_XGBOOST_CLASSES = (  # the first that an estimator is an instance of
    xgb.XGBRFClassifier,
    xgb.XGBRFRegressor,
    xgb.XGBClassifier,
    xgb.XGBRegressor,
    xgb.XGBRanker,
    xgb.XGBModel,
)
_HARMLESS = frozenset(  # what estimators hold beside objects of scikit-learn's classes
    ["numpy.dtype", "scipy.sparse._csr.csr_matrix"]
    + [
        f"sklearn.feature_selection._univariate_selection.{name}"
        for name in ("chi2", "f_classif", "f_regression")
    ]
    + [f"sklearn.feature_selection._mutual_info.mutual_info_{name}" for name in ("classif", "regression")]
)
_REFUSED = str.maketrans("[]<", "()(")  # by xgboost.Booster.feature_names


@dataclass(frozen=True)
class SavedModel:
    """A model's file name and bytes, and the Python lines that load it from there."""

    name: str
    content: bytes
    how_to_load: str


def model_bytes(
    estimator: Any,
    columns: Sequence[str],
    classes: Sequence[str] | None,
    categories: Mapping[str, Sequence[str]] | None = None,
) -> SavedModel:
    """A fitted estimator for its file.

    XGBoost's own classes become UBJ. Its feature names are the column names, with round brackets for ``[``,
    ``]`` and ``<``, which XGBoost refuses. Its attributes hold, as JSON, ``columns`` (the names as they are),
    ``classes`` (the class labels) and ``categories`` (the labels of category codes); ``estimator`` is the name
    of its class. Everything else becomes a skops file, which, unlike a pickle, runs no code when it is loaded.

    Parameters
    ----------
    estimator : fitted estimator
        In its file it has feature names; here it stays as it is.
    columns : sequence of str
        Names of the columns it was fitted on.
    classes : sequence of str, optional
        Label of each class code.
    categories : mapping of str to sequence of str, optional
        For each column of category codes the label of each code.
    """
    if not isinstance(estimator, xgb.XGBModel):
        import skops.io  # takes most of a second, for other models only

        load = "model = skops.io.load({path!r}, trusted=skops.io.get_untrusted_types(file={path!r}))"
        return SavedModel("model.skops", skops.io.dumps(estimator), load)
    booster = estimator.get_booster()
    kept = booster.feature_names
    if kept is None:
        booster.feature_names = feature_names(columns)
    booster.set_attr(columns=json.dumps(list(columns), ensure_ascii=False))
    if categories:
        labels = {name: list(words) for name, words in categories.items()}
        booster.set_attr(categories=json.dumps(labels, ensure_ascii=False))
    if classes is not None:
        booster.set_attr(classes=json.dumps(list(classes), ensure_ascii=False))
    name = next(kind.__name__ for kind in _XGBOOST_CLASSES if isinstance(estimator, kind))
    booster.set_attr(estimator=name)
    load = f"model = xgboost.{name}(); model.load_model({{path!r}})"
    content = _xgboost_bytes(estimator)
    booster.feature_names = kept  # in this process the model goes on predicting rows without names
    return SavedModel("model.ubj", content, load)


def read_model(path: Path) -> Any:
    """The fitted estimator in a file that `model_bytes` made, ready to predict rows without names.

    No code of the file's is run: of types that skops does not know, scikit-learn's and XGBoost's own classes are
    trusted, and no others.

    Raises
    ------
    ConfigurationError
        The file holds objects of other types.
    OutputError
        The file cannot be loaded.
    """
    try:
        return _read_xgboost(path) if path.suffix == ".ubj" else _read_skops(path)
    except ConfigurationError:
        raise
    except Exception as error:  # what the libraries raise for a file of another version, or none
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        what = f"{path} cannot be loaded ({reason})"
        raise OutputError(what, "use the versions of the libraries that wrote it") from error


def _read_xgboost(path: Path) -> Any:
    name = xgb.Booster(model_file=path).attr("estimator")
    model = next(kind for kind in _XGBOOST_CLASSES if kind.__name__ == name)()
    model.load_model(path)
    model.get_booster().feature_names = None
    return model


def _read_skops(path: Path) -> Any:
    import skops.io

    named = skops.io.get_untrusted_types(file=path)
    odd = [name for name in named if not _is_harmless(name)]
    if odd:
        what = f"{path} holds objects that are not scikit-learn's own: {', '.join(odd)[:200]}"
        mend = "if you trust them, load it by skops.io.load(path, trusted=[...])"
        raise ConfigurationError(what, mend)
    return skops.io.load(path, trusted=named)


def _is_harmless(name: str) -> bool:
    """Whether a type's name in a skops file is that of a class which a fitted estimator may hold."""
    if name in _HARMLESS:
        return True
    module, _, attribute = name.rpartition(".")
    if module.split(".")[0] not in ("sklearn", "xgboost"):
        return False
    try:
        return inspect.isclass(getattr(importlib.import_module(module), attribute, None))
    except ImportError:
        return False


def feature_names(columns: Sequence[str]) -> list[str]:
    """Names that XGBoost accepts, as near to `columns` as can be and as different from each other.

    Examples
    --------
    >>> feature_names(["price [$]", "a<b", "a(b"])
    ['price ($)', 'a(b', 'a(b_2']
    """
    taken: dict[str, int] = {}
    names = []
    for column in columns:
        name = wanted = column.translate(_REFUSED) or "_"
        while name in taken:
            taken[wanted] += 1
            name = f"{wanted}_{taken[wanted]}"
        taken.setdefault(name, 1)
        names.append(name)
    return names


def _xgboost_bytes(estimator: xgb.XGBModel) -> bytes:
    """What ``estimator.save_model`` writes, scikit-learn's part included."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "model.ubj"
        estimator.save_model(path)
        return path.read_bytes()
