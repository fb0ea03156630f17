"""Files that come to the driver from other machines."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from hptune.live import FileServer, Place, send_files
from hptune.live import _files as files
from hptune.live._protocol import decode, encode, new_challenge, proof
from tests.live.impostor import impostor


@pytest.fixture
def root(tmp_path: Path) -> Path:
    place = tmp_path / "children"
    place.mkdir()
    return place


@pytest.fixture
def server(root: Path) -> Iterator[FileServer]:
    with FileServer(root, Place(), most_bytes=1 << 20) as opened:
        yield opened


@pytest.fixture
def left(tmp_path: Path) -> Path:
    place = tmp_path / "left"
    (place / "outputs" / "deep").mkdir(parents=True)
    (place / "outputs" / "deep" / "model.bin").write_bytes(os.urandom(300_000))
    (place / "metrics.jsonl").write_text("{}\n")
    (place / "empty").touch()
    (place / "link").symlink_to("/etc/passwd")
    return place


def content(directory: Path) -> dict[str, bytes]:
    found = (path for path in directory.rglob("*") if path.is_file() and not path.is_symlink())
    return {path.relative_to(directory).as_posix(): path.read_bytes() for path in found}


def test_files_arrive_as_they_are_and_links_stay_behind(server: FileServer, root: Path, left: Path) -> None:
    send_files(server.address, "0001-abc", left)
    assert content(root / "0001-abc") == content(left)
    assert sorted(content(left)) == ["empty", "metrics.jsonl", "outputs/deep/model.bin"]
    assert [path.name for path in root.iterdir()] == ["0001-abc"]
    assert (root / "0001-abc" / "metrics.jsonl").stat().st_mode & 0o077 == 0


def test_a_later_attempt_replaces_an_earlier_one(server: FileServer, root: Path, left: Path) -> None:
    send_files(server.address, "1", left)
    (left / "empty").unlink()
    (left / "more").write_text("more")
    send_files(server.address, "1", left)
    assert content(root / "1") == content(left)


def test_who_does_not_know_the_token_leaves_nothing(
    server: FileServer, root: Path, left: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_PAUSE_SECONDS", 0.0)
    with pytest.raises(OSError, match="did not take the files"):
        send_files(replace(server.address, token="0" * 32), "1", left)
    assert not list(root.iterdir())


def test_a_server_that_does_not_know_the_token_gets_no_more_than_greetings(
    left: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_PAUSE_SECONDS", 0.0)
    with impostor() as server, pytest.raises(OSError, match="files: it does not know the token"):
        send_files(server.address, "1", left)
    assert [decode(greeting).keys() for greeting, _ in server.heard] == [{"answer", "challenge"}] * 3
    assert [after for _, after in server.heard] == [b""] * 3


def test_files_that_are_too_large_are_refused_once(server: FileServer, root: Path, left: Path) -> None:
    (left / "outputs" / "large").write_bytes(bytes(1 << 20))
    with pytest.raises(OSError, match="refused the files: the files are larger than 1,048,576 bytes"):
        send_files(server.address, "1", left)
    assert not list(root.iterdir())


def asked(server: FileServer, header: dict[str, object], body: bytes = b"") -> dict[str, object]:
    """What the server answers to a header from one who knows the token."""
    with socket.create_connection((server.address.host, server.address.port), timeout=5) as connection:
        stream = connection.makefile("rb")
        theirs = decode(stream.readline())
        answer = proof(server.address.token, "client", str(theirs["challenge"]))
        connection.sendall(encode({"answer": answer, "challenge": new_challenge()}))
        decode(stream.readline())
        connection.sendall(encode(header) + body)
        connection.shutdown(socket.SHUT_WR)
        told = decode(stream.readline())
        return decode(stream.readline()) if told == {"accepted": True} else told


@pytest.mark.parametrize(
    ("name", "listed", "refused"),
    [
        ("1", [["../evil", 1]], "leaves its directory"),
        ("1", [["/etc/evil", 1]], "leaves its directory"),
        ("1", [["a/../../evil", 1]], "leaves its directory"),
        ("../evil", [["a", 1]], "no directory's name"),
        (".hidden", [["a", 1]], "no directory's name"),
        ("1", [["a", 1 << 30]], "larger than 1,048,576 bytes"),
        ("1", [["a", -1]], "larger than"),
        ("1", [[str(number), 0] for number in range(10_001)], "10,001 files are more than 10,000"),
        ("1", "a", "no files"),
        ("1", [["a", 2]], "the connection ended"),
    ],
)
def test_what_would_do_harm_is_refused_and_leaves_nothing(
    name: str, listed: object, refused: str, server: FileServer, root: Path
) -> None:
    told = asked(server, {"directory": name, "files": listed}, b"x")
    assert refused in str(told["refused"])
    assert not list(root.iterdir())
    assert not (root.parent / "evil").exists()
