"""Small readings of raw FIX text that the session layer needs; no parser (that is the wire room's work)."""

from __future__ import annotations

import re

SOH = "\x01"

HEADER_TAGS = frozenset(
    {8, 9, 35, 49, 56, 115, 128, 90, 91, 34, 50, 142, 57, 143, 116, 144, 129, 145, 43, 97, 52, 122, 212, 213}
    | {347, 369, 370, 1128, 1129, 1156, 627}
)
"""Tags the engine writes before the body (StandardHeader of FIX 4.2 to FIXT.1.1)."""

TRAILER_TAGS = frozenset({93, 89, 10})

_DATA_LENGTHS = {
    tag: tag - 1 for tag in (91, 96, 213, 349, 351, 353, 355, 357, 359, 361, 363, 365, 446, 619, 622)
} | {89: 93}
"""Data tags of FIX 4.2 to 5.0SP2 that occur in practice, each with the tag of its length."""

# One pattern that begins with a plain character: the search jumps from field to field.
_DATA_MARK = re.compile(f"\x01(?:{'|'.join(map(str, sorted(_DATA_LENGTHS)))})=")
_DATA_STARTS = tuple(f"{tag}=" for tag in _DATA_LENGTHS)


def field(text: str, tag: int) -> str:
    """The value of the first ``tag`` in ``text`` (not the first field), "" when there is none."""
    mark = f"\x01{tag}="
    at = text.find(mark)
    if at < 0:
        return ""
    start = at + len(mark)
    end = text.find(SOH, start)
    return text[start:end] if end >= 0 else text[start:]


def msg_seq_num(text: str) -> int:
    """MsgSeqNum(34) as the sender wrote it, 0 when there is none or it is no plain number."""
    at = text.find("\x0134=")
    if at < 0:
        return 0
    value = text[at + 4 : text.find(SOH, at + 4)]
    # int() takes more than FIX does ("1_2", " 7", other scripts' digits).
    return int(value) if value.isdigit() and value.isascii() else 0


def msg_type(text: str) -> str:
    """MsgType(35), "" when there is none."""
    at = text.find("\x0135=") + 4
    if at < 4:
        return ""
    end = text.find(SOH, at)
    return text[at:end] if end >= 0 else text[at:]


def to_bytes(text: str) -> bytes:
    """The bytes of the wire that ``text`` stands for."""
    return text.encode("utf-8", "surrogateescape")


def is_sound(text: str) -> bool:
    """Whether BodyLength(9) and CheckSum(10) fit the bytes: the peer meant to send exactly this."""
    raw = to_bytes(text)
    trailer = raw.rfind(b"\x0110=")
    length_at = raw.find(b"\x019=")
    if trailer < 0 or length_at < 0:
        return False
    body_at = raw.find(b"\x01", length_at + 1) + 1
    declared, checksum = raw[length_at + 3 : body_at - 1], raw[trailer + 4 : -1]
    if not (declared.isdigit() and checksum.isdigit() and raw.endswith(b"\x01")):
        return False
    return int(declared) == trailer + 1 - body_at and int(checksum) == sum(raw[: trailer + 1]) % 256


def header_fields(text: str) -> list[tuple[int, str]]:
    """The fields of the standard header, in order, of text the engine itself wrote."""
    fields: list[tuple[int, str]] = []
    for part in text.split(SOH):
        tag, _, value = part.partition("=")
        if not tag.isdigit() or int(tag) not in HEADER_TAGS:
            break
        fields.append((int(tag), value))
    return fields


def body(text: str) -> str:
    """The body fields, each ended by SOH, of text the engine itself wrote."""
    end = text.rfind("\x0110=") + 1
    at = 0
    while at < end:
        tag = text[at : text.find("=", at)]
        if not tag.isdigit() or int(tag) not in HEADER_TAGS:
            break
        at = text.find(SOH, at) + 1
    return text[at:end]


def lying_length(body: str) -> int:
    """The first data tag whose length field is missing or wrong, 0 when there is none.

    The engine parses what it stored before it can resend it; such a body would leave a ResendRequest
    unanswered for ever.
    """
    if not _DATA_MARK.search(body) and not body.startswith(_DATA_STARTS):
        return 0  # nearly every body
    at, previous_tag, previous = 0, 0, ""
    while at < len(body):
        equals = body.find("=", at)
        tag = int(body[at:equals]) if body[at:equals].isdigit() else 0
        end = body.find(SOH, equals)
        end = len(body) if end < 0 else end
        if tag in _DATA_LENGTHS:
            if previous_tag != _DATA_LENGTHS[tag] or not previous.isdigit():
                return tag
            # Lengths count bytes, positions here count characters.
            rest = to_bytes(body[equals + 1 :])
            size = int(previous)
            if size > len(rest) or rest[size : size + 1] not in (b"\x01", b""):
                return tag
            end = equals + 1 + len(rest[:size].decode("utf-8", "surrogateescape"))
        previous_tag, previous = tag, body[equals + 1 : end]
        at = end + 1
    return 0
