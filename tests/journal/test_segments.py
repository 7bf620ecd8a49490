"""The writer: what it appends is there, what it cannot write it never half-writes."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixgateway.errors import JournalDamaged, JournalError
from fixgateway.journal import segments
from fixgateway.journal.reader import read, verify
from fixgateway.journal.records import PAYLOAD_BYTES_MAX, Kind, Record
from fixgateway.journal.scan import HEADER_SIZE, list_segments
from fixgateway.journal.segments import Sync, Writer


def fill(directory: Path, count: int, segment_bytes: int = segments.SEGMENT_BYTES) -> None:
    """Write ``count`` records, one batch each."""
    with Writer(directory, segment_bytes=segment_bytes) as writer:
        for number in range(count):
            writer.append(Kind.SEEN, "OMS1", 1_000 + number, b"payload-%d" % number)
            writer.sync()


ENTRIES = st.tuples(
    st.sampled_from(Kind), st.sampled_from(["", "OMS1", "BRK-é"]), st.integers(0, 2**63), st.binary(max_size=300)
)


@settings(max_examples=40, deadline=None)
@given(
    batches=st.lists(st.tuples(st.lists(ENTRIES, max_size=5), st.booleans()), max_size=8),
    sync=st.sampled_from(["group", "always", "never"]),
    segment_bytes=st.sampled_from([HEADER_SIZE, 200, segments.SEGMENT_BYTES]),
)
def test_what_is_appended_is_read_back_across_segments_and_restarts(
    batches: list[tuple[list[tuple[Kind, str, int, bytes]], bool]], sync: Sync, segment_bytes: int
) -> None:
    expected: list[Record] = []
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name, "journal")
        writer = Writer(directory, sync, segment_bytes)
        for entries, restart in batches:
            for kind, session, ts_ns, payload in entries:
                seq = writer.append(kind, session, ts_ns, payload)
                expected.append(Record(seq, ts_ns, kind, session, payload))
            assert writer.sync() == writer.synced_seq == len(expected)
            assert list(read(directory)) == expected
            if restart:
                writer.close()
                writer = Writer(directory, sync, segment_bytes)
                assert writer.torn is None
            assert writer.next_seq == len(expected) + 1
        writer.close()
        found = verify(directory)
        assert found.verified
        assert (found.records, found.last_seq) == (len(expected), len(expected))
    assert [record.seq for record in expected] == list(range(1, len(expected) + 1))


def test_nothing_is_in_the_file_before_sync_and_everything_after(tmp_path: Path) -> None:
    with Writer(tmp_path / "journal") as writer:
        assert writer.append(Kind.SEEN, "OMS1", 1, b"a") == 1
        assert writer.append(Kind.SEEN, "OMS1", 2, b"b") == 2
        assert writer.synced_seq == 0
        assert list(read(tmp_path)) == []
        assert writer.sync() == 2
        assert [record.payload for record in read(tmp_path)] == [b"a", b"b"]


def test_one_batch_is_one_write_and_one_fdatasync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    with Writer(tmp_path) as writer:
        monkeypatch.setattr(os, "write", recording(calls, "write", os.write))
        monkeypatch.setattr(os, "fdatasync", recording(calls, "fdatasync", os.fdatasync))
        for _ in range(50):
            writer.append(Kind.SEEN, "OMS1", 1, b"x")
        writer.sync()
        writer.sync()  # nothing new: nothing to do
        assert calls == ["write", "fdatasync"]


@pytest.mark.parametrize(("sync", "expected"), [("always", 3), ("never", 0)])
def test_the_other_sync_modes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sync: Sync, expected: int) -> None:
    calls: list[str] = []
    with Writer(tmp_path, sync) as writer:
        monkeypatch.setattr(os, "fdatasync", recording(calls, "fdatasync", os.fdatasync))
        for _ in range(3):
            writer.append(Kind.SEEN, "OMS1", 1, b"x")
        assert writer.synced_seq == expected
        writer.sync()
        assert (writer.synced_seq, len(calls)) == (3, expected)


def recording(calls: list[str], name: str, real: Callable[..., Any]) -> Callable[..., Any]:
    """``real``, noting each call."""

    def call(*arguments: Any) -> Any:
        calls.append(name)
        return real(*arguments)

    return call


def test_an_unknown_sync_mode_is_refused(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match=r"journal\.sync is 'sometimes'"):
        Writer(tmp_path, cast(Sync, "sometimes"))


def test_segments_start_where_their_names_say(tmp_path: Path) -> None:
    fill(tmp_path, 10, segment_bytes=150)
    found = list_segments(tmp_path)
    assert len(found) > 2
    assert found[0].path.name == "00000000000000000001.fgj"
    for segment in found:
        assert next(iter(read(tmp_path, segment.first_seq))).seq == segment.first_seq
    assert not list(tmp_path.glob("*.new"))


def test_a_batch_is_never_split_over_segments(tmp_path: Path) -> None:
    with Writer(tmp_path, segment_bytes=100) as writer:
        for _ in range(3):
            for _ in range(4):
                writer.append(Kind.SEEN, "", 1, b"x" * 50)
            writer.sync()
    assert [segment.first_seq for segment in list_segments(tmp_path)] == [1, 5, 9]


def test_only_one_writer_at_a_time(tmp_path: Path) -> None:
    with Writer(tmp_path), pytest.raises(JournalError, match="another process writes the journal"):
        Writer(tmp_path)
    Writer(tmp_path).close()


def test_a_closed_writer_says_so(tmp_path: Path) -> None:
    writer = Writer(tmp_path)
    writer.append(Kind.SEEN, "", 1, b"kept by close")
    writer.close()
    with pytest.raises(JournalError, match="closed"):
        writer.append(Kind.SEEN, "", 1, b"")
    assert [record.payload for record in read(tmp_path)] == [b"kept by close"]


def test_a_payload_that_is_too_big_is_refused_and_the_writer_goes_on(tmp_path: Path) -> None:
    with Writer(tmp_path) as writer:
        writer.append(Kind.SEEN, "", 1, b"before")
        with pytest.raises(JournalError, match=f"{PAYLOAD_BYTES_MAX + 1} bytes"):
            writer.append(Kind.SEEN, "", 1, bytes(PAYLOAD_BYTES_MAX + 1))
        with pytest.raises(JournalError, match="ts_ns -5"):
            writer.append(Kind.SEEN, "", -5, b"")
        assert writer.append(Kind.SEEN, "", 1, b"after") == 2
    assert verify(tmp_path).verified
    assert [record.payload for record in read(tmp_path)] == [b"before", b"after"]


def test_what_is_pending_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "PENDING_BYTES_MAX", 1000)
    with Writer(tmp_path) as writer:
        for _ in range(10):
            writer.append(Kind.SEEN, "", 1, b"x" * 300)
        assert writer.synced_seq == 8  # made durable early
        assert len(list(read(tmp_path))) == 8
        assert writer.sync() == 10


# ---------------------------------------------------------------- torn tails


def test_the_last_two_records_cut_anywhere_are_removed_and_reported(tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    fill(whole, 4)
    (segment,) = list_segments(whole)
    data = segment.path.read_bytes()
    starts = {number + 1: data.index(b"payload-%d" % number) - 8 - 8 - 8 - 1 - 5 for number in (2, 3)}
    for cut in range(starts[3], len(data)):
        sequence = max(number for number, start in starts.items() if start <= cut)
        start, torn = starts[sequence], cut not in starts.values()
        directory = tmp_path / str(cut)
        directory.mkdir()
        (directory / segment.path.name).write_bytes(data[:cut])
        seen = verify(directory)
        assert (seen.records, seen.torn_tail, seen.verified) == (sequence - 1, torn, not torn)
        assert not torn or f"record {sequence} in {segment.path.name} at byte {start} " in seen.damage
        with Writer(directory) as writer:
            assert (writer.next_seq, writer.synced_seq) == (sequence, sequence - 1)
            found = writer.torn and (writer.torn.sequence, writer.torn.offset, writer.torn.length)
            assert found == ((sequence, start, cut - start) if torn else None)
            writer.append(Kind.STOP, "", 9, b"again")
        kept = directory / f"{sequence:020d}.torn"
        assert (kept.read_bytes() if torn else kept.exists()) == (data[start:cut] if torn else False)
        assert verify(directory).verified
        payloads = [b"payload-%d" % number for number in range(sequence - 1)]
        assert [record.payload for record in read(directory)] == [*payloads, b"again"]


@pytest.mark.parametrize("zeros", [1, 7, 8, 16, 5000])
def test_zero_bytes_after_the_last_record_are_a_torn_tail(tmp_path: Path, zeros: int) -> None:
    fill(tmp_path, 2)
    (segment,) = list_segments(tmp_path)
    with segment.path.open("ab") as file:
        file.write(bytes(zeros))
    with Writer(tmp_path) as writer:
        assert writer.torn is not None
        assert (writer.torn.why, writer.next_seq) == ("only zero bytes", 3)
    assert verify(tmp_path).verified


def test_a_batch_of_which_a_power_failure_left_the_beginning_and_zeros_is_a_torn_tail(tmp_path: Path) -> None:
    """The file has the size of all six records; from any byte of the last three on there are only zeros."""
    fill(tmp_path / "whole", 6)
    (segment,) = list_segments(tmp_path / "whole")
    data = segment.path.read_bytes()
    third = data.index(b"payload-2") + len(b"payload-2")
    for cut in range(third, len(data)):
        directory = tmp_path / str(cut)
        directory.mkdir()
        (directory / segment.path.name).write_bytes(data[:cut].ljust(len(data), b"\0"))
        whole = 3 + sum(data.index(b"payload-%d" % number) + 9 <= cut for number in (3, 4, 5))
        seen = verify(directory)
        assert (seen.records, bool(seen.torn_tail)) == (whole, True), (cut, seen.damage)
        with Writer(directory) as writer:
            assert writer.next_seq == whole + 1
        assert verify(directory).verified


def test_zero_bytes_longer_than_any_record_are_not_cut(tmp_path: Path) -> None:
    fill(tmp_path, 2)
    (segment,) = list_segments(tmp_path)
    os.truncate(segment.path, segment.path.stat().st_size + 2 * PAYLOAD_BYTES_MAX)
    with segment.path.open("ab") as file:
        file.write(b"something")
    with pytest.raises(JournalDamaged) as caught:
        Writer(tmp_path)
    assert caught.value.sequence == 3


def test_a_segment_left_unnamed_by_a_crash_does_not_matter(tmp_path: Path) -> None:
    fill(tmp_path, 2)
    (tmp_path / "00000000000000000003.fgj.new").write_bytes(b"FGJ")
    fill(tmp_path, 3, segment_bytes=50)
    assert verify(tmp_path).verified
    assert not list(tmp_path.glob("*.new"))


# ---------------------------------------------------------------- disks that fail


def test_a_failed_sync_ends_the_writer_and_is_not_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []

    def fail(_: int) -> None:
        calls.append("fdatasync")
        raise OSError(errno.EIO, "Input/output error")

    writer = Writer(tmp_path)
    writer.append(Kind.SEEN, "", 1, b"good")
    writer.sync()
    monkeypatch.setattr(os, "fdatasync", fail)
    writer.append(Kind.SEEN, "", 1, b"bad")
    with pytest.raises(JournalError, match="Input/output error"):
        writer.sync()
    monkeypatch.undo()
    with pytest.raises(JournalError, match="durable up to record 1"):
        writer.sync()
    with pytest.raises(JournalError, match="Input/output error"):
        writer.append(Kind.SEEN, "", 1, b"never")
    writer.close()
    assert (calls, writer.synced_seq) == (["fdatasync"], 1)
    assert "Input/output error" in writer.failed
    assert verify(tmp_path).verified


def test_what_a_failed_sync_left_in_memory_is_not_taken_for_good_at_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    writer = Writer(tmp_path)
    writer.append(Kind.SEEN, "", 1, b"durable")
    writer.sync()
    monkeypatch.setattr(os, "fdatasync", fail)
    writer.append(Kind.SEEN, "", 1, b"perhaps lost")
    with pytest.raises(JournalError):
        writer.sync()
    monkeypatch.undo()
    writer.close()
    assert [record.payload for record in read(tmp_path)] == [b"durable"]


@pytest.mark.parametrize("sync", ["group", "never"])
def test_a_new_segment_begins_when_the_old_one_is_durable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sync: Sync
) -> None:
    calls: list[str] = []
    with Writer(tmp_path, sync, segment_bytes=HEADER_SIZE + 1) as writer:
        writer.append(Kind.SEEN, "", 1, b"first")
        writer.sync()
        for name in ("write", "fdatasync", "fsync", "rename"):
            monkeypatch.setattr(os, name, recording(calls, name, getattr(os, name)))
        writer.append(Kind.SEEN, "", 1, b"second")
        writer.sync()
    old, header, named, batch = ["fdatasync"], ["write", "fsync"], ["rename", "fsync"], ["write"]
    assert calls == old + header + named + batch + (["fdatasync"] if sync == "group" else [])


def test_what_a_crash_left_unsynced_is_made_durable_before_anybody_acts_on_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    fill(tmp_path, 2)
    monkeypatch.setattr(os, "fsync", recording(calls, "fsync", os.fsync))
    with Writer(tmp_path) as writer:
        assert (calls, writer.synced_seq) == (["fsync", "fsync"], 2)  # the segment and its directory


def test_a_failed_directory_sync_at_a_new_segment_ends_the_writer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = Writer(tmp_path, segment_bytes=10)
    writer.append(Kind.SEEN, "", 1, b"good")
    writer.sync()
    writer.append(Kind.SEEN, "", 1, b"lost")

    def fail(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(JournalError, match="records 2 to 2"):
        writer.sync()
    monkeypatch.undo()
    with pytest.raises(JournalError):
        writer.append(Kind.SEEN, "", 1, b"never")
    writer.close()
    with Writer(tmp_path) as again:
        assert again.append(Kind.SEEN, "", 1, b"goes on") == 2
    assert verify(tmp_path).verified


def test_an_unexpected_interruption_of_a_write_ends_the_writer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    writer = Writer(tmp_path)
    writer.append(Kind.SEEN, "", 1, b"x")
    monkeypatch.setattr(os, "fdatasync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        writer.sync()
    monkeypatch.undo()
    with pytest.raises(JournalError, match="interrupted"):
        writer.sync()
    writer.close()


FULL_DISK = """
import resource, sys
from pathlib import Path
from fixgateway.errors import JournalError
from fixgateway.journal.segments import Writer
writer = Writer(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
try:
    for number in range(1000):
        for _ in range(7):
            writer.append(3, "OMS1", number, b"x" * 90)
        writer.sync()
except JournalError as error:
    print(writer.synced_seq, error)
"""


def test_a_disk_that_fills_up_in_the_middle_of_a_batch(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path)], capture_output=True, text=True, check=True, timeout=60
    )
    durable = int(ended.stdout.split()[0])
    assert durable > 0
    assert "File too large" in ended.stdout
    seen = verify(tmp_path)
    assert (seen.verified, seen.last_seq) == (True, durable)  # the file ends with the last whole batch
    fill(tmp_path, 3)
    assert verify(tmp_path).last_seq == durable + 3


def test_a_full_disk_where_not_even_cutting_back_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = Writer(tmp_path)
    real = os.write
    left = 100

    def full(fd: int, data: bytes) -> int:
        nonlocal left
        if left == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        done = real(fd, bytes(data)[:left])
        left -= done
        return done

    def fail(*_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    writer.append(Kind.SEEN, "", 1, b"x" * 40)
    writer.append(Kind.SEEN, "", 1, b"y" * 40)
    monkeypatch.setattr(os, "write", full)
    monkeypatch.setattr(os, "ftruncate", fail)
    with pytest.raises(JournalError, match="No space left"):
        writer.sync()
    monkeypatch.undo()
    writer.close()
    with Writer(tmp_path) as again:
        assert again.torn is not None
        assert again.torn.sequence == 2
    assert [record.payload for record in read(tmp_path)] == [b"x" * 40]


ENDLESS = """
import sys
from pathlib import Path
from fixgateway.journal.segments import Writer
writer = Writer(Path(sys.argv[1]), segment_bytes=100_000)
while True:
    for _ in range(50):
        writer.append(3, "OMS1", 1, b"x" * 200)
    print(writer.sync(), flush=True)
"""


def test_kill_9_loses_nothing_that_was_synced(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", ENDLESS, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    promised = [int(process.stdout.readline()) for _ in range(40)]
    process.send_signal(signal.SIGKILL)
    promised += [int(rest) for rest in process.stdout.read().splitlines()]
    process.wait(timeout=30)
    process.stdout.close()
    with Writer(tmp_path) as writer:
        assert writer.synced_seq >= promised[-1]
    assert verify(tmp_path).verified
    assert len(list_segments(tmp_path)) > 1


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(JournalError, match="file/journal"):
        Writer(tmp_path / "file" / "journal")
