"""The emulator that the tests run against."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.storage.azurite import installed, node_command, running_azurite
from tests.storage.conftest import new_container


def test_it_runs_where_the_machine_has_no_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert Path(node_command("npm")[1]).is_file()
    with running_azurite(tmp_path / "azurite") as server:
        assert new_container(server).exists()
