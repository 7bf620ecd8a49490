"""Lossless reading of one FIX message.

A message is cut into header, body and trailer; the body stays exactly as it came, because it is forwarded
byte for byte. Nothing is judged here: unknown tags, repeated tags and wrong groups are all kept
(:mod:`fixgateway.wire.check` judges). Data fields are cut by their length in bytes and may contain SOH.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from fixgateway.errors import WireError

Pair = tuple[str, str]
"""Tag and value of one field."""

SOH = "\x01"
MAX_TEXT = 16 * 1024 * 1024
"""Longest text parsed, in characters; a statement of 100,000 lines needs 3 million."""

HEADER_TAGS = frozenset((
    "8", "9", "34", "35", "43", "49", "50", "52", "56", "57", "90", "91", "97", "115", "116", "122", "128",
    "129", "142", "143", "144", "145", "212", "213", "347", "369", "370", "627", "628", "629", "630", "1128",
    "1129", "1156",
))  # fmt: skip
"""Tags of the standard header in any version (FIX 4.0 to 4.4, FIXT.1.1)."""

TRAILER_TAGS = frozenset(("93", "89", "10"))

DATA_OF: Mapping[str, str] = {
    "90": "91", "93": "89", "95": "96", "212": "213", "348": "349", "350": "351", "352": "353", "354": "355",
    "356": "357", "358": "359", "360": "361", "362": "363", "364": "365", "445": "446", "618": "619",
    "621": "622",
}  # fmt: skip
"""Length tag → data tag for FIX 4.0 to 4.4; a dictionary may say more (:mod:`fixgateway.wire.dictionary`)."""

# The header as it nearly always is: plain fields, no data field. Possessive: a header cannot be cut two ways.
_HEADER = re.compile(
    "(?:(?:3[45]|49|5[0267]|9[7]?|8|43|1(?:1[56]|2[289]|4[2345]|12[89]|156)|3(?:47|69|70)|62[789]|630)"
    "=[^\x01]*+\x01)*+"
)
# And a whole frame whose header has the seven fields that nearly every one has, in the order engines write them.
_PLAIN_FRAME = re.compile(
    "8=([^\x01]*)\x019=([^\x01]*)\x0135=([^\x01]+)\x0134=([^\x01]*)\x0149=([^\x01]*)\x0152=([^\x01]*)\x0156=([^\x01]*)\x01"
    f"(?!(?:{'|'.join(HEADER_TAGS)})=)((?:.*\x01)?)10=[^\x01]*\x01",
    re.DOTALL,
)
_FIELDS = re.compile("([^=\x01]*)=([^\x01]*)\x01")
_LENGTH = re.compile("[0-9]{1,8}")
_SIGNED = f"{SOH}93="


class Message:
    """One FIX message.

    Attributes:
        text: the whole message as it came.
        msg_type: MsgType(35).
        header: first occurrence of every header field, by tag.
        body: the exact text between header and trailer, ending with SOH; "" when there is none.
        fields: first occurrence of every body field, by tag; group members included.
        cut_at_soh: every SOH of the body ends a field: no data field, no piece without ``=``.
    """

    __slots__ = ("_pairs", "body", "cut_at_soh", "fields", "header", "msg_type", "text")

    def __init__(
        self, text: str, header: dict[str, str], body: str, fields: dict[str, str], pairs: list[Pair] | None
    ) -> None:
        self.text = text
        self.header = header
        self.msg_type = header["35"]
        self.body = body
        self.fields = fields
        self.cut_at_soh = pairs is None
        self._pairs = pairs

    @property
    def pairs(self) -> list[Pair]:
        """The body's fields in order; ``join(pairs) == body``."""
        if self._pairs is None:
            self._pairs = _FIELDS.findall(self.body)
        return self._pairs

    def get(self, tag: str, default: str = "") -> str:
        """The value of the body's first ``tag``, or ``default``."""
        return self.fields.get(tag, default)

    def __repr__(self) -> str:
        return f"Message({self.text.replace(SOH, '|')!r})"


def join(pairs: Iterable[Pair]) -> str:
    """FIX text of ``pairs``, in their order."""
    return "".join([f"{tag}={value}\x01" for tag, value in pairs])


def parse(text: str, data_of: Mapping[str, str] = DATA_OF) -> Message:
    """Cut one FIX message into header, body and trailer.

    A piece without ``=`` is taken as the rest of the value before it (that value had a SOH inside); between
    header and body it belongs to neither.

    Args:
        text: one whole message, from ``8=`` to the SOH after ``10=…``.
        data_of: length tag → data tag.

    Raises:
        WireError: when there is no usable frame: no ``8=`` at the start, no CheckSum(10) at the end, no
            MsgType(35) in the header, or longer than :data:`MAX_TEXT`.
    """
    header: dict[str, str] | None
    plain = _PLAIN_FRAME.fullmatch(text) if len(text) <= MAX_TEXT else None
    if plain:
        begin, length, msg_type, number, sender, sent, target, body = plain.groups()
        fields = _first_fields(body)
        if fields is not None and "93" not in fields and data_of.keys().isdisjoint(fields):
            header = {
                "8": begin, "9": length, "35": msg_type, "34": number, "49": sender, "52": sent, "56": target,
            }  # fmt: skip
            return Message(text, header, body, fields, None)
    end = _trailer(text)
    if _SIGNED not in text:
        header_match = _HEADER.match(text)
        start = header_match.end() if header_match else 0
        header = _first_fields(text[:start])
        body = text[start:end]
        # No field is a length and the header ended where it should: cutting at every SOH loses nothing.
        if (
            header is not None
            and (fields := _first_fields(body)) is not None
            and data_of.keys().isdisjoint(fields)
            and not (body and body[: body.index("=")] in HEADER_TAGS)
            and header.get("35")
        ):
            return Message(text, header, body, fields, None)
    return _parse_slowly(text, end, data_of)


def _first_fields(text: str) -> dict[str, str] | None:
    """First occurrence of every field of ``text`` cut at SOH, None when a piece has no ``=``."""
    pieces = text[:-1].split(SOH) if text else []
    fields: dict[str, str] = {}
    for piece in pieces:
        tag, equals, value = piece.partition("=")
        if not equals:
            return None
        fields[tag] = value
    # A dict keeps the last of equal keys; the first is wanted, and repeats are rare.
    return fields if len(fields) == len(pieces) else dict([piece.split("=", 1) for piece in pieces[::-1]])


def every_field(text: str, data_of: Mapping[str, str] = DATA_OF) -> list[Pair]:
    """All fields of a message, header and trailer included, for showing; never raises.

    Text that is no message is cut at every SOH; a piece without ``=`` is then a tag with an empty value.
    """
    if text.startswith("8=") and text.endswith(SOH):
        return [(tag, value) for tag, value, _ in _cut(text, data_of)]
    return [(tag, value) for tag, _, value in (piece.partition("=") for piece in text.split(SOH))]


def intact(text: str) -> bool:
    """Whether BodyLength(9) and CheckSum(10) agree with the bytes; otherwise the text was garbled on its way.

    FIX: a garbled message is ignored and comes again by resend (FIX 4.4 vol. 2, "Message recovery").
    """
    try:
        raw = text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False
    frame = re.fullmatch(rb"8=[^\x01]+\x019=([0-9]{1,9})\x01(.*\x01)10=([0-9]{3})\x01", raw, re.DOTALL)
    if frame is None:
        return False
    return int(frame[1]) == len(frame[2]) and int(frame[3]) == sum(raw[: frame.end(2)]) % 256


def data_at(text: str, start: int, length: str) -> int:
    """Where data of ``length`` bytes from ``start`` ends, or -1 when no SOH stands there.

    Args:
        text: FIX text.
        start: index of the first character of the data.
        length: the length field's value, as it came.
    """
    if _LENGTH.fullmatch(length) is None:
        return -1
    size = int(length)
    if text.isascii():
        end = start + size
    else:
        try:
            head = text[start : start + size].encode("utf-8", "surrogateescape")[:size]
        except UnicodeEncodeError:
            return -1
        data = head.decode("utf-8", "surrogateescape")
        if not text.startswith(data, start):  # the length ends inside a character
            return -1
        end = start + len(data)
        if len(head) < size:
            return -1
    return end if text[end : end + 1] == SOH else -1


def _trailer(text: str) -> int:
    """Index just after the SOH before the last ``10=``, which must be the last field."""
    if not text.startswith("8="):
        raise WireError(f"not a FIX message: it starts with {text[:12]!r} instead of BeginString(8)")
    if len(text) > MAX_TEXT:
        raise WireError(f"a message of {len(text)} characters; at most {MAX_TEXT} are read")
    before = text.rfind("\x0110=")
    if before < 0 or text.find(SOH, before + 1) != len(text) - 1:
        raise WireError("not a whole FIX message: CheckSum(10) is not its last field")
    return before + 1


def _parse_slowly(text: str, end: int, data_of: Mapping[str, str]) -> Message:
    """The same for messages with data fields, a signature, or pieces without ``=``."""
    cut = _cut(text[:end], data_of)
    in_header = HEADER_TAGS | {data_of[tag] for tag in data_of if tag in HEADER_TAGS}
    count = next((index for index, field in enumerate(cut) if field[0] not in in_header), len(cut))
    header: dict[str, str] = {}
    for tag, value, _ in cut[:count]:
        # A piece without "=" between header fields belongs to no value; data keeps its SOH.
        header.setdefault(tag, value if tag in ("91", "213") else value.split(SOH, 1)[0])
    if not header.get("35"):
        raise WireError("not a usable FIX message: no MsgType(35) in its header")
    signed = len(cut) - count >= 2 and cut[-2][0] == "93" and cut[-1][0] == "89"
    body_end = len(cut) - 2 if signed else len(cut)
    pairs = [(tag, value) for tag, value, _ in cut[count:body_end]]
    start = cut[count][2] if count < len(cut) else end
    stop = cut[body_end][2] if signed else end
    return Message(text, header, text[start:stop], dict(reversed(pairs)), pairs)


def _cut(text: str, data_of: Mapping[str, str]) -> list[tuple[str, str, int]]:
    """Fields of ``text`` as (tag, value, index of the tag); ``text`` starts with ``8=`` and ends with SOH."""
    spans: list[tuple[str, int, int, int]] = []  # tag, value from, value to, tag from
    at = 0
    while at < len(text):
        stop = text.index(SOH, at)
        equals = text.find("=", at, stop)
        if equals < 0:  # the rest of the value before
            tag, start, _, tag_at = spans[-1]
            spans[-1] = (tag, start, stop, tag_at)
        else:
            tag = text[at:equals]
            if spans and data_of.get(spans[-1][0]) == tag:
                data_end = data_at(text, equals + 1, text[spans[-1][1] : spans[-1][2]])
                # After one length that lies no other is believed (also keeps the work linear).
                data_of = data_of if data_end >= 0 else {}
                stop = data_end if data_end >= 0 else stop
            spans.append((tag, equals + 1, stop, at))
        at = stop + 1
    return [(tag, text[start:stop], tag_at) for tag, start, stop, tag_at in spans]
