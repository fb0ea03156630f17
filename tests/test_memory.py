"""The memory that may be used is what the nearest control group leaves."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hptune.memory import memory_limit

PHYSICAL = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
SOME, LESS = PHYSICAL // 2, PHYSICAL // 4
V2, V1 = "memory.max", "memory.limit_in_bytes"


def host(root: Path, membership: str, **limits: object) -> Path:
    (root / "proc" / "self").mkdir(parents=True)
    (root / "proc" / "self" / "cgroup").write_text(membership)
    for place, limit in limits.items():
        file = root / "sys" / "fs" / "cgroup" / place
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{limit}\n")
    return root


@pytest.mark.parametrize(
    ("membership", "limits", "expected"),
    [
        ("0::/\n", {V2: SOME}, SOME),
        ("0::/\n", {V2: "max"}, PHYSICAL),
        ("0::/a/b\n", {f"a/b/{V2}": "max", f"a/{V2}": SOME}, SOME),
        ("0::/a/b\n", {f"a/b/{V2}": LESS, f"a/{V2}": SOME}, LESS),
        ("0::/not/seen/from/in/here\n", {V2: SOME}, SOME),
        ("3:cpu,cpuacct:/x\n2:memory:/a\n", {f"memory/a/{V1}": SOME}, SOME),
        ("2:memory:/not/seen\n", {f"memory/{V1}": LESS}, LESS),
        ("2:memory:/a\n", {f"memory/a/{V1}": 2**63 - 4096}, PHYSICAL),
        ("1:name=systemd:/a:b\n0::/\n", {V2: SOME}, SOME),
        ("", {}, PHYSICAL),
    ],
)
def test_the_least_limit_counts(
    membership: str, limits: dict[str, object], expected: int, tmp_path: Path
) -> None:
    assert memory_limit(host(tmp_path, membership, **limits)) == expected


def test_a_host_without_control_groups_has_all_its_memory(tmp_path: Path) -> None:
    assert memory_limit(tmp_path) == PHYSICAL


def test_here_there_is_some() -> None:
    assert 0 < memory_limit() <= PHYSICAL
