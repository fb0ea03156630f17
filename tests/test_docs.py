"""Every Python snippet of the documentation runs, and every notebook gives what it says."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from sklearn.datasets import load_breast_cancer

from hptune.config import parse_config
from tests.conftest import ROOT

SNIPPET = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
YAML = re.compile(r"^```yaml\n(.*?)^```$", re.DOTALL | re.MULTILINE)
COMING_FROM = ROOT / "docs" / "coming-from.md"
SEARCH_SPACES = ROOT / "docs" / "search-spaces.md"
NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))


def snippets(page: Path) -> list[str]:
    return SNIPPET.findall(page.read_text(encoding="utf-8"))


@pytest.mark.parametrize("number", range(1, len(snippets(COMING_FROM))))
def test_each_way_of_coming_to_hptune_works(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    start, *ways = snippets(COMING_FROM)
    names: dict[str, Any] = {}
    exec(start + ways[number - 1], names)  # noqa: S102 - our own documentation
    assert names["search"].best_params_["C"] in names["grid"]["C"]


def test_all_three_ways_are_shown_and_how_to_go_on() -> None:
    assert len(snippets(COMING_FROM)) == 5


@pytest.mark.parametrize("snippet", snippets(SEARCH_SPACES), ids=["space", "search"])
def test_search_spaces_in_python_work(snippet: str) -> None:
    exec(snippet, {})  # noqa: S102 - our own documentation


def test_the_page_on_python_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rows = "".join(f"{n % 9},{n % 2},{3 * (n % 9) + n % 2}\n" for n in range(60))
    (tmp_path / "homes.csv").write_text(f"rooms,garden,price\n{rows}")
    names: dict[str, Any] = {}
    for snippet in snippets(ROOT / "docs" / "python.md"):
        exec(snippet, names)  # noqa: S102 - our own documentation
    assert names["again"].best_params == names["result"].best_params


@pytest.mark.slow
def test_the_page_on_training_scripts_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = ROOT / "docs" / "training-scripts.md"
    monkeypatch.chdir(tmp_path)
    script, *python = snippets(page)
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "train.py").write_text(script)
    (tmp_path / "data").mkdir()
    table = load_breast_cancer(as_frame=True).frame.rename(columns={"target": "label"})
    table.to_csv(tmp_path / "data" / "patients.csv", index=False)
    sweep, policy = YAML.findall(page.read_text(encoding="utf-8"))
    (tmp_path / "patients.yaml").write_text(sweep + policy)
    names: dict[str, Any] = {}
    for snippet in python:
        exec(snippet, names)  # noqa: S102 - our own documentation
    assert names["best"].files["outputs/model.pkl"].exists()
    assert names["best"].metrics["Accuracy"] > 0.9
    assert names["best_run"].get_metrics()["Accuracy"] > 0.9


def test_the_page_for_users_of_hyperopt_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    first, second = snippets(ROOT / "docs" / "from-hyperopt.md")
    function = second.partition("\n\n\n")[0]
    (tmp_path / "objectives.py").write_text(f"import hptune\n\n\n{function}\n")
    monkeypatch.syspath_prepend(tmp_path)
    names: dict[str, Any] = {}
    exec(first + second, names)  # noqa: S102 - our own documentation
    result = names["result"]
    assert abs(result.best_params["x"] - 1) < 1 and result.best_run().told == {"note": "anything small"}
    assert {child.status for child in names["watched_result"].children()} <= {"ok", "stopped"}


@pytest.mark.spark
@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_from_top_to_bottom(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import nbclient  # which take a while, and nothing else here needs
    import nbformat

    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = [
        output["data"]["text/plain"]
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if "data" in output
    ]
    assert shown[-1] == "True"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_stored_without_output(path: Path) -> None:
    assert '"execution_count": null' in path.read_text(encoding="utf-8")
    assert '"output_type"' not in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("page", ["mlflow", "distributed-training"])
def test_the_sweep_files_on_a_page_are_understood(page: str) -> None:
    shown = YAML.findall((ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8"))
    assert shown
    for text in shown:
        raw = {"data": "d", "estimator": "a.B", "search_space": {"x": [1]}} | yaml.safe_load(text)
        assert parse_config(raw).to_mapping()
