"""What was finished with other code is not taken for what the code gives now."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sklearn.linear_model import Ridge

import hptune
from hptune.errors import ConfigurationError
from tests.builders import numbers_table

NAME = "code_that_is_edited"
Edit = Callable[[str], Any]


@pytest.fixture
def edited() -> Iterator[Edit]:
    """A module's function ``f``, whenever its source is run anew."""

    def load(source: str) -> Any:
        sys.modules[NAME] = module = types.ModuleType(NAME)
        exec(source, vars(module))  # noqa: S102 - as a notebook does
        return module.f

    yield load
    sys.modules.pop(NAME, None)


def test_a_functions_older_results_are_not_those_of_the_edited_one(edited: Edit, tmp_path: Path) -> None:
    def best(source: str, out: str) -> Any:
        space = {"x": [0, 1, 2, 3]}
        f = edited(source)
        found = hptune.minimize(f, space, max_evals=4, sampler="grid", place="driver", out=tmp_path / out)
        return found.best_params["x"]

    old, new = "def f(params): return (params['x'] - 1) ** 2", "def f(params): return (params['x'] - 2) ** 2"
    assert (best(old, "out"), best(old, "out"), best(new, "another")) == (1, 1, 2)
    with pytest.raises(ConfigurationError, match="the code of trial has changed since .*out was started"):
        best(new, "out")


def test_a_scorers_older_scores_are_not_those_of_the_edited_one(edited: Edit, tmp_path: Path) -> None:
    def search(source: str) -> Any:
        ours = hptune.GridSearchCV(
            Ridge(), {"alpha": [1.0, 2.0]}, cv=2, scoring=edited(source), spark="serial", out=tmp_path / "out"
        )
        return ours.fit(*numbers_table()).cv_results_["mean_test_score"].tolist()

    first = search("def f(model, X, y): return model.alpha")
    assert search("def f(model, X, y):\n    # in other words\n    return model.alpha") == first == [1.0, 2.0]
    with pytest.raises(ConfigurationError, match="the code of objective has changed"):
        search("def f(model, X, y): return -model.alpha")


def test_a_candidates_edited_function_is_another_candidate(edited: Edit, tmp_path: Path) -> None:
    def search(source: str) -> Any:
        return hptune.minimize(
            called,
            {"g": [edited(source)]},
            max_evals=1,
            sampler="grid",
            place="driver",
            out=tmp_path / "out",
        ).best_score

    assert search("def f(): return 1") == -1  # a loss, turned around
    with pytest.raises(ConfigurationError, match="the code of search_space has changed"):
        search("def f(): return 2")


def called(params: Any) -> Any:
    return params["g"]()
