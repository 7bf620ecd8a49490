"""FIX text for the counterparties: ordered fields, frames built and cut by BodyLength.

Nothing is re-ordered or dropped, so a test can compare what arrived with what was sent, byte for byte.
Text is UTF-8 with surrogateescape: any byte survives the way through ``str`` and back.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from fixgateway.errors import WireError
from fixgateway.sim.names import MSG_NAMES, TAG_NAMES, VALUE_NAMES

SOH = "\x01"
HEADER_TAGS = frozenset((
    *(8, 9, 35, 34, 43, 49, 50, 52, 56, 57, 90, 91, 97, 115, 116, 122, 128, 129, 142, 143, 144, 145, 212),
    *(213, 347, 369, 370, 627, 628, 629, 630, 1128, 1129, 1156),
))  # fmt: skip
"""Tags of the standard header (FIX 4.4 vol. 2, FIXT 1.1)."""

DATA_LENGTHS: dict[int, int] = {
    90: 91, 93: 89, 95: 96, 212: 213, 348: 349, 350: 351, 352: 353, 354: 355, 356: 357, 358: 359,
    360: 361, 362: 363, 364: 365, 445: 446, 618: 619, 621: 622,
}  # fmt: skip
"""Length field → data field whose value may hold any byte, SOH included."""

MAX_FRAME_BYTES = 16 * 1024 * 1024
MAX_GARBLED = 1000
_QUIET_TAGS = frozenset((8, 9, 10, 34, 35, 49, 52, 56, 60))

Pair = tuple[int, str]


class Fields:
    """One FIX message as ordered tag/value pairs; ``raw`` are its bytes as they were on the wire.

    A piece without ``number=`` in front has tag 0 and the whole piece as its value.
    """

    __slots__ = ("pairs", "raw")

    def __init__(self, pairs: Iterable[Pair], raw: bytes = b"") -> None:
        self.pairs: list[Pair] = list(pairs)
        self.raw = raw

    @classmethod
    def parse(cls, raw: bytes) -> Fields:
        """Cut a frame into its fields; never fails, see the class for pieces that are not fields."""
        return cls(_pairs(raw.decode("utf-8", "surrogateescape"), raw), raw)

    @property
    def msg_type(self) -> str:
        """MsgType(35)."""
        return self.get(35)

    @property
    def seq(self) -> int:
        """MsgSeqNum(34), 0 when missing or unreadable."""
        text = self.get(34)
        return int(text) if text.isdecimal() else 0

    @property
    def body(self) -> str:
        """The text between the standard header and CheckSum(10), ending with SOH; exactly as received."""
        text = self.raw.decode("utf-8", "surrogateescape")
        start = 0
        for tag, value in self.pairs:
            if tag not in HEADER_TAGS:
                break
            start += len(f"{tag}={value}{SOH}")
        return text[start : text.rfind(f"{SOH}10=") + 1]

    def get(self, tag: int, default: str = "") -> str:
        """The first value of ``tag``, or ``default``."""
        return next((value for t, value in self.pairs if t == tag), default)

    def all(self, tag: int) -> list[str]:
        """Every value of ``tag``, in order."""
        return [value for t, value in self.pairs if t == tag]

    def group(self, count_tag: int, members: tuple[int, ...]) -> list[Fields]:
        """The entries of a repeating group; ``members[0]`` starts each, a tag not in ``members`` ends it."""
        at = next((i for i, (tag, _) in enumerate(self.pairs) if tag == count_tag), len(self.pairs))
        entries: list[Fields] = []
        for tag, value in self.pairs[at + 1 :]:
            if tag not in members:
                break
            if tag == members[0] or not entries:
                entries.append(Fields([]))
            entries[-1].pairs.append((tag, value))
        return entries

    def matches(self, msg_type: str, match: dict[int, str]) -> bool:
        """Whether the message is of ``msg_type`` ("" for any) and has every value of ``match``."""
        if msg_type and self.msg_type != msg_type:
            return False
        return all(self.get(tag) == value for tag, value in match.items())

    def describe(self) -> str:
        """One line for people: name of the message, then its fields by name, header noise left out."""
        words = [f"{self.msg_type} {MSG_NAMES.get(self.msg_type, '')}".strip()]
        for tag, value in self.pairs:
            if tag not in _QUIET_TAGS:
                meaning = VALUE_NAMES.get((tag, value))
                words.append(f"{TAG_NAMES.get(tag, tag)}={value}" + (f" ({meaning})" if meaning else ""))
        return "  ".join(words)

    def __iter__(self) -> Iterator[Pair]:
        return iter(self.pairs)

    def __repr__(self) -> str:
        return "|".join(f"{tag}={value}" for tag, value in self.pairs)


def _pairs(text: str, raw: bytes) -> Iterator[Pair]:
    """Fields of ``text``; the value of a data field is as long, in bytes, as the field before it says."""
    at = 0
    data_tag, data_bytes = 0, 0
    while at < len(text):
        equals = text.find("=", at)
        end = text.find(SOH, at)
        end = len(text) if end < 0 else end
        head = text[at:equals] if 0 <= equals < end else ""
        if not (head.isascii() and head.isdecimal()):
            yield 0, text[at:end]
            at = end + 1
            continue
        tag = int(head)
        if tag == data_tag:
            rest = text[equals + 1 :].encode("utf-8", "surrogateescape")
            value = rest[:data_bytes].decode("utf-8", "surrogateescape")
            if text[equals + 1 + len(value) : equals + 2 + len(value)] == SOH:
                end = equals + 1 + len(value)
        value = text[equals + 1 : end]
        data_tag = DATA_LENGTHS.get(tag, 0)
        data_bytes = int(value) if data_tag and value.isdecimal() and len(value) < 9 else 0
        yield tag, value
        at = end + 1


def utc_timestamp(at: datetime | None = None) -> str:
    """UTCTimestamp with milliseconds, now unless ``at`` is given."""
    return (at or datetime.now(UTC)).strftime("%Y%m%d-%H:%M:%S.%f")[:-3]


def body_text(fields: Iterable[Pair] | str) -> str:
    """Fields as FIX text, each ended by SOH. A string may use ``|`` instead of SOH."""
    if not isinstance(fields, str):
        return "".join(f"{tag}={value}{SOH}" for tag, value in fields)
    text = fields if SOH in fields else fields.replace("|", SOH)
    return text if not text or text.endswith(SOH) else text + SOH


@dataclass(frozen=True, slots=True)
class Stamp:
    """The standard header of one frame; ``extra`` stands after the fixed fields, in the given order."""

    begin_string: str
    sender: str
    target: str
    seq: int
    sending_time: str
    extra: tuple[Pair, ...] = ()


def build_frame(
    stamp: Stamp, msg_type: str, body: str, *, body_length: int | None = None, check_sum: str | None = None
) -> bytes:
    """A frame with header, BodyLength and CheckSum; give ``body_length`` or ``check_sum`` to send a wrong one."""
    head = [(35, msg_type), (34, str(stamp.seq)), (49, stamp.sender), (52, stamp.sending_time)]
    middle = body_text([*head, (56, stamp.target), *stamp.extra]) + body
    inner = middle.encode("utf-8", "surrogateescape")
    length = len(inner) if body_length is None else body_length
    frame = f"8={stamp.begin_string}{SOH}9={length}{SOH}".encode() + inner
    return frame + f"10={check_sum or checksum(frame)}{SOH}".encode()


def checksum(data: bytes) -> str:
    """CheckSum(10) of everything before it: sum of the bytes modulo 256, three digits."""
    return f"{sum(data) % 256:03d}"


_START = re.compile(rb"8=FIX[^\x01]{1,10}\x019=([0-9]{1,8})\x01")
_MARK = b"8=FIX"
_START_BYTES = 40
_TRAILER_BYTES = 7


class Framer:
    """Cuts a byte stream into frames by BodyLength and CheckSum.

    Bytes that are no frame are skipped up to the next ``8=FIX`` and kept in ``garbled`` (the last
    pieces, ``MAX_GARBLED`` unless given), as FIX asks: a garbled message is ignored and its number missed.
    """

    def __init__(self, garbled: deque[bytes] | None = None) -> None:
        self._buffer = bytearray()
        self.garbled = deque[bytes](maxlen=MAX_GARBLED) if garbled is None else garbled

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes as read from the socket; return the frames now complete.

        Raises:
            WireError: a frame claims more than ``MAX_FRAME_BYTES``.
        """
        self._buffer += data
        frames = []
        while (frame := self._next()) is not None:
            if frame:
                frames.append(frame)
        return frames

    def _next(self) -> bytes | None:
        """The next frame, b"" after skipping garbage, or None when more bytes are needed."""
        buffer = self._buffer
        start = buffer.find(_MARK)
        if start != 0:
            return self._skip_to_mark()
        found = _START.match(buffer)
        if found is None:
            return self._skip_to_mark() if len(buffer) > _START_BYTES else None
        length = int(found[1])
        if length > MAX_FRAME_BYTES:
            raise WireError(f"BodyLength {length} exceeds {MAX_FRAME_BYTES}")
        end = found.end() + length + _TRAILER_BYTES
        if len(buffer) < end:
            return None
        frame = bytes(buffer[:end])
        expected = f"10={checksum(frame[:-_TRAILER_BYTES])}{SOH}".encode()
        if frame[-_TRAILER_BYTES:] != expected:
            return self._skip_to_mark()
        del buffer[:end]
        return frame

    def _skip_to_mark(self) -> bytes | None:
        """Drop bytes as garbled up to the next ``8=FIX``; the beginning of one at the end is kept."""
        found = self._buffer.find(_MARK, 1)
        count = found if found > 0 else len(self._buffer) - len(_MARK) + 1
        if count <= 0:
            return None
        self.garbled.append(bytes(self._buffer[:count]))
        del self._buffer[:count]
        return b""
