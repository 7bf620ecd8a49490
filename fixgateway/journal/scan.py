"""Walking the segment files of a journal, record by record, checking each one.

A segment is named ``<first sequence, 20 digits>.fgj``. It starts with a header of 32 bytes, big-endian::

    magic 8 · version u16 · header length u16 · flags u32 (0) · first seq u64 · chain u32 · crc u32

``chain`` is the crc of the last record of the segment before (0 for the first), ``crc`` that of the header
itself. Frames follow without gaps to the end of the file. A finished segment may be compressed with gzip
(``….fgj.gz``); what it holds is the same.

**Torn tail.** A crash can leave the last record unfinished. It is one only when it stands at the very end of
the last segment, carries the number expected there (or too few bytes to carry one, or only zero bytes), and
no later record can be found in its bytes: a flipped bit in a length must not make good records look unfinished.
Zero bytes behind it belong to it: a file system may keep a file's new size and lose what was written there.
Everything else that is wrong is damage.

**Removed records.** A journal whose first records were removed (:mod:`pruned`) begins behind them. Segments of
theirs that are still there, because the removing was interrupted, are not looked at.
"""

from __future__ import annotations

import gzip
import re
import struct
import zlib
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from fixgateway.errors import JournalDamaged, JournalError, RecordRemoved, UsageError
from fixgateway.journal import pruned
from fixgateway.journal.records import BODY_BYTES_MAX, BODY_BYTES_MIN, FRAME, PEEK, extend_crc

MAGIC = b"FGJRNL\r\n"
"""Carries a line end, so that a copy made in text mode is noticed at once."""

FORMAT_VERSION = 1
_HEADER = struct.Struct(">8sHHIQII")
HEADER_SIZE = _HEADER.size
_HEADER_CRC_AT = HEADER_SIZE - 4
_NAME = re.compile(r"([0-9]{20})\.fgj(\.gz)?")
_GZIP_DAMAGE = (gzip.BadGzipFile, zlib.error, EOFError)
_BLOCK_BYTES = 1024 * 1024
_FRAME_SIZE = FRAME.size
_PEEK_SIZE, _peek = PEEK.size, PEEK.unpack_from


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment file and the sequence its name says it starts with."""

    first_seq: int
    path: Path

    @property
    def compressed(self) -> bool:
        """Whether the file is a gzip file; only finished segments are."""
        return self.path.suffix == ".gz"


@dataclass(frozen=True, slots=True)
class TornTail:
    """An unfinished last record: its number, where it stands, how many bytes of it there are, and why."""

    sequence: int
    segment: Path
    offset: int
    length: int
    why: str

    @property
    def text(self) -> str:
        """One line for people."""
        return (
            f"record {self.sequence} in {self.segment.name} at byte {self.offset} is unfinished: {self.why} "
            f"({self.length} bytes)"
        )


def locate(directory: Path) -> Path:
    """The journal's own directory: ``directory`` is it, or a gateway's data directory holding ``journal``.

    Raises:
        UsageError: there is no journal.
    """
    inside = directory / "journal"
    if inside.is_dir():
        return inside
    if directory.is_dir() and (directory.name == "journal" or list_segments(directory)):
        return directory
    raise UsageError(
        f"no journal in {directory}: expected segment files *.fgj there or in {inside}; "
        "name a gateway's data directory"
    )


def list_segments(directory: Path) -> list[Segment]:
    """The segments of a journal directory, in order; other files are not looked at.

    While a segment stands there twice, as compressing it leaves it for a moment, the plain file counts.
    """
    try:
        names = sorted(path.name for path in directory.iterdir())
    except OSError as error:
        raise JournalError(f"cannot list {directory}: {error}; restore the directory or its rights") from error
    found: dict[int, Segment] = {}
    for match in filter(None, map(_NAME.fullmatch, names)):
        found.setdefault(int(match[1]), Segment(int(match[1]), directory / match[0]))
    return list(found.values())


def open_segment(segment: Segment) -> BinaryIO:
    """Open a segment to read what it holds, compressed or not, also when it was compressed a moment ago.

    Raises:
        JournalError: there is no such file, or no right to read it.
    """
    path = segment.path
    try:
        try:
            return _open(path)
        except FileNotFoundError:
            return _open(path.with_suffix("") if segment.compressed else path.with_name(path.name + ".gz"))
    except OSError as error:
        raise JournalError(f"cannot read {path}: {error}; restore the file or its rights") from error


def _open(path: Path) -> BinaryIO:
    return cast(BinaryIO, gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb", buffering=0))


def segment_name(first_seq: int) -> str:
    """File name of the segment that starts with record ``first_seq``."""
    return f"{first_seq:020d}.fgj"


def build_header(first_seq: int, chain: int) -> bytes:
    """A segment's header; ``chain`` is the crc of record ``first_seq - 1``, 0 when there is none."""
    head = _HEADER.pack(MAGIC, FORMAT_VERSION, HEADER_SIZE, 0, first_seq, chain, 0)[:_HEADER_CRC_AT]
    return head + struct.pack(">I", extend_crc(0, head))


def damaged(sequence: int, segment: Path, offset: int, what: str) -> JournalDamaged:
    """The error for a wrong record: number, file, byte, what is wrong and how to look at it."""
    return JournalDamaged(
        sequence,
        f"record {sequence} in {segment.name} at byte {offset}: {what}; nothing was changed, look at it with "
        f"'fixgateway journal verify {segment.parent}'",
    )


def read_header(segment: Segment) -> int:
    """Check a segment's header and return its chain value.

    Raises:
        JournalDamaged: the header is cut, changed or names another first record.
        JournalError: written by a newer version, or unreadable.
    """

    def wrong(what: str) -> JournalDamaged:
        return damaged(segment.first_seq, segment.path, 0, f"the segment's header {what}")

    with open_segment(segment) as file:
        try:
            head = file.read(HEADER_SIZE)
        except _GZIP_DAMAGE as error:
            raise wrong(f"cannot be decompressed: {error}") from None
        except OSError as error:
            raise JournalError(f"cannot read {segment.path}: {error}; restore the file or its rights") from error

    if len(head) < HEADER_SIZE:
        raise wrong(f"is cut: {len(head)} of {HEADER_SIZE} bytes")
    magic, version, size, flags, first_seq, chain, crc = _HEADER.unpack(head)
    if magic != MAGIC:
        raise wrong("does not start with the journal's mark: changed, or not a journal file")
    if crc != extend_crc(0, head[:_HEADER_CRC_AT]):
        raise wrong("has a wrong checksum: its bytes were changed")
    if (version, size, flags) != (FORMAT_VERSION, HEADER_SIZE, 0):
        raise JournalError(
            f"{segment.path} has format {version}, this fixgateway reads {FORMAT_VERSION}: use the version "
            "named in the journal's start record"
        )
    if first_seq != segment.first_seq:
        raise wrong(f"names record {first_seq} as its first: the file was renamed")
    if first_seq == 1 and chain != 0:
        raise wrong("follows another segment although it is the first")
    return int(chain)


KEPT = 0
"""Stands for the number of the first record that was not removed."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A place between two records: the next record's number, where it starts, and the crc before it."""

    segment: Segment
    offset: int
    next_seq: int
    crc: int


class Walk:
    """A walk along a journal: gives the bodies of good records and remembers where it stands.

    ``bodies()`` ends at the last complete record; calling it again goes on with what was written since.
    After it ended, ``torn`` says what stands unfinished behind that record, if anything. ``next_seq`` is
    the number of the record that comes next.

    A walk reads files and nothing else: several may run beside the writer.
    """

    def __init__(self, directory: Path, from_seq: int = 1, mark: Mark | None = None) -> None:
        """Stand at ``mark``, or at the start of the segment that holds ``from_seq``.

        When ``from_seq`` is not written yet that is the last segment. :data:`KEPT` is the first record that was
        not removed.

        Raises:
            JournalDamaged: the segment's header is wrong, or the journal starts after ``from_seq``.
            RecordRemoved: ``from_seq`` was removed.
        """
        self.directory = directory
        self.torn: TornTail | None = None
        self.next_seq = 1
        self._crc = 0
        self._offset = HEADER_SIZE
        self._segment: Segment | None = None
        self._start_seq = from_seq
        if mark is None:
            self._enter_first()
        else:
            self._segment, self._offset = mark.segment, mark.offset
            self.next_seq, self._crc = mark.next_seq, mark.crc

    def _enter_first(self) -> None:
        segments = list_segments(self.directory)
        gone = pruned.load(self.directory)
        if gone is not None:
            segments = [segment for segment in segments if segment.first_seq > gone.records]
        self._start_seq = self._start_seq if self._start_seq > KEPT else gone.records + 1 if gone else 1
        if gone and self._start_seq <= gone.records:
            raise RecordRemoved(
                f"record {self._start_seq} is not in {self.directory}: {gone.text}. What needs every record can "
                f"be done on a copy in which the removed segments stand again and {pruned.FILE} does not"
            )
        if gone and not segments:
            raise JournalError(
                f"the journal in {self.directory} has no record: {gone.text}, and those from "
                f"{gone.records + 1} on are missing"
            )
        if not segments:
            return
        before = [segment for segment in segments if segment.first_seq <= self._start_seq]
        if not before:
            first = segments[0]
            raise damaged(
                self._start_seq, first.path, 0,
                f"records {self._start_seq} to {first.first_seq - 1} are missing: the journal starts with "
                f"record {first.first_seq}",
            )  # fmt: skip
        chain = read_header(before[-1])
        if gone and before[-1].first_seq == gone.records + 1 and chain != gone.crc:
            raise damaged(
                gone.records + 1, before[-1].path, 0,
                f"it was not written behind the removed records of which {pruned.FILE} tells",
            )  # fmt: skip
        self._enter(before[-1], chain)

    def _enter(self, segment: Segment, chain: int) -> None:
        self._segment = segment
        self._offset = HEADER_SIZE
        self.next_seq = segment.first_seq
        self._crc = chain

    @property
    def mark(self) -> Mark:
        """Where the walk stands; an empty journal has no marks (JournalError)."""
        if self._segment is None:
            raise JournalError(f"the journal in {self.directory} is empty")
        return Mark(self._segment, self._offset, self.next_seq, self._crc)

    def bodies(self) -> Iterator[bytes]:
        """The checked bodies of the records from here on, across segments.

        Raises:
            JournalDamaged: with the number of the first wrong record.
        """
        self.torn = None
        if self._segment is None:
            self._enter_first()
        while (segment := self._segment) is not None:
            # The list is read before the file: a segment with a follower is finished and must be whole.
            after = [other for other in list_segments(self.directory) if other.first_seq > segment.first_seq]
            yield from self._segment_bodies(segment, last=not after)
            if not after:
                return
            self._cross(segment, after[0])

    def _cross(self, segment: Segment, following: Segment) -> None:
        """Go on to the next segment, which must start where this one ends."""
        if following.first_seq != self.next_seq:
            missing = f"records {self.next_seq} to {following.first_seq - 1} are missing"
            if following.first_seq < self.next_seq:
                missing = f"{following.path.name} starts before this segment ends: a file was added"
            raise damaged(self.next_seq, segment.path, self._offset, f"{missing} (segment cut, removed or added)")
        chain = read_header(following)
        if chain != self._crc:
            raise damaged(
                following.first_seq, following.path, 0,
                "the segment was not written behind the one before it: one of the two was replaced or cut",
            )  # fmt: skip
        self._enter(following, chain)

    def _segment_bodies(self, segment: Segment, last: bool) -> Iterator[bytes]:
        """The bodies of the current segment; at its end, leftover bytes are judged."""
        with open_segment(segment) as file:
            try:
                rest = yield from self._good_bodies(file)
                if len(rest) > _FRAME_SIZE + BODY_BYTES_MAX:
                    last = False
            except _GZIP_DAMAGE as error:
                what = f"it cannot be decompressed: {error}; the file was changed or cut"
                raise damaged(self.next_seq, segment.path, self._offset, what) from None
            except OSError as error:
                raise JournalError(f"cannot read {segment.path}: {error}; restore the file") from error
        if rest:
            self._judge(segment, rest, last and not segment.compressed)

    def _good_bodies(self, file: BinaryIO) -> Generator[bytes, None, bytes]:
        """The bodies from here to the first wrong frame or the end; returns the bytes that are left there."""
        file.seek(self._offset)
        data, at, size = b"", 0, 0
        while True:
            short = 0
            if size - at >= _PEEK_SIZE:
                length, crc, seq = _peek(data, at)
                end = at + _FRAME_SIZE + length
                short = end - size
                if end <= size or length > BODY_BYTES_MAX:
                    body = data[at + _FRAME_SIZE : end]
                    if (
                        seq != self.next_seq
                        or not BODY_BYTES_MIN <= length <= BODY_BYTES_MAX
                        or extend_crc(self._crc, body) != crc
                    ):
                        # The frame is all there and wrong; what follows tells a torn tail from damage.
                        return data[at:] + file.read(_FRAME_SIZE + BODY_BYTES_MAX + 1)
                    self._crc = crc
                    self.next_seq = seq + 1
                    self._offset += end - at
                    at = end
                    yield body
                    continue
            # A large record at once: block by block it would be copied over and over.
            more = file.read(max(_BLOCK_BYTES, short))
            if not more:
                return data[at:]
            data, at = data[at:] + more, 0
            size = len(data)

    def _judge(self, segment: Segment, rest: bytes, last: bool) -> None:
        """Bytes that are no good record: a torn tail is remembered, anything else raises."""
        why = torn_reason(rest, self.next_seq) if last else ""
        if not why:
            raise damaged(self.next_seq, segment.path, self._offset, describe(rest, self.next_seq))
        self.torn = TornTail(self.next_seq, segment.path, self._offset, len(rest), why)


# ---------------------------------------------------------------- judging bytes that are no good record


def torn_reason(rest: bytes, number: int) -> str:
    """Why ``rest``, the end of the last segment, is an unfinished record ``number``; "" when it is damage."""
    written = rest.rstrip(b"\0")  # a power failure may leave the file's new size without its bytes
    if not written:
        return "only zero bytes"
    if len(written) < PEEK.size:
        return "cut in its head"
    length, crc, found = PEEK.unpack_from(rest)
    if found != number or not BODY_BYTES_MIN <= length <= BODY_BYTES_MAX or _record_after(rest, number, crc):
        return ""
    size = _FRAME_SIZE + length
    if len(rest) < size:
        return f"{len(rest)} of {size} bytes"
    if len(rest) == size:
        return "its checksum is wrong"
    return f"{len(written)} of {size} bytes, then zeros" if len(written) < size else ""


def _frame_at(data: bytes, at: int, seq: int, crc: int | None) -> int:
    """Size of the frame of record ``seq`` at ``at``, 0 when none stands there; ``crc`` None is not checked."""
    if at < 0 or len(data) - at < PEEK.size:
        return 0
    length, stored, found = PEEK.unpack_from(data, at)
    size = _FRAME_SIZE + int(length)
    if found != seq or not BODY_BYTES_MIN <= length <= BODY_BYTES_MAX or at + size > len(data):
        return 0
    if crc is not None and extend_crc(crc, data[at + _FRAME_SIZE : at + size]) != stored:
        return 0
    return size


def _record_after(rest: bytes, number: int, crc: int) -> bool:
    """Whether the record after ``number`` stands somewhere in ``rest``.

    It is recognised by its number and by the crc chain: from the stored ``crc`` of record ``number``, or
    with the record behind it, so that text which happens to hold the number is not taken for a record.
    """
    wanted = struct.pack(">Q", number + 1)
    at = rest.find(wanted, PEEK.size)
    while at >= 0:
        start = at - _FRAME_SIZE
        if _frame_at(rest, start, number + 1, crc):
            return True
        size = _frame_at(rest, start, number + 1, None)
        if size and _frame_at(rest, start + size, number + 2, PEEK.unpack_from(rest, start)[1]):
            return True
        at = rest.find(wanted, at + 1)
    return False


def describe(rest: bytes, number: int) -> str:
    """What is wrong with ``rest``, where record ``number`` should stand."""
    if len(rest) < PEEK.size:
        return f"only {len(rest)} bytes of it are there: the file was cut"
    length, _, found = PEEK.unpack_from(rest)
    if not BODY_BYTES_MIN <= length <= BODY_BYTES_MAX:
        return f"its length {length} is impossible: bytes were changed, inserted or removed"
    following = 0
    if len(rest) >= _FRAME_SIZE + length + PEEK.size:
        following = int(PEEK.unpack_from(rest, _FRAME_SIZE + length)[2])
    if found == number:
        if len(rest) < _FRAME_SIZE + length:
            return f"its length {length} reaches beyond the end of the file: bytes were changed or removed"
        return "its checksum is wrong: bytes were changed, or the record before it was replaced"
    if found > number and following == number:
        return f"record {found} stands here: records were swapped"
    if found > number and following in (0, found + 1):
        return f"record {found} stands here: records {number} to {found - 1} were removed"
    if found < number and following in (number, found + 1):
        return f"record {found} stands here again: a record was inserted"
    return f"number {found} stands here: bytes were changed, inserted or removed"
