"""One grammar in Python, YAML and Azure's maps: what is taken, what is refused and how to mend it."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import scipy.stats

from hptune import space as hp
from hptune._yaml import load_yaml
from hptune.errors import ConfigurationError
from hptune.space import Expression, parse_space


def parsed(value: Any) -> Any:
    return parse_space({"x": value}).groups[0].parameters["x"]


AZURE_MAPS: dict[str, tuple[str, dict[str, Any]]] = {
    "choice(1, 2, 3)": ("choice", {"values": [1, 2, 3]}),
    "randint(10)": ("randint", {"upper": 10}),
    "uniformint(3, 9)": ("uniformint", {"low": 3, "high": 9}),
    "uniform(0.5, 1)": ("uniform", {"min_value": 0.5, "max_value": 1}),
    "quniform(0, 10, 2)": ("quniform", {"min_value": 0, "max_value": 10, "q": 2}),
    "loguniform(-7, 2)": ("loguniform", {"min_value": -7, "max_value": 2}),
    "qloguniform(0, 3, 0.5)": ("qloguniform", {"min_value": 0, "max_value": 3, "q": 0.5}),
    "normal(10, 3)": ("normal", {"mu": 10, "sigma": 3}),
    "qnormal(10, 3, 1)": ("qnormal", {"mu": 10, "sigma": 3, "q": 1}),
    "lognormal(0, 1)": ("lognormal", {"mu": 0, "sigma": 1}),
    "qlognormal(0, 1, 0.1)": ("qlognormal", {"mu": 0, "sigma": 1, "q": 0.1}),
    "float(0.01, 0.3, log=true)": ("float", {"low": 0.01, "high": 0.3, "log": True}),
    "float(0, 1, step=0.25)": ("float", {"low": 0, "high": 1, "step": 0.25}),
    "int(3, 10)": ("int", {"low": 3, "high": 10}),
    "int(1, 64, log=true)": ("int", {"low": 1, "high": 64, "log": True}),
    "int(0, 100, step=25)": ("int", {"low": 0, "high": 100, "step": 25}),
}


@pytest.mark.parametrize("call", AZURE_MAPS)
def test_call_map_and_python_mean_the_same(call: str) -> None:
    name, arguments = AZURE_MAPS[call]
    make = getattr(hp, {"float": "float_", "int": "int_"}.get(name, name))
    from_yaml = parsed(load_yaml(f"x: {call}")["x"])
    assert isinstance(from_yaml, Expression)
    assert from_yaml == parsed({"type": name, **arguments}) == parsed(make(**arguments))
    assert str(from_yaml) == call


@pytest.mark.parametrize("call", AZURE_MAPS)
def test_what_is_written_gives_the_same_space_again(call: str) -> None:
    space = parse_space({"x": call, "y": 3})
    assert parse_space(load_yaml(repr(space.written()))) == space


@pytest.mark.parametrize(
    "spelling",
    [
        [1, 2, 3],
        (1, 2, 3),
        range(1, 4),
        np.array([1, 2, 3]),
        "range(1, 4)",
        "choice(range(1, 4))",
        "choice([1, 2, 3])",
    ],
    ids=str,
)
def test_lists_ranges_and_arrays_are_choices(spelling: Any) -> None:
    assert [option + 0 for option in parsed(spelling).options] == [1, 2, 3]


@pytest.mark.parametrize(
    "spelling", [hp.choice(1, 2), hp.choice([1, 2]), hp.choice(range(1, 3)), [1, 2]], ids=str
)
def test_pythons_choice_takes_values_a_list_or_a_range(spelling: Any) -> None:
    assert parsed(spelling) == hp.choice(1, 2)


@pytest.mark.parametrize(
    "constant",
    [
        0,
        0.1,
        None,
        True,
        "multi:softprob",
        "sqrt",
        "a (b)x",
        "http://a/b(c)",
        {"k": 1},
        {0: 1, 1: 5},
        "my.module.f(1)",
        "",
    ],
    ids=repr,
)
def test_everything_else_is_a_constant_that_is_shown(constant: Any) -> None:
    space = parse_space({"x": constant, "y": [1, 2]})
    assert list(space.grid()) == [{"x": constant, "y": 1}, {"x": constant, "y": 2}]
    assert parse_space(space.written()) == space


@pytest.mark.parametrize("text", ["f(x)", "uniform(0, 1)"])
def test_a_text_that_looks_like_an_expression_can_be_a_value(text: str) -> None:
    for spelling in (f"choice({text!r})", hp.choice(text), hp.choice([text])):
        space = parse_space({"x": spelling})
        assert list(space.grid()) == [{"x": text}]
        assert list(parse_space(space.written()).grid()) == [{"x": text}]


def test_yamls_words_are_values_in_calls() -> None:
    assert parsed("choice(true, False, null, none, 'a', -1.5, [1, 2], {'k': None})").options == (
        *(True, False, None, None, "a", -1.5, [1, 2]),
        {"k": None},
    )


def test_an_option_may_be_an_expression() -> None:
    for spelling in (
        ["uniform(0.1, 1)", "sqrt"],
        "choice(uniform(0.1, 1), 'sqrt')",
        hp.choice(hp.uniform(0.1, 1), "sqrt"),
    ):
        space = parse_space({"x": spelling})
        assert [dimension.name for dimension in space.dimensions] == ["x", "x[0]"]
        assert space.candidate(lambda dimension: 0.0) == {"x": 0.1}
        assert space.candidate(lambda dimension: 0.9) == {"x": "sqrt"}
        assert parse_space(space.written()) == space


def test_scipys_distributions_are_expressions() -> None:
    for spelling in (
        scipy.stats.gamma(2, scale=3),
        "scipy.stats.gamma(2, scale=3)",
        hp.choice(scipy.stats.gamma(2, scale=3)),
    ):
        expression = parsed(spelling)
        expression = expression if expression.size is None else expression.options[0]
        assert str(expression) == "scipy.stats.gamma(2, scale=3)"
        assert expression.from_unit(0.3) == scipy.stats.gamma(2, scale=3).ppf(0.3)
    assert parsed(scipy.stats.randint(2, 5)).size == 3
    assert parsed(scipy.stats.poisson(3)).size is None


REFUSED: dict[str, tuple[Any, str]] = {
    "order": (
        "uniform(0.5, 0.1)",
        r"'x': the lower bound must come first but got uniform\(0.5, 0.1\): write uniform\(0.1, 0.5\)",
    ),
    "order of a log": ("float(0.5, 0.1, log=true)", r"write float\(0.1, 0.5, log=true\)"),
    "order of q": ("quniform(5, 1, 2)", r"write quniform\(1, 5, 2\)"),
    "order of ints": ("uniformint(9, 3)", r"write uniformint\(3, 9\)"),
    "empty": ("uniform(0.5, 0.5)", r"nothing between the bounds of uniform\(0.5, 0.5\): write 0.5 alone"),
    "empty randint": ("randint(0)", r"upper must be at least 1 but got randint\(0\)"),
    "empty choice": ("choice()", "at least one"),
    "empty range": ("range(3, 3)", "no values"),
    "empty values": ({"type": "choice", "values": []}, "no values"),
    "not closed": ("int(1, 2", "'int.1, 2' lacks its closing bracket"),
    "not closed inside": (["sqrt", "uniform(0, 1"], "'uniform.0, 1' lacks its closing bracket"),
    "unknown": ("unifrm(0, 1)", "unknown expression 'unifrm': did you mean 'uniform'"),
    "unknown map": ({"type": "qunifrm", "q": 1}, "unknown expression 'qunifrm': did you mean 'quniform'"),
    "far from all": ("wuff(0, 1)", "unknown expression 'wuff': the expressions are choice, float, int"),
    "unknown of scipy": (
        "scipy.stats.gama(2)",
        "unknown distribution 'scipy.stats.gama': did you mean 'gamma'",
    ),
    "sigma": ("normal(0, 0)", r"sigma must be greater than 0 but is 0 in normal\(0, 0\)"),
    "q": ("quniform(0, 1, 0)", "q must be greater than 0"),
    "step": ("int(0, 1, step=0)", "step must be greater than 0"),
    "log of nothing": ("float(0, 1, log=true)", "low must be greater than 0"),
    "log with step": ("int(1, 9, log=true, step=2)", "log and step do not go together"),
    "flag": ("float(1, 2, log='yes')", "log must be true or false but is 'yes'"),
    "text for number": ("uniform('a', 1)", "min_value must be a number but is 'a'"),
    "flag for number": ("uniform(false, true)", "min_value must be a number but is False"),
    "infinite": ("uniform(0, 1e999)", "max_value must be a number but is inf"),
    "fraction for int": ("int(0.5, 3)", "low must be a whole number but is 0.5"),
    "too many arguments": (
        "uniform(0, 1, 2)",
        r"uniform: too many positional arguments: write uniform\(min_value, max_value\)",
    ),
    "missing argument": ({"type": "uniform", "min_value": 0}, r"missing a required argument: 'max_value'"),
    "unknown argument": ({"type": "uniform", "min": 0, "max": 1}, r"write uniform\(min_value, max_value\)"),
    "bare text": ("choice(gbtree, dart)", "gbtree is no value: quote a text: 'gbtree'"),
    "syntax": ("uniform(0,, 1)", "cannot be read"),
    "code": ("choice(__import__('os').getcwd())", "unknown expression"),
    "attribute": ("choice(a.b)", "is no value"),
    "stars": ("choice(*[1, 2])", "is no value"),
    "unpacked": ("uniform(**{'min_value': 1})", "names an argument twice or none"),
    "natural bounds taken for logarithms": (
        "loguniform(1, 1000)",
        r"exp\(1000\) is too large: write float\(1, 1000, log=true\)",
    ),
    "huge lognormal": ("lognormal(0, 100)", "too large"),
    "scipy's arguments": ("scipy.stats.norm(0, -1)", "is no distribution of numbers"),
    "scipy's missing ones": ("scipy.stats.gamma()", "scipy.stats.gamma: "),
    "hidden": ({"a": "uniform(0, 1)"}, r"uniform\(0, 1\) stands inside a value"),
    "hidden in a list": ([["uniform(0, 1)", 2]], "stands inside a value"),
    "long": ("choice(range(1, 100000000))", "100,000,000|99,999,999 values"),
    "mixed maps": ([{"a": [1, 2]}, "none"], "some of the values are maps of parameters, and some are not"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_meant_is_refused_with_the_rule_and_the_value(case: str) -> None:
    value, said = REFUSED[case]
    with pytest.raises(ConfigurationError, match=said) as refused:
        parse_space({"x": value})
    assert str(refused.value).startswith("search_space: 'x': ") or "has no values" in str(refused.value)


@pytest.mark.parametrize("call", ["loguniform(0.01, 0.3)", "qloguniform(0.1, 1, 0.1)"])
def test_logarithms_that_look_like_natural_bounds_are_warned_of(call: str) -> None:
    with pytest.warns(
        UserWarning, match=r"its bounds are logarithms: write float\(0.\d+, \S+, log=true\) for"
    ):
        parse_space({"x": call})


def test_logarithms_are_not_warned_of() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        parse_space({"x": "loguniform(-7, 0.5)", "y": "loguniform(0, 1)", "z": "loguniform(0.5, 2)"})


@pytest.mark.parametrize(
    ("given", "plain"),
    [
        (np.logspace(-2, 2, 3), [0.01, 1.0, 100.0]),
        ([np.float32(0.5), np.int64(3), np.str_("sqrt"), np.bool_(True)], [0.5, 3, "sqrt", True]),
        ((np.int8(5), (np.int64(5), np.int64(2))), [5, (5, 2)]),
        (hp.choice(np.arange(2)), [0, 1]),
        ({"type": "choice", "values": np.arange(2)}, [0, 1]),
        ([{np.int64(0): np.float64(1.5)}, {"a": np.float64(2)}], [{0: 1.5}, {"a": 2.0}]),
        ([{"alpha": np.float64(2), "y": "uniform(0, 1)"}], [{"alpha": 2.0, "y": "uniform(0, 1)"}]),
        (np.float64(0.5), 0.5),
        (np.str_("uniform(0, 1)"), "uniform(0, 1)"),
        ({"k": [np.float64(0.5)]}, {"k": [0.5]}),
    ],
    ids=repr,
)
def test_numpys_scalars_are_pythons_in_a_plain_space(given: Any, plain: Any) -> None:
    space = parse_space({"x": given}).plain()
    assert repr(space.groups) == repr(parse_space({"x": plain}).groups)
    assert "np." not in repr(space.written())


def test_numpys_whole_numbers_rise_in_a_plain_space() -> None:
    (dimension,) = parse_space({"x": np.arange(1, 9)}).plain().dimensions
    assert not dimension.expression.categorical
