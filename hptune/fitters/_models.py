"""Fitted models as bytes that load without running code."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import xgboost as xgb

__all__ = ["SavedModel", "feature_names", "model_bytes"]

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
    ``classes`` (the class labels) and ``categories`` (the labels of category codes). Everything else becomes
    a skops file, which, unlike a pickle, runs no code when it is loaded.

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

        load = "skops.io.load('{path}', trusted=skops.io.get_untrusted_types(file='{path}'))"
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
    load = f"model = xgboost.{type(estimator).__name__}(); model.load_model('{{path}}')"
    content = _xgboost_bytes(estimator)
    booster.feature_names = kept  # in this process the model goes on predicting rows without names
    return SavedModel("model.ubj", content, load)


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
