"""The engine's message store on disk, read and repaired while the engine is not running.

Four files per session, ``BEGIN-SENDER-TARGET.`` and: ``body`` the texts one after another; ``header`` entries
``number,offset,size `` one after another; ``seqnums`` the next numbers as ``%020d : %020d``; ``session`` the
UTC time of creation. Nothing of it is synced, so after a crash it is a hint: inbound the journal wins, outbound
the larger number wins. The engine reads ``header`` up to the first entry it does not understand and writes the
next one right behind the last byte; a message whose text is not what its entry says, or no message, leaves a
ResendRequest over it without an answer for ever.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from fixgateway.sessions.settings import SessionSpec

_SEQNUMS = re.compile(rb"(\d{20}) : (\d{20})")
_NUMBER_MAX = 2**31 - 1
_CREATED = re.compile(rb"\d{8}-\d\d:\d\d:\d\d(\.\d{1,9})?\s*")
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
    match = _SEQNUMS.fullmatch(text)
    numbers = (int(match[1]), int(match[2])) if match else (0, 0)
    return numbers if all(1 <= number <= _NUMBER_MAX for number in numbers) else None


def is_writable(store_dir: Path, spec: SessionSpec) -> bool:
    """Whether every file of the session's store can be opened for writing."""
    for suffix in ("body", "header", "seqnums", "session"):
        try:
            os.close(os.open(store_path(store_dir, spec, suffix), os.O_RDWR))
        except OSError:
            return False
    return True


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


def sent_texts(store_dir: Path, spec: SessionSpec, first: int = 1) -> Iterator[tuple[int, str]]:
    """``(MsgSeqNum, text)`` of what was sent from number ``first`` on, ascending; sound messages only."""
    for number, raw in _sound(store_dir, spec, first):
        yield number, raw.decode("utf-8", "surrogateescape")


def _sound(store_dir: Path, spec: SessionSpec, first: int = 1) -> Iterator[tuple[int, bytes]]:
    """The stored messages that are what their entries say, ascending."""
    entries = _entries(store_dir, spec)
    path = store_path(store_dir, spec, "body")
    if not entries or not path.exists():
        return
    with path.open("rb") as body:
        for number in sorted(number for number in entries if number >= first):
            offset, size = entries[number]
            body.seek(offset)
            raw = body.read(size)
            if len(raw) == size and _is_sound(raw, number):
                yield number, raw


def _is_sound(raw: bytes, number: int) -> bool:
    """Whether ``raw`` is a FIX message with this MsgSeqNum and the right checksum."""
    check_sum = raw[-4:-1]
    return (
        raw.startswith(b"8=")
        and raw[-8:-4] == b"\x0110="
        and check_sum.isdigit()
        and sum(raw[:-7]) % 256 == int(check_sum)
        and b"\x0134=%d\x01" % number in raw
    )


@dataclass(frozen=True, slots=True)
class Held:
    """What is in a session's store.

    ``numbers`` are the next sender and target number, None when they cannot be read; ``sound`` the MsgSeqNums
    of the messages that can be resent, ascending; ``whole`` says that every file is as the engine wrote it;
    ``files`` whether there is any.
    """

    numbers: tuple[int, int] | None
    sound: tuple[int, ...]
    whole: bool
    files: bool = True


def look(store_dir: Path, spec: SessionSpec) -> Held:
    """Read a session's store and check all of it."""
    numbers = read_seqnums(store_dir, spec)
    sound = tuple(number for number, _ in _sound(store_dir, spec))
    files = {suffix: _read(store_path(store_dir, spec, suffix)) for suffix in ("header", "session")}
    header, created = files["header"], files["session"]
    body_size = _size(store_path(store_dir, spec, "body"))
    entries = list(_ENTRY.finditer(header or b""))
    whole = (
        numbers is not None
        and header is not None
        and sum(len(entry[0]) for entry in entries) == len(header)
        and sum(int(entry[3]) for entry in entries) == body_size
        and len(sound) == len({entry[1] for entry in entries})
        and created is not None
        and _CREATED.fullmatch(created) is not None
    )
    there = body_size is not None or any(content is not None for content in files.values())
    return Held(numbers, sound, whole, there or store_path(store_dir, spec, "seqnums").exists())


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


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
