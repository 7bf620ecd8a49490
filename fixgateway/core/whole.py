"""A statement booked as a whole: one division of everything filled, one allocation for each broker.

A broker that keeps what it accepted (profile ``replace_accepted = false``) has its allocations as bookings of its
own, so that it is known which fills each of them has. What stands accepted there is a lower bound for the division
and for the broker's column; what comes on top of it goes into the broker's next booking.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from fractions import Fraction

from fixgateway.core import held, matrix, money, own_orders
from fixgateway.core.apportion import tie_rank
from fixgateway.core.columns import Columns, spread
from fixgateway.core.exceptions import exception
from fixgateway.core.executed import by_account
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
    sums_of,
)
from fixgateway.core.model import EXACT, ZERO, Line, Statement, exact_sum, plain_text
from fixgateway.core.orders import Order
from fixgateway.core.outputs import Allocation, Output, StatementAllocated, TraceLine
from fixgateway.core.pricing import written
from fixgateway.core.state import Booking, State, StatementRecord, policy_of
from fixgateway.core.targets import keep_credits, lapse, remarks, target

Shares = dict[str, Decimal]
"""Quantity by account, in the lines' order."""


@dataclass(slots=True)
class _Kept:
    """What brokers keep: by broker and account; those whose fills changed below it; and what people are told."""

    shares: dict[str, Shares] = field(default_factory=dict)
    lost: set[str] = field(default_factory=set)
    outputs: list[Output] = field(default_factory=list)


def settle(
    state: State, record: StatementRecord, stamp: Stamp, *, quiet: bool = False, reprice: bool = False
) -> list[Output]:
    """Divide everything filled and tell each broker what changed for it.

    ``quiet``: brokers are told nothing yet. ``reprice``: only the day's price may have changed; nothing when it
    did not.
    """
    statement = record.statement
    policy = policy_of(state, statement)
    orders = orders_of(state, record)
    lapsed = lapse(state, record, record.filled)
    found = target(state, record, record.filled)
    kept = _kept(state, record, orders)
    own_fills = own_orders.applies(statement, state.setup.rules)
    lines, forced = (found.lines, ()) if own_fills else raise_to(statement, found.lines, kept.shares)
    shares = {line.account: line.quantity for line in lines}
    everything = [Part(order, order.cum_qty, order.paid) for order in orders]
    if own_fills:
        columns = Columns(own_orders.columns(shares, orders, [line.account for line in statement.lines]))
    else:
        columns = spread(statement, shares, by_broker(everything), state.setup.rules, kept.shares)
    average = average_of(everything)
    day_price = held.price(state, statement, statement.trade_date)
    outputs: list[Output] = []
    for broker, column in () if quiet else columns.by_broker.items():
        own = dict(zip(shares, column, strict=True))
        if not _apart(state, record, broker):
            parts = parts_of(record, orders)
            outputs += instruct(state, record, Wanted(broker, None, parts, own, day_price), stamp)
        elif broker not in kept.lost:
            outputs += _beside(state, record, orders, Wanted(broker, None, (), own, day_price), stamp)
    if reprice and not outputs:
        return lapsed
    price = average if day_price is None else day_price
    division = StatementAllocated(
        statement_id=statement.statement_id,
        version=record.allocated.version + 1 if record.allocated else 1,
        filled=record.filled,
        unallocated=found.unallocated,
        avg_px=written(price, policy.price_decimals, policy.price_rounding),
        seed=statement.seed,
        lines=lines,
        notes=(*found.notes, *_forced_words((*forced, *columns.forced))),
    )
    keep_credits(state, record, found.credits)
    record.allocated = (
        money.with_cash(division, _standing(record), policy, price) if state.setup.money else division
    )
    return [
        record.allocated,
        *remarks(statement, found),
        *lapsed,
        *kept.outputs,
        *_forced(statement, (*forced, *columns.forced)),
        *outputs,
    ]


def _standing(record: StatementRecord) -> list[Allocation]:
    """What brokers have of the statement."""
    return [*record.sent.values(), *(sent for booking in record.bookings for sent in booking.sent.values())]


# ---------------------------------------------------------------- brokers that keep what they accepted


def _apart(state: State, record: StatementRecord, broker: str) -> bool:
    """Whether a broker's allocations are bookings of their own.

    Once it has one of either kind the profile may say something else: the fills would be told to it twice.
    """
    if any(booking.broker == broker for booking in record.bookings):
        return True
    return not state.brokers[broker].setup.replace_accepted and broker not in record.sent


def _kept(state: State, record: StatementRecord, orders: Sequence[Order]) -> _Kept:
    """What stands accepted with brokers that take no change."""
    kept = _Kept()
    for booking in record.bookings:
        sent = booking.sent.get(booking.broker)
        if sent is None or not keeps(state, state.allocations[sent.alloc_id]):
            continue
        parts = parts_of(record, orders, booking.number)
        if sums_of(parts) != (booking.quantity, booking.money) or _differs(sent, booking):
            kept.lost.add(booking.broker)
            kept.outputs += _lost(sent, parts)
            continue
        shares = kept.shares.setdefault(booking.broker, {})
        for share in sent.shares:
            shares[share.account] = EXACT.add(shares.get(share.account, ZERO), share.quantity)
    for broker in kept.lost:
        kept.shares.pop(broker, None)
    return kept


def _differs(sent: Allocation, booking: Booking) -> bool:
    """Whether the broker has other shares of a booking than it should: it refused the last change of them."""
    has = {account: share.quantity for account, share in by_account(sent.shares).items()}
    return has != {account: share for account, share in booking.shares.items() if share}


def _lost(sent: Allocation, parts: Sequence[Part]) -> list[Output]:
    quantity = plain_text(sums_of(parts)[0])
    average = written(average_of(parts), sent.price_decimals)
    text = (
        f"{sent.broker} accepted allocation {sent.alloc_id} of statement {sent.statement_id}, "
        f"{plain_text(sent.quantity)} at {sent.avg_px}, and takes no replacement; its fills are now "
        f"{quantity} at {average}"
    )
    return exception("GW-842", sent.alloc_id, text)


def _beside(
    state: State, record: StatementRecord, orders: Sequence[Order], wanted: Wanted, stamp: Stamp
) -> list[Output]:
    """The broker's booking that is still open gets what the accepted ones have not."""
    broker = wanted.broker
    mine = [booking for booking in record.bookings if booking.broker == broker]
    closed = [b for b in mine if broker in b.sent and keeps(state, state.allocations[b.sent[broker].alloc_id])]
    still_open = [booking for booking in mine if booking not in closed]
    given_back, open_ = still_open[:-1], still_open[-1] if still_open else None
    if any(not fill.booking for order in orders if order.broker == broker for fill in order.fills.values()):
        if open_ is None:
            open_ = Booking(len(record.bookings) + 1, "part", record.statement.trade_date, broker=broker)
            record.bookings.append(open_)
        assign(orders, open_.number, broker)
    shares = dict(wanted.shares)
    for share in (share for booking in closed for share in booking.sent[broker].shares):
        shares[share.account] = EXACT.subtract(shares.get(share.account, ZERO), share.quantity)
    if open_ is None:
        return _misfit(record, broker) if any(shares.values()) else []
    outputs = _joined(state, record, orders, given_back, open_, stamp)
    parts = parts_of(record, orders, open_.number)
    open_.quantity, open_.money = sums_of(parts)
    open_.shares = shares
    # No division stays above the bounds, or what is accepted left a part of its fills to nobody.
    if min(shares.values()) < 0 or exact_sum(shares.values()) > open_.quantity:
        return outputs + _misfit(record, broker)
    return outputs + instruct(state, record, replace(wanted, booking=open_, parts=parts, shares=shares), stamp)


def _misfit(record: StatementRecord, broker: str) -> list[Output]:
    name = record.statement.statement_id
    text = f"statement {name}: what {broker} accepted and keeps does not fit its shares now"
    return exception("GW-842", name, text)


def _joined(
    state: State,
    record: StatementRecord,
    orders: Sequence[Order],
    earlier: Sequence[Booking],
    open_: Booking,
    stamp: Stamp,
) -> list[Output]:
    """Bookings the broker took back its acceptance of go into the open one; what it has of them is cancelled."""
    outputs: list[Output] = []
    for booking in earlier:
        for order in orders:
            for exec_id, fill in order.fills.items():
                if fill.booking == booking.number:
                    order.fills[exec_id] = replace(fill, booking=open_.number)
        booking.quantity, booking.money, booking.shares = ZERO, ZERO, {}
        outputs += instruct(state, record, Wanted(booking.broker, booking, (), {}), stamp)
    return outputs


# ---------------------------------------------------------------- lower bounds


def raise_to(
    statement: Statement, lines: tuple[TraceLine, ...], kept: dict[str, Shares]
) -> tuple[tuple[TraceLine, ...], tuple[str, ...]]:
    """The division nearest to ``lines`` that gives nobody less than brokers keep for them, and who changed."""
    least: Shares = {}
    for account, quantity in (item for shares in kept.values() for item in shares.items()):
        least[account] = EXACT.add(least.get(account, ZERO), quantity)
    shares = {line.account: line.quantity for line in lines}
    fit = exact_sum(least.values()) <= exact_sum(shares.values())
    if not fit or all(shares.get(account, ZERO) >= low for account, low in least.items()):
        return lines, ()
    known = {*shares}
    lines = (*lines, *(TraceLine(a, ZERO, "0/1", ZERO, ZERO, ZERO, "forced") for a in least if a not in known))
    amounts = [line.quantity for line in lines]
    bounds = [least.get(line.account, ZERO) for line in lines]
    scale = max(-min(0, int(q.as_tuple().exponent)) for q in (*amounts, *bounds, statement.lot))
    whole = [[int(q.scaleb(scale, EXACT)) for q in row] for row in (amounts, bounds)]
    unit = matrix.unit_of(int(statement.lot.scaleb(scale, EXACT)), *whole)
    exact = [Fraction(line.exact) * 10**scale / unit for line in lines]
    more = [Line(line.account, ZERO) for line in lines[len(statement.lines) :]]
    rank = tie_rank([*statement.lines, *more], statement.ties, statement.seed, statement.statement_id)
    got = matrix.raised([x // unit for x in whole[0]], exact, [x // unit for x in whole[1]], rank)
    wanted = [Decimal(x * unit).scaleb(-scale, EXACT) for x in got]
    changed = tuple(x.account for x, q in zip(lines, wanted, strict=True) if x.quantity != q)
    return tuple(_moved(line, q) for line, q in zip(lines, wanted, strict=True)), changed


def _moved(line: TraceLine, quantity: Decimal) -> TraceLine:
    if quantity == line.quantity:
        return line
    floor = min(line.floor, quantity)
    return replace(line, floor=floor, award=EXACT.subtract(quantity, floor), quantity=quantity, rule="forced")


def _forced_words(accounts: Sequence[str]) -> tuple[str, ...]:
    return (f"forced by what brokers accepted and keep: {_named(accounts)}",) if accounts else ()


def _forced(statement: Statement, accounts: Sequence[str]) -> list[Output]:
    if not accounts:
        return []
    text = (
        f"statement {statement.statement_id}: shares moved to stay above what brokers accepted and will not "
        f"replace: {_named(accounts)}"
    )
    return exception("GW-841", statement.statement_id, text)


_NAMED_MAX = 10
"""Accounts named in words; all stand in the division."""


def _named(accounts: Sequence[str]) -> str:
    names = list(dict.fromkeys(accounts))
    more = f" and {len(names) - _NAMED_MAX} more" if len(names) > _NAMED_MAX else ""
    return ", ".join(names[:_NAMED_MAX]) + more
