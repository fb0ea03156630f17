"""Copies are verified before they count, resumed after a crash, and never touched while they are used."""

from __future__ import annotations

import os
import random
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hptune.errors import ConfigurationError, HptuneError, InputDataError, OutputError
from hptune.storage import (
    Store,
    cached_copies,
    clear_scratch,
    evict,
    fetch,
    open_store,
    upload,
    write_atomically,
)
from tests.storage.conftest import Container
from tests.storage.proxy import running_proxy

ODD = (" a ", "b.", "c..d", "-e", "%41", "f%2Fg", "h?i#j", "k+l&m=n", "o'p\"q", "😀", "e\u0301", "\u00e9", "r;s,t",
       "[u]{v}", "$w", "~x", "x.part", "a|b<c>", "n" * 240)  # fmt: skip
FILES = {"a.csv": b"id\n1\n", "deep/er/b.bin": os.urandom(9 << 20), "empty": b"", "小米 1%.txt": b"x"}
FILES |= {name: name.encode() for name in ODD}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    for name, content in FILES.items():
        path = tmp_path / "source" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (tmp_path / "source" / "a directory without files").mkdir()
    return tmp_path / "source"


@pytest.fixture(params=["local", "azure"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """A place of each kind, empty."""
    if request.param == "local":
        (tmp_path / "place").mkdir()
        return open_store(str(tmp_path / "place"))
    container: Container = request.getfixturevalue("container")
    return container.store("some/prefix")


def contents(directory: Path) -> dict[str, bytes]:
    files = (path for path in directory.rglob("*") if path.is_file() and not path.name.startswith("."))
    return {path.relative_to(directory).as_posix(): path.read_bytes() for path in files}


def test_what_is_uploaded_comes_back_byte_for_byte(store: Store, source: Path, tmp_path: Path) -> None:
    assert upload(source, store) == (len(FILES), sum(map(len, FILES.values())))
    fetched = fetch(store, tmp_path / "here")
    assert contents(tmp_path / "here") == FILES
    assert fetched.fetched == len(FILES)


def test_what_is_hidden_linked_or_unfinished_stays_behind(store: Store, tmp_path: Path) -> None:
    source = tmp_path / "source"
    for name in (".hidden", ".git/config", "b.bin.part", "b.bin.part.ranges", "kept"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text("x")
    (source / "link").symlink_to(source / "kept")
    (source / "directory").symlink_to(tmp_path)
    upload(source, store)
    assert [file.name for file in store.files()] == ["kept"]


@pytest.mark.parametrize(
    "name", ["a\\b", "C:x", "line\nbreak", b"\xff".decode("utf-8", "surrogateescape"), "n" * 241]
)
def test_a_file_whose_name_could_not_come_back_is_refused(store: Store, tmp_path: Path, name: str) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / name).write_text("x")
    with pytest.raises(InputDataError, match="unsafe name") as caught:
        upload(tmp_path / "source", store)
    assert str(caught.value).isprintable()
    assert store.files() == []


def test_a_file_that_changes_while_it_is_sent_is_told(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "source" / "log.txt"
    path.parent.mkdir()
    path.write_text("one\n")
    put = store.put

    def put_and_grow(source: Path, name: str, sha256: str, md5: str) -> None:
        put(source, name, sha256, md5)
        with path.open("a") as log:
            log.write("two\n")

    monkeypatch.setattr(store, "put", put_and_grow)
    with pytest.raises(InputDataError, match="log.txt changed while it was sent"):
        upload(path.parent, store)


def test_the_second_time_nothing_is_fetched(store: Store, source: Path, tmp_path: Path) -> None:
    upload(source, store)
    fetch(store, tmp_path / "here")
    assert fetch(store, tmp_path / "here").fetched == 0


def test_a_file_that_changed_there_is_fetched_again(store: Store, source: Path, tmp_path: Path) -> None:
    upload(source, store)
    fetch(store, tmp_path / "here")
    (source / "a.csv").write_bytes(b"id\n2\n\n")
    upload(source, store)
    assert fetch(store, tmp_path / "here").fetched == 1
    assert (tmp_path / "here" / "a.csv").read_bytes() == b"id\n2\n\n"


@pytest.mark.parametrize(
    "harm",
    [
        lambda content: content[:-1],
        lambda content: content[:1000] + bytes([content[1000] ^ 4]) + content[1001:],
    ],
    ids=["a byte short", "a bit flipped"],
)
def test_a_damaged_copy_is_noticed_and_fetched_again(
    store: Store, source: Path, tmp_path: Path, harm: Callable[[bytes], bytes]
) -> None:
    upload(source, store)
    with cached_copies(store, store.files(), tmp_path / "cache") as (directory, _):
        victim = directory / "deep" / "er" / "b.bin"
    victim.write_bytes(harm(victim.read_bytes()))
    with cached_copies(store, store.files(), tmp_path / "cache") as (again, fetched):
        assert (again, fetched.fetched) == (directory, 1)
        assert contents(again) == FILES


def test_a_single_blob_is_a_place_too(container: Container, tmp_path: Path) -> None:
    container.put("tables/housing.csv", b"a\n1\n")
    fetch(container.store("tables/housing.csv"), tmp_path / "here")
    assert contents(tmp_path / "here") == {"housing.csv": b"a\n1\n"}


def test_ranges_that_lie_here_damaged_are_fetched_again(container: Container, tmp_path: Path) -> None:
    content = os.urandom(9 << 20)
    container.put("big.bin", content)
    with running_proxy(container.server.port) as proxy:
        store = container.store(port=proxy.port)
        proxy.before = _interrupt_after(proxy.ranges, 2)
        with pytest.raises(HptuneError):
            fetch(store, tmp_path / "here", connections=1)
    part = tmp_path / "here" / "big.bin.part"
    damaged = bytearray(part.read_bytes())
    damaged[5] ^= 1
    part.write_bytes(damaged)
    fetch(container.store(), tmp_path / "here")
    assert (tmp_path / "here" / "big.bin").read_bytes() == content


def _interrupt_after(seen: list[bytes], n_ranges: int) -> Callable[[bytes], None]:
    count = iter(range(100))

    def before(request: bytes) -> None:
        if next(count) >= n_ranges:
            raise ConnectionError

    return before


@pytest.fixture
def memory() -> Iterator[Path]:
    """A directory in memory: a thousand times fsync takes long on a disk."""
    shared = Path("/dev/shm")  # noqa: S108
    with tempfile.TemporaryDirectory(dir=shared if shared.is_dir() else None) as directory:
        yield Path(directory)


def test_garbage_in_manifest_and_ledger_is_survived(memory: Path) -> None:
    (memory / "source").mkdir()
    (memory / "source" / "a.bin").write_bytes(b"0123456789")
    store, here = open_store(str(memory / "source")), memory / "here"
    fetch(store, here)
    manifest = (here / ".hptune-manifest.json").read_bytes()
    ledger = b'{"version": "x", "size": 10, "range": 4194304}\n0 deadbeef\n'
    for seed in range(1000):
        draw = random.Random(seed)  # noqa: S311
        (here / ".hptune-manifest.json").write_bytes(_garbled(manifest, draw))
        (here / "a.bin.part").write_bytes(_garbled(b"0123456789", draw))
        (here / "a.bin.part.ranges").write_bytes(_garbled(ledger, draw))
        (here / "a.bin").unlink(missing_ok=True)
        fetch(store, here, connections=1)
        assert (here / "a.bin").read_bytes() == b"0123456789"


def _garbled(content: bytes, draw: random.Random) -> bytes:
    if draw.random() < 0.3:
        return content[: draw.randrange(len(content))]
    if draw.random() < 0.3:
        return draw.randbytes(draw.randrange(200))
    changed = bytearray(content)
    for _ in range(draw.randint(1, 4)):
        changed[draw.randrange(len(changed))] = draw.randrange(256)
    return bytes(changed)


@pytest.mark.parametrize(
    "name", ["../evil", "/etc/evil", "a/../../evil", "a//b", "C:/evil", "a\\..\\evil", "evil\n", "x" * 300]
)
def test_a_blob_name_that_leads_elsewhere_is_refused(container: Container, tmp_path: Path, name: str) -> None:
    container.put_raw(f"raw/{name}", b"evil")
    with pytest.raises(InputDataError, match="unsafe name") as caught:
        fetch(container.store("raw"), tmp_path / "here" / "below")
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.rglob("*evil*"))


def test_nothing_is_written_through_a_planted_link(source: Path, tmp_path: Path) -> None:
    store, here, elsewhere = open_store(str(source)), tmp_path / "here", tmp_path / "elsewhere"
    elsewhere.mkdir()
    here.mkdir()
    (here / "deep").symlink_to(elsewhere)
    with pytest.raises(OutputError, match="symbolic link"):
        fetch(store, here)
    (here / "deep").unlink()
    (here / "a.csv").unlink()
    (here / "a.csv.part").symlink_to(elsewhere / "target")
    with pytest.raises((OutputError, ConfigurationError)):
        fetch(store, here, [file for file in store.files() if file.name == "a.csv"])
    there = tmp_path / "there"
    there.mkdir()
    for name in (".hptune-lock", ".hptune-manifest.json"):
        (there / name).symlink_to(elsewhere / "target")
    with pytest.raises(OutputError, match="cannot lock"):
        fetch(store, there)
    (there / ".hptune-lock").unlink()
    fetch(store, there)
    assert not list(elsewhere.iterdir())


def test_another_file_under_a_needed_name_is_left_alone(source: Path, tmp_path: Path) -> None:
    here = tmp_path / "here"
    here.mkdir()
    (here / "a.csv").write_bytes(b"mine")
    with pytest.raises(ConfigurationError, match="another file"):
        fetch(open_store(str(source)), here)
    assert (here / "a.csv").read_bytes() == b"mine"


def test_copies_are_private(store: Store, source: Path, tmp_path: Path) -> None:
    upload(source, store)
    with cached_copies(store, store.files(), tmp_path / "cache") as (directory, _):
        for path in (directory.parent, *directory.parent.rglob("*")):
            assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)


def test_nothing_but_copies_is_evicted_from_a_directory_that_the_user_named(
    store: Store, source: Path, tmp_path: Path
) -> None:
    upload(source, store)
    (tmp_path / "files" / "letters").mkdir(parents=True)
    with cached_copies(store, store.files(), tmp_path) as (directory, _):
        pass
    assert evict(tmp_path / "files", 0) == [directory]
    assert (tmp_path / "files" / "letters").is_dir()


def test_the_cache_evicts_the_oldest_first_and_nothing_in_use(
    store: Store, source: Path, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    upload(source, store)
    with cached_copies(store, store.files(), cache) as (used, _):
        (source / "a.csv").write_bytes(b"id\n33\n\n")
        upload(source, store)
        with cached_copies(store, store.files(), cache) as (newer, fetched):
            assert fetched.fetched == 1  # what did not change is shared
        assert evict(cache / "files", 0) == [newer]
        assert contents(used) == FILES
    assert evict(cache / "files", 0) == [used]


def test_a_file_is_replaced_whole_and_what_killed_writers_left_can_be_cleared(tmp_path: Path) -> None:
    target, bystander = tmp_path / "a[1].csv", tmp_path / ".a1.csv.x.tmp"
    bystander.write_text("mine")
    program = (
        "import os, signal, sys; from pathlib import Path; from hptune.storage import write_atomically;"
        "os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL);"
        "write_atomically(Path(sys.argv[1]), 'new')"
    )
    write_atomically(target, "old")
    for _ in range(2):
        killed = subprocess.run([sys.executable, "-c", program, str(target)], timeout=60)
        assert killed.returncode == -signal.SIGKILL
    assert target.read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 4
    clear_scratch(tmp_path, [target.name])
    assert set(tmp_path.iterdir()) == {target, bystander}
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
