"""What brokers say about orders: execution reports, cancel rejects, refusals of our messages.

A fill is never dropped. Whatever a report says, known order or not, readable or not, it is recorded and
passed on to the OMS it belongs to; only then is it asked what it means.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

from fixgateway.core import orders as order_state
from fixgateway.core import progress, standing
from fixgateway.core.completion import allocate_statement, amended, close, is_complete
from fixgateway.core.exceptions import exception
from fixgateway.core.fills import Fill
from fixgateway.core.inputs import CancelReject, ExecKind, Execution, MessageReject
from fixgateway.core.model import ZERO
from fixgateway.core.orders import Effect, Order
from fixgateway.core.outputs import (
    Alert,
    AllocationAcked,
    ExecutionApplied,
    Flagged,
    OrderChanged,
    Output,
    PassToOms,
    SendCancelReject,
    SendDontKnow,
    SendReport,
    StatementSplit,
)
from fixgateway.core.pricing import round_half_up
from fixgateway.core.reasons import refuse
from fixgateway.core.splits import split_statement
from fixgateway.core.state import ACTIVE, State, StatementRecord, decided_allocations, settle

NO_ORDER_ID = frozenset({"", "NONE", "0"})
"""What brokers write in OrderID(37) when there is none."""
MAX_UNKNOWN = 10_000
"""Unknown executions remembered to notice repeats; the oldest is forgotten first."""


def on_execution(state: State, report: Execution) -> list[Output]:
    """ExecutionReport (8) from a broker."""
    outputs: list[Output] = []
    if report.refused:
        outputs.append(Flagged("GW-812", f"report {report.exec_id} from {report.session}: {report.refused}"))
    outputs += [Flagged("GW-811", f"report {report.exec_id}: {defect}") for defect in report.defects]
    order = find(state, report)
    if order is None:
        return outputs + _unknown(state, report)
    record = state.statements[order.statement_id]
    committed = record.committed
    effect = _take(state, order, report)
    applied = _applied(report, effect, order)
    outputs.append(applied)
    if effect.derived is not None:
        outputs.append(_derived(applied, effect.derived))
    if effect.ratio is not None:
        outputs += _split(state, record, order, effect.ratio, report.exec_id)
    outputs.append(changed(state, order))
    outputs.append(PassToOms(order.oms, report.session, "8", order.key))
    if committed < record.committed > record.statement.total:
        outputs += _over_total(state, record, order, effect, committed)
    if effect.reason:
        outputs += exception(effect.reason, order.cl_ord_id, effect.text)
    if effect.note:
        outputs.append(Flagged(*effect.note.split(" ", 1)))
    booked = effect.name in ("fill", "bust", "correct") or effect.derived is not None
    if record.status != ACTIVE and booked:
        text = f"{effect.name} {report.exec_id} after statement {order.statement_id} was allocated"
        outputs += exception("GW-813", order.statement_id, text)
        outputs += allocate_statement(state, record, report.seq, report.ts_ns)
        return outputs
    if record.bookings and (effect.name in ("bust", "correct") or effect.note or effect.derived is not None):
        outputs += amended(state, record, report.seq, report.ts_ns)
    if is_complete(state, record):
        outputs += close(state, record, "complete", "", report.seq, report.ts_ns)
    return outputs


def _split(state: State, record: StatementRecord, order: Order, ratio: Fraction, exec_id: str) -> list[Output]:
    """An order was restated for a stock split: the statement, its other orders and what is booked follow."""
    outputs = split_statement(state, record, ratio, f"{exec_id} for order {order.cl_ord_id}")
    if any(isinstance(output, StatementSplit) for output in outputs):
        outputs += [changed(state, state.orders[key]) for key in record.orders if key != order.key]
    return outputs


def _over_total(
    state: State, record: StatementRecord, order: Order, effect: Effect, committed: Decimal
) -> list[Output]:
    """More is committed than the statement holds: said whenever it grows, once where its order says so, too.

    ``committed`` is what was committed before the report.
    """
    if effect.ratio is not None or (effect.reason and order.rules < 2):
        return []
    total, name = record.statement.total, order.statement_id
    if effect.reason == "GW-802" and committed > total:
        return []
    text = f"{record.committed} of {total} are committed under statement {name}"
    return exception("GW-802", name if order.rules >= 2 else order.cl_ord_id, text)


def _derived(applied: ExecutionApplied, fill: Fill) -> ExecutionApplied:
    """The fact of a fill that only CumQty and AvgPx show."""
    return replace(
        applied,
        exec_id=f"cum-{applied.exec_id}",
        exec_ref_id="",
        effect="fills-from-cum",
        last_qty=fill.quantity,
        last_px=fill.price,
    )


def find(state: State, report: Execution) -> Order | None:
    """The order a report is about: by ClOrdID(11), OrigClOrdID(41), then the broker's OrderID(37)."""
    broker = report.session
    names = (report.cl_ord_id, report.orig_cl_ord_id)
    by_id = state.orders.get(state.order_ids.get((broker, report.order_id), 0))
    if by_id is not None and not by_id.names.isdisjoint(names):
        return by_id  # another OMS may have used the ClOrdID again after this order ended
    by_name = state.at_broker.get((broker, names[0])) or state.at_broker.get((broker, names[1]), 0)
    return state.orders.get(by_name) or by_id


def _take(state: State, order: Order, report: Execution) -> Effect:
    """Apply the report to the order and the statement's sums."""
    if not order.answered and not progress.disowned(order, report):
        forget_unacked(state, order)
    setup = state.brokers[order.broker].setup
    effect = progress.apply(order, report, state.trade_date, setup.fills_from_cum)
    if report.cl_ord_id and report.cl_ord_id not in order.names:
        order.names.add(report.cl_ord_id)
        state.at_broker.setdefault((order.broker, report.cl_ord_id), order.key)
        if order.rules >= 2:  # the OMS reads the broker's new ClOrdID, too, and may name it in a cancel
            state.cl_ord_ids.setdefault((order.oms, report.cl_ord_id), order.key)
    if order.order_id not in NO_ORDER_ID:
        state.order_ids[(order.broker, order.order_id)] = order.key
    settle(state, order)
    return effect


def forget_unacked(state: State, order: Order) -> None:
    """The broker has answered (or the order is given up): it no longer counts as unacknowledged."""
    unacked = state.brokers[order.broker].unacked
    if unacked and unacked[0] == order.key:
        unacked.popleft()
    elif order.key in unacked:
        unacked.remove(order.key)


def _applied(report: Execution, effect: Effect, order: Order | None) -> ExecutionApplied:
    return ExecutionApplied(
        order=order.key if order else 0,
        statement_id=order.statement_id if order else "",
        broker=report.session,
        oms=order.oms if order else "",
        order_id=report.order_id,
        exec_id=report.exec_id,
        exec_ref_id=report.exec_ref_id,
        kind=report.kind,
        effect=effect.name,
        last_qty=report.last_qty,
        last_px=report.last_px,
    )


def changed(state: State, order: Order) -> OrderChanged:
    """The order as it stands, as a fact."""
    return OrderChanged(
        order=order.key,
        statement_id=order.statement_id,
        cl_ord_id=order.cl_ord_id,
        order_id=order.order_id,
        status=order.status,
        quantity=order.quantity,
        cum_qty=order.cum_qty,
        avg_px=round_half_up(order.average(), state.setup.policy.price_decimals) if order.fills else "0",
        open=order.open,
    )


def _unknown(state: State, report: Execution) -> list[Output]:
    """A report for an order the gateway never sent: kept, flagged, passed on where it can be."""
    identity = (report.session, report.order_id, report.exec_id)
    repeat = identity in state.unknown_executions
    outputs: list[Output] = [
        _applied(report, Effect("duplicate" if repeat else "unknown-order"), None),
        *_pass_unknown(state, report.session, report.deliver_to, "8"),
    ]
    if repeat:
        return outputs
    state.unknown_executions[identity] = None
    if len(state.unknown_executions) > MAX_UNKNOWN:
        del state.unknown_executions[next(iter(state.unknown_executions))]
    text = (
        f"{report.session} reports {report.kind} {report.exec_id} for ClOrdID {report.cl_ord_id or '(none)'}, "
        f"OrderID {report.order_id or '(none)'}: not an order of this gateway"
    )
    outputs += exception("GW-801", report.exec_id, text)
    if state.brokers[report.session].setup.dont_know and report.kind is ExecKind.FILL:
        outputs.append(
            SendDontKnow(report.session, report.order_id, report.exec_id, report.symbol, report.side, "D", text)
        )
    return outputs


def _pass_unknown(state: State, broker: str, deliver_to: str, msg_type: str) -> list[Output]:
    """Pass on what names no known order: to the OMS it names, else to the broker's only OMS."""
    clients = [oms.name for oms in state.omses.values() if broker in oms.brokers]
    if deliver_to in state.omses:
        return [PassToOms(deliver_to, broker, msg_type, 0)]
    return [PassToOms(clients[0], broker, msg_type, 0)] if len(clients) == 1 else []


def on_cancel_reject(state: State, reject: CancelReject) -> list[Output]:
    """OrderCancelReject (9) from a broker: the request is dead, the order is as it was."""
    broker = reject.session
    key = state.at_broker.get((broker, reject.cl_ord_id)) or state.at_broker.get((broker, reject.orig_cl_ord_id))
    if not key:
        outputs = _pass_unknown(state, broker, "", "9")
        return [Flagged("GW-801", f"{broker} rejects a request for unknown {reject.cl_ord_id}"), *outputs]
    order = state.orders[key]
    drop_pending(state, order, reject.cl_ord_id, reject.ord_status)
    return [changed(state, order), PassToOms(order.oms, broker, "9", order.key)]


def drop_pending(state: State, order: Order, cl_ord_id: str, told: str = "") -> None:
    """A pending G or F came to nothing; the order stands as before it.

    ``told`` is OrdStatus(39) of the refusal: still pending when another request waits (matrix D.2.c).
    """
    order.pending.pop(cl_ord_id, None)
    if order.status in order_state.PENDING:
        if order.rules < 2:
            order.status = order_state.PARTIAL if order.cum_qty else order_state.NEW
        elif told not in order_state.PENDING:
            order.status = order.standing()
    settle(state, order)


def on_message_reject(state: State, reject: MessageReject) -> list[Output]:
    """Reject (3) or BusinessMessageReject (j) of something the gateway sent, mapped back to what it was.

    A refused D ends the order (150=8), a refused G or F gives a 9, a refused J opens an exception.
    """
    words = (
        f"{reject.session} refused our {reject.ref_msg_type or 'message'} with 35={reject.msg_type}: {reject.text}"
    )
    decision = reject.ref_decision or 0
    if decision in state.orders:
        return end_unfilled(state, state.orders[decision], "GW-810", words, reject.seq, reject.ts_ns)
    if decision in state.requests:
        return refuse_request(state, decision, "GW-810", words)
    about_j = reject.ref_msg_type not in ("AT", "AU", "BH")  # a cut-off may send a J and a BH at once
    sent = decided_allocations(state, decision, reject.session) if about_j else []
    if len(sent) > 1 and reject.ref_id not in sent:
        words = f"{words}; which of {', '.join(sent)} it means only its number says"
        return exception("GW-810", sent[0], words)
    if sent:
        alloc_id = reject.ref_id if reject.ref_id in sent else sent[0]
        if reject.duplicate and state.allocations[alloc_id].repeated:
            return in_query(state, alloc_id, words)
        kept = state.allocations[alloc_id]
        kept.status = standing.refuse(state, kept) if state.setup.life_cycle else "rejected"
        state.waiting.pop(alloc_id, None)
        return exception("GW-810", alloc_id, words)
    return [Flagged("GW-810", words), Alert("GW-810", "warning", reject.session, words)]


def in_query(state: State, alloc_id: str, words: str) -> list[Output]:
    """A repeated allocation was refused, perhaps as a duplicate: the broker may have the first copy.

    Whoever sent a new one would book twice, so it stays as it is and a person asks the broker. What the broker
    said of the first copy counts.
    """
    kept = state.allocations[alloc_id]
    if kept.status not in ("sent", "received", "other"):
        return [Flagged("GW-816", f"allocation {alloc_id} is {kept.status}: {words}")]
    kept.status = "query"
    state.waiting.pop(alloc_id, None)
    allocation = kept.allocation
    acked = AllocationAcked(alloc_id, allocation.statement_id, allocation.broker, "query", "", words)
    return [acked, *exception("GW-816", alloc_id, words)]


def end_unfilled(state: State, order: Order, code: str, words: str, seq: int, ts_ns: int) -> list[Output]:
    """An order came to an end without an execution report: tell the OMS with one of our own."""
    forget_unacked(state, order)
    order.status = order_state.REJECTED
    order.in_doubt = False
    order.pending.clear()
    record = settle(state, order)
    refusal = refuse(code, words)
    report = SendReport(
        session=order.oms,
        exec_type="8",
        ord_status="8",
        cl_ord_id=order.cl_ord_id,
        order_id=order.order_id or f"GW{state.day}-{order.key}",
        exec_id=f"GWE{state.day}-{seq}",
        symbol=order.symbol,
        side=order.side,
        order_qty=format(order.quantity, "f"),
        cum_qty=order.cum_qty,
        leaves_qty=ZERO,
        avg_px=round_half_up(order.average(), state.setup.policy.price_decimals) if order.fills else "0",
        ord_rej_reason=refusal.reason.ord_rej or "99",
        reason=code,
        text=refusal.text,
        order=order.key,
        statement_id=order.statement_id,
        broker=order.broker,
    )
    outputs: list[Output] = [changed(state, order), report]
    if is_complete(state, record):
        outputs += close(state, record, "complete", "", seq, ts_ns)
    return outputs


def refuse_request(state: State, decision: int, code: str, words: str) -> list[Output]:
    """A forwarded G or F came to nothing without a 9 from the broker: send one of our own."""
    request = state.requests[decision]
    order = state.orders[request.order]
    drop_pending(state, order, request.cl_ord_id)
    refusal = refuse(code, words)
    return [
        changed(state, order),
        SendCancelReject(
            session=order.oms,
            cl_ord_id=request.cl_ord_id,
            orig_cl_ord_id=order.cl_ord_id,
            order_id=order.order_id or "NONE",
            ord_status=order.status,
            response_to="2" if request.msg_type == "G" else "1",
            cxl_rej_reason=refusal.reason.cxl_rej or "99",
            reason=code,
            text=refusal.text,
            order=order.key,
        ),
    ]
