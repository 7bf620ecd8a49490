"""Records and their frames: how one journal entry looks in bytes.

A frame, all numbers big-endian::

    length u32   bytes of the body
    crc    u32   CRC-32C of the body, continued from the crc of the record before
    body:  seq u64 · ts_ns u64 · kind u8 · session (u8 length, UTF-8) · payload (the rest)

The CRC runs on from record to record and from segment to segment, so a record only fits behind the one it
was written behind. It finds accidents; it is no proof against somebody who recomputes it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

import google_crc32c

from fixgateway.core.values import quick
from fixgateway.errors import JournalError

PAYLOAD_BYTES_MAX = 128 * 1024 * 1024
"""Largest payload of one record: the decision that divides 100,000 accounts has 60 MB with one broker."""

SESSION_BYTES_MAX = 255
SESSIONS_CACHED_MAX = 4096

FRAME = struct.Struct(">II")
"""What stands before a body: its length and its crc."""

PEEK = struct.Struct(">IIQ")
"""A frame's length and crc, and the sequence its body starts with."""

_HEAD = struct.Struct(">QQB")
_HEAD_SIZE = _HEAD.size
_pack_frame, _pack_head, _unpack_head = FRAME.pack, _HEAD.pack, _HEAD.unpack_from

BODY_BYTES_MIN = _HEAD_SIZE + 1
BODY_BYTES_MAX = BODY_BYTES_MIN + SESSION_BYTES_MAX + PAYLOAD_BYTES_MAX

extend_crc: Callable[[int, bytes], int] = google_crc32c.extend
"""``extend_crc(crc, body)``: the CRC-32C ``crc`` continued over ``body``."""


class Kind(IntEnum):
    """What a record is; the numbers are on disk and never change."""

    START = 1
    CONTROL = 2
    SEEN = 3
    ACCEPTED = 4
    ENGINE_REFUSED = 5
    DECISION = 6
    WIRE_OUT = 7
    EVENT = 8
    STOP = 9

    @property
    def label(self) -> str:
        """The name people see: ``engine-refused``."""
        return self.name.lower().replace("_", "-")


KIND_BY_LABEL: dict[str, Kind] = {kind.label: kind for kind in Kind}
_KIND_BY_NUMBER: dict[int, Kind] = {int(kind): kind for kind in Kind}


class Record(NamedTuple):
    """One entry of the journal.

    ``seq`` counts from 1 without gaps; ``ts_ns`` is UTC nanoseconds; ``session`` is the counterparty's name,
    "" when there is none; what ``payload`` holds depends on ``kind``.
    """

    seq: int
    ts_ns: int
    kind: Kind
    session: str
    payload: bytes


# ---------------------------------------------------------------- frames

_prefixes: dict[str, bytes] = {}
_names: dict[bytes, str] = {}


def _session_prefix(session: str) -> bytes:
    """The session as it stands in a body; remembered, because a gateway has few sessions and many records."""
    name = session.encode("utf-8", "surrogateescape")
    if len(name) > SESSION_BYTES_MAX:
        raise JournalError(
            f"session name {session[:40]!r}… is {len(name)} bytes, the journal takes {SESSION_BYTES_MAX}: "
            "choose a shorter comp_id"
        )
    if len(_prefixes) >= SESSIONS_CACHED_MAX:
        _prefixes.clear()
    prefix = _prefixes[session] = bytes((len(name),)) + name
    return prefix


def encode(seq: int, ts_ns: int, kind: int, session: str, payload: bytes, crc: int) -> tuple[bytes, bytes, int]:
    """Frame one record.

    Args:
        seq: its number. ts_ns: UTC nanoseconds. kind: a :class:`Kind`. session: counterparty or "".
        payload: at most :data:`PAYLOAD_BYTES_MAX` bytes.
        crc: the crc of the record before, the segment's chain value for the first.

    Returns:
        the frame's head, its body, and the crc to hand to the next record.

    Raises:
        JournalError: the payload or the session name is too long, or a number does not fit.
    """
    if len(payload) > PAYLOAD_BYTES_MAX:
        raise JournalError(f"record {seq}: payload of {len(payload)} bytes, the journal takes {PAYLOAD_BYTES_MAX}")
    prefix = _prefixes.get(session) or _session_prefix(session)
    try:
        body = _pack_head(seq, ts_ns, kind) + prefix + payload
    except struct.error as error:
        raise JournalError(f"record {seq}: ts_ns {ts_ns} or kind {kind} cannot be written: {error}") from None
    crc = extend_crc(crc, body)
    return _pack_frame(len(body), crc), body, crc


def decode(body: bytes) -> Record:
    """Read the record in a frame's body, whose crc was checked before.

    Raises:
        JournalError: the kind is unknown (written by a newer fixgateway) or the session does not fit.
    """
    seq, ts_ns, number = _unpack_head(body)
    kind = _KIND_BY_NUMBER.get(number)
    payload_at = BODY_BYTES_MIN + body[_HEAD_SIZE]
    if kind is None or payload_at > len(body):
        raise JournalError(
            f"record {seq}: kind {number} or its session is not known here; read this journal with the "
            "fixgateway version that wrote it, named in its start record"
        )
    name = body[BODY_BYTES_MIN:payload_at]
    session = _names.get(name)
    if session is None:
        if len(_names) >= SESSIONS_CACHED_MAX:
            _names.clear()
        session = _names[name] = name.decode("utf-8", "surrogateescape")
    # As Record(…) does, without the call between: replay and recovery make millions.
    return tuple.__new__(Record, (seq, ts_ns, kind, session, body[payload_at:]))


def is_readable(body: bytes) -> bool:
    """Whether :func:`decode` knows the record in a frame's body; much quicker than decoding it."""
    return body[_HEAD_SIZE - 1] in _KIND_BY_NUMBER and BODY_BYTES_MIN + body[_HEAD_SIZE] <= len(body)


_TIME = struct.Struct(">Q")
_DAY_NS = 86_400_000_000_000


def day_of(body: bytes) -> int:
    """The UTC day of a record's time, counted from 1970-01-01, from its frame's body."""
    return int(_TIME.unpack_from(body, 8)[0]) // _DAY_NS


# ---------------------------------------------------------------- payloads

_ACCEPTED = struct.Struct(">QQI")
_WIRE_OUT = struct.Struct(">QI")
_REFUSED = struct.Struct(">Q")


class AcceptedRef(NamedTuple):
    """Payload of ``accepted``: the ``seen`` record it delivers, MsgSeqNum(34), the session's epoch.

    ``seed`` is the random seed in hex drawn for a statement, else "".
    """

    seen_seq: int
    msg_seq_num: int
    epoch: int
    seed: str


@quick
@dataclass(frozen=True, slots=True)
class WireOut:
    """Payload of ``wire-out``: the decision (0: none) and output index it was sent for, and its bytes."""

    decision_seq: int
    index: int
    raw: bytes


class RefusedRef(NamedTuple):
    """Payload of ``engine-refused``: the ``seen`` record the FIX engine refused, and its words."""

    seen_seq: int
    why: str


def _too_short(layout: struct.Struct, payload: bytes, what: str) -> JournalError:
    """What is wrong with a payload that has not even its fixed part."""
    return JournalError(
        f"payload of {len(payload)} bytes is not a {what} record's: it needs {layout.size} or more"
    )


def pack_accepted(seen_seq: int, msg_seq_num: int, epoch: int, seed: str) -> bytes:
    """Payload of an ``accepted`` record; see :class:`AcceptedRef`."""
    return _ACCEPTED.pack(seen_seq, msg_seq_num, epoch) + seed.encode("ascii")


def unpack_accepted(payload: bytes) -> AcceptedRef:
    """Read an ``accepted`` record's payload. Raises JournalError when it is none."""
    try:
        seen_seq, msg_seq_num, epoch = _ACCEPTED.unpack_from(payload)
    except struct.error:
        raise _too_short(_ACCEPTED, payload, "accepted") from None
    return AcceptedRef(seen_seq, msg_seq_num, epoch, payload[_ACCEPTED.size :].decode("ascii", "replace"))


def pack_wire_out(decision_seq: int, index: int, raw: bytes) -> bytes:
    """Payload of a ``wire-out`` record; see :class:`WireOut`."""
    return _WIRE_OUT.pack(decision_seq, index) + raw


def unpack_wire_out(payload: bytes) -> WireOut:
    """Read a ``wire-out`` record's payload. Raises JournalError when it is none."""
    try:
        decision_seq, index = _WIRE_OUT.unpack_from(payload)
    except struct.error:
        raise _too_short(_WIRE_OUT, payload, "wire-out") from None
    return WireOut(decision_seq, index, payload[_WIRE_OUT.size :])


def pack_engine_refused(seen_seq: int, why: str) -> bytes:
    """Payload of an ``engine-refused`` record; see :class:`RefusedRef`."""
    return _REFUSED.pack(seen_seq) + why.encode("utf-8", "surrogateescape")


def unpack_engine_refused(payload: bytes) -> RefusedRef:
    """Read an ``engine-refused`` record's payload. Raises JournalError when it is none."""
    try:
        (seen_seq,) = _REFUSED.unpack_from(payload)
    except struct.error:
        raise _too_short(_REFUSED, payload, "engine-refused") from None
    return RefusedRef(seen_seq, payload[_REFUSED.size :].decode("utf-8", "surrogateescape"))
