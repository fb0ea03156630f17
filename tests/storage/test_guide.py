"""The guide's commands, word by word."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from azure.storage.blob import BlobServiceClient

from tests.storage.azurite import running_azurite
from tests.storage.conftest import ROOT

COMMANDS = re.compile(r"^```bash\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@pytest.mark.slow
@pytest.mark.spark
def test_every_command_of_the_guide_runs(tmp_path: Path) -> None:
    (script,) = COMMANDS.findall((ROOT / "docs" / "storage.md").read_text(encoding="utf-8"))
    for name in ("configs", "jobs"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "bin").mkdir()
    for name, arguments in (("hptune", "-m hptune.cli"), ("python", "")):
        program = tmp_path / "bin" / name
        program.write_text(f'#!/bin/sh\nexec {sys.executable} {arguments} "$@"\n')
        program.chmod(0o700)
    with running_azurite(tmp_path / "azurite", account="account") as server:
        client = BlobServiceClient.from_connection_string(server.connection_string)
        for container in ("dataset", "runs"):
            client.create_container(container)
        done = subprocess.run(
            ["sh", "-e", "-x", "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=900,
            env={
                **os.environ, "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT),
                "XDG_CACHE_HOME": str(tmp_path / "cache"),
                "AZURE_STORAGE_CONNECTION_STRING": server.connection_string,
            },
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for name in ("sweeping_results.txt", "predictions.csv", "model.ubj", "best_params.json"):
        copied = (tmp_path / "runs" / "copy" / name).read_bytes()
        assert copied == (tmp_path / "runs" / "local" / name).read_bytes()
