"""Whole numbers that floats do not tell apart, as ids of groups and labels of classes often are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from hptune.tables import Roles, load_npz, load_table

BIG = 10**18
GROUPS = [BIG + 3, BIG + 1, BIG + 2, -BIG, BIG + 1, BIG]
Load = Callable[[dict[str, Any], Roles], Any]


def from_csv(path: Path) -> Load:
    def load(columns: dict[str, Any], roles: Roles) -> Any:
        pd.DataFrame(columns).to_csv(path / "t.csv", index=False)
        return load_table(path / "t.csv", roles, classifier=True)

    return load


def from_parquet(path: Path) -> Load:
    def load(columns: dict[str, Any], roles: Roles) -> Any:
        pd.DataFrame(columns).to_parquet(path / "t.parquet", index=False)
        return load_table(path / "t.parquet", roles, format="parquet", classifier=True)

    return load


def from_npz(path: Path) -> Load:
    def load(columns: dict[str, Any], roles: Roles) -> Any:
        arrays = {name: np.array(values) for name, values in columns.items() if name != "x"}
        np.savez(path / "t.npz", X=np.array(columns["x"], float)[:, None], **arrays)
        return load_npz(path / "t.npz", roles, classifier=True)

    return load


@pytest.fixture(params=[from_csv, from_parquet, from_npz], ids=lambda make: make.__name__)
def load(request: pytest.FixtureRequest, tmp_path: Path) -> Load:
    made: Load = request.param(tmp_path)
    return made


def test_groups_stay_apart_and_in_their_order(load: Load) -> None:
    columns = {"x": range(6), "y": [0, 1, 0, 1, 0, 1], "g": GROUPS}
    train = load(columns, Roles(target="y", group="g")).train
    assert train.groups.tolist() == np.unique(GROUPS, return_inverse=True)[1].tolist()


def test_classes_stay_apart_and_keep_their_names(load: Load) -> None:
    train = load({"x": range(6), "y": GROUPS}, Roles(target="y")).train
    assert train.classes == tuple(map(str, sorted(set(GROUPS))))
    assert [int(train.classes[code]) for code in train.y] == GROUPS


@pytest.mark.parametrize("cell", ["1e30", "9007199254740993.5", "99999999999999999999999"])
def test_what_is_no_whole_number_of_64_bits_is_a_float(cell: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(f"x,y,g\n1,0,{cell}\n2,1,7\n3,0,7\n")
    train = load_table(tmp_path / "t.csv", Roles(target="y", group="g"), classifier=True).train
    assert train.groups is not None and train.groups.tolist() == [1, 0, 0]
