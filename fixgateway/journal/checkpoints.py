"""Checkpoints: what the journal's tree was at some size, as a signed note (c2sp.org/tlog-checkpoint).

The text of a checkpoint is three lines::

    fixgateway/<gateway>/<journal>      the origin: which journal this is
    <number of records>
    <root of the tree, base64>

``<journal>`` is the start of the hash of record 1 in hex, so a journal that was replaced from its beginning has
another origin. Checkpoints are kept one a file, ``<number of records, 20 digits>.checkpoint`` in a folder named
by the first 15 digits, in ``journal/checkpoints`` and in every anchor directory; a file is complete when it has
its name, and is never changed. A time stamp (:mod:`timestamps`) lies beside its checkpoint as
``….checkpoint.tsr``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from fixgateway.errors import JournalError, UsageError
from fixgateway.journal import pruned
from fixgateway.journal.durable import make_directory, write_file
from fixgateway.journal.growth import Known
from fixgateway.journal.merkle import HASH_BYTES, Head, leaf_hash
from fixgateway.journal.notes import Note, NoteError, PublicKey, base64_text, bytes_of, parse_note
from fixgateway.journal.scan import Walk

DIRECTORY = "checkpoints"
"""Where a journal keeps its own checkpoints, in its directory."""

_ID_BYTES = 8
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")
STAMP_SUFFIX = ".tsr"
"""What the file of a checkpoint's time stamp has behind the checkpoint's name."""

_FILE = re.compile(r"([0-9]{20})\.checkpoint")
_FOLDER = re.compile(r"[0-9]{15}")
_FOLDER_DIGITS = 15
_MODE = 0o440


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint: which journal, its tree, the note it was read from and that note's bytes."""

    origin: str
    head: Head
    note: Note
    data: bytes


def checkpoint_text(origin: str, head: Head) -> str:
    """The text of a checkpoint, to be signed."""
    return f"{origin}\n{head.size}\n{base64_text(head.root)}\n"


def parse(data: bytes) -> Checkpoint:
    """Read a checkpoint; lines behind the third are allowed and mean nothing.

    Raises:
        NoteError: it is none.
    """
    note = parse_note(data)
    lines = note.text[:-1].split("\n")
    if len(lines) < 3 or not all(lines):
        raise NoteError("no checkpoint: it has not the lines origin, number of records and root")
    origin, size, root = lines[:3]
    if not _SIZE.fullmatch(size):
        raise NoteError(f"no checkpoint: {size[:30]!r} is no number of records")
    head = Head(int(size), bytes_of(root))
    if len(head.root) != HASH_BYTES:
        raise NoteError("no checkpoint: its root has a wrong length")
    return Checkpoint(origin, head, note, data)


def load(path: Path) -> Checkpoint:
    """Read a checkpoint file.

    Raises:
        UsageError: it cannot be read or holds no checkpoint.
    """
    try:
        return parse(path.read_bytes())
    except OSError as error:
        raise UsageError(f"checkpoint {path}: {error.strerror}") from None
    except NoteError as error:
        raise UsageError(f"checkpoint {path}: {error}") from None


# ---------------------------------------------------------------- which journal


def journal_id(directory: Path) -> str:
    """What tells a journal from all others: the start of the hash of its first record, "" when it has none.

    Raises:
        JournalDamaged: the first record is wrong. JournalError: what is left of removed records is.
    """
    gone = pruned.load(directory)
    if gone:
        return gone.journal
    for body in Walk(directory).bodies():
        return leaf_hash(body)[:_ID_BYTES].hex()
    return ""


def origin_of(directory: Path, name: str) -> str:
    """The origin of a journal's checkpoints: the one it had until now, for a new one made of ``name``.

    Raises:
        JournalError: the newest checkpoint cannot be read.
    """
    identity = journal_id(directory) if directory.is_dir() else ""
    newest = latest(directory / DIRECTORY)
    if newest is not None and newest[1].origin.endswith(f"/{identity}"):
        return newest[1].origin
    return f"fixgateway/{name}/{identity}"


def anchor_directory(root: Path, origin: str) -> Path:
    """Where an anchor directory keeps the checkpoints of one journal; several may share it."""
    return root / origin.replace("/", "-")


# ---------------------------------------------------------------- files


def store(root: Path, checkpoint: Checkpoint) -> Path:
    """Write a checkpoint durably below a directory, which is made when missing; returns its file.

    Raises:
        OSError: it cannot be written. JournalError: another checkpoint of this size is there.
    """
    file = _file_of(root, checkpoint)
    if _keep(file, checkpoint.data) != checkpoint.data:
        raise JournalError(f"{file} is another checkpoint of {checkpoint.head.size} records; it was not changed")
    return file


def store_stamp(root: Path, checkpoint: Checkpoint, stamp: bytes) -> Path:
    """Write a checkpoint's time stamp durably beside it; one that is there already stays, being older.

    Raises:
        OSError: it cannot be written.
    """
    file = stamp_file(_file_of(root, checkpoint))
    _keep(file, stamp)
    return file


def stamp_file(checkpoint: Path) -> Path:
    """Where the time stamp of a checkpoint's file is."""
    return checkpoint.with_name(checkpoint.name + STAMP_SUFFIX)


def _file_of(root: Path, checkpoint: Checkpoint) -> Path:
    number = f"{checkpoint.head.size:020d}"
    return root / number[:_FOLDER_DIGITS] / f"{number}.checkpoint"


def _keep(file: Path, data: bytes) -> bytes:
    """Write a file that shall never change, durably, its folders made; returns what it holds, if it was there."""
    make_directory(file.parent)
    if file.exists():
        return file.read_bytes()
    write_file(file, data, _MODE)
    return data


def stored(root: Path) -> Iterator[Path]:
    """The checkpoint files below a directory, by number of records; none when there is no directory."""
    for folder in _entries(root):
        if _FOLDER.fullmatch(folder.name):
            yield from (file for file in _entries(folder) if _FILE.fullmatch(file.name))


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise JournalError(f"cannot list {folder}: {error.strerror}; restore its rights") from None


def latest(root: Path) -> tuple[Path, Checkpoint] | None:
    """The checkpoint of most records below a directory and its file; None when there is none.

    Raises:
        JournalError: it cannot be read, or is none: files appear whole, so somebody changed it.
    """
    for folder in reversed(_entries(root)):
        if not _FOLDER.fullmatch(folder.name):
            continue
        for file in reversed(_entries(folder)):
            if _FILE.fullmatch(file.name):
                return file, _load_stored(file)
    return None


def _load_stored(file: Path) -> Checkpoint:
    try:
        return parse(file.read_bytes())
    except (OSError, NoteError) as error:
        raise JournalError(
            f"checkpoint {file}: {error}; the gateway writes these files whole and never changes them: look at "
            "the journal with 'fixgateway journal verify'"
        ) from None


def known(directory: Path, name: str, anchors: Iterable[Path] = (), key: PublicKey | None = None) -> list[Known]:
    """What the newest checkpoints say of a journal: its own, and those of its anchor directories.

    For the start of a :class:`~fixgateway.journal.segments.Writer`: older checkpoints were compared when these
    were made. An anchor directory that cannot be read is left out.

    Args:
        directory: the journal's own directory. name: the gateway's. anchors: anchor directories.
        key: the signing key's public half; a wrong signature by it is an error.

    Raises:
        JournalError: the journal's newest checkpoint cannot be read or was changed.
    """
    own = latest(directory / DIRECTORY)
    found = [] if own is None else [own]
    origin = origin_of(directory, name)
    for root in anchors:
        try:
            newest = latest(anchor_directory(root, origin))
        except JournalError:
            continue
        found += [] if newest is None else [newest]
    for file, checkpoint in found:
        _check_signature(file, checkpoint, key)
    return [Known(checkpoint.head, f"checkpoint {file}") for file, checkpoint in found]


def _check_signature(file: Path, checkpoint: Checkpoint, key: PublicKey | None) -> None:
    try:
        if key is not None:
            key.signed(checkpoint.note)
    except NoteError as error:
        raise JournalError(f"checkpoint {file}: {error}; look at it, do not remove it") from None
