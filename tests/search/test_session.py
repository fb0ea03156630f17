"""A Spark session given as `spark=`, and where searches inside of other things run."""

from __future__ import annotations

import copy
import json
import pickle
from pathlib import Path
from typing import Any

import cloudpickle
import joblib
import numpy as np
import pytest
import sklearn.model_selection
from scipy.stats import randint
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from hptune import GridSearchCV, RandomizedSearchCV
from tests.search.cases import C, table
from tests.search.estimators import Meeting, Timed

pytestmark = pytest.mark.shares_session


def searches(place: Any, **options: Any) -> list[Any]:
    return [
        GridSearchCV(LogisticRegression(), C, spark=place, **options),
        RandomizedSearchCV(
            LogisticRegression(),
            {"max_iter": randint(80, 200)},
            n_iter=2,
            random_state=0,
            spark=place,
            **options,
        ),
    ]


@pytest.mark.spark
@pytest.mark.parametrize("copied", [clone, copy.copy, copy.deepcopy])
def test_copies_share_the_session(copied: Any, spark: Any) -> None:
    for search in searches(spark):
        twin = copied(make_pipeline(search)).steps[0][1]
        assert type(twin) is type(search)
        assert twin.spark is spark
        assert list(twin.get_params()) == list(search.get_params())
        assert copied(twin.fit(*table())).spark is spark


@pytest.mark.spark
@pytest.mark.parametrize("pickler", [pickle, cloudpickle])
def test_pickles_drop_the_session(pickler: Any, spark: Any) -> None:
    for search in searches(spark):
        search.fit(*table())
        loaded = pickler.loads(pickler.dumps(search))
        assert loaded.spark is None
        assert search.spark is spark
        np.testing.assert_array_equal(loaded.predict(table()[0]), search.predict(table()[0]))


@pytest.mark.spark
def test_the_parameters_can_be_copied_and_hashed(spark: Any) -> None:
    for search in searches(spark):
        params = search.get_params()
        assert copy.deepcopy(params)["spark"] is spark
        assert joblib.hash(params) == joblib.hash(clone(search).get_params())
        other = clone(search).set_params(spark=spark.newSession())
        assert joblib.hash(params) != joblib.hash(other.get_params())


@pytest.mark.spark
def test_a_session_in_the_code_of_a_job_is_refused_as_by_pyspark(spark: Any) -> None:
    searches(spark)[0].get_params()
    with pytest.raises(Exception, match="SparkContext can only be used on the driver"):
        spark.sparkContext.parallelize([1]).map(lambda number: spark).collect()


@pytest.mark.parametrize("name", ["serial", "processes", None])
def test_pickles_keep_the_name_of_an_engine(name: Any) -> None:
    for search in searches(name):
        assert pickle.loads(pickle.dumps(search)).spark == name  # noqa: S301
        assert clone(search).spark == name


@pytest.mark.parametrize("bad", ["Spark", "", 5, object(), ["serial"], LogisticRegression])
def test_what_is_no_place_is_refused_by_name(bad: Any) -> None:
    for search in searches(bad):
        with pytest.raises(
            ValueError, match="spark must be a SparkSession, None or one of 'serial', 'processes'"
        ):
            search.fit(*table())


@pytest.mark.spark
def test_parameters_and_text_show_the_session(spark: Any) -> None:
    for search in searches(spark):
        assert search.get_params()["spark"] is spark
        assert search.set_params(spark="serial").spark == "serial"
        assert type(search).__name__ in repr(search)
        assert "<div" in search._repr_html_()


@pytest.mark.parametrize(
    "engine", ["serial", pytest.param("spark", marks=[pytest.mark.spark, pytest.mark.slow])]
)
def test_a_search_nests_in_a_pipeline_a_cross_validation_and_a_search(
    engine: str, request: pytest.FixtureRequest
) -> None:
    place = request.getfixturevalue("spark") if engine == "spark" else engine
    X, y = table()

    def nested(search_class: Any, **place: Any) -> list[Any]:
        search = search_class(LogisticRegression(), C, cv=2, **place)
        pipeline = make_pipeline(StandardScaler(), search)
        outer = search_class(
            pipeline, {"gridsearchcv__estimator__fit_intercept": [True, False]}, cv=2, **place
        )
        scores = cross_val_score(pipeline, X, y, cv=2)
        return [pipeline.fit(X, y).predict_proba(X), scores, outer.fit(X, y).cv_results_["mean_test_score"]]

    theirs = nested(sklearn.model_selection.GridSearchCV)
    for ours, expected in zip(nested(GridSearchCV, spark=place), theirs, strict=True):
        np.testing.assert_array_equal(ours, expected)


@pytest.mark.spark
@pytest.mark.parametrize("named", [False, True])
def test_on_an_executor_a_nested_search_is_serial(named: bool, spark: Any, tmp_path: Path) -> None:
    inner = GridSearchCV(
        Timed(traces=str(tmp_path)), {"setting": [1, 2]}, cv=2, spark=spark if named else None
    )
    GridSearchCV(inner, {"estimator__seconds": [0.0]}, cv=2, refit=False, spark=spark).fit(*table())
    assert len(list(tmp_path.iterdir())) == 2 * (2 * 2 + 1)


@pytest.mark.spark
def test_none_takes_the_active_session(spark: Any) -> None:
    before = len(spark.sparkContext.statusTracker().getJobIdsForGroup(None))
    jobs = _job_descriptions(spark)
    GridSearchCV(LogisticRegression(), C, cv=2).fit(*table())
    assert _job_descriptions(spark) > jobs
    assert len(spark.sparkContext.statusTracker().getJobIdsForGroup(None)) == before


def _job_descriptions(spark: Any) -> int:
    """Jobs that the session has run so far."""
    return int(spark.sparkContext._jsc.sc().dagScheduler().numTotalJobs())


@pytest.mark.spark
@pytest.mark.parametrize("n_jobs", [1, -2])
def test_n_jobs_bounds_the_fits_that_run_at_once(n_jobs: int, spark: Any, tmp_path: Path) -> None:
    """Measured by the spans that the fits themselves write down; the session has two slots."""
    estimator = Timed(traces=str(tmp_path), seconds=0.05)
    GridSearchCV(estimator, {"setting": list(range(6))}, cv=2, refit=False, spark=spark, n_jobs=n_jobs).fit(
        *table()
    )
    spans = [json.loads(path.read_text()) for path in tmp_path.iterdir()]
    assert len(spans) == 12
    assert max(sum(begin <= other[0] < end for begin, end in spans) for other in spans) == 1


@pytest.mark.spark
@pytest.mark.parametrize("n_jobs", [2, None, -1, 9])
def test_with_more_jobs_or_none_given_all_slots_have_fits(n_jobs: Any, spark: Any, tmp_path: Path) -> None:
    """Each of the two fits ends only when the other has begun."""
    options = {"cv": 2, "refit": False, "error_score": "raise", "n_jobs": n_jobs}
    GridSearchCV(Meeting(traces=str(tmp_path)), {"count": [2]}, spark=spark, **options).fit(*table())
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.spark
def test_callbacks_are_refused_by_name_on_a_cluster(spark: Any) -> None:
    callback = pytest.importorskip("sklearn.callback", reason="scikit-learn 1.9 brought callbacks")
    for place in (spark, None):
        for search in searches(place):
            with pytest.raises(NotImplementedError, match="set_callbacks"):
                search.set_callbacks(callback.ProgressBar()).fit(*table())


class TwoRounds(GridSearchCV):
    """Evaluates candidates in two goes, as scikit-learn's documentation shows for searches of one's own."""

    def _run_search(self, evaluate_candidates: Any, **context: Any) -> None:
        first = evaluate_candidates([{"C": 0.01}, {"C": 1.0}])
        evaluate_candidates([{"C": 100.0 + len(first["params"])}])


def test_a_subclass_may_evaluate_candidates_in_several_goes(place: Any) -> None:
    search = TwoRounds(LogisticRegression(), C, spark=place).fit(*table())
    assert [params["C"] for params in search.cv_results_["params"]] == [0.01, 1.0, 102.0]
