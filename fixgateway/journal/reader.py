"""Reading a journal: streaming, following the writer, fetching one record; verifying is :mod:`verification`'s.

``directory`` is a journal's own directory or the data directory that holds it, everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from fixgateway.errors import JournalError
from fixgateway.journal import pruned
from fixgateway.journal.records import Record, decode
from fixgateway.journal.scan import KEPT, Mark, Walk, list_segments, locate
from fixgateway.journal.verification import Verification, verify

__all__ = [
    "FOLLOW_RECORDS",
    "KEPT",
    "Finder",
    "Follower",
    "Verification",
    "first_seq",
    "read",
    "read_one",
    "verify",
]

FOLLOW_RECORDS = 10_000
"""Most records one poll of a follower returns unless told otherwise."""

_MARK_EVERY = 1000
_MARKS_MAX = 100_000
_BLOCK_BYTES_MAX = 8 * 1024 * 1024


def read(directory: Path, from_seq: int = 1) -> Iterator[Record]:
    """The records from ``from_seq`` on, checked, in order; an unfinished last record is not given.

    Args:
        directory: the journal. from_seq: the first one given; :data:`KEPT`: the first that was not removed.

    Raises:
        UsageError: there is no journal. JournalDamaged: with the number of the first wrong record.
        RecordRemoved: record ``from_seq`` was.
    """
    walk = Walk(locate(directory), from_seq)
    bodies = walk.bodies()
    while walk.next_seq < from_seq and next(bodies, None) is not None:
        pass
    yield from map(decode, bodies)


def first_seq(directory: Path) -> int:
    """The number of a journal's first record: 1, or more when the first ones were removed.

    Raises:
        UsageError: there is no journal. JournalError: what is left of removed records cannot be read.
    """
    gone = pruned.load(locate(directory))
    return gone.records + 1 if gone else 1


class Follower:
    """Gives the records behind ``after_seq`` as they are written, without going back to the start.

    Used by one thread. An unfinished last frame is left for the next poll.
    """

    def __init__(self, directory: Path, after_seq: int = 0) -> None:
        """Follow from record ``after_seq + 1``; nothing is read before the first poll."""
        self._directory = locate(directory)
        self._after_seq = after_seq
        self._walk: Walk | None = None

    @property
    def last_seq(self) -> int:
        """The last record given, or ``after_seq``."""
        return self._after_seq

    def poll(self, limit: int = FOLLOW_RECORDS, up_to_seq: int | None = None) -> list[Record]:
        """The next records, at most ``limit``; an empty list when there is nothing new.

        Args:
            limit: most records to return.
            up_to_seq: give none beyond this one. Beside a live writer pass its ``synced_seq``: what is
                only written may still vanish in a crash.

        Raises:
            JournalDamaged: with the number of the first wrong record.
            JournalError: the journal ends before ``after_seq``.
        """
        if limit <= 0 or (up_to_seq is not None and up_to_seq <= self._after_seq):
            return []
        walk = self._walk or self._go_to_start()
        found: list[Record] = []
        for body in walk.bodies():
            found.append(decode(body))
            self._after_seq = walk.next_seq - 1
            if len(found) == limit or self._after_seq == up_to_seq:
                break
        return found

    def _go_to_start(self) -> Walk:
        """Walk to the record after ``after_seq``, once."""
        walk = Walk(self._directory, self._after_seq + 1)
        if walk.next_seq <= self._after_seq:
            for _ in walk.bodies():
                if walk.next_seq > self._after_seq:
                    break
        if walk.next_seq <= self._after_seq:
            raise JournalError(
                f"asked for records after {self._after_seq}, but the journal in {self._directory} ends with "
                f"{walk.next_seq - 1}: the reader's watermark belongs to another journal; rebuild it"
            )
        self._walk = walk
        return walk


class Finder:
    """Fetches single records by number; remembers places on the way, and the block it read last, for neighbours.

    Safe to use from several threads: a walk is private to its call, the places are a dict that is only added to,
    and a block is complete when it is remembered.
    """

    def __init__(self, directory: Path, spare: Path | None = None) -> None:
        """Read from ``directory``, and from the spare directory what its writer left there meanwhile."""
        self._directory = locate(directory)
        self._spare = spare
        self._marks: dict[int, Mark] = {}
        self._block: dict[int, bytes] = {}

    def read(self, seq: int) -> Record:
        """Record ``seq``.

        Raises:
            JournalError: no such record (yet). JournalDamaged: a record on the way is wrong.
        """
        body = self._block.get(seq)
        return decode(self._find(seq) if body is None else body)

    def _find(self, seq: int) -> bytes:
        # The mark at the start of the block of records that holds seq, when an earlier walk passed it.
        mark = self._marks.get((seq - 1) // _MARK_EVERY) if seq > 0 else None
        directory = self._directory
        if self._spare is not None and any(s.first_seq <= seq for s in list_segments(self._spare)):
            directory, mark = self._spare, None
        walk = Walk(directory, seq, mark)
        block: dict[int, bytes] = {}
        size = 0
        try:
            for body in walk.bodies():
                read_seq = walk.next_seq - 1
                ends = read_seq % _MARK_EVERY == 0
                if directory is self._directory and ends and len(self._marks) < _MARKS_MAX:
                    self._marks[read_seq // _MARK_EVERY] = walk.mark
                if size > _BLOCK_BYTES_MAX:
                    block.clear()
                    size = 0
                if read_seq > seq - _MARK_EVERY:
                    block[read_seq] = body
                    size += len(body)
                if read_seq >= seq and (ends or size > _BLOCK_BYTES_MAX):
                    break
        except JournalError:
            if seq not in block:
                raise  # what is wrong behind the record is no matter here
        if seq not in block:
            raise JournalError(
                f"the journal in {self._directory} has no record {seq}: it ends with {walk.next_seq - 1}"
            )
        self._block = block if size <= _BLOCK_BYTES_MAX else {}
        return block[seq]


def read_one(directory: Path, seq: int) -> Record:
    """Record ``seq``, its checksum proven from the start of its segment; for many use a :class:`Finder`.

    Raises:
        UsageError: there is no journal. JournalError: no such record. JournalDamaged: it is wrong.
    """
    return Finder(directory).read(seq)
