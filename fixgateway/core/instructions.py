"""AllocationInstructions: what each broker must be told now, compared with what it has.

A broker that has nothing, or has refused what it was sent, gets a new one (71=0). One whose shares, orders or
price changed gets a replacement (71=1) naming the version that stands there (72) and why (796=2), and a cancel
(71=2) when nothing is left. One that keeps what it accepted (profile ``replace_accepted = false``) gets neither: a
person must agree the difference with it (GW-842).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from fractions import Fraction

from fixgateway.core import executed, held, money, own_orders
from fixgateway.core.exceptions import exception
from fixgateway.core.fills import MONEY, times
from fixgateway.core.model import EXACT, ZERO, exact_sum, plain_text
from fixgateway.core.orders import Order
from fixgateway.core.outputs import Allocation, OrderRef, Output, SendAllocation, Share
from fixgateway.core.pricing import written
from fixgateway.core.state import (
    AllocationRecord,
    Booking,
    State,
    StatementRecord,
    decided_allocations,
    policy_of,
    sent_at,
)


@dataclass(frozen=True, slots=True)
class Part:
    """What a booking has of one order: quantity and money of its fills."""

    order: Order
    quantity: Decimal
    money: Decimal


@dataclass(frozen=True, slots=True)
class Stamp:
    """The input that decides: its journal sequence and clock reading (UTC nanoseconds)."""

    seq: int
    ts_ns: int


def orders_of(state: State, record: StatementRecord) -> list[Order]:
    """The orders under a statement, first one first."""
    return [state.orders[key] for key in record.orders]


def parts_of(record: StatementRecord, orders: Sequence[Order], number: int = 0) -> list[Part]:
    """What booking ``number`` has of each order; 0 is everything that no booking has."""
    if not record.bookings and not number:
        return [Part(order, order.cum_qty, order.paid) for order in orders]
    parts = []
    for order in orders:
        quantity = paid = ZERO
        for fill in order.fills.values():
            if fill.booking == number:
                quantity, paid = EXACT.add(quantity, fill.quantity), MONEY.add(paid, fill.value)
        parts.append(Part(order, quantity, paid))
    return parts


def by_broker(parts: Sequence[Part]) -> dict[str, Decimal]:
    """Quantity by broker, in the order of the orders; brokers that filled nothing stand with 0."""
    fills: dict[str, Decimal] = {}
    for part in parts:
        broker = part.order.broker
        fills[broker] = EXACT.add(fills.get(broker, ZERO), part.quantity)
    return fills


def sums_of(parts: Sequence[Part]) -> tuple[Decimal, Decimal]:
    """Quantity and money of some orders' fills."""
    quantity = paid = ZERO
    for part in parts:
        quantity, paid = EXACT.add(quantity, part.quantity), MONEY.add(paid, part.money)
    return quantity, paid


def average_of(parts: Sequence[Part]) -> Fraction:
    """Exact average price of some orders' fills; 0 when there are none."""
    quantity, paid = sums_of(parts)
    return Fraction(paid) / Fraction(quantity) if quantity else Fraction(0)


@dataclass(frozen=True, slots=True)
class Wanted:
    """One broker's part of a booking: its fills, the accounts' shares of them, and the price.

    ``booking`` is None for the statement as a whole. ``price`` is the day's average where the policy asks for it.
    """

    broker: str
    booking: Booking | None
    parts: Sequence[Part]
    shares: Mapping[str, Decimal]
    price: Fraction | None = None


def instruct(state: State, record: StatementRecord, wanted: Wanted, stamp: Stamp) -> list[Output]:
    """Tell a broker what changed for it: nothing when what it has is right."""
    fresh = _build(state, record, wanted, stamp)
    sent = sent_at(record, fresh)
    previous = sent.get(wanted.broker)
    kept = state.allocations[previous.alloc_id] if previous is not None else None
    if previous is None or kept is None or kept.status == "rejected":
        return _record(state, record, fresh, stamp) if fresh.quantity else []
    if money.unchanged(previous, fresh):
        return []
    if keeps(state, kept):
        return _differs(previous, fresh)
    if fresh.quantity:
        fresh = replace(fresh, trans_type="1", ref_alloc_id=previous.alloc_id, replace_reason="2")
    else:
        fresh = replace(
            previous,
            alloc_id=fresh.alloc_id,
            trans_type="2",
            ref_alloc_id=previous.alloc_id,
            replace_reason="2",
        )
    return _record(state, record, fresh, stamp)


def keeps(state: State, kept: AllocationRecord) -> bool:
    """Whether the broker has accepted an allocation and will not take a change of it."""
    return kept.status == "accepted" and not state.brokers[kept.allocation.broker].setup.replace_accepted


def _build(state: State, record: StatementRecord, wanted: Wanted, stamp: Stamp) -> Allocation:
    """The broker's part as a new instruction."""
    statement = record.statement
    policy = policy_of(state, statement)
    setup = state.brokers[wanted.broker].setup
    decimals = policy.price_decimals if setup.price_decimals is None else setup.price_decimals
    own = [part for part in wanted.parts if part.order.broker == wanted.broker and part.quantity]
    average = average_of(own)
    price = average if wanted.price is None else wanted.price
    quantity = exact_sum(wanted.shares.values())
    booking = wanted.booking
    given = {account: share for account, share in wanted.shares.items() if share}
    shares: tuple[Share, ...] = ()
    if statement.method in executed.METHODS and given:
        writing = executed.Writing(decimals, policy.price_rounding)
        shares, average = executed.entries(given, _fills(own, booking), statement.method, writing)
        price = average
    elif own_orders.applies(statement, state.setup.rules) and given:
        number = 0 if booking is None else booking.number
        fills = [(part.order.account, f) for part in own for f in part.order.fills.values() if f.booking == number]
        shares, average = own_orders.entries(given, fills, executed.Writing(decimals, policy.price_rounding))
        price = average
    avg_px = written(price, decimals, policy.price_rounding)
    shares = shares or tuple(Share(account, share, avg_px) for account, share in given.items())
    fresh = Allocation(
        alloc_id=_alloc_id(state, wanted.broker, stamp.seq),
        trans_type="0",
        ref_alloc_id="",
        replace_reason="",
        alloc_type=setup.alloc_type,
        statement_id=statement.statement_id,
        broker=wanted.broker,
        oms=statement.oms,
        trade_date=statement.trade_date if booking is None else booking.trade_date,
        symbol=statement.symbol,
        security_id=statement.security_id,
        id_source=statement.id_source,
        side=statement.side,
        quantity=quantity,
        avg_px=avg_px,
        price_decimals=decimals,
        orders=tuple(_order_refs(own, quantity, lambda value: written(value, decimals, policy.price_rounding))),
        shares=shares,
        booking=0 if booking is None else booking.number,
    )
    if state.setup.money and quantity:
        return money.priced(fresh, policy, setup, statement, price, average)
    return fresh


def _fills(parts: Sequence[Part], booking: Booking | None) -> list[tuple[Decimal | Fraction, Decimal]]:
    """Executed price and quantity of every fill a booking has."""
    number = 0 if booking is None else booking.number
    fills = (fill for part in parts for fill in part.order.fills.values() if fill.booking == number)
    return [(fill.exact_price, fill.quantity) for fill in fills]


def _alloc_id(state: State, broker: str, seq: int) -> str:
    """AllocID(70): from the input and the broker, and a count when one input decides several."""
    first = f"GWA{state.day}-{seq}-{list(state.brokers).index(broker) + 1}"
    before = len(decided_allocations(state, seq, broker))
    return f"{first}-{before + 1}" if before else first


def _order_refs(own: Sequence[Part], quantity: Decimal, write: Callable[[Fraction], str]) -> Iterator[OrderRef]:
    """NoOrders(73): the latest ClOrdID of each chain; Σ OrderBookingQty(800) = the block (vol. 5)."""
    left = quantity
    for part in own:
        booked = min(part.quantity, left)
        left = EXACT.subtract(left, booked)
        order = part.order
        yield OrderRef(order.cl_ord_id, order.order_id, order.quantity, write(average_of([part])), booked)


def _differs(previous: Allocation, fresh: Allocation) -> list[Output]:
    """The broker keeps what it accepted, and that is not right any more."""
    then, now = (f"{plain_text(x.quantity)} at {x.avg_px}" for x in (previous, fresh))
    text = (
        f"{previous.broker} accepted allocation {previous.alloc_id} of statement {previous.statement_id}, {then}, "
        f"and takes no replacement; it should be {now if fresh.quantity else 'cancelled'}"
    )
    return exception("GW-842", previous.alloc_id, text)


def restate(state: State, record: StatementRecord, ratio: Fraction) -> None:
    """After a stock split: what brokers have, and what was booked, counts in new units; nobody is told anything.

    What no decimal says in new units stays as it is: the next change shows the difference.
    """
    orders = orders_of(state, record)
    _restate_sent(state, record, orders, None, ratio)
    for booking in record.bookings:
        quantity, shares = times(booking.quantity, ratio), _scaled(booking.shares, ratio)
        if quantity is not None and shares is not None:
            booking.quantity, booking.shares = quantity, shares
        _restate_sent(state, record, orders, booking, ratio)


def _restate_sent(
    state: State, record: StatementRecord, orders: Sequence[Order], booking: Booking | None, ratio: Fraction
) -> None:
    number, sent = (0, record.sent) if booking is None else (booking.number, booking.sent)
    parts = parts_of(record, orders, number)
    for broker, old in sent.items():
        shares = _scaled({x.account: x.quantity for x in executed.by_account(old.shares).values()}, ratio)
        if shares is None or exact_sum(shares.values()) > by_broker(parts).get(broker, ZERO):
            continue  # its fills are fewer by now, and it takes no change or has refused it
        price = held.price(state, record.statement, old.trade_date)
        new = _build(state, record, Wanted(broker, booking, parts, shares, price), Stamp(0, 0))
        sent[broker] = replace(
            new,
            alloc_id=old.alloc_id,
            trans_type=old.trans_type,
            ref_alloc_id=old.ref_alloc_id,
            replace_reason=old.replace_reason,
        )


def _scaled(shares: Mapping[str, Decimal], ratio: Fraction) -> dict[str, Decimal] | None:
    """Quantities in new units; None when one has no exact decimal."""
    scaled = {account: times(share, ratio) for account, share in shares.items()}
    known = {account: share for account, share in scaled.items() if share is not None}
    return known if len(known) == len(scaled) else None


def _record(state: State, record: StatementRecord, allocation: Allocation, stamp: Stamp) -> list[Output]:
    """Remember an instruction as the one the broker has."""
    state.allocations[allocation.alloc_id] = AllocationRecord(allocation, stamp.seq, stamp.ts_ns)
    state.waiting[allocation.alloc_id] = None
    state.decided.setdefault((stamp.seq, allocation.broker), allocation.alloc_id)
    sent = sent_at(record, allocation)
    if allocation.trans_type == "2":
        sent.pop(allocation.broker, None)
    else:
        sent[allocation.broker] = allocation
    remarks = money.remarks(allocation) if state.setup.money and allocation.trans_type != "2" else []
    return [SendAllocation(allocation), *remarks]


def send_again(
    state: State, record: StatementRecord, refused: Allocation, ref_alloc_id: str, stamp: Stamp
) -> list[Output]:
    """An instruction a broker refused, with another AllocID; ``ref_alloc_id`` is what stands there, "" for nothing."""
    alloc_id = _alloc_id(state, refused.broker, stamp.seq)
    if not ref_alloc_id:
        refused = replace(refused, trans_type="0", replace_reason="")
    return _record(state, record, replace(refused, alloc_id=alloc_id, ref_alloc_id=ref_alloc_id), stamp)


def assign(orders: Sequence[Order], number: int, broker: str = "", day: date | None = None) -> None:
    """Give the fills no booking has to booking ``number``: all, or a broker's, or a trade date's."""
    for order in orders:
        if broker and order.broker != broker:
            continue
        for exec_id, fill in order.fills.items():
            if not fill.booking and day in (None, fill.trade_date):
                order.fills[exec_id] = replace(fill, booking=number)
