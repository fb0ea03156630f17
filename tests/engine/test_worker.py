"""What hptune changes in Spark's Python workers."""

from __future__ import annotations

import gc
import importlib
import os
import sys
import zipfile
import zipimport
from collections.abc import Iterator
from pathlib import Path

import pytest

from hptune.engine._worker import freeze_modules, keep_zip_indexes


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    original = zipimport.zipimporter.invalidate_caches
    path = tmp_path / "modules.zip"
    _write(path, "hptune_zipped_one")
    monkeypatch.syspath_prepend(str(path))
    yield path
    monkeypatch.setattr(zipimport.zipimporter, "invalidate_caches", original)
    for name in ("hptune_zipped_one", "hptune_zipped_two"):
        sys.modules.pop(name, None)
    sys.path_importer_cache.pop(str(path), None)


def _write(path: Path, *modules: str) -> None:
    with zipfile.ZipFile(path, "w") as target:
        for module in modules:
            target.writestr(f"{module}.py", f"NAME = {module!r}\n")


def _times_read(monkeypatch: pytest.MonkeyPatch, archive: Path) -> list[str]:
    read: list[str] = []
    directory = zipimport._read_directory

    def counted(path: str) -> object:
        read.append(path)
        return directory(path)

    monkeypatch.setattr(zipimport, "_read_directory", counted)
    importlib.import_module("hptune_zipped_one")
    for _ in range(3):
        importlib.invalidate_caches()
        with pytest.raises(ModuleNotFoundError):
            importlib.import_module("hptune_zipped_two")
    return [path for path in read if path == str(archive)]


def test_an_unchanged_zip_file_is_not_indexed_again_before_every_task(
    archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = len(_times_read(monkeypatch, archive))
    keep_zip_indexes()
    importlib.invalidate_caches()
    assert before >= 3
    assert len(_times_read(monkeypatch, archive)) == 0


def test_a_zip_file_that_changed_is_indexed_again(archive: Path) -> None:
    keep_zip_indexes()
    importlib.import_module("hptune_zipped_one")
    importlib.invalidate_caches()
    _write(archive, "hptune_zipped_one", "hptune_zipped_two")
    os.utime(archive, ns=(1, 1))  # a clock too coarse to see the change must not decide this test
    importlib.invalidate_caches()
    assert importlib.import_module("hptune_zipped_two").NAME == "hptune_zipped_two"


def test_garbage_is_looked_for_only_among_what_came_after_the_modules() -> None:
    try:
        freeze_modules()
        later: list[object] = []
        freeze_modules()
        looked_at = {id(each) for each in gc.get_objects()}
    finally:
        gc.unfreeze()
    assert id(vars(pytest)) not in looked_at
    assert id(later) in looked_at
