"""Holds the house in order by reading imports: floors, homes of libraries, cycles, sizes, `__all__`."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]

# From the ground up. Imports run strictly downward, never along a floor. A new module gets its place here.
HOUSE = [
    ["context", "errors", "memory", "records"],
    ["_sklearn_compat", "interrupts"],
    [
        "_joblib_compat",
        "_yaml",
        "csv_files",
        "live",
        "matrix",
        "space",
        "storage",
    ],
    [
        "features",
        "fitters",
        "journal",
        "locks",
        "policies",
        "results",
        "sample",
        "samplers",
        "splits",
        "tables",
    ],
    ["children", "identity", "plan"],
    ["adaptive", "termination"],
    ["engine", "resume"],
    ["observers", "outputs", "report", "summary", "trials"],
    ["history", "sessions"],
    ["config", "sweep"],
    ["finished", "formats"],
    ["build", "preflight", "remote"],
    ["explain", "rehearsal", "runs", "status"],
    ["tracking"],
    ["readying"],
    ["commands"],
    ["api", "cli", "functions", "search"],
    ["__main__", "hyperdrive"],
]
FLOORS = {module: floor for floor, modules in enumerate(HOUSE) for module in modules}
# The only modules that may import a library.
HOMES = {
    "azure": {"storage"},
    "mlflow": {"observers"},
    "optuna": {"samplers"},
    "py4j": {"engine"},
    "pyspark": {"engine", "trials"},
    "xgboost": {"fitters"},
}
PRIVATE_HOME = "_sklearn_compat"
MAX_FUNCTION_LINES = 50
MAX_FILE_LINES = 400
MAX_JOB_LINES = 60


class Import(NamedTuple):
    module: str  # what is imported, as far as it can be told to be a module
    names: tuple[str, ...]  # what is taken from it
    line: int


class Source(NamedTuple):
    name: str  # dotted, as it is imported
    is_package: bool
    text: str

    @property
    def tree(self) -> ast.Module:
        return _parse(self.text)

    @property
    def part(self) -> str:
        """The module or package of the house that this file belongs to: "engine" for hptune.engine._spark."""
        return self.name.split(".")[1] if "." in self.name else ""


@cache
def _parse(text: str) -> ast.Module:
    return ast.parse(text)


def read_sources(root: Path, *folders: str) -> list[Source]:
    """Every Python file of `folders` with its dotted name."""
    sources = []
    for path in sorted(p for folder in folders for p in (root / folder).rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        is_package = parts[-1] == "__init__"
        name = ".".join(parts[:-1] if is_package else parts)
        sources.append(Source(name, is_package, path.read_text(encoding="utf-8")))
    return sources


def imports(source: Source) -> Iterator[Import]:
    """Every import of a file, wherever it stands, relative ones and importlib's with a literal included."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, (), node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names = tuple(alias.name for alias in node.names)
            yield Import(_absolute(source, node), names, node.lineno)
        elif isinstance(node, ast.Call) and (name := _dynamic(node)):
            yield Import(name, (), node.lineno)
        elif isinstance(node, ast.Attribute) and _is_name_of_package(node):
            yield Import("hptune", (node.attr,), node.lineno)


def _is_name_of_package(node: ast.Attribute) -> bool:
    return isinstance(node.value, ast.Name) and node.value.id == "hptune" and not node.attr.startswith("__")


def _absolute(source: Source, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    package = source.name.split(".") if source.is_package else source.name.split(".")[:-1]
    base = package[: len(package) - node.level + 1]
    return ".".join([*base, *([node.module] if node.module else [])])


def _dynamic(call: ast.Call) -> str | None:
    called = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if called not in ("import_module", "__import__") or not call.args:
        return None
    first = call.args[0]
    return first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else None


def edges(source: Source, known: set[str]) -> Iterator[tuple[str, int]]:
    """The modules of the project that a file imports. `__version__` is a constant, free to all."""
    for item in imports(source):
        if item.module.split(".")[0] != "hptune" or item == ("hptune", (), item.line):
            continue  # the bare package tells where it is; names taken from it are imports of their own
        free = {"__version__"} if item.module == "hptune" else set()
        taken = {name: f"{item.module}.{name}" for name in item.names if name not in free}
        if not item.names or set(taken.values()) - known:
            yield item.module, item.line
        yield from ((module, item.line) for module in taken.values() if module in known)


def floor_violations(sources: list[Source]) -> Iterator[str]:
    known = {source.name for source in sources}
    for source in sources:
        if source.part and source.part not in FLOORS:
            yield f"{source.name}: has no floor"
        if not source.name.startswith("hptune.") or source.part not in FLOORS:
            continue
        for target, line in edges(source, known):
            part = target.split(".")[1] if "." in target else ""
            if part != source.part and FLOORS.get(part, sys.maxsize) >= FLOORS[source.part]:
                yield f"{source.name}:{line}: imports {target}, which is not on a lower floor"


def cycle_violations(sources: list[Source]) -> Iterator[str]:
    known = {source.name for source in sources}
    graph = {source.name: {target for target, _ in edges(source, known)} for source in sources}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        yield "imports in a circle: " + " -> ".join(reversed(error.args[1]))


def home_violations(sources: list[Source]) -> Iterator[str]:
    for source in sources:
        for item in imports(source):
            library = item.module.split(".")[0]
            if library in HOMES and source.part not in HOMES[library]:
                yield f"{source.name}:{item.line}: imports {library}, at home in {', '.join(sorted(HOMES[library]))}"


def private_violations(sources: list[Source]) -> Iterator[str]:
    for source in sources:
        if source.part == PRIVATE_HOME:
            continue
        for item in imports(source):
            words = [*item.module.split("."), *item.names]
            if words[0] == "sklearn" and any(map(_is_private, words)):
                yield f"{source.name}:{item.line}: imports a private name of scikit-learn: {'.'.join(words)}"
        yield from _private_attributes(source)


def _private_attributes(source: Source) -> Iterator[str]:
    modules = set(_sklearn_modules(source.tree))
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Attribute) and _is_private(node.attr) and _root(node) in modules:
            yield f"{source.name}:{node.lineno}: uses a private name of scikit-learn: {ast.unparse(node)}"


def _sklearn_modules(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found = [alias for alias in node.names if alias.name.split(".")[0] == "sklearn"]
            yield from (alias.asname or "sklearn" for alias in found)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "sklearn":
            yield from (alias.asname or alias.name for alias in node.names)


def _root(node: ast.expr) -> str:
    while isinstance(node, ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def all_violations(sources: list[Source]) -> Iterator[str]:
    for source in sources:
        body = source.tree.body
        if source.part == "__main__" or not any(not _is_docstring(node) for node in body):
            continue
        names = next((names for node in body if (names := _all_of(node)) is not None), None)
        if names is None:
            yield f"{source.name}: has no __all__"
        elif names != sorted(set(names), key=_place_in_all):
            yield f"{source.name}: __all__ is not sorted (CONSTANTS, Classes, functions)"


def _place_in_all(name: str) -> tuple[int, str]:
    return (0 if name.isupper() else 1 if name[0].isupper() else 2), name


def _all_of(node: ast.stmt) -> list[str] | None:
    targets = (
        node.targets
        if isinstance(node, ast.Assign)
        else [node.target]
        if isinstance(node, ast.AnnAssign)
        else []
    )
    if not any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets):
        return None
    return list(ast.literal_eval(node.value))  # type: ignore[attr-defined]


def size_violations(sources: list[Source]) -> Iterator[str]:
    for source in sources:
        if (lines := source.text.count("\n")) > MAX_FILE_LINES:
            yield f"{source.name}: has {lines} lines"
        for node in ast.walk(source.tree):
            if (lines := _body_lines(node)) > MAX_FUNCTION_LINES:
                line = getattr(node, "lineno", 0)
                yield f"{source.name}:{line}: a function's body has {lines} lines"


def _body_lines(function: ast.AST) -> int:
    if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
        return 0
    body = [node for node in function.body if not _is_docstring(node)]
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def _is_docstring(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def job_violations(sources: Iterable[Source]) -> Iterator[str]:
    """A job parses its arguments and calls hptune: no classes, no libraries, nothing long."""
    for source in sources:
        for item in imports(source):
            library = item.module.split(".")[0]
            if library != "hptune" and library not in sys.stdlib_module_names:
                yield f"{source.name}:{item.line}: a job imports {library}"
        if any(isinstance(node, ast.ClassDef) for node in ast.walk(source.tree)):
            yield f"{source.name}: a job defines a class"
        if (lines := source.text.count("\n")) > MAX_JOB_LINES:
            yield f"{source.name}: a job of {lines} lines"


Rule = Callable[[list[Source]], Iterator[str]]
PACKAGE_RULES: list[Rule] = [
    all_violations,
    cycle_violations,
    floor_violations,
    home_violations,
    private_violations,
    size_violations,
]


def test_the_whole_package_is_read() -> None:
    assert {"hptune", "hptune.errors", "hptune.matrix"} <= {s.name for s in read_sources(ROOT, "hptune")}


@pytest.mark.parametrize("rule", PACKAGE_RULES, ids=lambda rule: rule.__name__)
def test_the_package_keeps_the_rule(rule: Rule) -> None:
    assert list(rule(read_sources(ROOT, "hptune"))) == []


@pytest.mark.parametrize("rule", [home_violations, job_violations, private_violations, size_violations])
def test_the_jobs_keep_the_rule(rule: Rule) -> None:
    assert list(rule(read_sources(ROOT, "jobs"))) == []


LONG = "def f():\n" + "    x = 1\n" * 51


@pytest.mark.parametrize(
    ("rule", "planted", "expected"),
    [
        (
            floor_violations,
            {"hptune.plan": "from hptune.sweep import x"},
            "hptune.plan:1: imports hptune.sweep",
        ),
        (
            floor_violations,
            {"hptune.plan": "from hptune import sweep"},
            "hptune.plan:1: imports hptune.sweep",
        ),
        (floor_violations, {"hptune.plan": "import hptune.engine"}, "hptune.plan:1: imports hptune.engine"),
        (floor_violations, {"hptune.plan": "from . import cli"}, "hptune.plan:1: imports hptune.cli"),
        (floor_violations, {"hptune.plan": "from .cli import main"}, "hptune.plan:1: imports hptune.cli"),
        (
            floor_violations,
            {"hptune.engine._a": "from ..cli import main"},
            "hptune.engine._a:1: imports hptune.cli",
        ),
        (floor_violations, {"hptune.plan": "def f():\n    from hptune.cli import main"}, "hptune.plan:2"),
        (floor_violations, {"hptune.plan": "from hptune import run_sweep"}, "imports hptune,"),
        (floor_violations, {"hptune.plan": "from hptune import __version__, cli"}, "imports hptune.cli"),
        (
            floor_violations,
            {"hptune.plan": "import hptune\nhptune.run_sweep()"},
            "hptune.plan:2: imports hptune,",
        ),
        (floor_violations, {"hptune.helpers": ""}, "hptune.helpers: has no floor"),
        (
            cycle_violations,
            {"hptune.engine": "from hptune.engine._a import x", "hptune.engine._a": "import hptune.engine"},
            "in a circle",
        ),
        (
            cycle_violations,
            {"hptune.engine._a": "from hptune.engine import _b", "hptune.engine._b": "from . import _a"},
            "in a circle",
        ),
        (
            home_violations,
            {"hptune.plan": "import pyspark"},
            "hptune.plan:1: imports pyspark, at home in engine, trials",
        ),
        (home_violations, {"hptune.plan": "from pyspark.sql import Row"}, "imports pyspark"),
        (
            home_violations,
            {"hptune.engine": "def f():\n    import xgboost"},
            "hptune.engine:2: imports xgboost",
        ),
        (home_violations, {"hptune.cli": "importlib.import_module('pyspark')"}, "imports pyspark"),
        (home_violations, {"hptune": "import mlflow"}, "hptune:1: imports mlflow"),
        (private_violations, {"hptune.plan": "from sklearn.utils import _joblib"}, "hptune.plan:1"),
        (
            private_violations,
            {"hptune.plan": "from sklearn.model_selection._search import X"},
            "private name",
        ),
        (private_violations, {"hptune.plan": "import sklearn.utils._param_validation"}, "private name"),
        (private_violations, {"hptune.plan": "import sklearn\nsklearn.base._x()"}, "sklearn.base._x"),
        (private_violations, {"hptune.plan": "from sklearn import utils as u\nu._x()"}, "hptune.plan:2"),
        (all_violations, {"hptune.plan": "x = 1"}, "hptune.plan: has no __all__"),
        (all_violations, {"hptune.plan": "__all__ = ['b', 'a']"}, "not sorted"),
        (all_violations, {"hptune.plan": "__all__ = ['Class', 'CONSTANT']"}, "not sorted"),
        (all_violations, {"hptune.plan": "__all__ = ['f', 'Class']"}, "not sorted"),
        (all_violations, {"hptune.plan": "__all__: list[str] = ['a', 'a']"}, "not sorted"),
        (size_violations, {"hptune.plan": LONG}, "a function's body has 51 lines"),
        (
            size_violations,
            {"hptune.plan": LONG.replace("def", "async def")},
            "a function's body has 51 lines",
        ),
        (size_violations, {"hptune.plan": "x = 1\n" * 401}, "hptune.plan: has 401 lines"),
        (job_violations, {"jobs.a": "import numpy"}, "jobs.a:1: a job imports numpy"),
        (job_violations, {"jobs.a": "class A: pass"}, "jobs.a: a job defines a class"),
        (job_violations, {"jobs.a": "x = 1\n" * 61}, "jobs.a: a job of 61 lines"),
    ],
)
def test_a_planted_violation_is_found(rule: Rule, planted: dict[str, str], expected: str) -> None:
    others = {f"hptune.{name}": "" for name in FLOORS} | {"hptune": ""}
    found = list(rule(_house(others | planted)))
    assert len(found) == 1
    assert expected in found[0]


@pytest.mark.parametrize("rule", PACKAGE_RULES, ids=lambda rule: rule.__name__)
def test_a_house_in_order_is_left_alone(rule: Rule) -> None:
    house = _house(
        {
            "hptune": "__all__ = ['__version__']",
            "hptune.errors": '__all__ = ["B", "a"]',
            "hptune.engine": "from hptune.engine._spark import S\n__all__ = ['S']",
            "hptune.engine._spark": "import pyspark\nfrom hptune.errors import B\n__all__ = ['S']",
            "hptune.sweep": "from hptune import __version__, plan\nimport sklearn\n__all__ = []",
            "hptune.plan": '"""Nothing yet."""',
            "hptune.results": "import hptune\n__all__ = ['A_B', 'C', 'd']\nhptune.__file__",
            "hptune._sklearn_compat": "from sklearn.utils import _joblib\n__all__ = []",
        }
    )
    assert list(rule(house)) == []


def _house(texts: dict[str, str]) -> list[Source]:
    packages = {name.rsplit(".", 1)[0] for name in texts if "." in name}
    return [Source(name, name in packages, text) for name, text in texts.items()]
