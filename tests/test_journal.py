"""A journal is read back to the last bit, whatever cut it off, and damage is told and never hidden."""

from __future__ import annotations

import io
import json
import math
import os
import random
import signal
import subprocess
import sys
import threading
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hptune.errors import OutputError
from hptune.interrupts import Stopped, stoppable
from hptune.journal import (
    FORMAT,
    KEY_DIGITS,
    Journal,
    Kept,
    decode_outcome,
    encode_outcome,
    encode_record,
    find_journal,
    key_of,
    read_journal,
)
from hptune.records import Outcome
from tests.builders import examples, outcome
from tests.garbage import garbled

HEADER = {"record": "header", "format": FORMAT, "name": "é"}


def key(number: int) -> str:
    return f"{number:0{KEY_DIGITS}x}"


def written(path: Path, count: int = 3) -> bytes:
    with Journal(path, HEADER) as journal:
        journal.append([(key(number), outcome(number, score=number / 3)) for number in range(count)])
    return path.read_bytes()


def candidates(kept: Kept) -> list[int]:
    return [decode_outcome(line).candidate for session in kept.sessions for line in session.outcomes]


@given(
    record=st.dictionaries(
        st.text(max_size=5).filter(lambda key: key != "crc32"),
        st.integers() | st.text(max_size=9),
        min_size=1,
    )
)
def test_a_records_checksum_is_that_of_all_before_it(record: dict[str, int | str]) -> None:
    line = encode_record(record)
    body, _, rest = line.rpartition(b',"crc32":"')
    assert line.count(b"\n") == 1 and line.endswith(b'"}\n')
    assert int(rest[:8], 16) == zlib.crc32(body)
    assert {key: value for key, value in json.loads(line).items() if key != "crc32"} == record


@given(text=st.text(max_size=50), score=st.floats(), number=st.none() | st.integers(0, 2**128 - 1))
def test_an_outcome_is_read_back_to_the_last_bit(text: str, score: float, number: int | None) -> None:
    sent = Outcome(1, 2, "failed", {"score": score}, error=text, fit_time=0.1, host="h", attempts=2)
    named = None if number is None else key(number)
    line = encode_outcome(sent, named)
    assert repr(decode_outcome(line)) == repr(sent)
    assert key_of(line) == named
    assert {"record", "crc32"} < json.loads(line).keys()


def test_a_pickled_exception_never_reaches_the_file() -> None:
    assert b"SECRET" not in encode_outcome(outcome(0, raised="SECRET"), None)


def test_outcomes_are_on_disk_when_append_returns(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    with Journal(path, HEADER) as journal:
        for number in range(3):
            journal.append([(None, outcome(number, score=math.inf, error="🙂\n")), (None, outcome(9))])
            assert len(path.read_bytes().splitlines()) == 2 * number + 3
    header, *records = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert (header["record"], header["name"]) == ("header", "é")
    assert [record["candidate"] for record in records] == [0, 9, 1, 9, 2, 9]
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_batch_is_one_write_and_one_fsync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    fsync = os.fsync
    with Journal(tmp_path / "journal", HEADER) as journal:
        monkeypatch.setattr(os, "fsync", lambda file: (synced.append(file), fsync(file)))
        journal.append([(None, outcome(number)) for number in range(100)])
    assert len(synced) == 1


def test_a_journal_overwrites_nothing_and_follows_no_link(tmp_path: Path) -> None:
    (tmp_path / "held").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    for name in ("held", "link"):
        with pytest.raises(OutputError, match="cannot write the journal"):
            Journal(tmp_path / name, HEADER)
    assert (tmp_path / "held").read_text() == "mine"
    assert not (tmp_path / "target").exists()
    with pytest.raises(OutputError, match="cannot read the journal"):
        read_journal(tmp_path / "link")


def test_a_journal_that_is_not_there_is_none(tmp_path: Path) -> None:
    assert find_journal(tmp_path / "journal") is None
    with pytest.raises(OutputError, match="there is no journal .*/journal"):
        read_journal(tmp_path / "journal")


def test_what_a_journal_holds_tells_when_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with Journal(path, HEADER):
        pass
    os.utime(path, (1.0, 2.0))
    assert read_journal(path).written == 2.0


def test_sessions_follow_one_another(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with Journal(path, HEADER) as journal:
        journal.append([(key(0), outcome(0))])
        journal.record({"record": "stopped", "reason": "why not"})
    kept = read_journal(path)
    with Journal(path, {"record": "resumed"}, keep=kept.end) as journal:
        journal.append([(key(1), outcome(1)), (key(2), outcome(2))])
        journal.record({"record": "finished"})
    first, second = read_journal(path).sessions
    assert (first.first["name"], len(first.outcomes)) == ("é", 1)
    assert first.endings[0]["reason"] == "why not"
    assert (second.first["record"], len(second.outcomes), len(second.endings)) == ("resumed", 2, 1)


def test_a_journal_that_grows_is_read_on(tmp_path: Path) -> None:
    path, outcomes = tmp_path / "journal.jsonl", [outcome(number) for number in range(3)]
    with Journal(path, HEADER) as journal:
        kept = read_journal(path)
        journal.append([(None, outcomes[0])])
        kept = read_journal(path, kept)
        assert [decode_outcome(line) for line in kept.sessions[0].outcomes] == outcomes[:1]
        journal.append((None, each) for each in outcomes[1:])
        journal.record({"record": "finished"})
    kept = read_journal(path, kept)
    assert kept == read_journal(path) and read_journal(path, kept) == kept
    with path.open("ab") as stream:
        stream.write(b"{}\n{}\n")
    with pytest.raises(OutputError, match="journal.jsonl:6: the record is damaged"):
        read_journal(path, kept)


def test_a_last_record_cut_at_any_byte_is_dropped_and_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    whole = written(path)
    last = whole.rindex(b"\n", 0, -1) + 1
    for size in range(last, len(whole)):
        path.write_bytes(whole[:size])
        kept = read_journal(path)
        assert (candidates(kept), kept.end, kept.torn) == ([0, 1], last, size > last)
        with Journal(path, {"record": "resumed"}, keep=kept.end) as journal:
            journal.append([(key(2), outcome(2))])
        again = read_journal(path)
        assert (candidates(again), again.torn) == ([0, 1, 2], False)


def test_a_header_cut_at_any_byte_is_nothing_kept(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    header = written(path, 0)
    for size in range(len(header)):
        path.write_bytes(header[:size])
        kept = read_journal(path)
        assert (kept.sessions, kept.end, kept.torn) == ([], 0, size > 0)


def test_a_flipped_byte_in_any_record_but_the_last_is_told_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    whole = written(path)
    lines = whole.splitlines(keepends=True)
    starts = [sum(map(len, lines[:number])) for number in range(len(lines))]
    for at in range(starts[-1] - 1):
        damaged = whole[:at] + bytes([whole[at] ^ 0x20]) + whole[at + 1 :]
        path.write_bytes(damaged)
        number = sum(start <= at for start in starts)
        with pytest.raises(OutputError, match=rf"journal:{number}: the record is damaged") as told:
            read_journal(path)
        assert told.value.exit_code == 7
        assert path.read_bytes() == damaged


def test_what_is_read_on_is_told_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with Journal(path, HEADER) as journal:
        journal.record({"record": "curve", "key": key(0), "values": [[1, 0.5], [2, None]]})
        journal.record({"record": "curve", "values": [[1, 0.5]], "rungs": [[0, None], [1, 7]]})
        kept = read_journal(path)
        journal.append([(key(0), outcome(0)), (key(1), outcome(1))])
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:3], lines[3][:-9] + b"0" * 8 + b"\n", lines[4]]))
    with pytest.raises(OutputError, match="journal:4: the record is damaged"):
        read_journal(path, kept)


def test_a_record_that_is_being_written_is_no_damage(tmp_path: Path) -> None:
    """A reader beside the writer: whatever it sees is whole records and at most one that is not whole yet."""
    path = tmp_path / "journal"
    done = threading.Event()

    def write() -> None:
        try:
            with Journal(path, HEADER) as journal:
                for number in range(300):
                    journal.append([(key(number), outcome(number, error="x" * 900))] * 3)
        finally:
            done.set()

    writer = threading.Thread(target=write)
    writer.start()
    seen = 0
    while not done.is_set():
        if path.exists():
            count = len(candidates(read_journal(path)))
            assert count >= seen
            seen = count
    writer.join()
    assert len(candidates(read_journal(path))) == 900


@pytest.mark.parametrize(
    "record",
    [
        {"record": "header", "format": FORMAT + 1},
        {"record": "news"},
        {"record": "resumed"},
        {"record": "outcome"},
        {"name": "x"},
    ],
)
def test_what_another_version_wrote_is_refused(tmp_path: Path, record: dict[str, object]) -> None:
    (tmp_path / "journal").write_bytes(encode_record(record))
    with pytest.raises(OutputError, match="not written by this version"):
        read_journal(tmp_path / "journal")


@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity"])
def test_what_is_no_strict_json_is_refused(tmp_path: Path, constant: str) -> None:
    body = b'{"record":"header","format":%s' % constant.encode()
    (tmp_path / "journal").write_bytes(body + b',"crc32":"%08x"}\n' % zlib.crc32(body))
    with pytest.raises(OutputError):
        read_journal(tmp_path / "journal")


def read_everything(path: Path) -> None:
    """As a resumption does; every error is one that says what it is."""
    try:
        for session in read_journal(path).sessions:
            for line in session.outcomes:
                key_of(line)
                decode_outcome(line)
    except OutputError as error:
        assert error.what and error.mend


def test_garbage_never_crashes_or_hangs(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    whole = written(path)
    for seed in range(1_000):
        chance, damaged = random.Random(seed), whole  # noqa: S311 - repeatable garbage
        for _ in range(chance.randint(1, 4)):
            damaged = garbled(damaged or b"\0", chance)
        path.write_bytes(damaged)
        read_everything(path)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=6,
)


@given(
    kind=st.sampled_from(["header", "resumed", "outcome", "finished"]),
    told=st.dictionaries(
        st.sampled_from(["candidate", "fold", "status", "test_scores", "fit_time", "format", "error", "odd"]),
        JSON,
    ),
)
@settings(max_examples=examples(10))
def test_records_that_nobody_wrote_never_crash(
    tmp_path_factory: pytest.TempPathFactory, kind: str, told: dict[str, object]
) -> None:
    path = tmp_path_factory.mktemp("odd") / "journal"
    finite = json.loads(json.dumps(told).replace("Infinity", "1"))
    path.write_bytes(encode_record(HEADER) + encode_record({"record": kind, **finite}) * 2)
    read_everything(path)


def test_a_full_disk_leaves_whole_records(tmp_path: Path) -> None:
    """Half of a record is taken back, so that what is written once there is room does not follow it."""
    script = """
import resource, signal, sys
from pathlib import Path
from hptune.errors import OutputError
from hptune.journal import Journal, read_journal
from hptune.records import Outcome
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
path = Path(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
with Journal(path, {"record": "header", "format": 1}) as journal:
    for number in range(100):
        try:
            journal.append([(None, Outcome(number, 0, "ok", {}))])
        except OutputError:
            break
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    try:
        journal.append([(None, Outcome(99, 0, "ok", {}))])
    except OutputError as error:
        kept = read_journal(path)
        print(number, len(kept.sessions[0].outcomes), kept.torn, error.mend)
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "journal")],
        capture_output=True, text=True, cwd=Path(__file__).parents[1], check=True,
    )  # fmt: skip
    written, kept, rest = done.stdout.split(maxsplit=2)
    assert int(written) == int(kept) > 0
    assert rest.strip() == "False make room or choose another --out"


def test_what_stops_the_sweep_waits_for_the_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "journal"
    synced: list[int] = []
    fsync = os.fsync

    def interrupted(file: int) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        fsync(file)
        synced.append(file)

    with stoppable(), Journal(path, HEADER) as journal, pytest.raises(Stopped):
        monkeypatch.setattr(os, "fsync", interrupted)
        journal.append([(None, outcome(0))])
    assert len(synced) == 1
    assert candidates(read_journal(path)) == [0]


def test_a_record_of_which_half_was_there_when_it_was_read_is_no_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = written(tmp_path / "journal")

    class Growing(io.BytesIO):
        """The second record's end is written after its beginning was read."""

        reads = 0

        def readline(self, size: int | None = -1, /) -> bytes:
            line = super().readline(size)
            self.reads += 1
            if self.reads != 2:
                return line
            self.seek(-20, io.SEEK_CUR)
            return line[:-20]

    monkeypatch.setattr("hptune.journal.open", lambda *_, **__: Growing(content), raising=False)
    kept = read_journal(tmp_path / "journal")
    assert (candidates(kept), kept.torn) == ([], True)


def test_a_closed_journal_is_an_output_error(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal", HEADER)
    journal.close()
    journal.close()
    with pytest.raises(OutputError):
        journal.append([(None, outcome(0))])
