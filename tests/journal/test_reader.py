"""Streaming, following and fetching records."""

from __future__ import annotations

import base64
import threading
from pathlib import Path

import pytest

from fixgateway.errors import JournalDamaged, JournalError, UsageError
from fixgateway.journal import merkle, reader, records, scan, verification
from fixgateway.journal.reader import Finder, Follower, read, read_one, verify
from fixgateway.journal.records import PAYLOAD_BYTES_MAX, Kind
from fixgateway.journal.scan import list_segments
from fixgateway.journal.segments import Writer


def fill(directory: Path, count: int, segment_bytes: int = 1000) -> None:
    with Writer(directory, segment_bytes=segment_bytes) as writer:
        for number in range(1, count + 1):
            writer.append(Kind.SEEN, "OMS1", number, b"payload-%d" % number)
            if number % 5 == 0:
                writer.sync()


def test_reading_starts_anywhere(tmp_path: Path) -> None:
    fill(tmp_path, 100)
    assert len(list_segments(tmp_path)) > 3
    for from_seq in (-1, 0, 1, 2, 37, 99, 100, 101, 500):
        assert [record.seq for record in read(tmp_path, from_seq)] == list(range(max(from_seq, 1), 101))


def test_the_data_directory_will_do_as_well(tmp_path: Path) -> None:
    fill(tmp_path / "journal", 3)
    for directory in (tmp_path, tmp_path / "journal"):
        assert len(list(read(directory))) == 3
        assert verify(directory).verified
        assert read_one(directory, 2).payload == b"payload-2"
        assert len(Follower(directory).poll()) == 3


def test_a_missing_journal_is_a_usage_error(tmp_path: Path) -> None:
    for use in (lambda: list(read(tmp_path)), lambda: Follower(tmp_path), lambda: read_one(tmp_path, 1)):
        with pytest.raises(UsageError, match="no journal in"):
            use()


def test_records_longer_than_a_read_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan, "_BLOCK_BYTES", 10)
    fill(tmp_path, 30)
    assert verify(tmp_path).verified
    assert [record.payload for record in read(tmp_path)] == [b"payload-%d" % n for n in range(1, 31)]


def test_the_biggest_record(tmp_path: Path) -> None:
    with Writer(tmp_path) as writer:
        writer.append(Kind.SEEN, "s" * 255, 1, b"z" * PAYLOAD_BYTES_MAX)
        writer.append(Kind.SEEN, "", 1, b"next")
    assert verify(tmp_path).verified
    assert len(read_one(tmp_path, 1).payload) == PAYLOAD_BYTES_MAX


# ---------------------------------------------------------------- follower


def test_a_follower_gives_each_record_once_across_segments(tmp_path: Path) -> None:
    with Writer(tmp_path, segment_bytes=200) as writer:
        follower = Follower(tmp_path)
        assert follower.poll() == []
        seen = []
        for number in range(1, 60):
            writer.append(Kind.SEEN, "", number, b"payload")
            assert follower.poll() == []  # not written yet
            if number % 3 == 0:
                writer.sync()
                got = follower.poll()
                assert [record.seq for record in got] == [number - 2, number - 1, number]
                seen += got
        assert follower.last_seq == len(seen) == 57
    assert len(list_segments(tmp_path)) > 5
    assert [record.seq for record in follower.poll()] == [58, 59]


def test_a_follower_goes_on_behind_its_watermark_and_within_its_limits(tmp_path: Path) -> None:
    fill(tmp_path, 50)
    follower = Follower(tmp_path, after_seq=20)
    assert [record.seq for record in follower.poll(limit=4)] == [21, 22, 23, 24]
    assert [record.seq for record in follower.poll(up_to_seq=27)] == [25, 26, 27]
    assert follower.poll(up_to_seq=27) == []
    assert follower.poll(up_to_seq=3) == []
    assert follower.poll(limit=0) == []
    assert [record.seq for record in follower.poll()] == list(range(28, 51))
    assert follower.poll() == []


def test_a_follower_may_be_there_before_the_first_segment(tmp_path: Path) -> None:
    directory = tmp_path / "journal"
    directory.mkdir()
    follower = Follower(tmp_path)
    assert follower.poll() == []
    fill(directory, 5)
    assert [record.seq for record in follower.poll()] == [1, 2, 3, 4, 5]


def test_a_follower_sees_only_whole_records(tmp_path: Path) -> None:
    whole, growing = tmp_path / "whole", tmp_path / "growing"
    fill(whole, 4, segment_bytes=10**9)
    growing.mkdir()
    (segment,) = list_segments(whole)
    data = segment.path.read_bytes()
    size = (len(data) - scan.HEADER_SIZE) // 4
    copy = growing / segment.path.name
    copy.write_bytes(data[: scan.HEADER_SIZE])
    follower = Follower(growing)
    seen: list[int] = []
    with copy.open("ab", buffering=0) as file:
        for at in range(scan.HEADER_SIZE, len(data)):
            file.write(data[at : at + 1])
            seen += [record.seq for record in follower.poll()]
            assert seen == list(range(1, 1 + (at + 1 - scan.HEADER_SIZE) // size))
    assert seen == [1, 2, 3, 4]


def test_a_follower_does_not_read_the_start_again(tmp_path: Path) -> None:
    fill(tmp_path, 20)
    follower = Follower(tmp_path)
    assert len(follower.poll()) == 20
    first = list_segments(tmp_path)[0].path
    first.write_bytes(b"gone")
    assert follower.poll() == []


def test_a_follower_beyond_the_end_says_so(tmp_path: Path) -> None:
    fill(tmp_path, 5)
    assert Follower(tmp_path, after_seq=5).poll() == []
    with pytest.raises(JournalError, match=r"records after 6, but the journal in .* ends with 5"):
        Follower(tmp_path, after_seq=6).poll()


def test_a_follower_stops_at_damage(tmp_path: Path) -> None:
    fill(tmp_path, 5, segment_bytes=10**9)
    (segment,) = list_segments(tmp_path)
    data = segment.path.read_bytes()
    segment.path.write_bytes(data.replace(b"payload-3", b"payload-X"))
    with pytest.raises(JournalDamaged) as caught:
        Follower(tmp_path).poll()
    assert caught.value.sequence == 3


def test_a_follower_beside_a_busy_writer(tmp_path: Path) -> None:
    total = 5_000
    failures: list[BaseException] = []

    def write() -> None:
        try:
            with Writer(tmp_path, "never", segment_bytes=20_000) as writer:
                ready.set()
                for number in range(1, total + 1):
                    writer.append(Kind.SEEN, "OMS1", number, b"p" * (number % 200))
                    if number % 7 == 0:
                        writer.sync()
        except BaseException as error:
            failures.append(error)

    ready = threading.Event()
    thread = threading.Thread(target=write)
    thread.start()
    assert ready.wait(10)
    follower = Follower(tmp_path)
    seen: list[int] = []
    finished = False
    while not finished:
        written = not thread.is_alive()  # asked before the poll: an empty poll after the last write is the end
        got = [record.seq for record in follower.poll(limit=100)]
        finished = written and not got
        seen += got
        if not failures and len(seen) % 1000 < 100:
            assert not verify(tmp_path).damage
    thread.join()
    assert not failures
    assert seen == list(range(1, total + 1))


# ---------------------------------------------------------------- single records


def test_single_records_by_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "_MARK_EVERY", 10)
    fill(tmp_path, 95, segment_bytes=2000)
    finder = Finder(tmp_path)
    for seq in (*range(95, 0, -1), *range(1, 96)):
        record = finder.read(seq)
        assert (record.seq, record.payload) == (seq, b"payload-%d" % seq)
        assert read_one(tmp_path, seq) == record


@pytest.mark.parametrize("seq", [-3, 0, 6, 1000])
def test_a_record_that_is_not_there(tmp_path: Path, seq: int) -> None:
    fill(tmp_path, 5)
    with pytest.raises(JournalError, match=f"has no record {seq}"):
        read_one(tmp_path, seq)


def test_places_are_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second fetch does not walk the whole segment again."""
    fill(tmp_path, 5_000, segment_bytes=10**9)
    finder = Finder(tmp_path)
    finder.read(4_900)
    walked = 0
    real = records.extend_crc

    def counting(crc: int, body: bytes) -> int:
        nonlocal walked
        walked += 1
        return real(crc, body)

    monkeypatch.setattr(scan, "extend_crc", counting)
    assert finder.read(4_800).seq == 4_800
    assert walked <= 1000


# ---------------------------------------------------------------- verification


def test_a_whole_journal_is_verified(tmp_path: Path) -> None:
    fill(tmp_path, 20)
    found = verify(tmp_path)
    size = sum(path.stat().st_size for path in tmp_path.glob("*.fgj"))
    root = found.root
    assert found == reader.Verification(20, 1, 20, len(list_segments(tmp_path)), size, False, "", True, root)
    with Writer(tmp_path) as writer:
        assert base64.b64encode(writer.head.root).decode() == root


def test_a_journal_without_records_is_verified(tmp_path: Path) -> None:
    Writer(tmp_path).close()
    root = base64.b64encode(merkle.EMPTY_ROOT).decode()
    assert verify(tmp_path) == reader.Verification(0, 0, 0, 1, scan.HEADER_SIZE, False, "", True, root)


def test_progress_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verification, "_PROGRESS_EVERY", 10)
    monkeypatch.setattr(merkle, "_CHUNK", 5)
    fill(tmp_path, 35)
    told: list[int] = []
    verify(tmp_path, told.append)
    assert told == [10, 20, 30]
