"""Verifying all of a journal: every record, every segment, and the tree against every checkpoint.

The records' checksums find accidents. Whoever may write the files can compute new ones, but not a root that was
signed before, or is kept where he cannot write: that is what checkpoints are compared for.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fixgateway.errors import JournalDamaged, JournalError
from fixgateway.journal.checkpoints import DIRECTORY, Checkpoint, journal_id, load, parse, stored
from fixgateway.journal.growth import Comparison, Known
from fixgateway.journal.notes import NoteError, PublicKey, base64_text
from fixgateway.journal.records import decode, is_readable
from fixgateway.journal.scan import Walk, list_segments, locate

_PROGRESS_EVERY = 10_000
_UNFINISHED_WAIT_SECONDS = 0.05


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


@dataclass(slots=True)
class _Statements:
    """What checkpoints say, and what is wrong with the checkpoints themselves."""

    known: list[Known] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    longest: int = 0
    signed_records: int = 0
    signed_by: set[str] = field(default_factory=set)
    any_signed: bool = False


def verify(
    directory: Path,
    progress: Callable[[int], None] | None = None,
    checkpoints: Sequence[Path] = (),
    keys: Sequence[PublicKey] = (),
) -> Verification:
    """Check every record and segment, and the tree against checkpoints; may run beside the writer.

    Args:
        directory: the journal or its data directory; the checkpoints it holds are always compared.
        progress: called now and then with the number of records checked.
        checkpoints: others to compare it with: files, or directories of them as anchors keep them. The journal
            must hold what they say; a shorter or other journal is damaged.
        keys: the public keys signatures are checked with. At least one checkpoint must be signed by one of them,
            and each of ``checkpoints``.

    Raises:
        UsageError: there is no journal, or a file of ``checkpoints`` is none. Damage is not raised but reported.
    """
    directory = locate(directory)
    said = _Statements()
    torn = False
    first = last = 0
    damage = root = ""
    try:
        _collect(said, directory, checkpoints, keys)
        comparison = Comparison(directory, said.known)
        walk = Walk(directory)
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
    segments = list_segments(directory)
    if not segments:
        damage = f"record 1: there are no segment files in {directory}; a gateway's first start makes one"
    damage = damage or "; ".join(said.problems[:1])
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


def _collect(said: _Statements, directory: Path, given: Sequence[Path], keys: Sequence[PublicKey]) -> None:
    """Read the journal's own checkpoints and those given."""
    files = [file for path in given for file in (sorted(path.rglob("*.checkpoint")) if path.is_dir() else [path])]
    identity = journal_id(directory) if list_segments(directory) else ""
    for file in files:
        _take(said, file, load(file), identity, keys, must_be_signed=bool(keys))
    for file in stored(directory / DIRECTORY):
        try:
            _take(said, file, parse(file.read_bytes()), identity, keys, must_be_signed=False)
        except (OSError, NoteError) as error:
            said.problems.append(f"checkpoint {file} was changed or cannot be read: {error}")
    if keys and not said.signed_records:
        names = ", ".join(key.name for key in keys)
        said.problems.append(f"no checkpoint is signed by {names}: name the .pub file of the key the gateway had")


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


def _signatures(said: _Statements, keys: Sequence[PublicKey]) -> str:
    if not said.known:
        return "no checkpoints"
    if said.signed_records:
        return f"by {', '.join(sorted(said.signed_by))}, up to record {said.signed_records}"
    if keys:
        return f"none by {', '.join(key.name for key in keys)}"
    return "not checked (no public key given)" if said.any_signed else "not signed"
