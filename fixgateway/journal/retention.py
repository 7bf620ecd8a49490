"""Removing segments whose time is over: never early, never under a legal hold, never what a start needs.

Only whole, finished segments from the beginning on are removed, so what is kept is one piece. First the journal
is verified; then ``pruned.json`` (:mod:`pruned`) is written from the segments themselves and made durable; then
the files go. An interruption leaves files that nobody looks at any more, and the next removal takes them.

How long records are kept is what the newest start record says: the gateway journals ``journal.retention_years``
at each start. Nothing else in the journal knows its configuration, and nobody can remove records sooner by
forgetting to name a file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from fixgateway.errors import JournalError, UsageError
from fixgateway.journal import holds, pruned, snapshots
from fixgateway.journal.checkpoints import DIRECTORY as CHECKPOINTS
from fixgateway.journal.checkpoints import journal_id, latest
from fixgateway.journal.codec import decode_json
from fixgateway.journal.durable import sync_directory, write_file
from fixgateway.journal.growth import beginning
from fixgateway.journal.holds import Hold
from fixgateway.journal.notes import PublicKey, base64_text
from fixgateway.journal.pruned import Pruned, Removal
from fixgateway.journal.records import Kind, decode
from fixgateway.journal.scan import Segment, Walk, list_segments, locate
from fixgateway.journal.verification import verify

RETENTION_YEARS = 6
"""In force when no start record says how long."""

_MODE = 0o440


@dataclass(frozen=True, slots=True)
class Removable:
    """A segment that may go: its file's name and size, its records, the UTC time of the newest (RFC 3339)."""

    file: str
    bytes: int
    first_seq: int
    last_seq: int
    newest: str


@dataclass(frozen=True, slots=True)
class Pruning:
    """What a removal did, or would do.

    ``refused`` says why the first segment that stays does, with its records; "" when no segment was asked for
    that had to stay. ``root`` is that of the tree over all removed records, "" when there are none.
    """

    removed: tuple[Removable, ...]
    removed_records: int
    kept_from: int
    retention_years: int
    dry_run: bool
    refused: str
    root: str


@dataclass(slots=True)
class _Sealed:
    """A finished segment that was read: see :class:`Removable`; times in nanoseconds, the place behind it."""

    segment: Segment
    last_seq: int
    first_ns: int
    last_ns: int
    crc: int
    peaks: tuple[bytes, ...]


def prune(
    directory: Path,
    by: str,
    now: datetime,
    usable: Callable[[Path], str],
    before: date | None = None,
    dry_run: bool = False,
    keys: Sequence[PublicKey] = (),
    progress: Callable[[int], None] | None = None,
) -> Pruning:
    """Remove the finished segments whose time is over; may run beside the gateway.

    Args:
        directory: the journal or its data directory. by: who removes. now: the time.
        usable: told a snapshot, says why a start cannot use it, "" when it can.
        before: remove only segments all of whose records are of earlier UTC days; then either all of them go
            or, when one must stay, none. None: all that may go.
        dry_run: only say what would be done. keys: the journal is verified with them. progress: told the number
            of records verified.

    Raises:
        UsageError: there is no journal, or it is signed and no key is given.
        JournalError: it is not as it should be, or files cannot be written.
    """
    directory = locate(directory).absolute()
    data_dir = directory.parent
    with holds.only_one(data_dir):
        if not dry_run:
            _remove_leftovers(directory)
        vouched = _check(directory, keys, progress)
        years = retention_years(directory)
        rules = _Rules(now, years, holds.all_holds(data_dir), _needed_from(data_dir, usable), vouched)
        chosen, refused = _choose(directory, rules, before)
        gone = _after(directory, chosen, by, now, years)
        shown = tuple(map(_shown, chosen))
        if not dry_run and chosen and gone is not None:
            _write(directory, gone)
            _unlink(item.segment for item in chosen)
            sync_directory(directory)
    return Pruning(
        shown,
        sum(item.last_seq - item.segment.first_seq + 1 for item in chosen),
        (gone.records if gone else 0) + 1,
        years,
        dry_run,
        refused,
        base64_text(gone.head.root) if gone else "",
    )


# ---------------------------------------------------------------- what must be so


def _check(directory: Path, keys: Sequence[PublicKey], progress: Callable[[int], None] | None) -> int:
    """Nothing is removed from a journal that is not whole; an unfinished last record may be being written.

    Returns:
        how many records the newest checkpoint covers.
    """
    newest = latest(directory / CHECKPOINTS)
    if newest and newest[1].note.signatures and not keys:
        names = ", ".join(signature.name for signature in newest[1].note.signatures)
        raise UsageError(
            f"the checkpoints are signed by {names}: name the public key with --public-key, so that it is known "
            "that a start can use the snapshot it will need"
        )
    found = verify(directory, progress, keys=keys)
    if not found.verified and not found.torn_tail:
        raise JournalError(f"nothing was removed, the journal in {directory} is not verified: {found.damage}")
    return newest[1].head.size if newest else 0


def retention_years(directory: Path) -> int:
    """How many years records are kept, by the newest start record that says so."""
    segments = list_segments(directory)
    for number in range(len(segments) - 1, -1, -1):
        said = [
            decode_json(record.payload).get("retention_years")
            for record in map(decode, _bodies(directory, segments[number]))
            if record.kind == Kind.START
        ]
        found = [years for years in said if isinstance(years, int) and years > 0]
        if found:
            return found[-1]
    return RETENTION_YEARS


def _needed_from(data_dir: Path, usable: Callable[[Path], str]) -> tuple[int, str]:
    """The first record a start may need, and why: where the segment begins in which the oldest snapshot ends.

    One of the snapshots must be usable, else a start needs every record.
    """
    needed: dict[str, int] = {}
    good, why = "", "there is no snapshot"
    for path in snapshots.stored(data_dir / snapshots.DIRECTORY):
        try:
            file = snapshots.SnapshotFile(path)
            file.close()
        except snapshots.SnapshotUnfit as error:
            why = f"snapshot {path.name} is of no use: {error}"
            continue
        needed[path.name] = file.header.position.segment
        if not good:
            refused = usable(path)
            good, why = ("", f"snapshot {path.name} is of no use: {refused}") if refused else (path.name, why)
    if not good:
        return 1, f"a start needs them, because {why}; make one with 'fixgateway journal snapshot'"
    oldest = min(needed, key=lambda name: needed[name])
    return needed[oldest], f"a start from snapshot {oldest} needs them"


@dataclass(frozen=True, slots=True)
class _Rules:
    """Why segments stay. ``needed``: the first record a start needs and why; ``vouched``: records checkpointed."""

    now: datetime
    years: int
    holds: Sequence[Hold]
    needed: tuple[int, str]
    vouched: int

    def refuses(self, item: _Sealed) -> str:
        """Why a finished segment must stay, "" when it may go."""
        keep_until = _years_later(_day(item.last_ns), self.years)
        if self.now.astimezone(UTC).date() <= keep_until:
            return f"they are kept until {keep_until}, {self.years} years (journal.retention_years)"
        held = [hold for hold in self.holds if hold.stands and hold.covers(item.first_ns, item.last_ns)]
        if held:
            return f"legal hold {held[0].name}, set by {held[0].by} on {held[0].at[:10]}: {held[0].reason}"
        if item.last_seq >= self.needed[0]:
            return self.needed[1]
        if item.last_seq > self.vouched:
            return "no checkpoint covers them: what is left of them could not be told from a forgery"
        return ""


def _choose(directory: Path, rules: _Rules, before: date | None) -> tuple[list[_Sealed], str]:
    """The segments that may go, and why the first one behind them stays, as far as it was asked for."""
    chosen: list[_Sealed] = []
    for item in _sealed(directory):
        if before is not None and _day(item.last_ns) >= before:
            return chosen, ""
        why = rules.refuses(item)
        if why:
            refused = f"records {item.segment.first_seq} to {item.last_seq} ({item.segment.path.name}) stay: {why}"
            return ([] if before else chosen), refused
        chosen.append(item)
    newest = "the newest segment always stays"
    return chosen, "" if before else newest


def _sealed(directory: Path) -> Iterator[_Sealed]:
    """The finished segments, oldest first, each read and added to the tree."""
    tree = beginning(directory)
    first_kept = tree.size + 1
    for segment in [item for item in list_segments(directory) if item.first_seq >= first_kept][:-1]:
        walk = Walk(directory, segment.first_seq)
        first_ns = last_ns = 0
        for body in _until_next(walk, directory, segment):
            ts_ns = decode(body).ts_ns
            first_ns, last_ns = min(first_ns or ts_ns, ts_ns), max(last_ns, ts_ns)
            tree.extend([body])
        yield _Sealed(segment, tree.size, first_ns, last_ns, walk.mark.crc, tree.peaks)


def _bodies(directory: Path, segment: Segment) -> Iterator[bytes]:
    return _until_next(Walk(directory, segment.first_seq), directory, segment)


def _until_next(walk: Walk, directory: Path, segment: Segment) -> Iterator[bytes]:
    """The records of one segment; the walk then stands behind its last."""
    following = [item.first_seq for item in list_segments(directory) if item.first_seq > segment.first_seq]
    end = following[0] if following else None
    for body in walk.bodies():
        yield body
        if walk.next_seq == end:
            return


def _day(ts_ns: int) -> date:
    return datetime.fromtimestamp(ts_ns // 1_000_000_000, UTC).date()


def _years_later(day: date, years: int) -> date:
    try:
        return day.replace(year=day.year + years)
    except ValueError:  # 29 February
        return date(day.year + years, 3, 1)


# ---------------------------------------------------------------- doing it


def _after(directory: Path, chosen: Sequence[_Sealed], by: str, now: datetime, years: int) -> Pruned | None:
    """What ``pruned.json`` says when the chosen segments are gone too; None while nothing ever went."""
    gone = pruned.load(directory)
    if not chosen:
        return gone
    last = chosen[-1]
    removal = Removal(
        chosen[0].segment.first_seq,
        last.last_seq,
        _iso(max(item.last_ns for item in chosen)),
        now.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        by,
        years,
        [item.segment.path.name for item in chosen],
        sum(item.segment.path.stat().st_size for item in chosen),
    )
    return pruned.sealed(
        Pruned(
            pruned.FORMAT,
            journal_id(directory),
            last.last_seq,
            last.crc,
            [peak.hex() for peak in last.peaks],
            [*(gone.removals if gone else ()), removal],
        )
    )


def _write(directory: Path, gone: Pruned) -> None:
    """Write ``pruned.json`` durably; from then on the journal begins behind it."""
    file = directory / pruned.FILE
    try:
        write_file(file, pruned.encode(gone), _MODE)
    except OSError as error:
        raise JournalError(f"{file} cannot be written: {error}; nothing was removed") from None


def _remove_leftovers(directory: Path) -> None:
    """Take the files an interrupted removal left."""
    gone = pruned.load(directory)
    for segment in list_segments(directory) if gone else ():
        if gone and segment.first_seq <= gone.records:
            _unlink([segment])


def _unlink(segments: Iterable[Segment]) -> None:
    for segment in segments:
        try:
            segment.path.unlink()
        except OSError as error:
            raise JournalError(
                f"{segment.path} cannot be removed: {error}; its records count as removed, and the next removal "
                "takes the file"
            ) from None


def _shown(item: _Sealed) -> Removable:
    size = item.segment.path.stat().st_size
    return Removable(item.segment.path.name, size, item.segment.first_seq, item.last_seq, _iso(item.last_ns))


def _iso(ts_ns: int) -> str:
    return f"{datetime.fromtimestamp(ts_ns // 1_000_000_000, UTC):%Y-%m-%dT%H:%M:%SZ}"
