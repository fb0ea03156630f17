"""The commands from end to end on a generated sample, and one line for whatever cannot be meant."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pandas as pd
import pyspark
import pytest
import xgboost
import yaml

from hptune.cli import main
from hptune.engine import BY_NAME as ENGINES
from hptune.features import load_talkingdata
from hptune.outputs import OUTPUT_FILES
from hptune.sample import write_sample
from tests.features.rawfiles import write_zip

ROOT = Path(__file__).resolve().parents[1]
FEMALE, MALE = (
    ("23-", "24-26", "27-28", "29-32", "33-42", "43+"),
    ("22-", "23-26", "27-28", "29-31", "32-38", "39+"),
)
GROUPS = [*(f"F{ages}" for ages in FEMALE), *(f"M{ages}" for ages in MALE)]
SPACE: dict[str, Any] = {
    "n_estimators": [3, 6],
    "max_depth": [2, 3],
    "objective": "multi:softprob",
    "eta": 0.3,
}


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("cli")
    write_sample(directory / "raw", scale=0.02)
    load_talkingdata(directory / "raw", features="small", cache=directory / "cache")
    return directory


@pytest.fixture
def cli(work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., int]]:
    """`hptune sweep` on the sample; what asks for Spark here and is not refused before is an error of another kind."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(ENGINES, "spark", _started)
    (tmp_path / "sweep.yaml").write_text(yaml.safe_dump(sweep_file(work)))

    def run(*arguments: str) -> int:
        return main(["sweep", "--config", "sweep.yaml", "--cache", str(work / "cache"), *arguments])

    yield run


def _started(*_: Any) -> NoReturn:
    raise AssertionError("Spark was started")


def sweep_file(work: Path, **keys: Any) -> dict[str, Any]:
    return {
        "data": {"path": str(work / "raw"), "features": "small"},
        "estimator": {"class": "xgboost.XGBClassifier", "params": {"seed": 0}},
        "search_space": SPACE,
        "objective": {"primary_metric": "neg_log_loss"},
        "cv": 2,
        "engine": "serial",
        **keys,
    }


def content(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in out.iterdir()}


def assert_whole(out: Path, work: Path) -> None:
    """Every file of a finished sweep is there, parses, and tells the same."""
    assert {path.name for path in out.iterdir()} == set(OUTPUT_FILES) - {
        "test_metrics.json",  # of trials that are Spark jobs
        "model.skops",
        "importances.csv",
        "learning_curve.csv",
        "rejects.csv",
    }
    table, same = exact(out / "results.csv"), pd.read_parquet(out / "results.parquet")
    assert list(table.columns) == list(same.columns)
    assert table["mean_test_score"].tolist() == same["mean_test_score"].tolist()
    assert len(table) == 4 and table["mean_test_score"].is_monotonic_decreasing
    assert table["rank_test_score"].tolist()[0] == 1
    best = json.loads((out / "best_params.json").read_text())
    assert best["metric"] == "neg_log_loss" and best["mean_test_score"] == table["mean_test_score"][0]
    assert best["params"].keys() == SPACE.keys()
    records = [json.loads(line) for line in (out / "journal.jsonl").read_text().splitlines()]
    assert [record["record"] for record in records] == ["header"] + ["outcome"] * 8 + ["finished"]
    assert_sweeping_results(out, table)
    assert_predictions(out, work)
    assert all((path.stat().st_mode & 0o077) == 0 for path in (out, *out.iterdir()))


def exact(path: Path) -> pd.DataFrame:
    """A table whose scores are read to the last bit."""
    table = pd.read_csv(path)
    text = pd.read_csv(path, dtype=str)
    scores = [name for name in table if "test_" in name and not name.startswith("rank")]
    return table.assign(**{name: [float(value) for value in text[name]] for name in scores})


def assert_sweeping_results(out: Path, table: pd.DataFrame) -> None:
    first, *lines = (out / "sweeping_results.txt").read_text().splitlines()
    assert first == "metric =  neg_log_loss"
    in_order = table.sort_values("candidate")
    columns = (in_order["mean_test_score"], in_order["std_test_score"], in_order["params"])
    assert lines == [f"mean: {m:.5f}, std: {s:.5f}, params: {p}" for m, s, p in zip(*columns, strict=True)]


def assert_predictions(out: Path, work: Path) -> None:
    dataset = load_talkingdata(work / "raw", features="small", cache=work / "cache")
    assert dataset.test is not None and dataset.test.row_ids is not None
    predicted = pd.read_csv(out / "predictions.csv", dtype=str)
    assert list(predicted.columns) == ["device_id", *GROUPS]
    assert predicted["device_id"].tolist() == [str(device) for device in dataset.test.row_ids]
    model = xgboost.XGBClassifier()
    model.load_model(out / "model.ubj")
    assert json.loads(model.get_booster().attr("classes")) == GROUPS
    assert model.get_booster().feature_names == list(dataset.test.columns)
    expected = model.predict_proba(dataset.test.X, validate_features=False)  # a sparse matrix has no names
    assert np.array_equal(predicted[GROUPS].to_numpy(np.float32), expected)


def assert_loads_as_told(shown: str, out: Path) -> None:
    """The closing line on how to load the model is a program that does it."""
    (line,) = (line for line in shown.splitlines() if line.startswith("load the model: "))
    names: dict[str, Any] = {"xgboost": xgboost}
    exec(line.removeprefix("load the model: "), names)  # noqa: S102 - what a user copies from the terminal
    assert names["model"].get_booster().get_dump() == xgboost.Booster(model_file=out / "model.ubj").get_dump()


def test_a_sweep_writes_everything_and_is_not_overwritten_unasked(
    cli: Callable[..., int], work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "it's mine"
    assert cli("--out", str(out)) == 0
    shown = capsys.readouterr()
    assert_whole(out, work)
    assert_loads_as_told(shown.out, out)
    assert "neg_log_loss, best first" in shown.out
    assert "4 fits instead of 8, 24 of 36 rounds" in shown.out
    assert "8/8 fits, best -" in shown.err
    before = content(out)
    assert cli("--out", str(out)) == 2
    assert capsys.readouterr().err == (
        f"hptune: error: {out} holds a sweep already: add --resume, --overwrite or choose another --out\n"
    )
    assert content(out) == before
    assert cli("--out", str(out), "--overwrite", "--set", "search_space.eta=0.1", "-q") == 0
    assert json.loads((out / "best_params.json").read_text())["params"]["eta"] == 0.1
    assert_whole(out, work)
    assert capsys.readouterr().err == ""


def test_the_resolved_file_runs_again_and_gives_the_same(
    cli: Callable[..., int], work: Path, tmp_path: Path
) -> None:
    assert cli("--out", "first", "-q") == 0
    again = ["sweep", "--config", "first/sweep.yaml", "--cache", str(work / "cache"), "--out", "second", "-q"]
    assert main(again) == 0
    for name in ("sweeping_results.txt", "predictions.csv", "best_params.json", "model.ubj"):
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes(), name
    resolved = [yaml.safe_load((tmp_path / out / "sweep.yaml").read_text()) for out in ("first", "second")]
    assert resolved[0] | {"out": "second"} == resolved[1]


def test_several_metrics_and_no_refit(cli: Callable[..., int], tmp_path: Path) -> None:
    assert cli("--out", "out", "-q", "--set", "metrics=[accuracy]", "--set", "refit=false") == 0
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert not names & {"model.ubj", "predictions.csv"}
    table = pd.read_csv(tmp_path / "out" / "results.csv")
    assert table["mean_test_neg_log_loss"].is_monotonic_decreasing
    assert table["mean_test_accuracy"].between(0, 1).all()


def test_a_failing_candidate_is_a_row_and_not_the_end(cli: Callable[..., int], tmp_path: Path) -> None:
    assert cli("--out", "out", "-q", "--set", "search_space.max_depth=[2, -3]") == 0
    table = pd.read_csv(tmp_path / "out" / "results.csv")
    assert table["status"].tolist() == ["ok", "ok", "failed", "failed"]
    assert table["error"].iloc[-1].startswith("xgboost.core.XGBoostError")
    assert (tmp_path / "out" / "model.ubj").exists()


def test_a_sweep_whose_candidates_all_fail_has_a_table_all_the_same(
    cli: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli("--out", "out", "-q", "--set", "search_space.max_depth=-3") == 5
    assert "most often: xgboost.core.XGBoostError" in one_line(capsys)
    assert len(pd.read_csv(tmp_path / "out" / "results.csv")) == 2
    assert "Traceback" in (tmp_path / "out" / "hptune.log").read_text()


def one_line(capsys: pytest.CaptureFixture[str]) -> str:
    shown = capsys.readouterr().err
    lines = [line for line in shown.splitlines() if not _is_progress(line)]
    assert len(lines) == 1 and lines[0].startswith("hptune: error: "), shown
    return lines[0]


def _is_progress(line: str) -> bool:
    return line.startswith("hptune: ") and not line.startswith("hptune: error: ")


TOO_LONG = "o" * 300  # for a file's name
BAD = {
    "unknown parameter": (["search_space.max_detph=3"], 2, "did you mean 'max_depth'?"),
    "two spellings": (["search_space.learning_rate=0.1"], 2, "two spellings of one parameter"),
    "alias of a constructor parameter": (
        ["search_space.lambda=1", "search_space.reg_lambda=1"],
        2,
        "spellings",
    ),
    "empty grid": (["search_space={}"], 2, "search_space is empty"),
    "parameter without values": (["search_space.max_depth=[]"], 2, "'max_depth' has no values"),
    "unknown scorer": (["objective.primary_metric=neg_logloss"], 2, "did you mean 'neg_log_loss'?"),
    "scorer of no module": (["objective.primary_metric=nowhere:f"], 2, "cannot be imported"),
    "scorer that is a metric": (["objective.primary_metric=sklearn.metrics:accuracy_score"], 2, "scorer"),
    "scorer that is no function": (["objective.primary_metric=math:pi"], 2, "no function"),
    "unknown further metric": (["metrics=[acuracy]"], 2, "did you mean 'accuracy'?"),
    "metric that is no text": (["metrics=[1]"], 2, "metrics must be scorers' names"),
    "more folds than members": (["cv=150"], 3, "fewer than the 150 folds"),
    "one fold": (["cv=1"], 2, "cv must be at least 2"),
    "unknown splitter": (["cv={type: KFolds}"], 2, "did you mean 'KFold'?"),
    "splitter of no type": (["cv={type: [KFold]}"], 2, "unknown cv.type"),
    "splitter's argument": (["cv={type: KFold, n_split: 3}"], 2, "n_split"),
    "groups that are not there": (["cv={type: GroupKFold, n_splits: 2}"], 3, "cannot be split"),
    "unknown key": (["serach_space.max_depth=3"], 2, "did you mean 'search_space'?"),
    "unknown estimator": (["estimator=xgboost.XGBClasifier"], 2, "did you mean 'XGBClassifier'?"),
    "estimator of no module": (["estimator=nowhere.Model"], 2, "cannot be imported"),
    "estimator without a module": (["estimator=Model"], 2, "names no module"),
    "relative estimator": (["estimator=.models:Model"], 2, "cannot be imported"),
    "no estimator": (["estimator=math.pi"], 2, "math.pi"),
    "a grid's other spelling": (["search_space.random_state=1"], 2, "two spellings"),
    "parameter of the estimator": (["estimator.params.max_detph=3"], 2, "did you mean 'max_depth'?"),
    "estimator.params no map": (["estimator.params=[1]"], 2, "must be a map"),
    "regressor of classes": (
        ["estimator=xgboost.XGBRegressor", "objective.primary_metric=r2"],
        2,
        "regressor",
    ),
    "missing directory": (["data.path=nowhere"], 3, "no file or directory nowhere"),
    "empty directory": (["data.path=."], 3, "gender_age_train"),
    "a path beyond the system's length": ([f"data.path={TOO_LONG}"], 3, "file name too long"),
    "features that are numbers": (["data.features=[1]"], 2, "data.features must be all, small or a list"),
    "unknown feature block": (["data.features=[brnd]"], 2, "did you mean 'brand'?"),
    "encoding that is a number": (["data.encoding=1"], 2, "choose from fraction, indicator"),
    "format that is a list": (["data.format=[csv]"], 2, "data.format must not be ['csv']"),
    "a directory as a table": (
        ["data.path=.", "data.target=y"],
        3,
        ". is a directory, and a table is one file",
    ),
    "fits and trials": (["trial={function: 'a:b'}"], 2, "does not go with a trial"),
    "unknown sampler": (["sampling_algorithm=randm"], 2, "did you mean 'random'?"),
    "warm start of a grid": (["sampling_algorithm.warm_start_from=[a]"], 2, "teaches nothing to grid"),
    "warm start from nowhere": (
        ["sampling_algorithm={type: bayesian, warm_start_from: nowhere}", "limits.max_total_trials=2"],
        2,
        "nowhere holds no finished sweep",
    ),
    "warm start of no list": (["sampling_algorithm={warm_start_from: 3}"], 2, "list of output directories"),
    "random without an end": (["sampling_algorithm=random"], 2, "'limits.max_total_trials' is missing"),
    "limit of nothing": (["limits.max_total_trials=0"], 2, "must be a whole number from 1 but is 0"),
    "seed of a sampler": (
        ["sampling_algorithm={type: random, seed: -1}"],
        2,
        "a whole number from 0 but is -1",
    ),
    "bounds out of order": (["search_space.eta=uniform(0.5, 0.1)"], 2, "write uniform(0.1, 0.5)"),
    "unknown expression": (["search_space.eta=unifrm(0, 1)"], 2, "did you mean 'uniform'?"),
    "grid of a continuous space": (
        ["sampling_algorithm=grid", "search_space.eta=uniform(0, 1)"],
        2,
        "'eta' is uniform(0, 1)",
    ),
    "constraint of no module": (["constraints=[nowhere:f]"], 2, "cannot be imported"),
    "constraint that is no function": (["constraints=['math:pi']"], 2, "is no function"),
    "constraint that raises": (["constraints=['math:sqrt']"], 2, "constraint sqrt raised TypeError"),
    "constraint that allows nothing": (["constraints=['operator:not_']"], 2, "allow no candidate"),
    "minimize a scorer": (["objective.goal=minimize"], 2, "goal must be maximize"),
    "parameter name that is no text": (["search_space={1: [2]}"], 2, "must be text"),
    "objective that is text": (["objective=neg_log_loss"], 2, "objective must be a map"),
    "setting without a value": (["cv"], 2, "write --set KEY=VALUE"),
    "setting that is no YAML": (["cv=[1"], 2, "no YAML value"),
    "date in month 13": (["name=2020-13-45"], 2, "no YAML value"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_line_before_spark_starts(
    name: str, cli: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "results.csv").write_text("an older table")
    settings, code, said = BAD[name]
    flags = [part for setting in settings for part in ("--set", setting)]
    assert cli("--engine", "spark", "--out", "out", "--overwrite", *flags) == code
    assert said in one_line(capsys)
    assert content(tmp_path / "out") == {"results.csv": b"an older table"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--cv", "many"], "invalid int value: 'many'"),
        (["--engine", "sparc"], "invalid choice: 'sparc'"),
        (["--no-such-flag"], "unrecognized arguments: --no-such-flag"),
        (["-q", "-v"], "not allowed with argument"),
    ],
)
def test_a_wrong_flag_is_one_line(
    arguments: list[str], said: str, cli: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli(*arguments) == 2
    assert said in one_line(capsys)


def test_no_command_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "COMMAND" in one_line(capsys)


FILES = {
    "absent": (None, "No such file"),
    "empty": (b"", "holds no keys"),
    "text": (b"just text", "holds no keys"),
    "list": (b"- a\n- b\n", "holds no keys"),
    "no YAML": (b"data: [1\ncv: 2\n", "mend the YAML"),
    "tabs": (b"data:\n\tpath: x\n", "mend the YAML"),
    "binary": (bytes(range(256)), "not UTF-8"),
    "control characters": (b"name: \x00\n", "mend the YAML"),
    "nested without end": (b"[" * 5000, "mend the YAML"),
    "a date in month 13": (b"name: 2020-13-45\n", "mend the YAML"),
    "an object": (b"name: !!python/object/apply:os.getcwd []\n", "mend the YAML"),
    "large": (b"#" * (2 << 20), "larger than 1 MiB"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_sweep_file_that_is_none_is_one_line(
    name: str, cli: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    raw, said = FILES[name]
    if raw is not None:
        (tmp_path / "other.yaml").write_bytes(raw)
    assert cli("--config", "other.yaml") == 2
    assert said in one_line(capsys)


def test_a_sweep_file_that_is_a_directory_is_one_line(
    cli: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli("--config", str(tmp_path)) == 2
    assert "directory" in one_line(capsys)


def test_a_zip_that_is_none_is_one_line(
    cli: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "gender_age_train.csv.zip").write_bytes(b"no zip")
    (tmp_path / "phone_brand_device_model.csv.zip").write_bytes(b"no zip")
    assert cli("--engine", "spark", "--data", str(tmp_path)) == 3
    assert ".csv.zip" in one_line(capsys)


def test_a_missing_column_is_one_line(
    cli: Callable[..., int], work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    raw = tmp_path / "raw"
    raw.mkdir()
    for name in ("gender_age_train", "phone_brand_device_model"):
        with zipfile.ZipFile(work / "raw" / f"{name}.csv.zip") as archive:
            text = archive.read(f"{name}.csv").decode().replace("group", "grp", 1)
        write_zip(raw / f"{name}.csv.zip", {f"{name}.csv": text})
    assert cli("--engine", "spark", "--data", str(raw)) == 3
    assert "group" in one_line(capsys)


def test_devices_that_the_phone_table_does_not_know_are_one_line(
    cli: Callable[..., int], work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    raw = tmp_path / "raw"
    raw.mkdir()
    (raw / "gender_age_train.csv.zip").symlink_to(work / "raw" / "gender_age_train.csv.zip")
    phones = "device_id,phone_brand,device_model\n1,a,b\n2,c,d\n"
    write_zip(raw / "phone_brand_device_model.csv.zip", {"phone_brand_device_model.csv": phones})
    assert cli("--engine", "spark", "--data", str(raw)) == 3
    assert "phone" in one_line(capsys)


def test_an_output_that_is_a_file_is_one_line(
    cli: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out").write_text("mine")
    assert cli("--engine", "spark", "--out", "out", "--overwrite") == 2
    assert "out is a file" in one_line(capsys)
    assert cli("--engine", "spark", "--out", "out/below") == 7
    assert "out/below" in one_line(capsys)
    assert (tmp_path / "out").read_text() == "mine"


@pytest.mark.parametrize("verb", ["features", "sweep"])
def test_a_cache_that_cannot_be_written_is_one_line(
    verb: str, cli: Callable[..., int], work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    blocked = str(tmp_path / "sweep.yaml" / "cache")
    features = ["features", "--data", str(work / "raw"), "--features", "small", "--cache", blocked]
    assert (main(features) if verb == "features" else cli("--cache", blocked)) == 7
    assert "cannot keep feature matrices in" in (line := one_line(capsys))
    assert line.endswith("choose another with --cache")


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (["sample", TOO_LONG], 7),
        (["features", "--data", TOO_LONG], 3),
        (["explain", TOO_LONG], 3),
        (["mlflow", TOO_LONG], 3),
        (["runs", TOO_LONG], 7),
        (["fetch", TOO_LONG, "copies"], 3),
        (["upload", "raw", TOO_LONG], 3),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_a_path_that_the_system_refuses_is_one_line_of_every_command(
    command: list[str], code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "file").touch()
    assert main(command) == code
    assert "(file name too long)" in (line := one_line(capsys)).lower()
    assert "unexpected" not in line


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (["sample", "raw", "--scale", "-1"], 2),
        (["features", "--data", "nowhere"], 3),
        (["explain", "nowhere"], 2),
        (["fetch", "nowhere", "copies"], 4),
        (["upload", "nowhere", "place"], 3),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_every_command_can_be_verbose(
    command: list[str], code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([*command, "--verbose"]) == code


@pytest.mark.parametrize("out", ["/proc/nowhere", TOO_LONG])
def test_an_output_that_cannot_be_made_is_one_line(
    out: str, cli: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli("--engine", "spark", "--out", out) == 7
    assert one_line(capsys).endswith("choose another with --out")


def test_nothing_is_written_through_a_planted_link(
    cli: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, target = tmp_path / "out", tmp_path / "target"
    out.mkdir()
    for name in OUTPUT_FILES:
        (out / name).symlink_to(target)
    assert cli("--out", "out") == 2
    assert "holds a sweep already" in one_line(capsys)
    (out / ".results.csv.abcdefgh.tmp").write_text("of a killed run")
    assert cli("--out", "out", "--overwrite", "-q") == 0
    assert not target.exists()
    assert not list(out.glob("*.tmp")) and not list(out.glob(".*.tmp"))


def test_an_output_file_that_is_a_directory_is_one_line(
    cli: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out" / "model.ubj").mkdir(parents=True)
    assert cli("--out", "out", "--overwrite") == 7
    assert "cannot use the output directory" in one_line(capsys)


MODULE = """
import os, signal
import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin

class Own(ClassifierMixin, BaseEstimator):
    def __init__(self, bad=0): self.bad = bad
    def fit(self, X, y):
        if self.bad: os.kill(os.getpid(), self.bad)
        self.classes_ = np.unique(y); return self
    def predict_proba(self, X): return np.full((X.shape[0], len(self.classes_)), 1 / len(self.classes_))
    def predict(self, X): return np.zeros(X.shape[0], dtype=int)

def scorer(estimator, X, y): return -1.0
"""


@pytest.mark.parametrize("name", ["INT", "TERM"])
def test_a_signal_ends_the_command_with_its_exit_code(name: str, work: Path, tmp_path: Path) -> None:
    number = signal.Signals[f"SIG{name}"]
    finished = own_model(work, tmp_path, f"search_space={{bad: {int(number)}}}", "engine=serial")
    assert finished.returncode == 128 + number
    assert "Traceback" not in finished.stderr


@pytest.mark.parametrize(
    ("bad", "statuses"), [("0", ["ok"]), pytest.param("[0, 9]", ["ok", "crashed"], marks=pytest.mark.slow)]
)
def test_the_users_own_module_beside_the_command_reaches_worker_processes(
    work: Path, tmp_path: Path, bad: str, statuses: list[str]
) -> None:
    finished = own_model(work, tmp_path, f"search_space={{bad: {bad}}}", "engine=processes")
    assert finished.returncode == 0, finished.stderr
    table = pd.read_csv(tmp_path / "out" / "results.csv")
    assert table["status"].tolist() == statuses
    assert (tmp_path / "out" / "model.skops").exists()


def own_model(work: Path, directory: Path, *settings: str) -> subprocess.CompletedProcess[str]:
    (directory / "own_model.py").write_text(MODULE)
    keys = {"estimator": "own_model:Own", "objective": {"primary_metric": "own_model:scorer"}}
    (directory / "sweep.yaml").write_text(yaml.safe_dump(sweep_file(work, **keys)))
    sets = [part for setting in settings for part in ("--set", setting)]
    program = (
        "import sys; sys.path[:] = [p for p in sys.path if p]; from hptune.cli import main; sys.exit(main())"
    )
    arguments = ["sweep", "--config", "sweep.yaml", "--cache", str(work / "cache"), "--out", "out", *sets]
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=directory,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def test_spark_that_cannot_start_is_one_line_and_the_older_table_stays(work: Path, tmp_path: Path) -> None:
    (tmp_path / "sweep.yaml").write_text(yaml.safe_dump(sweep_file(work, engine="spark")))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "results.csv").write_text("an older table")
    options = ["--config", "sweep.yaml", "--cache", str(work / "cache"), "--out", "out", "--overwrite"]
    finished = subprocess.run(  # in a process of its own: a JVM that other tests started would do
        [sys.executable, "-m", "hptune.cli", "sweep", *options],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT), "JAVA_HOME": "/nonexistent"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert finished.returncode == 8, finished.stderr
    assert "hptune: error: Spark does not start" in finished.stderr
    assert content(tmp_path / "out") == {"results.csv": b"an older table"}


@pytest.mark.spark
def test_the_job_runs_by_spark_submit(work: Path, tmp_path: Path) -> None:
    (tmp_path / "sweep.yaml").write_text(yaml.safe_dump(sweep_file(work, engine="spark")))
    home = Path(pyspark.__file__).parent
    options = ["--master", "local[2,4]", "--driver-memory", "1g", "--conf", "spark.driver.host=127.0.0.1"]
    quiet = ["--conf", "spark.driver.bindAddress=127.0.0.1", "--conf", "spark.ui.enabled=false"]
    job = [str(ROOT / "jobs" / "distributed_sweep.py"), "--config", "sweep.yaml", "--out", "out"]
    finished = subprocess.run(
        [str(home / "bin" / "spark-submit"), *options, *quiet, *job, "--cache", str(work / "cache")],
        cwd=tmp_path,
        env=os.environ
        | {"PYTHONPATH": str(ROOT), "PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1"}
        | {"SPARK_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr[-3000:]
    assert_whole(tmp_path / "out", work)
    assert "engine spark: 2 slots" in finished.stdout


def test_a_terminal_whose_encoding_lacks_the_tables_lines_gets_the_table(work: Path, tmp_path: Path) -> None:
    (tmp_path / "sweep.yaml").write_text(yaml.safe_dump(sweep_file(work)))
    done = subprocess.run(
        [sys.executable, "-m", "hptune.cli", "sweep", "--config", "sweep.yaml", "--out", "out"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "neg_log_loss, best first" in done.stdout and "load the model: " in done.stdout
