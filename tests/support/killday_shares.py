"""Who must get what, from the fills the brokers really sent; shares no code with the gateway.

The rule of the tests' policy: pro rata, whole shares by largest remainder, ties by account name.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING

from killday_tape import flagged

from fixgateway.sim.fields import Fields

if TYPE_CHECKING:
    from killday_check import Day

PRICE_DECIMALS = 4
GATE_PASSED = ("GW-301", "GW-405", "GW-406", "GW-810")
"""Refusals that do not mean that the gate stopped the first order of this ClOrdID."""


def split(units: int, weights: Sequence[int], names: Sequence[str]) -> list[int]:
    """``units`` by ``weights`` and largest remainder, equal remainders by name."""
    total = sum(weights)
    if units >= total:
        return list(weights)
    shares = [units * weight // total for weight in weights]
    order = sorted(range(len(weights)), key=lambda i: (-(units * weights[i] % total), names[i]))
    for i in order[: units - sum(shares)]:
        shares[i] += 1
    return shares


def matrix(fills: dict[str, int], lines: list[tuple[str, int]]) -> dict[str, dict[str, int]]:
    """Broker → account → share: broker after broker takes its part of what the accounts still have to get."""
    names = [account for account, _ in lines]
    rest = split(sum(fills.values()), [intent for _, intent in lines], names)
    result = {}
    for broker, filled in fills.items():
        shares = split(filled, rest, names) if filled else [0] * len(rest)
        rest = [left - taken for left, taken in zip(rest, shares, strict=True)]
        result[broker] = {name: share for name, share in zip(names, shares, strict=True) if share}
    return result


@dataclass
class Executed:
    """One order as its broker's reports tell it."""

    broker: str
    names: set[str] = field(default_factory=set)
    fills: dict[str, tuple[int, Decimal]] = field(default_factory=dict)
    statement_id: str = ""

    @property
    def cum(self) -> int:
        return sum(quantity for quantity, _ in self.fills.values())


def executed(day: Day) -> dict[str, Executed]:
    """OrderID → what was really executed, from every distinct 8 the brokers sent."""
    statement_of = {h.fields.get(11): h.fields.get(70) for _, h in day.broker_got("D")}
    orders: dict[str, Executed] = {}
    known: set[str] = set()
    for broker, (_, fields) in day.broker_sent("8"):
        order = orders.setdefault(fields.get(37), Executed(broker))
        order.names.add(fields.get(11))
        order.statement_id = order.statement_id or statement_of.get(fields.get(11), "")
        exec_id, kind = fields.get(17), fields.get(150)
        if exec_id in known:
            continue
        known.add(exec_id)
        if kind in "HG":
            del order.fills[fields.get(19)]
        if kind in "FG":
            order.fills[exec_id] = (int(fields.get(32)), Decimal(fields.get(31)))
    return orders


def average(orders: list[Executed]) -> str:
    """Average price of all fills, rounded half up to the policy's decimals."""
    fills = [fill for order in orders for fill in order.fills.values()]
    value = sum((quantity * Fraction(price) for quantity, price in fills), Fraction(0))
    exact = value / sum(quantity for quantity, _ in fills)
    scaled = (2 * exact.numerator * 10**PRICE_DECIMALS + exact.denominator) // (2 * exact.denominator)
    return format(Decimal(scaled).scaleb(-PRICE_DECIMALS), "f")


def check_allocations(day: Day) -> Iterator[str]:
    """Each J to a broker: once, in its chain, adding up, by the rule; and the last says what was really filled."""
    yield from _copies(day)
    orders = executed(day)
    statement_of = {name: order.statement_id for order in orders.values() for name in order.names}
    chains: dict[str, list[tuple[str, Fields]]] = defaultdict(list)
    for broker, (_, fields) in day.broker_got("J"):
        named = {statement_of.get(name, "") for name in _booked(fields)}
        if len(named) != 1 or "" in named:
            yield f"{broker} got an allocation for orders of {len(named)} statements: {fields!r}"
            continue
        chains[named.pop()].append((broker, fields))
        if sum(int(q) for q in fields.all(80)) != int(fields.get(53)):
            yield f"{broker}: shares do not add up to 53: {fields!r}"
        if sum(int(q) for q in fields.all(800)) != int(fields.get(53)):
            yield f"{broker}: orders do not add up to 53: {fields!r}"
        if set(fields.all(153)) != {fields.get(6)}:
            yield f"{broker}: 153 differs from 6: {fields!r}"
    book = _Book(day, orders)
    for statement_id in {order.statement_id for order in orders.values()} | chains.keys():
        versions = sorted(chains[statement_id], key=lambda each: _version(each[1]))
        yield from book.check(statement_id, versions)


def _booked(fields: Fields) -> dict[str, int]:
    """ClOrdID → OrderBookingQty of a J."""
    return {entry.get(11): int(entry.get(800)) for entry in fields.group(73, (11, 37, 38, 799, 800))}


def _version(fields: Fields) -> int:
    """The number of the input that led to a J; AllocID is GWA<date>-<number>-<broker>."""
    return int(fields.get(70).split("-")[1])


def _copies(day: Day) -> Iterator[str]:
    """The same AllocID again is the same message again, marked as a copy."""
    for broker in day.brokers:
        bodies: dict[str, str] = {}
        for fields in day.frames[broker]:
            if fields.msg_type != "J":
                continue
            name = fields.get(70)
            if name in bodies and (fields.body != bodies[name] or not flagged(fields)):
                yield f"{broker} got allocation {name} twice: {fields!r}"
            bodies.setdefault(name, fields.body)


class _Book:
    """The statements of a day, to check their allocations against."""

    def __init__(self, day: Day, orders: dict[str, Executed]) -> None:
        self._orders = orders
        self._rejected = {h.fields.get(70) for _, h in day.broker_sent("P") if h.fields.get(87) == "1"}
        self._lines: dict[str, list[tuple[str, int]]] = {}
        self._total: dict[str, int] = {}
        self._routed: dict[str, list[str]] = defaultdict(list)
        for _, (_, fields) in day.oms_sent("J"):
            if fields.get(71) == "0" and fields.get(70) not in self._lines:
                entries = fields.group(78, (79, 80))
                self._lines[fields.get(70)] = [(entry.get(79), int(entry.get(80))) for entry in entries]
        self._route(day)

    def _route(self, day: Day) -> None:
        """Statement → brokers in the order of the first order that the gate let pass to each."""
        stopped = {
            fields.get(11)
            for _, (_, fields) in day.oms_got("8")
            if fields.get(150) == "8"
            and fields.get(58).startswith("GW-")
            and fields.get(58)[:6] not in GATE_PASSED
        }
        used: set[str] = set()
        for _, (_, fields) in day.oms_sent("D"):
            if fields.get(11) not in stopped | used:
                used.add(fields.get(11))
                broker = fields.get(128) or day.brokers[0]
                if broker not in self._routed[fields.get(70)]:
                    self._routed[fields.get(70)].append(broker)

    def check(self, statement_id: str, versions: list[tuple[str, Fields]]) -> Iterator[str]:
        """One statement's allocations, oldest first."""
        last: dict[str, Fields] = {}
        known = {fields.get(70): fields for _, fields in versions}
        filled = dict.fromkeys(self._routed[statement_id], 0)
        numbers = sorted({_version(fields) for _, fields in versions})
        for number in numbers:
            now = [(broker, fields) for broker, fields in versions if _version(fields) == number]
            for broker, fields in now:
                yield from self._follows(broker, fields, last.get(broker), known)
                last[broker] = fields
                filled[broker] = 0 if fields.get(71) == "2" else int(fields.get(53))
            yield from self._by_the_rule(statement_id, now, filled, last)
        yield from self._final(statement_id, last)

    def _follows(
        self, broker: str, fields: Fields, before: Fields | None, known: dict[str, Fields]
    ) -> Iterator[str]:
        """71 and 72 continue the chain; nothing is sent again that the broker has already."""
        if fields.get(71) == "0":
            if before is not None and before.get(71) != "2" and before.get(70) not in self._rejected:
                yield f"{broker} got a second new allocation: {before!r} then {fields!r}"
            return
        standing = self._standing(before, known).get(fields.get(72))
        if standing is None or standing.get(71) == "2":
            yield f"{broker} got a change of what it does not have: {before!r} then {fields!r}"
        elif fields.get(71) == "1" and _content(fields) == _content(standing):
            yield f"{broker} got a change that changes nothing: {fields!r}"

    def _standing(self, last: Fields | None, known: dict[str, Fields]) -> dict[str, Fields]:
        """What a change may name: the last version or, that being refused, the one it was to replace."""
        found: dict[str, Fields] = {}
        while last is not None and last.get(70) not in found:
            found[last.get(70)] = last
            last = known.get(last.get(72)) if last.get(70) in self._rejected else None
        return found

    def _by_the_rule(
        self, statement_id: str, now: list[tuple[str, Fields]], filled: dict[str, int], last: dict[str, Fields]
    ) -> Iterator[str]:
        """The shares of one version. A rejected allocation with nothing left to say is not followed by a 71=2."""
        mute = [
            b
            for b, fields in last.items()
            if fields.get(70) in self._rejected and fields not in dict(now).values()
        ]
        candidates = [filled, *({**filled, broker: 0} for broker in mute)]
        wanted = [matrix(each, self._lines[statement_id]) for each in candidates]
        for broker, fields in now:
            shares = {entry.get(79): int(entry.get(80)) for entry in fields.group(78, (79, 80, 153))}
            if fields.get(71) != "2" and shares not in [each[broker] for each in wanted]:
                yield f"{broker}: {statement_id} filled {filled}: {shares}, not {wanted[0][broker]}"

    def _final(self, statement_id: str, last: dict[str, Fields]) -> Iterator[str]:
        """What brokers have at the end against what they executed."""
        mine = [order for order in self._orders.values() if order.statement_id == statement_id]
        total = sum(quantity for _, quantity in self._lines.get(statement_id, []))
        over = sum(order.cum for order in mine) > total
        for broker in {order.broker for order in mine} | last.keys():
            own = [order for order in mine if order.broker == broker and order.cum]
            has = last.get(broker)
            if not own:
                if has is not None and has.get(71) != "2" and has.get(70) not in self._rejected:
                    yield f"{broker} has an allocation of nothing: {has!r}"
                continue
            if has is None or has.get(71) == "2":
                yield f"{broker} filled {sum(o.cum for o in own)} of {statement_id} and has no allocation"
                continue
            if has.get(6) != average(own):
                yield f"{broker}: average {average(own)} of {statement_id}, told {has!r}"
            if over:
                continue  # the excess is allocated to nobody; the shares were checked by the rule
            booked = {next((o.cum for o in own if name in o.names), -1) for name in _booked(has)}
            if sorted(_booked(has).values()) != sorted(o.cum for o in own) or -1 in booked:
                yield f"{broker}: orders of {statement_id} are filled {[o.cum for o in own]}, told {has!r}"


def _content(fields: Fields) -> tuple[object, ...]:
    orders = [entry.pairs for entry in fields.group(73, (11, 37, 38, 799, 800))]
    return orders, fields.get(6), [entry.pairs for entry in fields.group(78, (79, 80, 153))]
