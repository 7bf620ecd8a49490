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
from typing import NamedTuple

from fixgateway.sessions.settings import SessionSpec

_SEQNUMS = re.compile(rb"(\d{20}) : (\d{20})")
_NUMBER_MAX = 2**31 - 1
_CREATED = re.compile(rb"\d{8}-\d\d:\d\d:\d\d(\.\d{1,9})?\s*")
_ENTRY = re.compile(rb"(\d+),(\d+),(\d+) ")
_BEGINNING = re.compile(rb"8=[^\x01]+\x019=\d+\x0135=[^\x01]+\x0134=(\d+)\x01")
_BEGINNING_BYTES = 64
"""The engine writes MsgSeqNum(34) as the fourth field: a longer piece of a message shows its number."""


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
    ``files`` whether there is any; ``torn`` says that nothing is wrong but that the engine was ended while it
    wrote a message, which has not left then.
    """

    numbers: tuple[int, int] | None
    sound: tuple[int, ...]
    whole: bool
    files: bool = True
    torn: bool = False


def look(store_dir: Path, spec: SessionSpec) -> Held:
    """Read a session's store and check all of it."""
    numbers = read_seqnums(store_dir, spec)
    sound = tuple(number for number, _ in _sound(store_dir, spec))
    header, created = (_read(store_path(store_dir, spec, suffix)) for suffix in ("header", "session"))
    body_size = _size(store_path(store_dir, spec, "body"))
    listing = _Listing.of(header or b"")
    right = (
        numbers is not None
        and header is not None
        and len(sound) == listing.messages
        and created is not None
        and _CREATED.fullmatch(created) is not None
    )
    whole = right and listing.rest == b"" and listing.body_bytes == body_size
    torn = right and not whole and numbers is not None and _is_torn(store_dir, spec, numbers[0], sound, listing)
    there = body_size is not None or header is not None or created is not None
    return Held(numbers, sound, whole, there or store_path(store_dir, spec, "seqnums").exists(), torn)


class _Listing(NamedTuple):
    """What a header lists: how many messages in how many bytes of the body, how many of its own, and the rest."""

    messages: int
    body_bytes: int
    entry_bytes: int
    rest: bytes

    @classmethod
    def of(cls, header: bytes, before: int = 0) -> _Listing:
        """Entries one behind the other from the beginning on, up to that of message ``before``; the rest."""
        numbers: set[int] = set()
        at = body_bytes = 0
        while (match := _ENTRY.match(header, at)) and int(match[1]) != before:
            numbers.add(int(match[1]))
            body_bytes += int(match[3])
            at = match.end()
        return cls(len(numbers), body_bytes, at, header[at:])


def _is_torn(store_dir: Path, spec: SessionSpec, number: int, sound: tuple[int, ...], listing: _Listing) -> bool:
    """Whether message ``number``, the next one, was being written and nothing else is wrong.

    The engine writes the text, then its entry, then the number after it.
    """
    body = _read(store_path(store_dir, spec, "body")) or b""
    text = body[listing.body_bytes :]
    if len(body) < listing.body_bytes:
        return False
    if listing.rest:
        entry = b"%d,%d,%d " % (number, listing.body_bytes, len(text))
        return entry.startswith(listing.rest) and _is_sound(text, number)
    shown = _BEGINNING.match(text)
    if shown:
        return int(shown[1]) == number
    begins = text[:5] == b"8=FIX"[: len(text)]
    return begins and len(text) < _BEGINNING_BYTES and max(sound, default=0) == number - 1


def cut(store_dir: Path, spec: SessionSpec, number: int) -> None:
    """Cut message ``number``, the last one, or its beginning, off a store. Ended half way it can be repeated."""
    header = store_path(store_dir, spec, "header")
    listing = _Listing.of(header.read_bytes(), number)
    for path, size in ((header, listing.entry_bytes), (store_path(store_dir, spec, "body"), listing.body_bytes)):
        with path.open("r+b") as file:
            file.truncate(size)
            os.fsync(file.fileno())


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
