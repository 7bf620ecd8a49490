"""A day as a custodian or broker has it, compared with the day as the records have it. Pure; nothing is decided.

Two forms: what accounts were booked (a custodian's file) and executions (a broker's). Quantities are exact. A price
agrees when it is ours rounded to the file's decimals (the most any of its prices has, at least two: 100 may be 100.00
without its zeros), or within the tolerance given.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from fractions import Fraction

from fixgateway.core.desk_inputs import Discrepancy
from fixgateway.core.model import EXACT, ZERO, plain_text
from fixgateway.core.reconciling import ACCOUNT, MISSING, PRICE, QUANTITY, UNKNOWN

Instrument = tuple[str, str]
"""Symbol and side."""
MIN_PLACES = 2
"""Decimals a file's prices are taken to have at least."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a file; ``line`` counts from 1. ``account`` is "" in a broker's file, ``exec_id`` in a custodian's."""

    line: int
    trade_date: date
    account: str
    exec_id: str
    symbol: str
    side: str
    quantity: Decimal
    price: Decimal
    broker: str = ""


@dataclass(frozen=True, slots=True)
class Booked:
    """What an account was allocated by a broker, at what price."""

    alloc_id: str
    broker: str
    account: str
    symbol: str
    side: str
    quantity: Decimal
    price: Decimal


@dataclass(frozen=True, slots=True)
class Executed:
    """An execution as it stands; ``names`` are its ExecIDs before corrections. ``of_day``: done on the day compared."""

    broker: str
    exec_id: str
    symbol: str
    side: str
    quantity: Decimal
    price: Decimal
    names: tuple[str, ...] = ()
    of_day: bool = True


@dataclass(slots=True)
class _Sum:
    """Quantity and money of rows taken together."""

    quantity: Decimal = ZERO
    money: Fraction = Fraction(0)
    ids: dict[str, None] = field(default_factory=dict)

    def add(self, quantity: Decimal, price: Decimal, name: str = "") -> None:
        self.quantity = EXACT.add(self.quantity, quantity)
        self.money += Fraction(quantity) * Fraction(price)
        if name:
            self.ids[name] = None

    @property
    def average(self) -> Fraction:
        return self.money / Fraction(self.quantity) if self.quantity else Fraction(0)


@dataclass(frozen=True, slots=True)
class Compared:
    """What a comparison found: rows (or sums of rows) that agree, and what does not."""

    matched: int
    discrepancies: tuple[Discrepancy, ...]


def _off(rows: Sequence[Row], tolerance: Decimal) -> Fraction:
    """How far ours may be from a price as the file writes it."""
    exponents = (row.price.as_tuple().exponent for row in rows)
    places = max((-x for x in exponents if isinstance(x, int)), default=0)
    return max(Fraction(1, 2 * 10 ** max(places, MIN_PLACES)), Fraction(tolerance))


def _shown(price: Fraction) -> str:
    """A price for people: exact where a few decimals say it, else six decimals."""
    return plain_text(Decimal(round(price * 10**6)).scaleb(-6, EXACT))


# ---------------------------------------------------------------- accounts


def accounts(
    rows: Iterable[Row], booked: Iterable[Booked], statements: Iterable[Instrument], tolerance: Decimal = ZERO
) -> Compared:
    """A custodian's file against the allocations in force.

    Args:
        rows: of the file. booked: the day's allocations, account by account. statements: instruments and sides the
            day has statements for. tolerance: how far prices may be apart in any case.
    """
    rows = list(rows)
    by_broker = any(row.broker for row in rows)
    theirs: dict[tuple[str, str, str, str], _Sum] = {}
    for row in rows:
        key = (row.symbol, row.side, row.broker if by_broker else "", row.account)
        theirs.setdefault(key, _Sum()).add(row.quantity, row.price)
    ours: dict[tuple[str, str, str, str], _Sum] = {}
    for x in booked:
        key = (x.symbol, x.side, x.broker if by_broker else "", x.account)
        ours.setdefault(key, _Sum()).add(x.quantity, x.price, x.alloc_id)
    known = {*statements}
    off = _off(rows, tolerance)
    found = [_account(key, theirs.get(key), ours.get(key), known, off) for key in dict.fromkeys((*ours, *theirs))]
    wrong = tuple(x for x in found if x is not None)
    return Compared(len(found) - len(wrong), wrong)


def _account(
    key: tuple[str, str, str, str], there: _Sum | None, here: _Sum | None, known: set[Instrument], off: Fraction
) -> Discrepancy | None:
    """What is wrong with one account's trades in an instrument and side; None when nothing is."""
    symbol, side, broker, account = key
    what = f"{account} {side} {symbol}{f' at {broker}' if broker else ''}"
    if there is None or here is None:
        some = there or here
        amount = f"{plain_text(some.quantity)} at {_shown(some.average)}" if some else ""
        if here is not None:
            return Discrepancy(MISSING, what, f"{what}: {amount} allocated ({_ids(here)}) is missing in the file")
        if (symbol, side) not in known:
            return Discrepancy(UNKNOWN, what, f"{what}: the file has {amount}; no statement of the day is for it")
        return Discrepancy(ACCOUNT, what, f"{what}: the file has {amount}; nothing was allocated to {account}")
    if there.quantity != here.quantity:
        amounts = f"the file has {plain_text(there.quantity)}, allocated are {plain_text(here.quantity)}"
        return Discrepancy(QUANTITY, what, f"{what}: {amounts} ({_ids(here)})")
    if abs(there.average - here.average) > off:
        prices = f"the file has {_shown(there.average)}, allocated at {_shown(here.average)}"
        return Discrepancy(PRICE, what, f"{what}: {prices} ({_ids(here)})")
    return None


def _ids(here: _Sum) -> str:
    names = list(here.ids)
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


# ---------------------------------------------------------------- executions


def executions(rows: Sequence[Row], executed: Iterable[Executed], tolerance: Decimal = ZERO) -> Compared:
    """A broker's file against the executions received."""
    by_name: dict[str, list[Executed]] = {}
    everything = list(executed)
    for x in everything:
        for name in (x.exec_id, *x.names):
            by_name.setdefault(name, []).append(x)
    seen: set[tuple[str, str]] = set()
    found = list(_executions(rows, by_name, _off(rows, tolerance), seen))
    brokers = {row.broker for row in rows if row.broker}
    for x in everything:
        if x.of_day and (x.broker, x.exec_id) not in seen and (not brokers or x.broker in brokers):
            what = f"execution {x.exec_id} at {x.broker}"
            text = f"{what}: {_trade(x)} is missing in the file"
            found.append(Discrepancy(MISSING, what, text))
    wrong = tuple(x for x in found if x is not None)
    return Compared(len(found) - len(wrong), wrong)


def _executions(
    rows: Sequence[Row], by_name: Mapping[str, list[Executed]], off: Fraction, seen: set[tuple[str, str]]
) -> Iterator[Discrepancy | None]:
    """Row by row; ``seen`` collects what the file has of ours."""
    for row in rows:
        what = f"execution {row.exec_id}{f' at {row.broker}' if row.broker else ''}"
        same = [x for x in by_name.get(row.exec_id, ()) if row.broker in ("", x.broker)]
        ours = next((x for x in same if (x.symbol, x.side) == (row.symbol, row.side)), None)
        if ours is None:
            text = f"{what}: {_trade(row)} was never received for an order under a statement"
            yield Discrepancy(UNKNOWN, what, text)
            continue
        if (ours.broker, ours.exec_id) in seen:
            yield Discrepancy(QUANTITY, what, f"{what}: stands in the file more than once, last on line {row.line}")
            continue
        seen.add((ours.broker, ours.exec_id))
        if row.quantity != ours.quantity:
            yield Discrepancy(QUANTITY, what, f"{what}: the file has {_trade(row)}, received was {_trade(ours)}")
        elif abs(Fraction(row.price) - Fraction(ours.price)) > off:
            yield Discrepancy(PRICE, what, f"{what}: the file has {_trade(row)}, received was {_trade(ours)}")
        else:
            yield None


def _trade(x: Row | Executed) -> str:
    return f"{x.side} {plain_text(x.quantity)} {x.symbol} at {plain_text(x.price)}"
