"""Functions and classes of one's own are known by what their code does, not by their names alone."""

from __future__ import annotations

import subprocess
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hptune.space import canonical

NAME = "a_module_of_ones_own"


@pytest.fixture
def loaded() -> Iterator[Any]:
    """Loads a source as if the module had been edited and run again, as cells of a notebook are."""

    def load(source: str) -> Any:
        module = types.ModuleType(NAME)
        sys.modules[NAME] = module
        exec(compile(source, f"{NAME}.py", "exec"), vars(module))  # noqa: S102 - as a notebook does
        return module

    yield load
    sys.modules.pop(NAME, None)


BASE = """
import functools
import numpy as np
LIMIT = 3
ROWS = np.arange(3)
WORDS = {"a", "b"}
CYCLE = [1]
CYCLE.append(CYCLE)
calls = 0

def helper(x):
    return x + 1

def told(f):
    @functools.wraps(f)
    def around(*args):
        return f(*args)
    return around

@told
def score(x, power=2):
    'What it is good for.'
    global calls
    calls = calls + 1
    x = min(x, LIMIT) + ROWS.sum() + len(WORDS) + len(CYCLE)
    def inner(y):
        return helper(y) ** power if y in {1, 2, 'a'} else -1.5
    try:
        return [inner(z) for z in (x,)]
    except ValueError:
        return None

class Model(object):
    degree = 2
    def __init__(self, alpha=1.0):
        self.alpha = alpha
    @property
    def twice(self):
        return 2 * self.alpha
    @classmethod
    def of(cls, alpha):
        return cls(super().__hash__() and helper(alpha))
"""


def forms(module: Any) -> list[str]:
    return [canonical(module.score), canonical(module.Model)]


SAME = {
    "nothing": ("", ""),
    "a comment and lines": ("def helper(x):", "# more\n\ndef helper(x):"),
    "a docstring": ("'What it is good for.'", "'What it is good for, in other words.'"),
    "a variable of the module": ("calls = 0", "calls = 4"),
}
OTHER = {
    "a constant": ("-1.5", "-2.5"),
    "a constant of the module": ("LIMIT = 3", "LIMIT = 4"),
    "an array of the module": ("arange(3)", "arange(4)"),
    "a set of the module": ('{"a", "b"}', '{"a", "c"}'),
    "a list of the module that holds itself": ("CYCLE = [1]", "CYCLE = [2]"),
    "an operator": ("helper(y) ** power", "helper(y) * power"),
    "a default": ("power=2", "power=3"),
    "a function that it calls": ("x + 1", "x + 2"),
    "what a decorator does": ("return f(*args)", "return f(*args[::-1])"),
    "an exception that is caught": ("ValueError", "KeyError"),
    "a set": ("{1, 2, 'a'}", "{1, 2, 'b'}"),
}
OTHER_CLASS = {
    "a property": ("2 * self.alpha", "3 * self.alpha"),
    "a default of the constructor": ("alpha=1.0", "alpha=2.0"),
    "an attribute of the class": ("degree = 2", "degree = 3"),
    "its base": ("Model(object)", "Model(dict)"),
    "a function that a method calls": ("x + 1", "x + 2"),
}


@pytest.mark.parametrize("name", SAME)
def test_what_changes_no_result_changes_no_form(name: str, loaded: Any) -> None:
    before = forms(loaded(BASE))
    assert forms(loaded(BASE.replace(*SAME[name]))) == before


@pytest.mark.parametrize("name", OTHER)
def test_edited_functions_differ(name: str, loaded: Any) -> None:
    before = canonical(loaded(BASE).score)
    assert canonical(loaded(BASE.replace(*OTHER[name])).score) != before


@pytest.mark.parametrize("name", OTHER_CLASS)
def test_edited_classes_differ(name: str, loaded: Any) -> None:
    before = canonical(loaded(BASE).Model)
    assert canonical(loaded(BASE.replace(*OTHER_CLASS[name])).Model) != before


def test_functions_that_call_each_other_have_a_form(loaded: Any) -> None:
    module = loaded("def odd(n): return n and even(n - 1)\n\ndef even(n): return not n or odd(n - 1)\n")
    assert canonical(module.odd) != canonical(module.even)


def test_the_form_is_the_same_in_every_session(tmp_path: Path) -> None:
    (tmp_path / f"{NAME}.py").write_text(BASE)
    program = f"import {NAME} as m; from hptune.space import canonical; print(canonical([m.score, m.Model]))"
    told = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONPATH": f"{Path(__file__).parents[2]}:{tmp_path}", "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(told) == 1 and "code " in told.pop()
