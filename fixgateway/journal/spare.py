"""The spare directory: where the journal goes on when its own disk fails, and the way back.

Theory of operation. A failed write or sync says nothing about what else the disk has lost, and a failed sync is
never tried again. So the writer leaves the segment as it is, cut back to what is surely durable if the disk
lets it, and goes on in a new segment on another disk, in the *spare directory*. That segment continues the
journal: its first sequence is the one after the last durable record, its chain value that record's crc.

At the next start :func:`bring_back` makes one journal of the two again: what stands behind the last durable
record in the old place was never acted on and is put aside (``.torn``); the segments of the spare are copied,
synced, read back and only then removed. It may be interrupted anywhere and begins again at the next start.

The journal's directory holds a note, the file ``spare``, that names the spare directory. So nobody starts on
the old half because the spare is not mounted or was taken out of the configuration, and readers can say that
there is more than they see.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from dataclasses import dataclass
from pathlib import Path

from fixgateway.errors import JournalDamaged, JournalError, UsageError
from fixgateway.journal.durable import fsync, sync_directory
from fixgateway.journal.scan import Mark, Segment, Walk, list_segments

NOTE = "spare"
"""File in the journal's directory that names the spare directory."""

_NOTE_CHARS_MAX = 4096
_MODE = 0o640
_BLOCK_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Spare:
    """An open, locked spare directory; ``fd`` is the directory's."""

    directory: Path
    fd: int


def open_spare(directory: Path) -> Spare:
    """Open and lock a spare directory. It must be there: a disk that is not mounted is not replaced by a folder.

    Raises:
        UsageError: it is no directory, cannot be read, or another gateway uses it.
    """
    try:
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise UsageError(f"journal.spare_dir {directory}: {error.strerror}; create or mount it") from None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        raise UsageError(
            f"journal.spare_dir {directory} is in use by another gateway: give each its own"
        ) from None
    return Spare(directory, fd)


# ---------------------------------------------------------------- the note


def noted(journal: Path) -> Path | None:
    """The spare directory that a journal's directory names, None when it names none.

    Raises:
        JournalError: the note cannot be read.
    """
    try:
        with (journal / NOTE).open(encoding="utf-8", errors="surrogateescape") as file:
            text = file.read(_NOTE_CHARS_MAX).strip()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise JournalError(f"cannot read {journal / NOTE}: {error.strerror}; restore its rights") from None
    return Path(text) if text else None


def write_note(journal: Path, spare: Path) -> None:
    """Name the spare directory in the journal's, durably, before anything is written there. Raises OSError."""
    if noted(journal) == spare:
        return
    unnamed = journal / f"{NOTE}.new"
    fd = os.open(unnamed, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _MODE)
    try:
        os.write(fd, os.fsencode(f"{spare}\n"))
        fsync(fd)
    finally:
        os.close(fd)
    os.rename(unnamed, journal / NOTE)
    sync_directory(journal)


def check_note(journal: Path, spare: Path | None) -> None:
    """Refuse to start on half a journal: an earlier run may have gone on in another spare directory.

    Raises:
        UsageError: the directory an earlier start named holds segments, or cannot be looked at.
    """
    before = noted(journal)
    if before is None or before == spare:
        return
    if not before.is_dir():
        raise UsageError(
            f"the journal in {journal} may go on in {before}, which is not there: mount it; or, if you are sure "
            f"that no gateway ever went on there, remove the file {journal / NOTE}"
        )
    if list_segments(before):
        raise UsageError(
            f'the journal in {journal} goes on in {before}: set journal.spare_dir = "{before}" and start; the '
            "gateway brings those records back"
        )
    if spare is None:
        with contextlib.suppress(OSError):
            (journal / NOTE).unlink()


def pending_text(journal: Path) -> str:
    """What a reader of a journal's directory does not see because it is in the spare directory; "" for nothing.

    A spare directory that cannot be looked at from here, as beside a copy on another machine, is passed over.
    """
    try:
        spare = noted(journal)
        segments = list_segments(spare) if spare is not None and spare.is_dir() else []
    except (JournalError, OSError):
        return ""
    if not segments:
        return ""
    return (
        f"records from {segments[0].first_seq} on are not here but in {spare}: the journal's disk failed and the "
        "gateway went on there; its next start brings them back"
    )


# ---------------------------------------------------------------- the way back


def bring_back(journal: Path, spare: Path) -> int:
    """Bring the segments of a spare directory back into the journal's. The caller holds both locks.

    Returns:
        how many records came back; 0 when there was nothing.

    Raises:
        JournalDamaged: the segments do not fit the journal, or one of them is wrong; nothing was removed.
        JournalError: something cannot be read, written or removed; the next start tries again.
    """
    segments = list_segments(spare)
    try:
        for leftover in spare.glob("*.fgj.new"):
            leftover.unlink()
        if not segments:
            return 0
        first = segments[0].first_seq
        end = _end(Walk(spare, first))
        records = end.next_seq - first
        if records:
            mark = _fit(journal, spare, segments[0], end)
            _put_aside(journal, mark, segments)
            for segment in segments:
                _copy(segment, journal)
            if _same_end(journal, first, end) != end.next_seq:
                raise JournalError(
                    f"what was copied from {spare} to {journal} does not read back the same: the disk or memory "
                    "is bad; nothing was removed"
                )
        # First to last, each surely gone before the next: what remains after a power failure is always the end.
        for segment in segments:
            segment.path.unlink()
            sync_directory(spare)
    except OSError as error:
        raise JournalError(
            f"cannot bring the journal's records back from {spare} to {journal}: {error}; make both writable and "
            "start again. Nothing is lost"
        ) from error
    return records


def _end(walk: Walk) -> Mark:
    """Read to the last good record."""
    for _ in walk.bodies():
        pass
    return walk.mark


def _fit(journal: Path, spare: Path, segment: Segment, end: Mark) -> Mark | None:
    """The place in the journal behind which the spare's first segment was written; None: before record 1."""
    first = segment.first_seq
    chain = Walk(spare, first).mark.crc
    mark = None
    if first > 1:
        walk = Walk(journal, first - 1)
        for _ in walk.bodies():
            if walk.next_seq == first:
                break
        if walk.next_seq != first:
            raise JournalDamaged(
                walk.next_seq,
                f"records {walk.next_seq} to {first - 1} are missing: the journal in {journal} ends before them, "
                f"{spare} begins with {first}; restore the newest journal",
            )
        mark = walk.mark
        if mark.crc != chain:
            raise JournalDamaged(
                first,
                f"the records in {spare} were not written behind this journal: its record {first - 1} is another. "
                "Give each gateway its own journal.spare_dir, and restore the journal they belong to",
            )
    reached = _same_end(journal, first, end)
    if reached > end.next_seq:
        raise JournalError(
            f"records {first} to {end.next_seq - 1} are in {spare} and in {journal}, which goes on to record "
            f"{reached - 1}: it was used since. Move the segments out of {spare} and start again"
        )
    return mark


def _same_end(journal: Path, first: int, end: Mark) -> int:
    """The number after the journal's last good record if it holds what ends at ``end``; 0 when it does not."""
    agrees = False
    walk = Walk(journal, first)
    with contextlib.suppress(JournalDamaged):  # judged later, if it stays: here it is the end of what is good
        for _ in walk.bodies():
            if walk.next_seq == end.next_seq:
                agrees = walk.mark.crc == end.crc
    return walk.next_seq if agrees else 0


def _put_aside(journal: Path, mark: Mark | None, segments: list[Segment]) -> None:
    """Keep what stands behind ``mark`` in ``.torn`` files and cut it off: it was never acted on."""
    first = segments[0].first_seq
    names = {segment.path.name: segment.path for segment in segments}
    for found in list_segments(journal):
        if found.first_seq < first:
            continue
        copied = names.get(found.path.name)
        if copied is None or not _begins_with(copied, found.path):
            found.path.rename(found.path.with_name(f"{found.path.name}.torn"))
    if mark is not None and not mark.segment.compressed and mark.segment.path.stat().st_size > mark.offset:
        _cut(mark.segment.path, mark.offset, journal / f"{first:020d}.torn")
    sync_directory(journal)


def _begins_with(whole: Path, part: Path) -> bool:
    """Whether ``whole`` begins with all of ``part``."""
    with whole.open("rb") as first, part.open("rb") as second:
        while block := second.read(_BLOCK_BYTES):
            if first.read(len(block)) != block:
                return False
    return True


def _cut(path: Path, size: int, keep: Path) -> None:
    """End a file at ``size`` bytes; the rest goes to ``keep``."""
    with contextlib.suppress(OSError):
        path.chmod(_MODE)
    with path.open("r+b") as file:
        file.seek(size)
        tail = file.read()
        with keep.open("ab") as kept:
            kept.write(tail)
            kept.flush()
            fsync(kept.fileno())
        file.truncate(size)
        fsync(file.fileno())


def _copy(segment: Segment, journal: Path) -> None:
    """Copy one segment, durable before it gets its name."""
    unnamed = journal / f"{segment.path.name}.new"
    with segment.path.open("rb") as source, unnamed.open("wb") as target:
        while block := source.read(_BLOCK_BYTES):
            target.write(block)
        target.flush()
        fsync(target.fileno())
    unnamed.chmod(_MODE)
    unnamed.rename(journal / segment.path.name)
    sync_directory(journal)
