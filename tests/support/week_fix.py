"""FIX text as a broker reads and writes it in the simulated week: fractions, and nothing of the core."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from fixgateway.wire.message import parse

ZERO = Fraction(0)
CENT = Fraction(1, 100)


def frame(msg_type: str, body: str, sender: str, target: str, version: str, header: str = "") -> str:
    """A whole message."""
    inner = f"35={msg_type}\x0134=2\x0149={sender}\x0152=20261123-14:30:00.123\x0156={target}\x01{header}{body}"
    text = f"8={version}\x019={len(inner)}\x01{inner}"
    return f"{text}10={sum(text.encode()) % 256:03d}\x01"


def fields(pairs: Mapping[str, str]) -> str:
    """The fields that have a value."""
    return "".join(f"{tag}={value}\x01" for tag, value in pairs.items() if value)


def plain(value: Fraction) -> str:
    """A number that a decimal says exactly."""
    for places in range(19):
        scaled = value * 10**places
        if scaled.denominator == 1:
            return fixed(value, places)
    raise AssertionError(f"no decimal says {value}")


def fixed(value: Fraction, places: int) -> str:
    """A number rounded to so many places, halves away from zero."""
    whole = nearest(value * 10**places)
    digits = f"{abs(whole):0{places + 1}d}"
    sign = "-" if whole < 0 else ""
    return sign + (f"{digits[:-places]}.{digits[-places:]}" if places else digits)


def nearest(value: Fraction) -> int:
    """The nearest integer, halves away from zero."""
    whole = (2 * abs(value.numerator) + value.denominator) // (2 * value.denominator)
    return -whole if value < 0 else whole


def cents(value: Fraction) -> Fraction:
    """An amount rounded to the cent."""
    return nearest(value * 100) * CENT


@dataclass
class Entry:
    """One entry of NoAllocs(78)."""

    account: str
    quantity: Fraction = ZERO
    price: Fraction = ZERO
    executed: bool = False
    commission: Fraction | None = None
    net: Fraction | None = None
    fees: dict[str, Fraction] = field(default_factory=dict)

    @property
    def gross(self) -> Fraction:
        return cents(self.quantity * self.price)


@dataclass
class Told:
    """An AllocationInstruction as the broker reads it; ``factor`` is the units of its day: 2 after a 2:1 split.

    ``booking``, which no J says, tells which of them were divided together. ``content`` is all it says but ids
    and time.
    """

    broker: str
    alloc_id: str
    trans_type: str
    ref: str
    day: str
    symbol: str
    side: str
    quantity: Fraction
    price: Fraction
    places: int
    gross: Fraction | None
    net: Fraction | None
    orders: list[tuple[str, Fraction | None]]
    entries: list[Entry]
    content: str
    statement: str = ""
    factor: int = 1
    booking: int = 0
    before: Told | None = None


_OF_ITS_OWN = frozenset(("60", "70", "71", "72", "796"))


def told_of(broker: str, text: str) -> Told:
    """Read a J."""
    message = parse(text)
    get = message.get
    entries: list[Entry] = []
    orders: list[tuple[str, Fraction | None]] = []
    fee = ZERO
    for tag, value in message.pairs:
        match tag:
            case "11":
                orders.append((value, None))
            case "800":
                orders[-1] = (orders[-1][0], Fraction(value))
            case "79":
                entries.append(Entry(value))
            case "80":
                entries[-1].quantity = Fraction(value)
            case "366" | "153":
                entries[-1].price, entries[-1].executed = Fraction(value), tag == "366"
            case "12":
                entries[-1].commission = Fraction(value)
            case "154":
                entries[-1].net = Fraction(value)
            case "137":
                fee = Fraction(value)
            case "139":
                assert value not in entries[-1].fees
                entries[-1].fees[value] = fee
    for count, found in (("73", orders), ("78", entries)):
        assert int(get(count) or 0) == len(found), message
    return Told(
        broker, get("70"), get("71"), get("72"), get("75"), get("55"), get("54"), Fraction(get("53")),
        Fraction(get("6")), int(get("74")), Fraction(get("381")) if get("381") else None,
        Fraction(get("118")) if get("118") else None, orders, entries,
        "|".join(f"{tag}={value}" for tag, value in message.pairs if tag not in _OF_ITS_OWN),
    )  # fmt: skip
