"""What the clock brings: the trade date rolls, cut-offs come, answers are overdue.

A tick is an input like any other; the engine is asked first whether one is due, so idle seconds leave no
record. Cut-offs are local times of the policy's time zone, carried by the tick.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from fixgateway.core import booking, calendar, dayclock, digest, grinding, held, pending
from fixgateway.core.completion import cut_off
from fixgateway.core.exceptions import exception
from fixgateway.core.inputs import (
    Tick,
)
from fixgateway.core.outputs import (
    Alert,
    CutSession,
    Output,
)
from fixgateway.core.receipts import in_doubt
from fixgateway.core.state import BrokerRecord, State, StatementRecord

SECOND_NS = 1_000_000_000


def on_tick(state: State, given: Tick) -> list[Output]:
    """A clock reading: roll the trade date, close what reached its cut-off, give up what is overdue."""
    outputs: list[Output] = []
    rolled, ended = given.trade_date != state.trade_date, state.trade_date
    if rolled:
        outputs += dayclock.end_day(state, ended, given)
        outputs += digest.end_day(state, ended)
    state.trade_date, state.local_time = given.trade_date, given.local_time
    if rolled:
        _roll(state)
    past = calendar.past_cut_off(state, given.trade_date, given.local_time)
    through = booking.last_cut_off(given.trade_date, past=past)
    for record in list(reached(state, given.trade_date, given.local_time)):
        outputs += cut_off(state, record, through, given.seq, given.ts_ns)
    for broker in state.brokers.values():
        outputs += _give_up_unanswered(state, broker, given)
    for alloc_id in [a for a in state.waiting if late(state, a, given.ts_ns)]:
        kept = state.allocations[alloc_id]
        kept.late = True
        if kept.received_ns:
            text = f"{kept.allocation.broker} received allocation {alloc_id} and gave no final answer"
            outputs += exception("GW-870", alloc_id, text)
            continue
        text = f"{kept.allocation.broker} has not acknowledged allocation {alloc_id}"
        outputs += exception("GW-808", alloc_id, text)
    outputs += pending.run(state)
    return outputs + dayclock.run(state, given)


def reached(state: State, today: date, local_time: str) -> Iterator[StatementRecord]:
    """Active statements whose cut-off has come: of an earlier trade date, or of today after the time.

    One that lives on (daily booking, a good-till order alive) comes again at every day's cut-off.
    """
    past = calendar.past_cut_off(state, today, local_time)
    through = booking.last_cut_off(today, past=past)
    for statement_id in state.active:
        record = state.statements[statement_id]
        day = record.statement.trade_date
        if (day < today or (day == today and past)) and record.booked_through < through:
            yield record


def _roll(state: State) -> None:
    """A new trade date: ClOrdIDs of ended orders may be used again, requests are settled."""
    grinding.new_day(state)
    alive = {key for key, order in state.orders.items() if order.open}
    state.cl_ord_ids = {k: key for k, key in state.cl_ord_ids.items() if key in alive}
    state.requests = {k: request for k, request in state.requests.items() if request.order in alive}


def overdue(state: State, broker: BrokerRecord, ts_ns: int) -> bool:
    """Whether the broker had the oldest unanswered order for more than ``max_unacked_seconds``.

    It counts from the order's forwarding, or from the broker's last logon or our start when that was later.
    """
    limit = broker.setup.max_unacked_seconds * SECOND_NS
    if not broker.unacked:
        return False
    return ts_ns - max(state.orders[broker.unacked[0]].forwarded_ns, broker.since_ns) > limit


def _give_up_unanswered(state: State, broker: BrokerRecord, given: Tick) -> list[Output]:
    """Orders unanswered for too long are in doubt: never sent again, quantity kept, session cut, alert."""
    outputs: list[Output] = []
    name = broker.setup.name
    count = 0
    while overdue(state, broker, given.ts_ns):
        order = state.orders[broker.unacked.popleft()]
        count += 1
        text = f"{name} has not answered order {order.cl_ord_id} in {broker.setup.max_unacked_seconds} seconds"
        outputs += in_doubt(order, text)
    if count:
        text = f"{count} orders unanswered for more than {broker.setup.max_unacked_seconds} seconds"
        outputs.append(Alert("GW-403", "critical", name, text))
        if broker.up:
            outputs.append(CutSession(name, "GW-403", text))
    return outputs


def late(state: State, alloc_id: str, ts_ns: int) -> bool:
    """Whether an allocation waits for its next answer longer than the broker may take and nobody was told yet.

    The first answer may take ``ack_timeout_seconds``, the final one after 87=3 ``final_timeout_seconds``.
    """
    kept = state.allocations[alloc_id]
    setup = state.brokers[kept.allocation.broker].setup
    if kept.late:
        return False
    if kept.received_ns:
        wait = setup.final_timeout_seconds
        return wait > 0 and ts_ns - kept.received_ns > wait * SECOND_NS
    return ts_ns - kept.decided_ns > setup.ack_timeout_seconds * SECOND_NS


def comes_into_force(state: State, today: date, local_time: str) -> bool:
    """Whether a policy is effective by now that was not at the last tick: the state's clock must say so."""
    return any(
        policy.effective_from == today and state.local_time < policy.effective_at <= local_time
        for policy in state.policies.values()
    )


def due(state: State, ts_ns: int, trade_date: date, local_time: str) -> bool:
    """Whether a tick with this clock reading would change anything."""
    return (
        trade_date != state.trade_date
        or comes_into_force(state, trade_date, local_time)
        or next(reached(state, trade_date, local_time), None) is not None
        or held.due(state, trade_date, local_time)
        or any(overdue(state, broker, ts_ns) for broker in state.brokers.values())
        or any(late(state, alloc_id, ts_ns) for alloc_id in state.waiting)
        or dayclock.due(state, trade_date, local_time)
        or pending.due(state, trade_date, local_time)
    )
