"""When a statement is complete, and what is sent when it is.

The unit of allocation is the statement, never an order and never a fill (DESIGN §2 rule 7): dividing
100 one-share fills one by one gives 100/0/0/0 under the worked example's weights. A statement is complete
when no order under it is open and its quantity is used up or the last order ended cancelled, expired or
done for the day; else at the cut-off or when a named person closes it. Then:

1. the total fill over all its orders is divided once (:mod:`methods`);
2. with several brokers that division becomes a matrix whose rows add up to the accounts' shares and whose
   columns add up to each broker's fills;
3. each broker gets one AllocationInstruction for its own column, at its own average price.

A bust, correction or late fill afterwards runs the same three steps again; a broker whose column changed
gets a replacement (71=1) or, when nothing is left, a cancel (71=2).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

from fixgateway.core.apportion import largest_remainder, tie_rank
from fixgateway.core.methods import Terms, allocate
from fixgateway.core.model import EXACT, ZERO, Completion, Line, Statement, exact_sum
from fixgateway.core.orders import ENDS_STATEMENT, Order, blended
from fixgateway.core.outputs import (
    Alert,
    Allocation,
    Flagged,
    OrderRef,
    Output,
    SendAllocation,
    Share,
    StatementAllocated,
    StatementClosed,
    TraceLine,
)
from fixgateway.core.pricing import round_half_up
from fixgateway.core.state import ACTIVE, AllocationRecord, State, StatementRecord, decided_allocations


def is_complete(state: State, record: StatementRecord) -> bool:
    """Whether the statement's orders have ended in a way that completes it."""
    if record.status != ACTIVE or not record.orders or record.open_orders:
        return False
    if record.filled >= record.statement.total:
        return True
    if state.setup.policy.completion is Completion.DAY:
        return False
    last = state.orders.get(record.last_ended)
    return last is not None and last.status in ENDS_STATEMENT


def close(state: State, record: StatementRecord, why: str, actor: str, seq: int, ts_ns: int) -> list[Output]:
    """Close a statement and allocate what was filled under it."""
    statement_id = record.statement.statement_id
    record.status = why
    state.active.pop(statement_id, None)
    outputs: list[Output] = [StatementClosed(statement_id, why, actor)]
    if record.filled == ZERO:
        outputs.append(Flagged("GW-814", f"nothing was filled under statement {statement_id}"))
        return outputs
    return outputs + allocate_statement(state, record, seq, ts_ns)


def allocate_statement(state: State, record: StatementRecord, seq: int, ts_ns: int) -> list[Output]:
    """Divide everything filled under the statement and tell each broker what changed for it."""
    statement = record.statement
    orders = [state.orders[key] for key in record.orders]
    lines, unallocated = allocate(statement.lines, record.filled, terms(statement))
    decimals = state.setup.policy.price_decimals
    record.allocated = StatementAllocated(
        statement_id=statement.statement_id,
        version=record.allocated.version + 1 if record.allocated else 1,
        filled=record.filled,
        unallocated=unallocated,
        avg_px=round_half_up(blended(orders), decimals),
        seed=statement.seed,
        lines=lines,
    )
    outputs: list[Output] = [record.allocated]
    if unallocated:
        text = f"statement {statement.statement_id}: {unallocated} filled above its total stay unallocated"
        outputs.append(Alert("GW-802", "critical", statement.statement_id, text))
    for broker, column in by_broker(statement, lines, orders).items():
        allocation = _instruction(state, record, broker, orders, column, seq)
        if allocation is not None:
            outputs.append(_record(state, record, allocation, seq, ts_ns))
    return outputs


def terms(statement: Statement) -> Terms:
    """What decides the shares of a statement, apart from its lines and the fill."""
    return Terms(
        statement.statement_id,
        statement.lot,
        statement.min_quantity,
        statement.ties,
        statement.remainder,
        statement.seed,
    )


def by_broker(
    statement: Statement, lines: Sequence[TraceLine], orders: Sequence[Order]
) -> dict[str, list[Decimal]]:
    """The matrix of shares: for each broker its column, in the statement's line order.

    Rows add up to the accounts' shares, columns to the brokers' fills. Broker after broker takes its part
    of what the accounts still have to receive, by largest remainder; the last takes what is left, so both
    totals are exact. An overfill leaves each broker's column short in proportion to its fills.
    """
    fills: dict[str, Decimal] = {}
    for order in orders:
        fills[order.broker] = EXACT.add(fills.get(order.broker, ZERO), order.cum_qty)
    if len(fills) == 1:
        return {broker: [line.quantity for line in lines] for broker in fills}
    scale = max((_places(q) for q in (*fills.values(), *(line.quantity for line in lines))), default=0)
    rest = [_whole(line.quantity, scale) for line in lines]
    columns = [_whole(q, scale) for q in fills.values()]
    if sum(columns) > sum(rest):
        columns = largest_remainder(sum(rest), columns, columns, range(len(columns)))
    rank = tie_rank(
        [Line(line.account, line.quantity) for line in lines],
        statement.ties,
        statement.seed,
        statement.statement_id,
    )
    matrix: dict[str, list[Decimal]] = {}
    for broker, units in zip(fills, columns, strict=True):
        share = largest_remainder(units, rest, rest, rank) if units else [0] * len(rest)
        rest = [left - taken for left, taken in zip(rest, share, strict=True)]
        matrix[broker] = [Decimal(taken).scaleb(-scale, EXACT) for taken in share]
    return matrix


def _places(value: Decimal) -> int:
    exponent = value.as_tuple().exponent
    return -min(0, exponent) if isinstance(exponent, int) else 0


def _whole(value: Decimal, scale: int) -> int:
    return int(value.scaleb(scale, EXACT))


def _instruction(
    state: State,
    record: StatementRecord,
    broker: str,
    orders: Sequence[Order],
    column: Sequence[Decimal],
    seq: int,
) -> Allocation | None:
    """The AllocationInstruction a broker must get now, or None when what it has is still right."""
    statement = record.statement
    setup = state.brokers[broker].setup
    decimals = state.setup.policy.price_decimals if setup.price_decimals is None else setup.price_decimals
    own = [order for order in orders if order.broker == broker and order.cum_qty]
    quantity = exact_sum(column)
    avg_px = round_half_up(blended(own), decimals)
    previous = record.sent.get(broker)
    rejected = previous is not None and state.allocations[previous.alloc_id].status == "rejected"
    fresh = Allocation(
        alloc_id=_alloc_id(state, broker, seq),
        trans_type="0",
        ref_alloc_id="",
        replace_reason="",
        alloc_type=setup.alloc_type,
        statement_id=statement.statement_id,
        broker=broker,
        oms=statement.oms,
        trade_date=statement.trade_date,
        symbol=statement.symbol,
        security_id=statement.security_id,
        id_source=statement.id_source,
        side=statement.side,
        quantity=quantity,
        avg_px=avg_px,
        price_decimals=decimals,
        orders=_order_refs(own, quantity, decimals),
        shares=tuple(
            Share(line.account, share, avg_px)
            for line, share in zip(statement.lines, column, strict=True)
            if share
        ),
    )
    if previous is None or rejected:
        return fresh if quantity else None
    if (previous.orders, previous.shares, previous.avg_px) == (fresh.orders, fresh.shares, fresh.avg_px):
        return None
    if quantity:
        return replace(fresh, trans_type="1", ref_alloc_id=previous.alloc_id, replace_reason="2")
    return replace(
        previous,
        alloc_id=fresh.alloc_id,
        trans_type="2",
        ref_alloc_id=previous.alloc_id,
        replace_reason="2",
    )


def _alloc_id(state: State, broker: str, seq: int) -> str:
    """AllocID(70): from the input and the broker, and a count when one input closes several statements."""
    first = f"GWA{state.day}-{seq}-{list(state.brokers).index(broker) + 1}"
    before = len(decided_allocations(state, seq, broker))
    return f"{first}-{before + 1}" if before else first


def _order_refs(own: Sequence[Order], quantity: Decimal, decimals: int) -> tuple[OrderRef, ...]:
    """NoOrders(73): the latest ClOrdID of each chain; Σ OrderBookingQty(800) = the block (vol. 5)."""
    refs = []
    left = quantity
    for order in own:
        booked = min(order.cum_qty, left)
        left = EXACT.subtract(left, booked)
        refs.append(
            OrderRef(
                order.cl_ord_id,
                order.order_id,
                order.quantity,
                round_half_up(Fraction(order.average()), decimals),
                booked,
            )
        )
    return tuple(refs)


def _record(state: State, record: StatementRecord, allocation: Allocation, seq: int, ts_ns: int) -> SendAllocation:
    """Remember an instruction as the one the broker has."""
    state.allocations[allocation.alloc_id] = AllocationRecord(allocation, seq, ts_ns)
    state.waiting[allocation.alloc_id] = None
    state.decided.setdefault((seq, allocation.broker), allocation.alloc_id)
    if allocation.trans_type == "2":
        record.sent.pop(allocation.broker, None)
    else:
        record.sent[allocation.broker] = allocation
    return SendAllocation(allocation)
