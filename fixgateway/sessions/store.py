"""The engine's message store on disk, read and repaired while the engine is not running.

Four files per session, ``BEGIN-SENDER-TARGET.`` and: ``body`` the texts one after another; ``header`` entries
``number,offset,size `` one after another; ``seqnums`` the next numbers as ``%020d : %020d``; ``session`` the
UTC time of creation. Nothing of it is synced, so after a crash it is a hint: inbound the journal wins, outbound
the larger number wins.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from fixgateway.sessions.settings import SessionSpec

_SEQNUMS = re.compile(rb"\s*(\d{1,20}) : (\d{1,20})")
_ENTRY = re.compile(rb"(\d+),(\d+),(\d+) ")


def store_path(store_dir: Path, spec: SessionSpec, suffix: str) -> Path:
    """The store's file of a session; ``suffix`` is body, header, seqnums or session."""
    return store_dir / f"{spec.begin_string}-{spec.gateway_comp_id}-{spec.comp_id}.{suffix}"


def read_seqnums(store_dir: Path, spec: SessionSpec) -> tuple[int, int] | None:
    """``(next sender, next target)`` MsgSeqNum, None when there is no store or it cannot be read."""
    try:
        text = store_path(store_dir, spec, "seqnums").read_bytes()
    except FileNotFoundError:
        return None
    match = _SEQNUMS.match(text)
    return (int(match[1]), int(match[2])) if match else None


def write_seqnums(store_dir: Path, spec: SessionSpec, next_sender: int, next_target: int) -> None:
    """Replace the session's next numbers, atomically and synced."""
    store_dir.mkdir(parents=True, exist_ok=True)
    _replace(store_path(store_dir, spec, "seqnums"), b"%020d : %020d" % (next_sender, next_target))


def prepare_target(store_dir: Path, spec: SessionSpec, next_target: int) -> int:
    """Make the engine expect ``next_target`` at most, so that the counterparty sends again what we lost.

    Never raises the store's number: a number too low costs a resend, one too high costs a message.

    Args:
        next_target: 1 + the highest MsgSeqNum accepted and durable in the journal, in this epoch.

    Returns:
        the next target number the engine will start with (1 when there is no store).
    """
    numbers = read_seqnums(store_dir, spec)
    if numbers is None:
        return 1
    sender, target = numbers
    wanted = max(1, min(target, next_target))
    if wanted != target:
        write_seqnums(store_dir, spec, sender, wanted)
    return wanted


def prepare_sender(store_dir: Path, spec: SessionSpec, next_sender: int) -> int:
    """Make the engine go on at ``next_sender`` at least; never lowers ("MsgSeqNum too low" ends a session).

    Returns:
        the next sender number the engine will start with.
    """
    sender, target = read_seqnums(store_dir, spec) or (1, 1)
    if next_sender > sender:
        write_seqnums(store_dir, spec, next_sender, target)
    return max(sender, next_sender)


def _entries(store_dir: Path, spec: SessionSpec) -> dict[int, tuple[int, int]]:
    """number → (offset, size); a torn last entry is ignored, of two of one number the later counts."""
    try:
        text = store_path(store_dir, spec, "header").read_bytes()
    except FileNotFoundError:
        return {}
    return {int(m[1]): (int(m[2]), int(m[3])) for m in _ENTRY.finditer(text)}


def sent_numbers(store_dir: Path, spec: SessionSpec) -> list[int]:
    """The MsgSeqNums of all stored messages, ascending."""
    return sorted(_entries(store_dir, spec))


def sent_texts(store_dir: Path, spec: SessionSpec, first: int = 1) -> Iterator[tuple[int, str]]:
    """``(MsgSeqNum, text)`` of what was sent from number ``first`` on, ascending.

    An entry that points outside the body file (the machine died) is left out.
    """
    entries = _entries(store_dir, spec)
    path = store_path(store_dir, spec, "body")
    if not entries or not path.exists():
        return
    with path.open("rb") as body:
        for number in sorted(number for number in entries if number >= first):
            offset, size = entries[number]
            body.seek(offset)
            raw = body.read(size)
            if len(raw) == size:
                yield number, raw.decode("utf-8", "surrogateescape")


def repair(store_dir: Path, spec: SessionSpec) -> list[int]:
    """Forget entries whose text is not in the body file.

    The engine answers a ResendRequest over such an entry by dropping the connection, again and again; without
    the entry it fills the gap.

    Returns:
        the MsgSeqNums forgotten.
    """
    entries = _entries(store_dir, spec)
    kept = dict.fromkeys(number for number, _ in sent_texts(store_dir, spec))
    lost = [number for number in sorted(entries) if number not in kept]
    if lost:
        lines = (b"%d,%d,%d " % (number, *entries[number]) for number in sorted(kept))
        _replace(store_path(store_dir, spec, "header"), b"".join(lines))
    return lost


def rebuild(
    store_dir: Path,
    spec: SessionSpec,
    texts: Iterable[tuple[int, str]],
    next_sender: int,
    next_target: int,
) -> None:
    """Write a session's store anew, from the journal: on another machine, or after the store was lost.

    Args:
        texts: ``(MsgSeqNum, text)`` of every first send of the epoch, header and trailer included.
        next_sender, next_target: the numbers to go on with.
    """
    store_dir.mkdir(parents=True, exist_ok=True)
    body, header = bytearray(), bytearray()
    for number, text in texts:
        raw = text.encode("utf-8", "surrogateescape")
        header += b"%d,%d,%d " % (number, len(body), len(raw))
        body += raw
    _replace(store_path(store_dir, spec, "body"), bytes(body))
    _replace(store_path(store_dir, spec, "header"), bytes(header))
    created = datetime.now(UTC).strftime("%Y%m%d-%H:%M:%S")
    _replace(store_path(store_dir, spec, "session"), created.encode())
    write_seqnums(store_dir, spec, next_sender, next_target)


def _replace(path: Path, content: bytes) -> None:
    unfinished = path.with_name(path.name + ".new")
    with unfinished.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
