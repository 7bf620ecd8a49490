"""Segments end by size and by day; finished ones are read-only, may be compressed, and are read as before."""

from __future__ import annotations

import fcntl
import gzip
import os
import shutil
import stat
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixgateway.errors import JournalDamaged, JournalError
from fixgateway.journal import compress as compressing
from fixgateway.journal.compress import compress
from fixgateway.journal.reader import Finder, Follower, read, verify
from fixgateway.journal.records import Kind
from fixgateway.journal.scan import list_segments
from fixgateway.journal.segments import Writer

DAY_NS = 86_400 * 10**9


def fill(directory: Path, count: int = 40, segment_bytes: int = 300) -> None:
    with Writer(directory, segment_bytes=segment_bytes) as writer:
        for _ in range(count):
            writer.append(Kind.SEEN, "OMS1", 1, b"payload-%d" % writer.next_seq)
            writer.sync()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# ---------------------------------------------------------------- days


def firsts(directory: Path) -> list[int]:
    return [segment.first_seq for segment in list_segments(directory)]


def test_a_new_day_starts_a_new_segment(tmp_path: Path) -> None:
    days = [0, 0, 1, 1, 1, 0, 1, 2, 5]  # a record stamped before midnight may be written after it
    with Writer(tmp_path) as writer:
        for number, day in enumerate(days):
            writer.append(Kind.SEEN, "", day * DAY_NS + number, b"x")
            writer.sync()
    assert firsts(tmp_path) == [1, 3, 8, 9]
    assert verify(tmp_path).records == len(days)


def test_the_day_is_that_of_the_batchs_first_record_and_survives_a_restart(tmp_path: Path) -> None:
    with Writer(tmp_path) as writer:
        writer.append(Kind.SEEN, "", DAY_NS - 1, b"before midnight")
        writer.append(Kind.SEEN, "", DAY_NS, b"in the same batch")
        writer.sync()
    for day, expected in ((0, [1]), (1, [1, 4]), (1, [1, 4]), (2, [1, 4, 6])):
        with Writer(tmp_path) as writer:
            writer.append(Kind.SEEN, "", day * DAY_NS + 5, b"x")
        assert firsts(tmp_path) == expected
    assert verify(tmp_path).verified


def test_an_empty_segment_takes_any_day(tmp_path: Path) -> None:
    Writer(tmp_path).close()
    with Writer(tmp_path, segment_bytes=1) as writer:
        writer.append(Kind.SEEN, "", 9 * DAY_NS, b"x")
    assert firsts(tmp_path) == [1]


def test_finished_segments_are_read_only(tmp_path: Path) -> None:
    fill(tmp_path)
    *finished, last = list_segments(tmp_path)
    assert len(finished) > 3
    assert {mode(segment.path) for segment in finished} == {0o440}
    assert mode(last.path) == 0o640
    finished[0].path.chmod(0o644)
    Writer(tmp_path).close()
    assert mode(finished[0].path) == 0o440


# ---------------------------------------------------------------- compressing


def test_everything_reads_a_compressed_journal_as_before(tmp_path: Path) -> None:
    fill(tmp_path)
    before = list(read(tmp_path))
    root = verify(tmp_path).root
    segments = list_segments(tmp_path)
    done = list(compress(tmp_path))
    assert [item.path.name for item in done] == [f"{segment.path.name}.gz" for segment in segments[:-1]]
    assert {mode(item.path) for item in done} == {0o440}
    assert not any(segment.path.exists() for segment in segments[:-1])
    assert segments[-1].path.exists()
    assert list(read(tmp_path)) == before
    assert list(read(tmp_path, 17)) == before[16:]
    assert Follower(tmp_path, 5).poll() == before[5:]
    finder = Finder(tmp_path)
    assert [finder.read(seq) for seq in (40, 3, 17)] == [before[39], before[2], before[16]]
    found = verify(tmp_path)
    assert (found.verified, found.root, found.segments) == (True, root, len(segments))
    assert list(compress(tmp_path)) == []
    fill(tmp_path, 20)  # the writer goes on
    assert verify(tmp_path).records == 60
    assert len(list(compress(tmp_path))) > 0


def test_the_same_segment_gives_the_same_file(tmp_path: Path) -> None:
    for name in ("a", "b"):
        fill(tmp_path / name)
        list(compress(tmp_path / name))
    assert [path.read_bytes() for path in sorted((tmp_path / "a").glob("*.gz"))] == [
        path.read_bytes() for path in sorted((tmp_path / "b").glob("*.gz"))
    ]


def test_readers_in_the_middle_do_not_notice(tmp_path: Path) -> None:
    fill(tmp_path)
    follower, records = Follower(tmp_path), read(tmp_path)
    seen = [next(records) for _ in range(3)]
    followed = follower.poll(limit=3)
    finder = Finder(tmp_path)
    finder.read(30)
    list(compress(tmp_path))
    assert [record.seq for record in (*seen, *records)] == list(range(1, 41))
    assert [record.seq for record in (*followed, *follower.poll())] == list(range(1, 41))
    assert finder.read(2).seq == 2


def test_a_crash_in_the_middle_leaves_one_or_both(tmp_path: Path) -> None:
    fill(tmp_path)
    first = list_segments(tmp_path)[0].path
    plain = first.read_bytes()
    unnamed = first.with_name(f"{first.name}.gz.new")
    unnamed.write_bytes(b"half")
    assert verify(tmp_path).verified
    list(compress(tmp_path))
    assert not unnamed.exists()
    first.write_bytes(plain)  # as before the unlink
    found = verify(tmp_path)
    assert (found.verified, found.records) == (True, 40)
    list(compress(tmp_path))
    assert not first.exists()
    assert verify(tmp_path).verified


def test_only_one_process_compresses(tmp_path: Path) -> None:
    fill(tmp_path)
    first = list_segments(tmp_path)[0].path
    with first.with_name(f"{first.name}.gz.new").open("wb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(JournalError, match="another process compresses"):
            list(compress(tmp_path))
    assert first.exists()


def test_nothing_is_removed_when_the_copy_is_not_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path)
    monkeypatch.setattr(compressing, "_same", lambda *_: False)
    with pytest.raises(JournalError, match="disk or memory is bad; nothing was removed"):
        list(compress(tmp_path))
    assert not list(tmp_path.glob("*.gz"))
    assert verify(tmp_path).verified


def test_a_writer_goes_on_behind_a_compressed_last_segment(tmp_path: Path) -> None:
    """Somebody compressed all of a stopped gateway's journal by hand."""
    fill(tmp_path, 7, segment_bytes=10**6)
    (segment,) = list_segments(tmp_path)
    with gzip.open(f"{segment.path}.gz", "wb") as file:
        file.write(segment.path.read_bytes())
    segment.path.unlink()
    with Writer(tmp_path) as writer:
        assert writer.append(Kind.SEEN, "", 1, b"next") == 8
    assert verify(tmp_path).records == 8


# ---------------------------------------------------------------- damage in compressed segments


def test_a_flip_at_every_byte_of_a_compressed_segment(tmp_path: Path) -> None:
    """It is found, or it changes nothing of what the segment holds (gzip has bytes without meaning)."""
    fill(tmp_path, 12, segment_bytes=200)
    before = list(read(tmp_path))
    path = next(compress(tmp_path)).path
    good = path.read_bytes()
    path.chmod(0o600)
    harmless = []
    for at in range(len(good)):
        path.write_bytes(good[:at] + bytes((good[at] ^ 0x10,)) + good[at + 1 :])
        found = verify(tmp_path)
        if found.verified:
            harmless.append(at)
            assert list(read(tmp_path)) == before
        else:
            assert path.name in found.damage
            assert not found.torn_tail
            with pytest.raises(JournalDamaged):
                Writer(tmp_path)
    assert set(harmless) <= {*range(3, 10), len(good) - 9}  # its flags, time, system; the last bits


@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_a_cut_compressed_segment_is_damage(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        fill(directory, 12, segment_bytes=200)
        path = next(compress(directory)).path
        size = path.stat().st_size
        os.truncate(path, data.draw(st.integers(0, size - 1)))
        found = verify(directory)
        assert (found.verified, found.torn_tail) == (False, False)
        assert "decompress" in found.damage or "cut" in found.damage


def test_a_compressed_segment_of_another_journal(tmp_path: Path) -> None:
    fill(tmp_path / "one")
    fill(tmp_path / "two")
    with Writer(tmp_path / "three", segment_bytes=300) as writer:
        for _ in range(40):
            writer.append(Kind.SEEN, "OMS2", 1, b"payload-%d" % writer.next_seq)
            writer.sync()
    for name in ("one", "three"):
        list(compress(tmp_path / name))
    first = sorted((tmp_path / "three").glob("*.gz"))[0]
    shutil.copy(first, tmp_path / "one" / first.name)
    assert not verify(tmp_path / "one").verified
