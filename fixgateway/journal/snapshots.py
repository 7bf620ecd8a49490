"""Snapshot files: what a journal's first N records leave behind, so that a start need not read them again.

A file is lines of text::

    {"format":1,"made_by":…,"records":N,"position":…,"peaks":[…],"compared":[…]}
    <section> <JSON value>                 any number of them; what they mean is the maker's
    end {"note":"fixgateway-snapshot/1\\nsha256 <of all before this line>\\n…"}

The note is signed when the gateway has a signing key. ``position`` says where record N ends,
``peaks`` are those of the tree over the N records, ``compared`` the checkpoints of N records or fewer that the
journal was found to agree with when the snapshot was made.

A snapshot is a copy of what the journal says. One that does not fit the journal is of no use and is left aside:
the journal is read from its beginning, as without one.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

import msgspec

from fixgateway.errors import JournalError
from fixgateway.journal.durable import sync_directory
from fixgateway.journal.growth import Known, Start
from fixgateway.journal.merkle import Frontier, Head
from fixgateway.journal.notes import NoteError, PrivateKey, PublicKey, parse_note
from fixgateway.journal.scan import Mark, Walk
from fixgateway.journal.state import Line

DIRECTORY = "snapshots"
"""Where a data directory keeps them."""

KEEP = 3
"""Snapshots that are kept; the older ones are removed."""

MIN_FREE_BYTES = 64 * 1024 * 1024
"""What a snapshot leaves free on the disk: the journal needs it more."""

FORMAT = 1
_NAME = re.compile(r"([0-9]{20})\.fgs")
_NEW = ".new"
_MODE = 0o640
_DIRECTORY_MODE = 0o750
_BLOCK_BYTES = 1024 * 1024
_END = b"end "
_END_BYTES_MAX = 8192
"""Longest last line."""


class SnapshotUnfit(JournalError):
    """A snapshot cannot be used; says why. The journal is as good as ever."""


@dataclass(frozen=True, slots=True)
class Position:
    """Where record N stands: its segment's first record, the byte at which it ends, its crc."""

    segment: int
    offset: int
    crc: int


class _Head(msgspec.Struct, forbid_unknown_fields=True):
    """The first line."""

    format: int
    made_by: str
    records: int
    position: Position
    peaks: list[str]
    compared: list[tuple[int, str]]


@dataclass(frozen=True, slots=True)
class Header:
    """What a snapshot says of itself; see the module."""

    made_by: str
    records: int
    position: Position
    peaks: tuple[bytes, ...]
    compared: tuple[Head, ...]

    @property
    def head(self) -> Head:
        """Size and root of the tree over its records."""
        return Frontier(self.records, self.peaks).head


# ---------------------------------------------------------------- files


def file_name(records: int) -> str:
    """File name of the snapshot of the first ``records`` records."""
    return f"{records:020d}.fgs"


def stored(directory: Path) -> list[Path]:
    """The snapshots of a directory, newest first; none when there is no directory."""
    try:
        names = [path.name for path in directory.iterdir() if _NAME.fullmatch(path.name)]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise SnapshotUnfit(f"cannot list {directory}: {error.strerror}") from None
    return [directory / name for name in sorted(names, reverse=True)]


@contextlib.contextmanager
def only_one(directory: Path) -> Iterator[None]:
    """Make the directory when missing and be the only one who writes there.

    Raises:
        SnapshotUnfit: another process makes a snapshot. OSError: the directory cannot be made or opened.
    """
    directory.mkdir(mode=_DIRECTORY_MODE, parents=True, exist_ok=True)
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SnapshotUnfit(f"another process makes a snapshot in {directory}; let it end first") from None
        yield
    finally:
        os.close(fd)


def write(directory: Path, header: Header, lines: Iterable[Line], key: PrivateKey | None = None) -> Path:
    """Write a snapshot durably; it gets its name when it is whole. Call it inside :func:`only_one`.

    Raises:
        SnapshotUnfit: the disk is nearly full. OSError: it cannot be written; the old ones are as they were.
    """
    path = directory / file_name(header.records)
    unnamed = path.with_name(path.name + _NEW)
    for left in directory.glob(f"*{_NEW}"):
        left.unlink()
    disk, newest = os.statvfs(directory), stored(directory)[:1]
    free, likely = disk.f_bavail * disk.f_frsize, sum(2 * file.stat().st_size for file in newest)
    if free < MIN_FREE_BYTES + likely:
        raise SnapshotUnfit(f"only {free} bytes are free in {directory}: they are left to the journal")
    fd = os.open(unnamed, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE)
    try:
        with os.fdopen(fd, "wb", buffering=_BLOCK_BYTES) as file:
            _write(file, header, lines, key)
            file.flush()
            os.fsync(file.fileno())
        unnamed.rename(path)
    except BaseException:
        unnamed.unlink(missing_ok=True)
        raise
    sync_directory(directory)
    return path


def _write(file: BinaryIO, header: Header, lines: Iterable[Line], key: PrivateKey | None) -> None:
    digest = sha256()
    for line in _all_lines(header, lines):
        digest.update(line)
        file.write(line)
    text = _note_text(digest.hexdigest(), header.records)
    note = text if key is None else key.sign(text)
    file.write(_END + json.dumps({"note": note}).encode("ascii") + b"\n")


def _all_lines(header: Header, lines: Iterable[Line]) -> Iterator[bytes]:
    compared = [(head.size, head.root.hex()) for head in header.compared]
    peaks = [peak.hex() for peak in header.peaks]
    first = _Head(FORMAT, header.made_by, header.records, header.position, peaks, compared)
    yield msgspec.json.encode(first) + b"\n"
    for section, payload in lines:
        yield b"%s %s\n" % (section.encode("ascii"), payload)


def _note_text(digest: str, records: int) -> str:
    """What is signed; its first line tells it from a checkpoint, whose second is a number."""
    return f"fixgateway-snapshot/{FORMAT}\nsha256 {digest}\n{records} records\n"


def prune(directory: Path, keep: Path, unfit: Iterable[Path] = ()) -> None:
    """Remove what nobody needs: all but the newest :data:`KEEP`, and those that were found unfit.

    Args:
        directory: the snapshots'. keep: the one just made, which stays in any case.
    """
    gone = set(unfit)
    older = [path for path in stored(directory) if path not in gone and path.name < keep.name]
    for path in (*gone, *older[KEEP - 1 :]):
        if path != keep:
            path.unlink(missing_ok=True)


# ---------------------------------------------------------------- reading


class SnapshotFile:
    """A snapshot that is whole: read and hashed to its end when opened.

    Args:
        path: the file.
        key: the signing key's public half; the snapshot must be signed with it. None: signatures do not count.

    Attributes:
        header: what it says of itself.

    Raises:
        SnapshotUnfit: it cannot be read, was changed, is of another format, or is not signed.
    """

    def __init__(self, path: Path, key: PublicKey | None = None) -> None:
        self.path = path
        try:
            self._file = path.open("rb")
        except OSError as error:
            raise SnapshotUnfit(f"it cannot be read: {error.strerror}") from None
        try:
            self._end, note = self._find_end()
            digest = self._digest()
            self.header = self._read_header()
            self._check_note(note, digest, key)
        except OSError as error:
            self._file.close()
            raise SnapshotUnfit(f"it cannot be read: {error.strerror}") from None
        except BaseException:
            self._file.close()
            raise

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def lines(self) -> Iterator[Line]:
        """Its lines, without the first and the last."""
        self._file.seek(0)
        at = len(self._file.readline())
        while at < self._end:
            line = self._file.readline()
            at += len(line)
            section, _, payload = line.partition(b" ")
            yield section.decode("ascii", "replace"), payload.removesuffix(b"\n")

    def _find_end(self) -> tuple[int, bytes]:
        """Where the last line begins, and the line."""
        size = self._file.seek(0, os.SEEK_END)
        tail_at = max(0, size - _END_BYTES_MAX)
        self._file.seek(tail_at)
        tail = self._file.read(_END_BYTES_MAX)
        at = tail.rfind(b"\n" + _END)
        if at < 0 or not tail.endswith(b"\n"):
            raise SnapshotUnfit("its end is missing: it was cut")
        return tail_at + at + 1, tail[at + 1 :]

    def _digest(self) -> str:
        digest, left = sha256(), self._end
        self._file.seek(0)
        while left:
            block = self._file.read(min(left, _BLOCK_BYTES))
            if not block:
                raise SnapshotUnfit("it became shorter while it was read")
            digest.update(block)
            left -= len(block)
        return digest.hexdigest()

    def _read_header(self) -> Header:
        self._file.seek(0)
        line = self._file.readline()
        try:
            found = msgspec.json.decode(line, type=_Head)
            if found.format != FORMAT:
                raise SnapshotUnfit(f"it has format {found.format}, this fixgateway reads {FORMAT}")
            compared = tuple(Head(size, bytes.fromhex(root)) for size, root in found.compared)
            peaks = tuple(bytes.fromhex(peak) for peak in found.peaks)
            header = Header(found.made_by, found.records, found.position, peaks, compared)
            Frontier(header.records, peaks)
        except (msgspec.DecodeError, ValueError) as error:
            raise SnapshotUnfit(f"its first line cannot be read: {error}") from None
        return header

    def _check_note(self, line: bytes, digest: str, key: PublicKey | None) -> None:
        try:
            text = msgspec.json.decode(line.removeprefix(_END), type=dict[str, str])["note"]
            note = parse_note(text.encode("utf-8"))
            signed = key is None or key.signed(note)
        except (msgspec.DecodeError, UnicodeError, KeyError, NoteError) as error:
            raise SnapshotUnfit(f"its last line is wrong: {error}") from None
        if note.text != _note_text(digest, self.header.records):
            raise SnapshotUnfit("its SHA-256 is wrong: it was changed")
        if key is not None and not signed:
            raise SnapshotUnfit(f"it is not signed by {key.name}")


# ---------------------------------------------------------------- does it fit?


def place(header: Header, journal: Path, known: Iterable[Known] = ()) -> Start:
    """Where a journal is read on behind a snapshot.

    The segment in which the snapshot ends is read from its beginning: its header and its records must lead to the
    crc the snapshot has. Of what is known of trees that are no larger than the snapshot's everything must be what
    the journal was compared with when the snapshot was made: then it need not be compared again.

    Args:
        header: the snapshot's. journal: the journal's own directory. known: what checkpoints say.

    Raises:
        SnapshotUnfit: it is not of this journal, or a checkpoint is known that it was not compared with.
    """
    position, records = header.position, header.records
    mark = _walked(journal, position.segment, records)
    if mark is None or (mark.segment.first_seq, mark.offset, mark.crc) != (
        position.segment,
        position.offset,
        position.crc,
    ):
        raise SnapshotUnfit(f"record {records} is not where the snapshot has it: the journal is another one")
    compared = {header.head, *header.compared}
    for item in known:
        if item.head.size <= records and item.head not in compared:
            raise SnapshotUnfit(f"it was not compared with {item.source} of {item.head.size} records")
    return Start(mark, header.peaks)


def _walked(journal: Path, first_seq: int, last_seq: int) -> Mark | None:
    """The place behind record ``last_seq``, read from the segment that begins with ``first_seq`` on."""
    if not 0 < first_seq <= last_seq:
        return None
    try:
        walk = Walk(journal, first_seq)
        for _ in walk.bodies():
            if walk.next_seq > last_seq:
                return walk.mark
    except JournalError as error:
        raise SnapshotUnfit(str(error)) from None
    return None
