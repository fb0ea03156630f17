"""Training scripts as trials, each a process of its own on this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

import hptune
from hptune.cli import main
from hptune.errors import AllTrialsFailedError
from hptune.summary import SweepResult
from hptune.trials import _process
from tests.conftest import ROOT

SCRIPTS = Path(__file__).parent / "scripts"


@pytest.fixture
def patients(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    X = random.normal(size=(120, 4)).round(3)
    rows = "".join(f"{a},{b},{c},{d},{int(a + b > 0)}\n" for a, b, c, d in X)
    path = tmp_path / "patients.csv"
    path.write_text(f"feature1,feature2,feature3,feature4,label\n{rows}")
    return path


def swept(out: Path, space: Any, *, command: str = "python curious.py", **keys: Any) -> SweepResult:
    config = {
        "trial": {"command": command, "code": str(SCRIPTS), **keys.pop("trial", {})},
        "search_space": space,
        "objective": {"primary_metric": "score", "goal": "maximize"},
        "engine": "serial",
        "out": str(out),
        **keys,
    }
    return hptune.run_sweep(config)


def told_by(result: SweepResult) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(result.best_run().files["outputs/deep/told.json"].read_text())
    return told


@pytest.mark.slow
def test_the_tutorials_script_runs_with_changed_imports(tmp_path: Path, patients: Path) -> None:
    result = swept(
        tmp_path / "out",
        {"--regularization": [0.01, 0.1, 1.0, 666]},
        command="python train.py",
        trial={"inputs": {"training_data": str(patients)}},
        objective={"primary_metric": "Accuracy", "goal": "maximize"},
        engine="processes",
        name="patients",
    )
    assert result.table["status"].tolist() == ["ok", "ok", "ok", "crashed"]
    best = result.best_run()
    assert best.metrics["Accuracy"] == result.best_score > 0.8
    assert best.id == f"patients_{best.number}"
    assert {"metrics.jsonl", "outputs/model.pkl", "stdout.txt"} <= best.files.keys()
    assert best.files["stdout.txt"].read_text().startswith("trained with")
    crashed = result.children()[3]
    assert "SIGSEGV" in str(crashed.error)
    again = hptune.load(tmp_path / "out")
    assert [child.params for child in again.children()] == [child.params for child in result.children()]
    assert again.best_run().files.keys() == best.files.keys()


def test_a_run_gets_its_parameters_as_arguments_and_variables(tmp_path: Path) -> None:
    space = {
        "--batch_size": [16],
        "rate": [0.5],
        "--kind": "a b",
        "layers": {"type": "choice", "values": [[3, 4]]},
    }
    told = told_by(swept(tmp_path / "out", space))
    assert told["arguments"] == ["--batch_size", "16", "--kind", "a b", "--layers", "[3, 4]", "--rate", "0.5"]
    variables = told["variables"]
    assert variables["HPTUNE_batch_size"] == variables["AZUREML_SWEEP_batch_size"] == "16"
    assert variables["HPTUNE_rate"] == "0.5"
    assert told["params"] == {"--batch_size": 16, "--kind": "a b", "layers": [3, 4], "rate": 0.5}
    assert {"curious.py", "train.py"} <= set(told["code"])


def test_placeholders_stand_for_parameters_and_inputs(tmp_path: Path, patients: Path) -> None:
    result = swept(
        tmp_path / "out",
        {"rate": [0.5]},
        command="python curious.py --lr=${{ search_space.rate }} ${{inputs.rows}} ${{inputs.epochs}}",
        trial={"inputs": {"rows": {"type": "uri_file", "path": str(patients)}}},
        inputs={"epochs": 3},
    )
    assert told_by(result)["arguments"] == ["--lr=0.5", str(patients), "3"]


def test_what_a_script_says_and_logs_is_kept(tmp_path: Path) -> None:
    result = swept(tmp_path / "out", {"--behaviour": ["offers"]}, name="curious")
    best = result.best_run()
    assert best.steps == {"loss": [3.0, 2.0, 1.0], "score": [0.25, 0.5]}
    assert best.metrics == {"score": 0.5, "loss": 1.0}
    assert best.files["stdout.txt"].read_text() == "stdout of curious_0\n"
    assert best.files["stderr.txt"].read_text() == "stderr of curious_0\n"
    assert best.started > 0 and best.seconds > 0 and best.host


def test_a_script_that_knows_nothing_of_hptune_prints_a_line(tmp_path: Path) -> None:
    result = swept(tmp_path / "out", {"--behaviour": ["json"]})
    assert result.best_score == 0.75
    assert result.best_run().told == {"note": "printed"}


def test_what_a_script_says_at_its_end_is_its_reason(tmp_path: Path) -> None:
    with pytest.raises(AllTrialsFailedError) as raised:
        swept(tmp_path / "out", {"--nonsense": [3]}, command="python train.py")
    assert str(raised.value).endswith("exit code 2: train.py: error: unrecognized arguments: --nonsense 3")


@pytest.fixture
def pids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a script that hangs leaves the number of the process that it has started."""
    monkeypatch.setenv("PIDS", str(tmp_path / "pids"))
    return tmp_path / "pids"


@pytest.fixture
def patience(pids: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The time of a script begins when it hangs: until then its interpreters start, in a busy moment for long."""
    waited = _process._waited

    def patient(process: Any, until: float, stops: Any) -> Any:
        left = until - time.monotonic()
        while process.poll() is None and not (pids.exists() and pids.read_text()):
            time.sleep(0.01)
        return waited(process, time.monotonic() + left, stops)

    monkeypatch.setattr(_process, "_waited", patient)


@pytest.mark.usefixtures("patience")
def test_scripts_that_fail_or_hang_are_rows(tmp_path: Path, pids: Path) -> None:
    behaviours = ["fine", "raise", "silent", "other", "hang"]
    result = swept(tmp_path / "out", {"--behaviour": behaviours}, limits={"trial_timeout": 1})
    table = result.table.set_index("param_--behaviour")
    assert table["status"].to_dict() == {
        "fine": "ok",
        "raise": "failed",
        "silent": "failed",
        "other": "failed",
        "hang": "timeout",
    }
    assert table.loc["raise", "error"] == "ValueError: no luck"
    assert table.loc["silent", "error"] == "the script logged no 'score'"
    assert table.loc["other", "error"] == "the script logged no 'score', only 'precision'"
    assert table.loc["hang", "error"] == "the script took longer than 1 s"
    assert result.children()[1].files["stderr.txt"].read_text().endswith("ValueError: no luck\n")
    (grandchild,) = pids.read_text().split()
    assert not _lives(int(grandchild))


def test_what_is_finished_does_not_run_again_and_other_code_is_another_sweep(tmp_path: Path) -> None:
    out, code = tmp_path / "out", tmp_path / "code"
    code.mkdir()
    script = code / "train.py"
    script.write_text(
        "from hptune import Run\nimport sys\nRun.get_context().log('score', float(sys.argv[-1]))\n"
    )
    keys: dict[str, Any] = {"command": "python train.py", "trial": {"code": str(code)}}
    swept(out, {"x": [1, 2]}, **keys)
    config = {
        "trial": {"command": "python train.py", "code": str(code)},
        "search_space": {"x": [3, 2, 1]},
        "objective": {"primary_metric": "score", "goal": "maximize"},
        "engine": "serial",
        "out": str(out),
    }
    wider = hptune.run_sweep(config, resume=True, extend=True)
    assert [child.metrics["score"] for child in wider.children()] == [3.0, 2.0, 1.0]
    assert [child.steps["score"] for child in wider.children()] == [[3.0], [2.0], [1.0]]
    script.write_text("print(1)")
    with pytest.raises(hptune.errors.ConfigurationError, match="code is"):
        hptune.run_sweep(config, resume=True, extend=True)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"trial": {"command": "python trian.py"}}, "there is no script 'trian.py': did you mean 'train.py'"),
        ({"trial": {"command": "no-such-program train.py"}}, "there is no program 'no-such-program'"),
        ({"trial": {"command": "python train.py && rm x"}}, "has '&&', but no shell reads it"),
        ({"trial": {"command": "python train.py '"}}, "trial.command cannot be read (No closing quotation)"),
        (
            {"trial": {"command": "python train.py ${{search_space.y}}"}},
            "names search_space.y, which there is not",
        ),
        ({"trial": {"command": "python train.py ${{jobs.x}}"}}, "has the placeholder ${{jobs.x}}"),
        ({"trial": {"command": "python train.py", "function": "a:b"}}, "either a function or a command"),
        (
            {"trial": {"command": "python train.py", "cod": "x"}},
            "unknown key 'trial.cod': did you mean 'code'",
        ),
        ({"objective": {"primary_metric": "score"}}, "key 'objective.goal' is missing"),
        ({"objective": None}, "key 'objective' is missing"),
        ({"data": "rows.csv"}, "key 'data' does not go with a trial"),
        ({"limits": {"max_total_trials": 0}}, "limits.max_total_trials must be a whole number from 1"),
    ],
)
def test_what_cannot_be_meant_is_one_line(
    keys: dict[str, Any], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config: dict[str, Any] = {
        "trial": {"command": "python curious.py"},
        "search_space": {"x": [1]},
        "objective": {"primary_metric": "score", "goal": "maximize"},
        **keys,
    }
    config["trial"] = {"code": str(SCRIPTS), **config["trial"]}
    file = tmp_path / "sweep.yaml"
    file.write_text(json.dumps(config))
    assert main(["sweep", "--config", str(file), "--out", str(tmp_path / "out")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


def test_a_metric_that_no_script_logs_is_told_with_what_they_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = {
        "trial": {"command": "python curious.py", "code": str(SCRIPTS)},
        "search_space": {"--behaviour": ["other"]},
        "objective": {"primary_metric": "Score", "goal": "maximize"},
        "engine": "serial",
    }
    file = tmp_path / "sweep.yaml"
    file.write_text(json.dumps(config))
    assert main(["sweep", "-q", "--config", str(file), "--out", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err.splitlines()[-1] == (
        "hptune: error: objective.primary_metric: in every trial the script logged no 'Score', only 'precision':"
        " correct it, or log it"
    )
    assert (tmp_path / "out" / "results.csv").exists()


def test_a_missing_input_is_told_before_anything_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = {
        "trial": {"command": "python train.py", "code": str(SCRIPTS), "inputs": {"rows": "nowhere.csv"}},
        "search_space": {"x": [1]},
        "objective": {"primary_metric": "score", "goal": "maximize"},
    }
    file = tmp_path / "sweep.yaml"
    file.write_text(json.dumps(config))
    assert main(["sweep", "--config", str(file), "--out", str(tmp_path / "out")]) == 3
    assert "trial.inputs.rows: " in capsys.readouterr().err


@pytest.mark.parametrize("engine", ["serial", pytest.param("processes", marks=pytest.mark.slow)])
def test_a_sweep_that_is_killed_leaves_no_process(engine: str, tmp_path: Path) -> None:
    config = {
        "trial": {"command": "python curious.py", "code": str(SCRIPTS)},
        "search_space": {"--behaviour": ["hang"]},
        "objective": {"primary_metric": "score", "goal": "maximize"},
        "engine": engine,
    }
    file, pids = tmp_path / "sweep.yaml", tmp_path / "pids"
    file.write_text(json.dumps(config))
    command = [
        sys.executable,
        "-m",
        "hptune.cli",
        "sweep",
        "-q",
        "--config",
        str(file),
        "--out",
        str(tmp_path / "o"),
    ]
    with subprocess.Popen(command, env={**os.environ, "PIDS": str(pids), "PYTHONPATH": str(ROOT)}) as sweep:
        while not pids.exists() or not pids.read_text().strip():
            assert sweep.poll() is None
            time.sleep(0.05)
        below = psutil.Process(sweep.pid).children(recursive=True)
        sweep.kill()
    assert int(pids.read_text()) in {process.pid for process in below}
    assert len(below) >= 3
    assert not psutil.wait_procs(below, timeout=30)[1]


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
