"""Snapshots of what recovery knows: made by replaying the journal, used by the next start.

A snapshot is what :class:`~fixgateway.recovery.Reader` remembers after record N, no more and no less. It is never
taken from the running gateway but made by the same reader from the journal, beginning with an older snapshot, so
that a start from it and a start from the first record come to the same. Whoever reads a journal to judge it
(verify, replay, records rebuild) begins with the first record and looks at no snapshot.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from fixgateway.errors import JournalDamaged, JournalError
from fixgateway.journal import pruned, snapshots
from fixgateway.journal.growth import Comparison, Known, Start
from fixgateway.journal.index import WireIndex
from fixgateway.journal.merkle import Head
from fixgateway.journal.notes import PrivateKey, PublicKey
from fixgateway.journal.reader import Finder
from fixgateway.journal.records import Record, decode
from fixgateway.journal.scan import KEPT, Mark, Walk
from fixgateway.journal.segments import Writer
from fixgateway.journal.snapshots import Header, Position, SnapshotFile, SnapshotUnfit
from fixgateway.recovery import Reader, sent_at
from fixgateway.replay import uncollected
from fixgateway.snapshot_lines import lines, made_by, restore

Unfit = Callable[[Path, str], None]
"""Told of a snapshot that is left aside, and why."""


@dataclass(frozen=True, slots=True)
class Source:
    """A journal to read.

    ``directory`` is the journal's own, ``known`` what checkpoints say of it, ``key`` the signing key's public half
    (snapshots must then be signed with it), ``spare`` where the journal goes on when its disk fails.
    """

    directory: Path
    known: Sequence[Known] = ()
    key: PublicKey | None = None
    spare: Path | None = None

    def new_reader(self) -> Reader:
        """A reader at the beginning of the journal, which must exist."""
        finder = Finder(self.directory, self.spare)
        return Reader(WireIndex(lambda seq: sent_at(finder, seq)))


# ---------------------------------------------------------------- using one


@dataclass(frozen=True, slots=True)
class Base:
    """Where a journal is read on: at ``start`` with a ``reader`` that knows all before it, or from the beginning.

    ``path`` is the snapshot, None at the beginning; ``compared`` are the checkpoints it was compared with.
    """

    reader: Reader
    path: Path | None = None
    start: Start | None = None
    compared: tuple[Head, ...] = ()

    @property
    def records(self) -> int:
        """How many records the reader knows."""
        return self.start.records if self.start else 0

    @property
    def mark(self) -> Mark | None:
        """Where the records go on."""
        return self.start.mark if self.start else None


def load(path: Path, source: Source) -> Base:
    """Read a snapshot that fits a journal.

    Raises:
        SnapshotUnfit: it cannot be used.
    """
    file = SnapshotFile(path, source.key)
    try:
        _check_maker(file.header.made_by, source.directory)
        start = snapshots.place(file.header, source.directory, source.known)
        reader = source.new_reader()
        with uncollected():
            restore(file.lines(), reader)
        if reader.memory.records != start.records:
            raise SnapshotUnfit(f"it knows {reader.memory.records} records and says {start.records}")
        gone = pruned.load(source.directory)
        if gone is not None:
            reader.index.forget(gone.records)
            reader.memory.receipts.forget(gone.records)
        return Base(reader, path, start, file.header.compared)
    except SnapshotUnfit:
        raise
    except JournalError as error:
        raise SnapshotUnfit(str(error)) from None
    finally:
        file.close()


def _check_maker(theirs: str, journal: Path) -> None:
    """Another version decides by other rules, and reading the journal again is how its state comes about.

    A journal whose first records were removed cannot be read again; there the values' shape is what counts.
    """
    ours = made_by()
    if theirs == ours or (theirs.split()[-1:] == ours.split()[-1:] and pruned.load(journal) is not None):
        return
    raise SnapshotUnfit(f"it was made by {theirs[:60]}, this is {ours[:60]}")


def bases(directory: Path, source: Source, unfit: Unfit, up_to: int = 0) -> Iterator[Base]:
    """The snapshots that fit, newest first, each loaded when it is asked for.

    Args:
        directory: the snapshots'. source: the journal. unfit: told of each that does not fit.
        up_to: those of more records are not looked at; 0 takes any.
    """
    try:
        paths = snapshots.stored(directory)
    except SnapshotUnfit as error:
        unfit(directory, str(error))
        return
    for path in paths:
        if up_to and path.name > snapshots.file_name(up_to):
            continue
        try:
            yield load(path, source)
        except SnapshotUnfit as error:
            unfit(path, str(error))


def open_journal(
    open_writer: Callable[[Start | None], Writer], directory: Path | None, source: Source, unfit: Unfit
) -> tuple[Writer, Base]:
    """Open a journal to write, and a reader that knows as much of it as a snapshot tells.

    Args:
        open_writer: opens the writer, from a place on or (None) from the beginning.
        directory: the snapshots'; None: none is used. source, unfit: as for :func:`bases`.

    Raises:
        JournalDamaged, JournalError: as the writer does when it reads everything.
    """
    for base in bases(directory, source, unfit) if directory else ():
        try:
            return open_writer(base.start), base
        except JournalDamaged as error:
            # Damaged behind the snapshot, or the snapshot's tree is wrong: reading everything tells.
            unfit(base.path or source.directory, str(error))
            break
    return open_writer(None), Base(source.new_reader())


def rest(base: Base, source: Source) -> Iterator[Record]:
    """The records behind what a base's reader knows."""
    return map(decode, Walk(source.directory, mark=base.mark).bodies())


def verify_before(source: Source, head: Head) -> None:
    """Read what a start from a snapshot did not: the records before it, which must be the tree the snapshot has.

    Args:
        source: the journal. head: size and root of the snapshot's tree.

    Raises:
        JournalDamaged: a record is wrong or was replaced. JournalError: the journal cannot be read.
    """
    known = [*source.known, Known(head, "the snapshot the gateway started from")]
    comparison = Comparison(source.directory, known)
    for _ in comparison.feed(_Bodies(Walk(source.directory, KEPT), head.size)):
        pass


# ---------------------------------------------------------------- making one


@dataclass(frozen=True, slots=True)
class Made:
    """What making a snapshot came to: its file, records in it, how many were replayed, behind which snapshot."""

    path: str
    records: int
    replayed: int
    based_on: str


def make(
    data_dir: Path,
    known: Sequence[Known],
    unfit: Unfit,
    key: PrivateKey | None = None,
    up_to: int = 0,
    progress: Callable[[int], None] | None = None,
) -> Made:
    """Make a snapshot of a journal by replaying it behind the newest one that fits.

    Snapshots found unfit are removed when the new one is written, old ones too.

    Args:
        data_dir: the gateway's. known: what checkpoints say of its journal; it is compared with them on the way.
        unfit: told of each snapshot that does not fit. key: signs the new one.
        up_to: the last record it knows; 0: all there are. progress: told the number of records read.

    Raises:
        JournalDamaged: a record is wrong. JournalError: there are no such records, or it cannot be written.
    """
    source = Source(data_dir / "journal", known, key.public if key else None)
    directory, aside = data_dir / snapshots.DIRECTORY, list[Path]()

    def leave(path: Path, why: str) -> None:
        aside.append(path)
        unfit(path, why)

    try:
        with snapshots.only_one(directory), uncollected():
            base = next(bases(directory, source, leave, up_to), None) or Base(source.new_reader())
            header = _read_on(base, source, up_to, progress)
            if header.records > base.records:
                path = snapshots.write(directory, header, lines(base.reader), key)
                # Where the first records were removed a snapshot may be the only way back; it costs a file.
                snapshots.prune(directory, path, aside if pruned.load(source.directory) is None else ())
    except OSError as error:
        raise JournalError(f"no snapshot can be written in {directory}: {error}") from None
    made = directory / snapshots.file_name(header.records)
    based_on = base.path.name if base.path else ""
    return Made(str(made), header.records, header.records - base.records, based_on)


def _read_on(base: Base, source: Source, up_to: int, progress: Callable[[int], None] | None = None) -> Header:
    """Let a base's reader take the records up to ``up_to`` (0: all); what a snapshot of it says of itself."""
    journal = source.directory
    comparison = Comparison(journal, source.known, base.start)
    bodies = _Bodies(Walk(journal, mark=base.mark), up_to)
    take = base.reader.take
    for chunk in comparison.feed(bodies):
        for body in chunk:
            take(decode(body))
        if progress:
            progress(comparison.tree.size)
    tree = comparison.tree
    if up_to > tree.size or not tree.size:
        raise JournalError(f"the journal in {journal} ends with record {tree.size}: nothing to make a snapshot of")
    compared = {item.head for item in source.known if item.head.size <= tree.size}
    ordered = tuple(sorted(compared, key=lambda head: (head.size, head.root)))
    return Header(made_by(), tree.size, bodies.position, tree.peaks, ordered)


class _Bodies:
    """The records of a walk up to a number, and where the last one given stands."""

    def __init__(self, walk: Walk, up_to: int) -> None:
        self._walk = walk
        self._up_to = up_to
        self._last: Mark | None = None

    def __iter__(self) -> Iterator[bytes]:
        walk, up_to = self._walk, self._up_to
        if up_to and walk.next_seq > up_to:
            return
        for body in walk.bodies():
            self._last = walk.mark
            yield body
            if walk.next_seq > up_to > 0:
                return

    @property
    def position(self) -> Position:
        """Of the last record given, nowhere when there was none."""
        if self._last is None:
            return Position(0, 0, 0)
        return Position(self._last.segment.first_seq, self._last.offset, self._last.crc)


def check(path: Path, journal: Path, progress: Callable[[int], None] | None = None) -> str:
    """Compare a snapshot with what the journal says from its first record on; "" when they are the same.

    Raises:
        SnapshotUnfit: the file is no whole snapshot of this version. JournalError: the journal cannot be read.
    """
    file = SnapshotFile(path)
    try:
        if file.header.made_by != made_by():
            raise SnapshotUnfit(f"{path.name} was made by another version: {file.header.made_by[:60]}")
        source = Source(journal)
        base = Base(source.new_reader())
        with uncollected():
            header = _read_on(base, source, file.header.records, progress)
            if dataclasses.replace(header, compared=file.header.compared) != file.header:
                return f"the journal's first {header.records} records are not the ones of the snapshot"
            for ours, theirs in zip_longest(lines(base.reader), file.lines()):
                if ours != theirs:
                    return f"its {(ours or theirs or ('', b''))[0]} is not what the journal says"
        return ""
    finally:
        file.close()
