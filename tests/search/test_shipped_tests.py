"""The tests that scikit-learn ships for its searches, run against ours."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree  # noqa: S405 - of a file that pytest wrote just now
from pathlib import Path

import pytest
import sklearn

from tests.conftest import ROOT
from tests.search.shipped_tests import NOT_ON_SPARK

MODULE = "sklearn.model_selection.tests.test_search"

# How many tests run and are deselected, by scikit-learn's version. Everything else that is skipped says so
# itself: it wants array API packages, which are not installed.
RUN = {"1.9.1": 141}
DESELECTED = {"1.9.1": 20}
ARRAY_API = "array_api"


@pytest.fixture
def module() -> str:
    try:
        found = importlib.util.find_spec(MODULE)
    except ModuleNotFoundError:
        found = None
    if found is None or found.origin is None:
        pytest.skip(f"scikit-learn {sklearn.__version__} was installed without its tests")
    return found.origin


def run(module: str, report: Path, **environment: str) -> list[ElementTree.Element]:
    """Every test case of the module with its outcome."""
    plugin = ["-p", "tests.search.shipped_tests", "-p", "no:cacheprovider"]
    options = ["-q", "--rootdir", str(report.parent), "-c", os.devnull, f"--junitxml={report}"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *plugin, *options, module],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return list(ElementTree.parse(report).iter("testcase"))  # noqa: S314 - as above


def failed(cases: list[ElementTree.Element]) -> list[str]:
    return [case.attrib["name"] for case in cases if case.find("failure") is not None or _errors(case)]


def _errors(case: ElementTree.Element) -> bool:
    return case.find("error") is not None


def skipped(cases: list[ElementTree.Element]) -> list[str]:
    return [case.attrib["name"] for case in cases if case.find("skipped") is not None]


def check(cases: list[ElementTree.Element], deselected: int) -> None:
    assert failed(cases) == []
    assert [name for name in skipped(cases) if ARRAY_API not in name] == []
    expected = RUN.get(sklearn.__version__)
    assert expected is None or len(cases) - len(skipped(cases)) == expected - deselected
    assert len(cases) > 100


@pytest.mark.slow
def test_all_of_them_pass_in_this_process(module: str, tmp_path: Path) -> None:
    check(run(module, tmp_path / "report.xml"), deselected=0)


@pytest.mark.spark
@pytest.mark.slow
def test_all_that_can_pass_with_a_session_do(module: str, tmp_path: Path) -> None:
    cases = run(module, tmp_path / "report.xml", HPTUNE_TEST_MASTER="local[2,4]")
    assert not [case for case in cases if case.attrib["name"].startswith(tuple(NOT_ON_SPARK))]
    check(cases, DESELECTED.get(sklearn.__version__, len(NOT_ON_SPARK)))
