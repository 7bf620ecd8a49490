"""Reading a journal: streaming, following the writer, fetching one record; verifying is :mod:`verification`'s.

``directory`` is a journal's own directory or the data directory that holds it, everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from fixgateway.errors import JournalError
from fixgateway.journal.records import Record, decode
from fixgateway.journal.scan import Mark, Walk, locate
from fixgateway.journal.verification import Verification, verify

__all__ = ["FOLLOW_RECORDS", "Finder", "Follower", "Verification", "read", "read_one", "verify"]

FOLLOW_RECORDS = 10_000
"""Most records one poll of a follower returns unless told otherwise."""

_MARK_EVERY = 1000
_MARKS_MAX = 100_000


def read(directory: Path, from_seq: int = 1) -> Iterator[Record]:
    """The records from ``from_seq`` on, checked, in order; an unfinished last record is not given.

    Raises:
        UsageError: there is no journal. JournalDamaged: with the number of the first wrong record.
    """
    walk = Walk(locate(directory), from_seq)
    for body in walk.bodies():
        if walk.next_seq > from_seq:
            yield decode(body)


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
    """Fetches single records by number; remembers places on the way, so neighbours are near.

    Safe to use from several threads: a walk is private to its call, and the places are a dict that is only
    added to.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = locate(directory)
        self._marks: dict[int, Mark] = {}

    def read(self, seq: int) -> Record:
        """Record ``seq``.

        Raises:
            JournalError: no such record (yet). JournalDamaged: a record on the way is wrong.
        """
        # The mark at the start of the block of records that holds seq, when an earlier walk passed it.
        mark = self._marks.get((seq - 1) // _MARK_EVERY) if seq > 0 else None
        walk = Walk(self._directory, seq, mark)
        for body in walk.bodies():
            read_seq = walk.next_seq - 1
            if read_seq % _MARK_EVERY == 0 and len(self._marks) < _MARKS_MAX:
                self._marks[read_seq // _MARK_EVERY] = walk.mark
            if read_seq == seq:
                return decode(body)
        raise JournalError(
            f"the journal in {self._directory} has no record {seq}: it ends with {walk.next_seq - 1}"
        )


def read_one(directory: Path, seq: int) -> Record:
    """Record ``seq``, its checksum proven from the start of its segment; for many use a :class:`Finder`.

    Raises:
        UsageError: there is no journal. JournalError: no such record. JournalDamaged: it is wrong.
    """
    return Finder(directory).read(seq)
