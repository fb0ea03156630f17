"""Fits that fail: as scikit-learn's searches treat them, wherever they run."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from xgboost import XGBClassifier

from hptune import GridSearchCV
from hptune.search._base import engine_for
from tests.builders import files_after_others
from tests.search.cases import table
from tests.search.comparison import Case, assert_same_search
from tests.search.estimators import CannotBePickled, Failing, Lethal

pytestmark = pytest.mark.shares_session


class DefinedHere(Exception):
    """Picklable, in a module of tests."""


def failing(fails: tuple[int, ...], settings: Any = (0, 1, 2), error: Any = None, **options: Any) -> Case:
    return Case(Failing(fails=fails, error=error), {"setting": list(settings)}, *table(), options)


@pytest.mark.parametrize("error", [ValueError, DefinedHere, CannotBePickled])
def test_raise_raises_the_original_type(error: Any, place: Any) -> None:
    with pytest.raises(error, match="told so") as caught:
        failing((1,), error=_two_arguments(error), error_score="raise").ours(place)
    assert type(caught.value) is error


def _two_arguments(error: type[Exception]) -> Any:
    return error if error is CannotBePickled else _Plain(error)


class _Plain:
    def __init__(self, error: type[Exception]) -> None:
        self.error = error

    def __call__(self, text: str, code: int) -> Exception:
        return self.error(text)


def test_a_class_made_in_a_notebook_comes_back_as_itself(place: Any) -> None:
    class LocalError(Exception):
        pass

    with pytest.raises(LocalError, match="told so"):
        failing((1,), error=_Plain(LocalError), error_score="raise").ours(place)


def test_raise_shows_where_the_fit_failed(place: Any) -> None:
    with pytest.raises(ValueError) as caught:
        failing((1,), error_score="raise").ours(place)
    frames = "".join(str(entry) for entry in caught.traceback) + str(caught.value.__cause__)
    assert "estimators.py" in frames


def test_raise_cancels_the_rest(tmp_path: Path, place: Any) -> None:
    """The fit that fails is not among the first: until they end, Spark is given no others that could be cancelled."""
    estimator = Failing(fails=(0,), traces=str(tmp_path), seconds=0.25)
    search = GridSearchCV(
        estimator, {"setting": [1, 1, 0] + [1] * 97}, cv=2, error_score="raise", spark=place
    )
    with pytest.raises(ValueError, match="this setting fails"):
        search.fit(*table())
    assert 1 <= files_after_others(engine_for(place, None), tmp_path) < 200


@pytest.mark.spark
def test_with_one_job_nothing_begins_after_the_fit_that_raises(tmp_path: Path, spark: Any) -> None:
    estimator = Failing(fails=(0,), traces=str(tmp_path))
    search = GridSearchCV(
        estimator, {"setting": [0] + [1] * 99}, cv=2, error_score="raise", n_jobs=1, spark=spark
    )
    with pytest.raises(ValueError, match="this setting fails"):
        search.fit(*table())
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("options", [{}, {"return_train_score": True}, {"scoring": ["accuracy", "f1_macro"]}])
@pytest.mark.parametrize("error_score", [np.nan, -1])
def test_some_failures_warn_and_fill_the_error_score(error_score: float, options: Any, place: Any) -> None:
    refit = {"refit": "accuracy"} if "scoring" in options else {}
    case = failing((1,), error_score=error_score, **options, **refit)
    ours, told = _told(case.ours, place)
    theirs, told_by_scikit_learn = _told(case.scikit_learns)
    assert told == told_by_scikit_learn
    assert "3 fits failed out of a total of 9." in told[0]
    assert_same_search(ours, theirs, case.X)


def _told(fit: Any, *arguments: Any) -> tuple[Any, list[str]]:
    """A search and the first words of its warnings; the rest are tracebacks."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        search = fit(*arguments)
    shown = [warning for warning in told if not issubclass(warning.category, ResourceWarning)]
    return search, [str(warning.message)[:80] for warning in shown]


def test_if_all_fail_the_search_raises(place: Any) -> None:
    with pytest.raises(ValueError, match="All the 9 fits failed") as ours:
        failing((0, 1, 2)).ours(place)
    with pytest.raises(ValueError) as theirs:
        failing((0, 1, 2)).scikit_learns()
    assert str(ours.value).splitlines()[:5] == str(theirs.value).splitlines()[:5]


@pytest.mark.parametrize("estimator", [LogisticRegression(), XGBClassifier(), Failing()])
def test_an_unknown_parameter_raises_as_in_scikit_learn(estimator: Any, place: Any) -> None:
    case = Case(estimator, {"no_such": [1, 2]}, *table(), {"scoring": "accuracy"})
    assert _ending(case.ours, place) == _ending(case.scikit_learns)


@pytest.mark.parametrize(
    "options",
    [
        {"n_jobs": "many"},
        {"n_jobs": 0},
        {"cv": 1},
        {"scoring": "no_such"},
        {"error_score": "no_such"},
        {"refit": "f1", "scoring": ["accuracy"]},
        {"cv": []},
    ],
    ids=str,
)
def test_bad_arguments_raise_as_in_scikit_learn(options: Any) -> None:
    case = Case(LogisticRegression(), {"C": [1.0]}, *table(), options)
    ours = _ending(case.ours, "serial")
    assert ours[0] is not None
    assert ours == _ending(case.scikit_learns)


def _ending(fit: Any, *arguments: Any) -> tuple[Any, str]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fit(*arguments)
    except Exception as error:
        return type(error), str(error).splitlines()[0]
    return None, ""


@pytest.mark.slow
@pytest.mark.parametrize(
    "place", ["processes", pytest.param("spark", marks=pytest.mark.spark)], indirect=True
)
@pytest.mark.parametrize(
    "options",
    [{}, {"scoring": ["accuracy", "f1_macro"], "refit": "accuracy"}],
    ids=["one metric", "several metrics"],
)
def test_a_fit_that_ends_its_process_is_a_failed_fit(options: Any, place: Any) -> None:
    case = Case(
        Lethal(fails=(1,)), {"setting": [0, 1]}, *table(), {"cv": 2, "return_train_score": True, **options}
    )
    search, told = _told(case.ours, place)
    assert "2 fits failed out of a total of 4." in told[0]
    name = f"mean_test_{options.get('refit', 'score')}"
    assert np.isnan(search.cv_results_[name]).tolist() == [False, True]


@pytest.mark.slow
def test_raise_tells_that_a_fit_ended_its_process() -> None:
    case = Case(Lethal(fails=(1,)), {"setting": [0, 1]}, *table(), {"cv": 2, "error_score": "raise"})
    with pytest.raises(RuntimeError, match="ended its worker process"):
        case.ours("processes")
