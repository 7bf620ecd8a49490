"""Whatever is done to a journal's bytes is found and located, and never mended away."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixgateway.errors import JournalDamaged, JournalError, UsageError
from fixgateway.journal import verification
from fixgateway.journal.reader import read, verify
from fixgateway.journal.records import FRAME, Kind, encode, extend_crc
from fixgateway.journal.scan import HEADER_SIZE, build_header, list_segments, locate, segment_name
from fixgateway.journal.segments import Writer


@pytest.fixture(autouse=True)
def no_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """No writer is at work in these tests; verify need not wait for it."""
    monkeypatch.setattr(verification, "_UNFINISHED_WAIT_SECONDS", 0)


def make(directory: Path, counts: tuple[int, ...] = (3, 3)) -> list[tuple[Path, list[bytes]]]:
    """A journal with a segment of so many records each; returns each file and its frames."""
    directory.mkdir(parents=True, exist_ok=True)
    made = []
    seq, crc = 1, 0
    for count in counts:
        path = directory / segment_name(seq)
        header = build_header(seq, crc)
        frames = []
        for _ in range(count):
            head, body, crc = encode(seq, 1_000 + seq, Kind.SEEN, "OMS1", b"text of %d" % seq, crc)
            frames.append(head + body)
            seq += 1
        path.write_bytes(header + b"".join(frames))
        made.append((path, frames))
    return made


def test_the_hand_made_journal_is_what_the_writer_makes(tmp_path: Path) -> None:
    make(tmp_path / "by-hand")
    with Writer(tmp_path / "written", segment_bytes=HEADER_SIZE + 1) as writer:
        for seq in range(1, 7):
            writer.append(Kind.SEEN, "OMS1", 1_000 + seq, b"text of %d" % seq)
            if seq % 3 == 0:
                writer.sync()
    by_hand = {path.name: path.read_bytes() for path in (tmp_path / "by-hand").iterdir()}
    written = {path.name: path.read_bytes() for path in (tmp_path / "written").iterdir()}
    assert by_hand == written
    assert len(by_hand) == 2


@pytest.mark.parametrize("flip", [0x01, 0x80, 0xFF])
def test_a_flip_at_every_byte_is_found_and_located(tmp_path: Path, flip: int) -> None:
    last = 6
    offset_of_record: dict[int, tuple[str, int]] = {}
    for path, frames in make(tmp_path):
        first = int(path.stem)
        good = path.read_bytes()
        starts = [HEADER_SIZE + sum(map(len, frames[:number])) for number in range(len(frames))]
        for at in range(len(good)):
            path.write_bytes(good[:at] + bytes((good[at] ^ flip,)) + good[at + 1 :])
            inside = [number for number, start in enumerate(starts) if start <= at]
            wrong = first + inside[-1] if inside else first
            offset = starts[inside[-1]] if inside else 0
            offset_of_record[wrong] = (path.name, offset)
            seen = verify(tmp_path)
            assert not seen.verified, at
            assert f"record {wrong} in {path.name} at byte {offset}" in seen.damage, (at, seen.damage)
            assert seen.records == wrong - 1
            assert not seen.torn_tail or wrong == last
            if seen.torn_tail:
                assert [record.seq for record in read(tmp_path)] == list(range(1, wrong))
                continue
            for use in (Writer, lambda directory: list(read(directory))):
                with pytest.raises(JournalDamaged) as caught:
                    use(tmp_path)
                assert caught.value.sequence == wrong
            assert path.read_bytes() == good[:at] + bytes((good[at] ^ flip,)) + good[at + 1 :]
        path.write_bytes(good)
    assert verify(tmp_path).verified
    assert set(offset_of_record) == set(range(1, 7))


def test_a_flipped_length_never_makes_later_records_a_torn_tail(tmp_path: Path) -> None:
    ((path, frames),) = make(tmp_path, (5,))
    good = path.read_bytes()
    at = HEADER_SIZE + len(frames[0]) + len(frames[1])
    for length in (len(good), len(frames[2]) + len(frames[3]) - 8, sum(map(len, frames[2:])) - 8, 2**23):
        path.write_bytes(good[:at] + length.to_bytes(4, "big") + good[at + 4 :])
        with pytest.raises(JournalDamaged) as caught:
            Writer(tmp_path)
        assert caught.value.sequence == 3


def test_a_flipped_length_and_checksum_do_not_hide_two_later_records(tmp_path: Path) -> None:
    ((path, frames),) = make(tmp_path, (5,))
    good = path.read_bytes()
    at = HEADER_SIZE + len(frames[0]) + len(frames[1])
    path.write_bytes(good[:at] + FRAME.pack(2**20, 12345) + good[at + FRAME.size :])
    with pytest.raises(JournalDamaged) as caught:
        Writer(tmp_path)
    assert caught.value.sequence == 3


def test_a_number_inside_a_text_is_not_taken_for_a_record(tmp_path: Path) -> None:
    """A counterparty's bytes that look like the next record's head must not stop the gateway after a crash."""
    bait = (40).to_bytes(4, "big") + bytes(4) + (2).to_bytes(8, "big") + bytes(60)
    head, body, _ = encode(1, 1, Kind.SEEN, "OMS1", bait * 3, 0)
    path = tmp_path / segment_name(1)
    path.write_bytes(build_header(1, 0) + (head + body)[:-10])
    with Writer(tmp_path) as writer:
        assert writer.torn is not None
        assert writer.next_seq == 1


Frames = list[bytes]
MADE: dict[str, tuple[Callable[[Frames], Frames], int, str]] = {
    "swapped": (lambda f: [f[0], f[2], f[1], *f[3:]], 2, "record 3 stands here: records were swapped"),
    "swapped at the end": (lambda f: [*f[:3], f[4], f[3]], 4, "record 5 stands here: records were swapped"),
    "one removed": (lambda f: [f[0], *f[2:]], 2, "record 3 stands here: records 2 to 2 were removed"),
    "two removed": (lambda f: [f[0], *f[3:]], 2, "record 4 stands here: records 2 to 3 were removed"),
    "last but one removed": (lambda f: [*f[:3], f[4]], 4, "record 5 stands here: records 4 to 4 were removed"),
    "first removed": (lambda f: f[1:], 1, "record 2 stands here: records 1 to 1 were removed"),
    "one repeated": (lambda f: [*f[:3], f[1], *f[3:]], 4, "record 2 stands here again: a record was inserted"),
    "last repeated": (lambda f: [*f, f[4]], 6, "number 5 stands here"),
    "bytes inserted": (lambda f: [*f[:2], b"\xff" * 20, *f[2:]], 3, "is impossible"),
    "bytes removed": (lambda f: [f[0], f[1][:-2], *f[2:]], 2, "its checksum is wrong"),
    "replaced": (lambda f: [f[0], f[1][:-1] + b"!", *f[2:]], 2, "its checksum is wrong"),
}


@pytest.mark.parametrize("name", MADE)
def test_records_moved_about_are_found_and_named(tmp_path: Path, name: str) -> None:
    change, number, words = MADE[name]
    ((path, frames),) = make(tmp_path, (5,))
    path.write_bytes(build_header(1, 0) + b"".join(change(frames)))
    before = path.read_bytes()
    seen = verify(tmp_path)
    assert (seen.verified, seen.torn_tail, seen.records) == (False, False, number - 1)
    assert f"record {number} in {path.name} at byte " in seen.damage
    assert words in seen.damage
    assert f"fixgateway journal verify {tmp_path}" in seen.damage
    with pytest.raises(JournalDamaged) as caught:
        Writer(tmp_path)
    assert caught.value.sequence == number
    assert path.read_bytes() == before


def test_a_record_from_another_journal_is_found(tmp_path: Path) -> None:
    ((path, frames),) = make(tmp_path, (3,))
    head, body, _ = encode(2, 1_002, Kind.SEEN, "OMS1", b"text of X", 0)
    path.write_bytes(build_header(1, 0) + frames[0] + head + body + frames[2])
    assert "record 2 " in verify(tmp_path).damage


def test_a_missing_segment_is_found(tmp_path: Path) -> None:
    for missing, number, words in (
        (0, 1, "records 1 to 2 are missing"),
        (1, 3, "records 3 to 4 are missing"),
    ):
        directory = tmp_path / str(missing)
        made = make(directory, (2, 2, 2))
        made[missing][0].unlink()
        seen = verify(directory)
        assert not seen.verified
        assert words in seen.damage
        with pytest.raises(JournalDamaged) as caught:
            Writer(directory)
        assert caught.value.sequence == number


def test_a_segment_cut_between_records_is_found_when_another_follows(tmp_path: Path) -> None:
    (path, frames), _ = make(tmp_path)
    path.write_bytes(path.read_bytes()[: -len(frames[-1])])
    seen = verify(tmp_path)
    assert (seen.records, seen.torn_tail) == (2, False)
    assert "records 3 to 3 are missing" in seen.damage


def test_an_unfinished_record_before_another_segment_is_damage(tmp_path: Path) -> None:
    (path, _), _ = make(tmp_path)
    path.write_bytes(path.read_bytes()[:-1])
    seen = verify(tmp_path)
    assert (seen.records, seen.torn_tail, seen.verified) == (2, False, False)
    with pytest.raises(JournalDamaged):
        Writer(tmp_path)


def test_a_replaced_segment_is_found(tmp_path: Path) -> None:
    """A segment of equal numbers from another journal is whole in itself but does not fit."""
    make(tmp_path)
    other = tmp_path / "other"
    with Writer(other, segment_bytes=HEADER_SIZE + 1) as writer:
        for seq in range(1, 4):
            writer.append(Kind.SEEN, "OMS1", 1_000 + seq, b"cherry-picked")
    shutil.copy(other / segment_name(1), tmp_path / segment_name(1))
    seen = verify(tmp_path)
    assert seen.records == 3
    assert f"record 4 in {segment_name(4)} at byte 0" in seen.damage


def test_a_renamed_segment_is_found(tmp_path: Path) -> None:
    _, (path, _) = make(tmp_path)
    path.rename(tmp_path / segment_name(9))
    assert not verify(tmp_path).verified


def test_a_cut_header_is_damage(tmp_path: Path) -> None:
    _, (path, _) = make(tmp_path)
    good = path.read_bytes()
    for size in range(HEADER_SIZE):
        path.write_bytes(good[:size])
        assert f"record 4 in {path.name} at byte 0: the segment's header is cut" in verify(tmp_path).damage


def test_a_newer_format_is_refused_by_name(tmp_path: Path) -> None:
    ((path, frames),) = make(tmp_path, (2,))
    header = bytearray(build_header(1, 0))
    header[8:10] = (2).to_bytes(2, "big")
    header[-4:] = extend_crc(0, bytes(header[:-4])).to_bytes(4, "big")
    path.write_bytes(bytes(header) + b"".join(frames))
    with pytest.raises(JournalError, match="has format 2, this fixgateway reads 1"):
        list(read(tmp_path))
    assert not verify(tmp_path).verified


def test_an_empty_directory_is_not_a_verified_journal(tmp_path: Path) -> None:
    (tmp_path / "journal").mkdir()
    assert not verify(tmp_path).verified
    assert list(read(tmp_path)) == []


def test_no_journal_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no journal in .*expected segment files"):
        locate(tmp_path)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_arbitrary_bytes_in_place_of_the_tail_never_crash_or_pass(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    directory = tmp_path_factory.mktemp("fuzz")
    ((path, _),) = make(directory, (4,))
    good = path.read_bytes()
    keep = data.draw(st.integers(0, len(good)), label="keep")
    tail = data.draw(st.binary(max_size=60), label="tail")
    path.write_bytes(good[:keep] + tail)
    seen = verify(directory)
    whole = path.read_bytes()
    # Verified means: what is there is the beginning of the journal, cut between two records.
    assert seen.verified == (good.startswith(whole) and seen.bytes in boundaries(good))
    assert list_segments(directory)


def boundaries(good: bytes) -> set[int]:
    """The sizes at which a one-segment journal ends between records."""
    at, found = HEADER_SIZE, {HEADER_SIZE}
    while at < len(good):
        at += FRAME.size + FRAME.unpack_from(good, at)[0]
        found.add(at)
    return found
