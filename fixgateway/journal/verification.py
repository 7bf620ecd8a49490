"""Verifying all of a journal: every record, every segment, and the tree against every checkpoint.

The records' checksums find accidents. Whoever may write the files can compute new ones, but not a root that was
signed before, or is kept where he cannot write: that is what checkpoints are compared for.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from fixgateway.errors import JournalDamaged, JournalError
from fixgateway.journal import pruned
from fixgateway.journal.checkpoints import DIRECTORY, Checkpoint, journal_id, load, parse, stamp_file, stored
from fixgateway.journal.growth import Comparison, Known
from fixgateway.journal.notes import NoteError, PublicKey, base64_text
from fixgateway.journal.records import decode, is_readable
from fixgateway.journal.scan import KEPT, Walk, list_segments, locate
from fixgateway.journal.spare import pending_text

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

_PROGRESS_EVERY = 10_000
_UNFINISHED_WAIT_SECONDS = 0.05


@dataclass(frozen=True, slots=True, order=True)
class Stamped:
    """A time stamp: the first ``records`` records existed at ``time`` (UTC)."""

    records: int
    time: str


@dataclass(frozen=True, slots=True)
class Verification:
    """What a verification found.

    ``records`` are the good ones, ``first_seq`` to ``last_seq`` (0 when there are none); ``bytes`` is the size
    of all segment files. ``damage`` names the first wrong record, its segment file, the byte and what is
    wrong, "" when nothing is. ``torn_tail``: the damage is an unfinished last record, as a crash leaves it;
    the gateway cuts it at its next start. ``verified`` is true when there is no damage of either sort.

    ``root`` is the root of the tree over the good records, base64. ``checkpoints`` were compared, the longest
    of ``checkpoint_records`` records. ``signatures`` says in words what is known of their signatures, and
    ``signed_records`` how many records the longest one covers whose signature was checked.

    ``removed`` says which records were removed by whom, "" for none. The others are verified as ever; what is
    left of the removed ones must agree with a checkpoint.

    ``time_stamps`` are the checkpoints with a time stamp, shortest first; ``time_stamped`` says in words what
    the longest one shows, and whether the authority's signatures were checked.
    """

    records: int
    first_seq: int
    last_seq: int
    segments: int
    bytes: int
    torn_tail: bool
    damage: str
    verified: bool
    root: str = ""
    checkpoints: int = 0
    checkpoint_records: int = 0
    signed_records: int = 0
    signatures: str = "no checkpoints"
    time_stamps: tuple[Stamped, ...] = ()
    time_stamped: str = "no time stamps"
    removed: str = ""


@dataclass(slots=True)
class _Statements:
    """What checkpoints say, and what is wrong with the checkpoints themselves."""

    known: list[Known] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    longest: int = 0
    signed_records: int = 0
    signed_by: set[str] = field(default_factory=set)
    any_signed: bool = False
    stamps: set[Stamped] = field(default_factory=set)
    removed: str = ""


def verify(
    directory: Path,
    progress: Callable[[int], None] | None = None,
    checkpoints: Sequence[Path] = (),
    keys: Sequence[PublicKey] = (),
    tsa_roots: Sequence[Certificate] = (),
) -> Verification:
    """Check every record and segment, and the tree against checkpoints; may run beside the writer.

    Args:
        directory: the journal or its data directory; the checkpoints it holds are always compared.
        progress: called now and then with the number of records checked.
        checkpoints: others to compare it with: files, or directories of them as anchors keep them. The journal
            must hold what they say; a shorter or other journal is damaged.
        keys: the public keys signatures are checked with. At least one checkpoint must be signed by one of them,
            and each of ``checkpoints``.
        tsa_roots: certificates the signature of every time stamp must lead to, and there must be one. Time
            stamps are looked for beside all checkpoints.

    Raises:
        UsageError: there is no journal, or a file of ``checkpoints`` is none. Damage is not raised but reported.
    """
    directory = locate(directory)
    said = _Statements()
    torn = False
    first = last = 0
    damage = root = ""
    try:
        _collect(said, directory, checkpoints, keys, tsa_roots)
        _note_removed(said, directory)
        comparison = Comparison(directory, said.known)
        walk = Walk(directory, KEPT)
        first = walk.next_seq
        for attempt in range(2):
            _read(walk, comparison, progress)
            if walk.torn is None or attempt:
                break
            time.sleep(_UNFINISHED_WAIT_SECONDS)  # a writer may be in the middle of it
        last = comparison.tree.size
        root = base64_text(comparison.tree.head.root)
        comparison.finish()
        if walk.torn:
            torn = True
            damage = f"{walk.torn.text}; a crash leaves this, the gateway cuts it off at its next start"
    except JournalDamaged as error:
        last = error.sequence - 1
        damage = str(error)
    except JournalError as error:
        damage = f"record {last + 1}: {error}"
    segments = [segment for segment in list_segments(directory) if segment.first_seq >= first]
    if not segments:
        damage = f"record 1: there are no segment files in {directory}; a gateway's first start makes one"
    damage = "; ".join(filter(None, (pending_text(directory), damage))) or "; ".join(said.problems[:1])
    records = max(0, last - first + 1) if first else 0
    return Verification(
        records=records,
        first_seq=first if records else 0,
        last_seq=last if records else 0,
        segments=len(segments),
        bytes=sum(segment.path.stat().st_size for segment in segments),
        torn_tail=torn,
        damage=damage,
        verified=not damage,
        root=root,
        checkpoints=len(said.known),
        checkpoint_records=said.longest,
        signed_records=said.signed_records,
        signatures=_signatures(said, keys),
        time_stamps=tuple(sorted(said.stamps)),
        time_stamped=_time_stamped(said, bool(tsa_roots)),
        removed=said.removed,
    )


def _read(walk: Walk, comparison: Comparison, progress: Callable[[int], None] | None) -> None:
    """Read to the end, everything checked. Raises JournalDamaged at the first wrong record."""
    told = 0
    for chunk in comparison.feed(walk.bodies()):
        size = comparison.tree.size
        for number, body in enumerate(chunk, size - len(chunk) + 1):
            if not is_readable(body):
                try:
                    decode(body)
                except JournalError as error:
                    raise JournalDamaged(number, str(error)) from None
        if progress and size // _PROGRESS_EVERY > told // _PROGRESS_EVERY:
            progress(size)
            told = size


# ---------------------------------------------------------------- checkpoints


def _collect(
    said: _Statements,
    directory: Path,
    given: Sequence[Path],
    keys: Sequence[PublicKey],
    tsa_roots: Sequence[Certificate],
) -> None:
    """Read the journal's own checkpoints and those given, and their time stamps."""
    files = [file for path in given for file in (sorted(path.rglob("*.checkpoint")) if path.is_dir() else [path])]
    identity = journal_id(directory) if list_segments(directory) else ""
    for file in files:
        checkpoint = load(file)
        _take(said, file, checkpoint, identity, keys, must_be_signed=bool(keys))
        _take_stamp(said, file, checkpoint, tsa_roots)
    for file in stored(directory / DIRECTORY):
        try:
            checkpoint = parse(file.read_bytes())
            _take(said, file, checkpoint, identity, keys, must_be_signed=False)
            _take_stamp(said, file, checkpoint, tsa_roots)
        except (OSError, NoteError) as error:
            said.problems.append(f"checkpoint {file} was changed or cannot be read: {error}")
    if keys and not said.signed_records:
        names = ", ".join(key.name for key in keys)
        said.problems.append(f"no checkpoint is signed by {names}: name the .pub file of the key the gateway had")
    if tsa_roots and not said.stamps:
        said.problems.append("no checkpoint has a good time stamp: the gateway had no journal.timestamp_url")


def _take(
    said: _Statements,
    file: Path,
    checkpoint: Checkpoint,
    identity: str,
    keys: Sequence[PublicKey],
    must_be_signed: bool,
) -> None:
    """Note what one checkpoint says, and whether it is to be believed."""
    size = checkpoint.head.size
    said.known.append(Known(checkpoint.head, f"checkpoint {file}"))
    said.longest = max(said.longest, size)
    said.any_signed |= bool(checkpoint.note.signatures)
    if identity and not checkpoint.origin.endswith(f"/{identity}"):
        said.problems.append(
            f"checkpoint {file} is of journal {checkpoint.origin}, this one is {identity}: it is another one, or "
            "was replaced from its first record on"
        )
    try:
        signers = [key.name for key in keys if key.signed(checkpoint.note)]
    except NoteError as error:
        said.problems.append(f"checkpoint {file}: {error}")
        return
    if signers:
        said.signed_by.update(signers)
        said.signed_records = max(said.signed_records, size)
    elif must_be_signed:
        said.problems.append(f"checkpoint {file} is not signed by {', '.join(key.name for key in keys)}")


def _note_removed(said: _Statements, directory: Path) -> None:
    """Say what was removed, and compare what is left of it with a checkpoint of just these records.

    Those of more records are compared as the tree grows out of what is left; those of fewer cannot be any more.
    """
    gone = pruned.load(directory)
    if gone is None:
        return
    fewer = sum(item.head.size < gone.records for item in said.known)
    said.removed = gone.text + (f"; {fewer} checkpoints of fewer records cannot be compared" if fewer else "")
    if fewer == len(said.known):
        said.problems.append(
            f"no checkpoint vouches for {pruned.FILE}, which stands for records 1 to {gone.records}: name one of "
            "more records with --checkpoint"
        )
    for item in said.known:
        if item.head.size == gone.records and item.head != gone.head:
            raise JournalDamaged(1, f"{pruned.FILE} is not of the records of {item.source}: it was changed")


def _take_stamp(said: _Statements, file: Path, checkpoint: Checkpoint, roots: Sequence[Certificate]) -> None:
    """Check the time stamp beside a checkpoint, if there is one."""
    path = stamp_file(file)
    if not path.exists():
        return
    # Imported here: readers of journals need not load a library for certificates.
    from fixgateway.journal.timestamps import StampError, check

    try:
        moment = check(path.read_bytes(), checkpoint.data, roots).time
    except (OSError, StampError) as error:
        said.problems.append(f"time stamp {path}: {error}")
        return
    said.stamps.add(Stamped(checkpoint.head.size, _iso(moment)))


def _iso(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def _time_stamped(said: _Statements, signed: bool) -> str:
    if not said.stamps:
        return "no time stamps"
    longest = max(said.stamps)
    checked = "signatures checked" if signed else "signatures not checked (no certificate given)"
    return f"{len(said.stamps)}, records 1 to {longest.records} existed by {longest.time}, {checked}"


def _signatures(said: _Statements, keys: Sequence[PublicKey]) -> str:
    if not said.known:
        return "no checkpoints"
    if said.signed_records:
        return f"by {', '.join(sorted(said.signed_by))}, up to record {said.signed_records}"
    if keys:
        return f"none by {', '.join(key.name for key in keys)}"
    return "not checked (no public key given)" if said.any_signed else "not signed"
