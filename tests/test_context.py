"""A run seen from inside: what it logs, what it is given, and what it hears."""

from __future__ import annotations

import json
import math
import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hptune.context import DIRECTORY_VARIABLE, Run, StepLog, active, begin_run


def test_a_run_outside_of_a_sweep_prints_what_it_logs(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "rows.csv").write_text("a,b\n1,2\n")
    monkeypatch.setenv("HPTUNE_INPUT_rows", str(tmp_path / "rows.csv"))
    run = Run.get_context()
    run.log("loss", 0.5)
    run.log_list("score", [1, 2])
    run.complete()
    assert capsys.readouterr().out == "loss: 0.5\nscore: 1\nscore: 2\n"
    assert not run.should_stop()
    assert run.input_datasets["rows"].to_pandas_dataframe().to_dict("list") == {"a": [1], "b": [2]}
    with pytest.raises(RuntimeError, match="no run of a sweep"):
        Run.get_context(allow_offline=False)


def test_what_one_process_logs_another_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begin_run(tmp_path, "sweep_7", {"--rate": 0.5}, {"rows": "/data/rows.csv"})
    monkeypatch.setenv(DIRECTORY_VARIABLE, str(tmp_path))
    run = Run.get_context()
    assert (run.id, run.params) == ("sweep_7", {"--rate": 0.5})
    assert run.input_datasets["rows"].path == Path("/data/rows.csv")
    with pytest.raises(KeyError, match="no input 'other'; its inputs: rows"):
        run.input_datasets["other"]
    for value in (1, 0.5, np.float32(0.25), np.array(2.0), math.nan, math.inf, "a text", None, [1, 2]):
        run.log("m", value, step=3)
    told = StepLog(tmp_path).values()["m"]
    assert told[:4] == [1.0, 0.5, 0.25, 2.0] and math.isnan(told[4]) and told[5:] == [math.inf]
    for line in (tmp_path / "metrics.jsonl").read_text().splitlines():
        assert json.loads(line, parse_constant=pytest.fail)["step"] == 3


def test_a_line_that_is_under_way_is_read_when_it_is_whole(tmp_path: Path) -> None:
    log, file = StepLog(tmp_path), tmp_path / "metrics.jsonl"
    assert log.read() == ([], 0)
    log.add("m", 1)
    found, end = log.read()
    assert found == [("m", 1.0)] and end == file.stat().st_size
    with file.open("a") as stream:
        stream.write('{"name": "m", "va')
    assert log.read(end) == ([], end)
    with file.open("a") as stream:
        stream.write('lue": 2}\nnot ours\n{"name": "m"}\n' + "[" * 3000 + "\n")
    assert log.read(end)[0] == [("m", 2.0)]


def test_a_run_hears_that_it_should_stop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begin_run(tmp_path, "sweep_7", {}, {})
    monkeypatch.setenv(DIRECTORY_VARIABLE, str(tmp_path))
    run, log = Run.get_context(), StepLog(tmp_path)
    assert not run.should_stop() and not log.heeded()
    log.stop()
    assert not log.heeded()
    assert run.should_stop() and log.heeded()


def test_threads_have_runs_of_their_own() -> None:
    seen: dict[str, str] = {}
    both = threading.Barrier(2)

    def work(name: str) -> None:
        with active(Run(name)):
            both.wait(30)
            seen[name] = Run.get_context().id

    threads = [threading.Thread(target=work, args=(name,)) for name in ("a", "b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == {"a": "a", "b": "b"}
    assert Run.get_context().id == "offline"


def test_tables_of_every_kind_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = pd.DataFrame({"a": [1, 2], "b": [0.5, 1.5]})
    (tmp_path / "many").mkdir()
    table.to_csv(tmp_path / "many" / "0.csv", index=False)
    table.to_csv(tmp_path / "many" / "1.csv", index=False)
    table.to_csv(tmp_path / "t.tsv", index=False, sep="\t")
    table.to_parquet(tmp_path / "t.parquet")
    table.to_json(tmp_path / "t.jsonl", orient="records", lines=True)
    for name in ("t.tsv", "t.parquet", "t.jsonl", "many"):
        read = Run(inputs={"rows": str(tmp_path / name)}).input_datasets["rows"].to_pandas_dataframe()
        assert read.head(2).equals(table), name
    assert len(read) == 4
    (tmp_path / "t.bin").touch()
    with pytest.raises(ValueError, match="holds no table"):
        Run(inputs={"rows": str(tmp_path / "t.bin")}).input_datasets["rows"].to_pandas_dataframe()
