"""What is wrong with files, labels, features, names: one line with its place, before anything is fitted."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.chaos.rows import TRIES, Figures, row
from tests.chaos.sweeps import Done, Home, local_spark, sweep_file
from tests.chaos.tables import Table
from tests.garbage import garbled

Damage = Callable[[list[bytes]], list[bytes]]


def cell(line: bytes, column: int, value: bytes) -> bytes:
    cells = line.split(b",")
    cells[column] = value
    return b",".join(cells)


def at(number: int, change: Callable[[bytes], bytes]) -> Damage:
    """The change of one line, counted from 1, the header's."""
    return lambda lines: [change(line) if n == number else line for n, line in enumerate(lines, 1)]


def damaged(home: Home, damage: Damage, ending: bytes = b"\n") -> Path:
    path = home.directory / "damaged.csv"
    path.write_bytes(ending.join([*damage(home.data.read_bytes().splitlines()), b""]))
    return path


def sweep_of(home: Home, path: Path, *arguments: str, **keys: object) -> Done:
    return home.quick(sweep_file(path, seconds=0.0, **keys), *arguments)


STRICT: dict[str, tuple[Damage, str]] = {
    "duplicate ids": (lambda lines: [*ids(lines)[:9], *ids(lines)[5:]], ":10"),
    "a ragged row, too long": (at(7, lambda line: line + b",1"), ":7"),
    "a ragged row, too short": (at(7, lambda line: line.rsplit(b",", 1)[0]), ":7"),
    "a NUL byte": (at(9, lambda line: cell(line, 3, b"1\x002")), ":9"),
    "latin-1": (at(11, lambda line: cell(line, 2, "é".encode("latin-1"))), ":11"),
    "an unterminated quote": (at(13, lambda line: cell(line, 1, b'"1')), ":13:2"),
    "blank rows": (lambda lines: [*lines[:20], b"", b"", *lines[20:]], ":21"),
    "an ill-typed cell": (at(15, lambda line: cell(line, 4, b"abc")), ":15:5"),
}


def ids(lines: list[bytes]) -> list[bytes]:
    return [b"id," + lines[0], *(b"%d,%s" % (number, line) for number, line in enumerate(lines[1:]))]


@row(
    38,
    "CSV: duplicate ids, blank rows, ragged rows, NUL, latin-1, open quote, ill-typed cells, strict",
    short=1,
)
@pytest.mark.parametrize("fault", sorted(STRICT))
def test_a_bad_csv_is_refused_with_its_place(home: Home, fault: str) -> None:
    damage, place = STRICT[fault]
    path = damaged(home, damage)
    done = sweep_of(home, path, *(("--id", "id") if "ids" in fault else ()))
    assert done.code == 3, done.errors
    assert f"{path}{place}" in done.error
    assert not done.journal


@row(38, "CSV: BOM, CRLF", short=1)
@pytest.mark.parametrize("fault", ["BOM", "CRLF"])
def test_odd_but_sound_csv_gives_the_same_table(home: Home, ref: Table, fault: str) -> None:
    def damage(lines: list[bytes]) -> list[bytes]:
        return [b"\xef\xbb\xbf" + lines[0], *lines[1:]] if fault == "BOM" else lines

    done = sweep_of(home, damaged(home, damage, b"\r\n" if fault == "CRLF" else b"\n"))
    assert done.code == 0, done.errors
    assert done.table.sha256 == ref.sha256


@row(38, "CSV: bad rows, lenient", short=1)
def test_lenient_reading_keeps_count(home: Home) -> None:
    path = damaged(home, at(7, lambda line: line + b",1"))
    done = sweep_of(home, path, "--set", "data.strict=false")
    assert done.code == 0, done.errors
    rejected = (done.out / "rejects.csv").read_text().splitlines()
    assert len(rejected) == 2 and "399" in done.errors


LABELS: dict[str, tuple[Damage, str]] = {
    "NaN": (at(8, lambda line: cell(line, 10, b"nan")), ":8:11: 'label' is the target and missing"),
    "infinite": (at(8, lambda line: cell(line, 10, b"inf")), ":8:11: 'label' is the target and infinite"),
    "blank": (at(8, lambda line: cell(line, 10, b"")), ":8:11: 'label' is the target and missing"),
    "one class": (
        lambda lines: [lines[0], *(cell(line, 10, b"1") for line in lines[1:])],
        "the target 'label' is the same in all 400 rows",
    ),
}


@row(39, "labels NaN, infinite, blank, of one class only", short=1)
@pytest.mark.parametrize("fault", sorted(LABELS))
def test_a_label_that_is_none_is_refused(home: Home, fault: str) -> None:
    damage, what = LABELS[fault]
    path = damaged(home, damage)
    done = sweep_of(home, path)
    assert done.code == 3, done.errors
    assert what in done.error
    assert "Traceback" not in done.errors and "terminate called" not in done.errors
    assert not done.journal


FEATURES: dict[str, tuple[Damage, str]] = {
    "infinite": (at(8, lambda line: cell(line, 3, b"inf")), ":8:4: 'x3' is infinite"),
    "no rows": (lambda lines: lines[:1], " has a header but no rows"),
}


@row(40, "features infinite; no rows", short=1)
@pytest.mark.parametrize("fault", sorted(FEATURES))
def test_features_that_are_none_are_refused(home: Home, fault: str) -> None:
    damage, what = FEATURES[fault]
    path = damaged(home, damage)
    done = sweep_of(home, path)
    assert done.code == 3, done.errors
    assert f"{path}{what}" in done.error
    assert not done.journal


@row(40, "a column that is missing in every row", short=1)
def test_a_column_that_is_all_missing_is_told(home: Home) -> None:
    path = damaged(home, lambda lines: [lines[0], *(cell(line, 6, b"") for line in lines[1:])])
    boosters = {"estimator": "xgboost.XGBClassifier", "search_space": {"n_estimators": [2, 4]}}
    done = sweep_of(home, path, **boosters)
    assert done.code == 0, done.errors
    assert "'x6'" in done.errors and "missing" in done.errors


@row(41, "a misspelt parameter", short=1)
def test_a_misspelt_parameter_is_guessed_before_spark_starts(home: Home, figures: Figures) -> None:
    config = sweep_file(home.data) | {"search_space": {"max_detph": [2, 3]}}
    for estimator in ("xgboost.XGBClassifier", "tests.chaos.estimators.Learner"):
        config |= {"estimator": estimator, **local_spark()}
        done = home.sweep(config, env={"JAVA_HOME": "/nonexistent"})
        assert done.code == 2, done.errors
        assert "did you mean 'max_depth'?" in done.error
        figures["seconds"] = done.seconds


NAMES = (
    "x" * (1 << 20),
    "🙂",
    "=cmd()|' /C calc'!A0",
    "<script>alert(1)</script>",
    "a\nb",
    "[",
    "<",
    "@SUM(1)",
)


@row(42, "category names of 1 MiB, emoji, formulas, markup, newlines, brackets", short=1)
def test_hostile_names_give_the_scores_of_plain_ones(home: Home) -> None:
    random_state = np.random.default_rng(0)
    codes = random_state.integers(len(NAMES), size=120)
    labels = (codes + random_state.integers(3, size=120)) % 2
    done = []
    plain = [
        f"n{sorted(NAMES).index(name)}" for name in NAMES
    ]  # in the same order: a category's number is its rank
    for kind, names in (("plain", plain), ("hostile", NAMES)):
        texts = [names[code] for code in codes]
        table = pd.DataFrame({"[<=@" if kind == "hostile" else "name": texts, "label": labels})
        table.to_parquet(home.directory / f"{kind}.parquet")
        config = sweep_file(home.directory / f"{kind}.parquet")
        config |= {"estimator": "xgboost.XGBClassifier", "search_space": {"n_estimators": [2, 9]}}
        done.append(home.quick(config, out=kind))
        assert done[-1].code == 0, done[-1].errors
    assert done[0].table.sha256 == done[1].table.sha256
    for path in done[1].out.iterdir():
        if path.suffix in (".csv", ".html", ".txt"):
            assert "<script>" not in path.read_text()
            assert not any(line.startswith(("=", "@")) for line in path.read_text().splitlines())


@row(43, "truncated or garbage model", tries=20)
def test_a_garbage_model_is_an_error_and_no_crash(home: Home, seed: int, figures: Figures) -> None:
    chosen = random.Random(seed)
    config = sweep_file(home.data)
    config |= {"estimator": "xgboost.XGBClassifier", "search_space": {"n_estimators": [2, 4]}}
    out = home.quick(config).out
    whole = (out / "model.ubj").read_bytes()
    figures[TRIES] = 16
    for _ in range(16):
        (out / "model.ubj").write_bytes(garbled(whole, chosen))
        done = home.start(None, str(out), "--engine", "serial", verb="explain", how="warm").wait()
        assert 0 <= done.code <= 8 and done.code != 1, (done.code, done.errors)
        assert "Traceback" not in done.errors and "terminate called" not in done.errors


@row(43, "truncated or garbage files in the cache", tries=20)
def test_a_garbage_cache_is_built_again(home: Home, ref: Table, seed: int, figures: Figures) -> None:
    chosen = random.Random(seed)
    done = home.quick(sweep_file(home.data, seconds=0.0))
    files = sorted(path for path in (home.directory / "cache").rglob("*") if path.is_file())
    figures[TRIES] = 16
    for number in range(16):
        for path in files:
            path.write_bytes(garbled(path.read_bytes() or b"\0", chosen))
        done = home.quick(sweep_file(home.data, seconds=0.0), out=f"out{number}")
        assert done.code == 0, done.errors
        assert done.table.sha256 == ref.sha256
        assert json.loads((done.out / "best_params.json").read_text())
