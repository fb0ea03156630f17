"""Work travels to executors in one piece."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np

from hptune.engine._payload import lay_down


def test_a_payload_with_its_content_needs_no_file(tmp_path: Path) -> None:
    rows = np.arange(100_000.0)
    payload = lay_down({"rows": rows, "double": lambda x: 2 * x}, tmp_path).with_content()
    Path(payload.file).unlink()
    loaded = pickle.loads(pickle.dumps(payload)).load()  # noqa: S301 - ours
    assert np.array_equal(loaded["rows"], rows)
    assert loaded["double"](2) == 4
