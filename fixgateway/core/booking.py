"""Booking before a statement is complete: on request, or every day of an order that lives for several.

Theory of operation. Fills are booked in *bookings*, numbered from 1; every fill belongs to one and stays in it.
What is booked in all is always ``x(Q)``: the statement's shares of the Q units booked so far, by a house-monotone
quota method on the full intents (Balinski and Young), a function of Q alone. So a new booking of the fills that
came since gives each account ``x(Q now) - x(Q booked)``, which is never negative; its allocation is a new one
(71=0), at the average of just these fills, dated with their trade date. Fills of two trade dates are two bookings.
The last booking, when the statement is complete, is the rest. Nobody has to give back what was booked because more
was filled.

Only a bust or a correction takes back. Then what is booked in all becomes ``x(Q new)``; as the method is monotone,
that raises nobody. Which allocations change follows from three wishes, in this order: every account holds x(Q
new); every booking adds up to its own fills; as few bookings as possible are touched, for their days are
confirmed, perhaps settled.

1. The booking whose fill was busted gives back: each account's share of it shrinks by what the account loses.
2. When an account has to give back more than it has there (it got little that day), the missing units come from
   the newest other booking that has some, and there somebody takes them who gives as many in the busted booking:
   whoever is furthest above the exact share of it. Sums of bookings and accounts stay.
3. Each booking that changed gets its replacement (71=1 with 72 and 796), or a cancel (71=2) when its fills are
   gone. The others stand as they are.

A correction that adds quantity, or a late fill of a booking's own day after the statement was closed, only adds. A
correction of the price changes no share; the booking it belongs to is replaced at its new average.

Nobody's excess (an overfill without an error account) is kept in the shares under the name "".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from heapq import heapify, heappop, heappush

from fixgateway.core import held, money
from fixgateway.core.apportion import tie_rank
from fixgateway.core.columns import spread
from fixgateway.core.exceptions import exception
from fixgateway.core.executed import by_account
from fixgateway.core.fills import MONEY
from fixgateway.core.inputs import Operator
from fixgateway.core.instructions import (
    Part,
    Stamp,
    Wanted,
    assign,
    average_of,
    by_broker,
    instruct,
    keeps,
    orders_of,
    parts_of,
)
from fixgateway.core.model import EXACT, ZERO, Averaging, Interim, Rounding, exact_sum
from fixgateway.core.orders import ENDED, Order
from fixgateway.core.outputs import Output, Problem, StatementAllocated, StatementRefused, TraceLine
from fixgateway.core.pricing import written
from fixgateway.core.state import ACTIVE, Booking, State, StatementRecord, policy_of
from fixgateway.core.targets import Target, remarks, target
from fixgateway.core.whole import Shares, raise_to

INTERIM, FINAL = "interim", "final"
NOBODY = ""
"""The name of the units nobody may have."""


def applies(state: State, record: StatementRecord) -> bool:
    """Whether a statement is booked in bookings, the last one included."""
    statement = record.statement
    return policy_of(state, statement).interim is not Interim.NEVER and statement.rounding is Rounding.QUOTA


# ---------------------------------------------------------------- when


def stays_open(state: State, record: StatementRecord) -> bool:
    """Whether the statement lives on after its cut-off: its policy books daily and a good-till order is alive."""
    statement = record.statement
    if policy_of(state, statement).interim is not Interim.DAILY or not applies(state, record):
        return False
    orders = (state.orders[key] for key in record.orders)
    return any(order.good_till and (order.status not in ENDED or order.pending) for order in orders)


def last_cut_off(today: date, *, past: bool) -> date:
    """The day of the latest cut-off that has come."""
    return today if past else today - timedelta(days=1)


def at_cut_off(state: State, record: StatementRecord, through: date, stamp: Stamp) -> list[Output]:
    """A day's cut-off of a statement that stays open: its fills are booked."""
    record.booked_through = through
    return book(state, record, INTERIM, stamp, ("booked at the cut-off",))


def on_request(state: State, given: Operator) -> list[Output]:
    """Operations ask for what is filled so far to be booked; the reason is kept with the division."""
    record = state.statements.get(given.target)
    why = _refusal(state, record, given)
    if record is None or why:
        problem = Problem(0, "statement_id", "GW-843", f"statement {given.target} {why}")
        return [StatementRefused("operator", given.actor, given.target, (problem,))]
    note = f"booked on request of {given.actor}: {given.reason}"
    return book(state, record, INTERIM, Stamp(given.seq, given.ts_ns), (note,))


def _refusal(state: State, record: StatementRecord | None, given: Operator) -> str:
    """Why a statement cannot be booked now, "" when it can."""
    if record is None or record.status != ACTIVE:
        return "does not exist or is closed"
    if not given.reason.strip():
        return "cannot be booked without a reason"
    policy = policy_of(state, record.statement)
    name = f"policy {policy.policy_id} {policy.version}"
    if policy.interim is Interim.NEVER:
        return f"cannot be booked before it is complete: {name} says interim = never"
    if record.statement.rounding is not Rounding.QUOTA:
        return f"cannot be booked before it is complete: its rounding is {record.statement.rounding}, not quota"
    if policy.averaging is Averaging.DAY:
        return f"cannot be booked before the cut-off: {name} averages over the day"
    if not any(not fill.booking for order in orders_of(state, record) for fill in order.fills.values()):
        return "has no fills that are not booked"
    return ""


# ---------------------------------------------------------------- new bookings


def book(
    state: State,
    record: StatementRecord,
    kind: str,
    stamp: Stamp,
    notes: tuple[str, ...] = (),
    *,
    quiet: bool = False,
) -> list[Output]:
    """Book every fill that no booking has, a trade date at a time."""
    orders = orders_of(state, record)
    days = sorted({fill.trade_date for order in orders for fill in order.fills.values() if not fill.booking})
    for day in days:
        _open(record, orders, kind if day == days[-1] else INTERIM, day)
    return settle(state, record, stamp, notes, quiet=quiet)


def _open(record: StatementRecord, orders: Sequence[Order], kind: str, day: date) -> None:
    """A booking for the fills of a trade date that no booking has."""
    dated = record.statement.trade_date if day == date.min else day
    record.bookings.append(Booking(len(record.bookings) + 1, kind, dated))
    assign(orders, len(record.bookings), day=day)


def late(state: State, record: StatementRecord, stamp: Stamp, *, quiet: bool = False) -> list[Output]:
    """After the close: late fills join the newest booking of their day, else they get one of their own."""
    orders = orders_of(state, record)
    fresh = {
        (fill.trade_date, order.broker) for order in orders for fill in order.fills.values() if not fill.booking
    }
    for day, broker in sorted(fresh):
        number = _joined(state, record, day, broker)
        if number:
            assign(orders, number, broker, day)
        else:
            _open(record, orders, FINAL, day)
    return settle(state, record, stamp, quiet=quiet)


def _joined(state: State, record: StatementRecord, day: date, broker: str) -> int:
    """The newest booking of a day, unless the broker keeps what it accepted of it; 0 for none."""
    for booking in reversed(record.bookings):
        if booking.trade_date == day:
            sent = booking.sent.get(broker)
            return 0 if sent is not None and keeps(state, state.allocations[sent.alloc_id]) else booking.number
    return 0


# ---------------------------------------------------------------- what bookings hold


def settle(
    state: State,
    record: StatementRecord,
    stamp: Stamp,
    notes: tuple[str, ...] = (),
    *,
    quiet: bool = False,
    reprice: bool = False,
) -> list[Output]:
    """Bring the bookings in line with their fills and tell brokers what changed; nothing when nothing did.

    ``quiet``: brokers are told nothing yet. ``reprice``: the day's price may have changed although no fill did.
    """
    orders = orders_of(state, record)
    sums = _sums(record, orders)
    outputs: list[Output] = []
    touched: dict[int, tuple[str, ...]] = {}
    total = exact_sum(booking.quantity for booking in record.bookings)
    found: Target | None = None
    for booking in record.bookings:
        quantity, paid = sums[booking.number]
        if (quantity, paid) != (booking.quantity, booking.money):
            touched[booking.number] = notes
        if quantity != booking.quantity:
            total = EXACT.add(total, EXACT.subtract(quantity, booking.quantity))
            found, told_ = _target(state, record, total, grows=quantity > booking.quantity)
            outputs += told_
            exchanged = _move(record, booking, quantity, found)
            if exchanged:
                words = f"booking {booking.number} gave back more than some accounts had of it"
                touched |= dict.fromkeys((booking.number, *exchanged), (*notes, words))
        booking.quantity, booking.money = quantity, paid
    if not touched and not reprice:
        return outputs
    found = found or target(state, record, total)
    if touched:
        outputs = [*remarks(record.statement, found), *outputs]
    for booking in record.bookings:
        if booking.number in touched or reprice:
            changed = touched.get(booking.number)
            outputs += _tell(state, record, booking, found, changed, stamp, quiet=quiet)
    return outputs


def _sums(record: StatementRecord, orders: Sequence[Order]) -> dict[int, tuple[Decimal, Decimal]]:
    """Quantity and money of every booking's fills as they stand now."""
    sums = {booking.number: (ZERO, ZERO) for booking in record.bookings}
    for order in orders:
        for fill in order.fills.values():
            if fill.booking:
                quantity, paid = sums[fill.booking]
                sums[fill.booking] = EXACT.add(quantity, fill.quantity), MONEY.add(paid, fill.value)
    return sums


def _target(state: State, record: StatementRecord, total: Decimal, *, grows: bool) -> tuple[Target, list[Output]]:
    """What everybody should have of ``total``; when it grew, nobody less than is booked for them.

    A quota method never takes back; should one do so all the same, the nearest shares above what is booked are
    used and people are told (GW-841).
    """
    found = target(state, record, total)
    if not grows:
        return found, []
    lines, forced = raise_to(record.statement, found.lines, {"": _booked(record)})
    if not forced:
        return found, []
    name = record.statement.statement_id
    text = f"statement {name}: shares moved so that nobody loses what is booked: {', '.join(forced[:10])}"
    return replace(found, lines=lines), exception("GW-841", name, text)


def _booked(record: StatementRecord) -> Shares:
    """What all bookings gave each account."""
    booked: Shares = {}
    for booking in record.bookings:
        for account, quantity in booking.shares.items():
            if account != NOBODY:
                booked[account] = EXACT.add(booked.get(account, ZERO), quantity)
    return booked


def _move(record: StatementRecord, booking: Booking, quantity: Decimal, found: Target) -> list[int]:
    """Change a booking so that all of them together are the target; returns the other bookings that changed."""
    now = {**found.shares, NOBODY: found.unallocated} if found.unallocated else found.shares
    before: Shares = {}
    for other in record.bookings:
        for account, share in other.shares.items():
            before[account] = EXACT.add(before.get(account, ZERO), share)
    shares = booking.shares
    booking.shares = {
        account: EXACT.add(
            shares.get(account, ZERO), EXACT.subtract(now.get(account, ZERO), before.get(account, ZERO))
        )
        for account in dict.fromkeys((*now, *before))
    }
    short = [account for account, share in booking.shares.items() if share < ZERO]
    return _exchange(record, booking, quantity, found, short) if short else []


def _exchange(
    record: StatementRecord, booking: Booking, quantity: Decimal, found: Target, short: Sequence[str]
) -> list[int]:
    """Accounts that gave back more than they had of a booking give from others: step 2 of the module's theory."""
    rank = _order(record, booking.shares)
    total = exact_sum(line.quantity for line in found.lines)
    part = Fraction(quantity) / Fraction(total) if total else Fraction(0)
    fair = {line.account: part * Fraction(line.quantity) for line in found.lines}
    above = [
        (fair.get(account, Fraction(0)) - Fraction(share), rank[account], account)
        for account, share in booking.shares.items()
        if share > ZERO
    ]
    heapify(above)
    changed: set[int] = set()
    newest = [other for other in reversed(record.bookings) if other is not booking]
    for account in sorted(short, key=lambda name: rank[name]):
        for other in newest:
            units = min(EXACT.minus(booking.shares[account]), other.shares.get(account, ZERO))
            if units <= ZERO:
                continue
            changed.add(other.number)
            _give(other, booking, account, units)
            while units:
                off, place, giver = heappop(above)
                some = min(units, booking.shares[giver])
                _give(booking, other, giver, some)
                units = EXACT.subtract(units, some)
                if booking.shares[giver]:
                    heappush(above, (off + Fraction(some), place, giver))
    return sorted(changed)


def _give(giver: Booking, taker: Booking, account: str, units: Decimal) -> None:
    """Move some of an account's units from one booking to another."""
    giver.shares[account] = EXACT.subtract(giver.shares[account], units)
    taker.shares[account] = EXACT.add(taker.shares.get(account, ZERO), units)


def _order(record: StatementRecord, shares: Shares) -> dict[str, int]:
    """The policy's tie order by account; names that no line has come last."""
    statement = record.statement
    places = tie_rank(statement.lines, statement.ties, statement.seed, statement.statement_id)
    rank = {line.account: place for line, place in zip(statement.lines, places, strict=True)}
    for account in shares:
        rank.setdefault(account, len(rank))
    return rank


# ---------------------------------------------------------------- telling


def _tell(
    state: State,
    record: StatementRecord,
    booking: Booking,
    found: Target,
    notes: tuple[str, ...] | None,
    stamp: Stamp,
    *,
    quiet: bool,
) -> list[Output]:
    """A booking's division as a fact, and its allocations; without ``notes`` only when a broker needs one."""
    statement = record.statement
    policy = policy_of(state, statement)
    parts = parts_of(record, orders_of(state, record), booking.number)
    day_price = held.price(state, statement, booking.trade_date)
    sends = [] if quiet else _instructions(state, record, booking, parts, day_price, stamp)
    if notes is None and not sends:
        return []
    booking.version += 1
    price = average_of(parts) if day_price is None else day_price
    division = StatementAllocated(
        statement_id=statement.statement_id,
        version=booking.version,
        filled=booking.quantity,
        unallocated=booking.shares.get(NOBODY, ZERO),
        avg_px=written(price, policy.price_decimals, policy.price_rounding),
        seed=statement.seed if booking.kind == FINAL else "",
        lines=tuple(_line(line, booking) for line in found.lines),
        kind=booking.kind,
        number=booking.number,
        trade_date=booking.trade_date,
        notes=(*found.notes, *(notes or ())),
    )
    sent = list(booking.sent.values())
    record.allocated = money.with_cash(division, sent, policy, price) if state.setup.money else division
    return [record.allocated, *sends]


def _line(line: TraceLine, booking: Booking) -> TraceLine:
    quantity = booking.shares.get(line.account, ZERO)
    return replace(line, quantity=quantity, before=EXACT.subtract(line.quantity, quantity))


def _instructions(
    state: State,
    record: StatementRecord,
    booking: Booking,
    parts: Sequence[Part],
    day_price: Fraction | None,
    stamp: Stamp,
) -> list[Output]:
    fills = by_broker(parts)
    kept = {
        broker: {name: share.quantity for name, share in by_account(sent.shares).items()}
        for broker, sent in booking.sent.items()
        if keeps(state, state.allocations[sent.alloc_id]) and sent.quantity == fills.get(broker, ZERO)
    }
    columns = spread(record.statement, booking.shares, fills, state.setup.rules, kept)
    outputs: list[Output] = []
    if columns.forced:
        name = record.statement.statement_id
        text = f"statement {name}, booking {booking.number}: forced by what brokers accepted and will not replace"
        outputs += exception("GW-841", name, f"{text}: {', '.join(columns.forced[:10])}")
    for broker, column in columns.by_broker.items():
        own = {name: share for name, share in zip(booking.shares, column, strict=True) if name != NOBODY}
        outputs += instruct(state, record, Wanted(broker, booking, parts, own, day_price), stamp)
    return outputs
