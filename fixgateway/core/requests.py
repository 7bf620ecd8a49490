"""Orders in: D, G, F and H from an OMS.

The gate says whether; this module records what follows: the order, its commitment, and the message that
goes to the broker or the refusal that goes back.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

from fixgateway.core import gate, orders
from fixgateway.core.inputs import (
    CancelOrder,
    NewOrder,
    ReplaceOrder,
    StatusRequest,
    Unsupported,
)
from fixgateway.core.model import ZERO
from fixgateway.core.orders import Order
from fixgateway.core.outputs import (
    Flagged,
    ForwardToBroker,
    Output,
    SendBusinessReject,
    SendCancelReject,
    SendReport,
)
from fixgateway.core.pricing import round_half_up
from fixgateway.core.reasons import Refusal, refuse
from fixgateway.core.state import Request, State, open_order, settle

REFUSED = 0
"""Order key kept for a ClOrdID whose D was refused."""


def on_new_order(state: State, given: NewOrder) -> list[Output]:
    """NewOrderSingle (D): forwarded when a statement covers it, else refused with the reason."""
    if not given.cl_ord_id:
        reason = gate.defect_refusal(given.defect) if given.defect else refuse("GW-303", "ClOrdID(11) is missing")
        return [_business_reject(given.session, given.msg_seq_num, "D", "", reason)]
    key, oms, cl_ord_id = given.seq, given.session, given.cl_ord_id
    if (oms, cl_ord_id) in state.cl_ord_ids:
        return [_duplicate(state, given)]
    verdict = gate.check_new(state, given)
    if isinstance(verdict, Refusal):
        state.cl_ord_ids[(oms, cl_ord_id)] = REFUSED
        return [_block(state, given, verdict)]
    record, broker, quantity = verdict.record, verdict.broker, verdict.quantity
    name = record.statement.statement_id
    order = Order(
        key, oms, broker, name, given.symbol, given.side, given.account, cl_ord_id, quantity, given.ts_ns,
        names={cl_ord_id}, rules=state.setup.rules, time_in_force=given.time_in_force,
    )  # fmt: skip
    state.orders[key] = order
    state.cl_ord_ids[(oms, cl_ord_id)] = key
    state.at_broker[(broker, cl_ord_id)] = key
    state.brokers[broker].unacked.append(key)
    open_order(record, order)
    return [
        ForwardToBroker(broker, oms, "D", key, name, cl_ord_id, "", given.symbol, given.side, quantity)
    ]


def _block(state: State, given: NewOrder, refusal: Refusal, status: str = "8") -> SendReport:
    """The hard stop's answer: 150=8, with the reason."""
    return SendReport(
        session=given.session,
        exec_type="8",
        ord_status=status,
        cl_ord_id=given.cl_ord_id,
        order_id=f"GW{state.day}-{given.seq}",
        exec_id=f"GWE{state.day}-{given.seq}",
        symbol=given.symbol,
        side=given.side,
        order_qty=given.order_qty,
        cum_qty=ZERO,
        leaves_qty=ZERO,
        avg_px="0",
        ord_rej_reason=refusal.reason.ord_rej or "99",
        reason=refusal.reason.code,
        text=refusal.text,
        order=0,
        statement_id="",
        broker="",
    )


def _duplicate(state: State, given: NewOrder) -> SendReport:
    """A ClOrdID used before: 103=6 with the first order's status, or a status report for 97=Y (F.1.a, F.1.b)."""
    first = state.orders.get(state.cl_ord_ids[(given.session, given.cl_ord_id)])
    status = first.status if first else orders.REJECTED
    report = _block(state, given, refuse("GW-301", f"ClOrdID {given.cl_ord_id} was used already today"), status)
    if first is not None:
        report = replace(report, **_standing(state, first))
    if given.poss_resend:
        report = replace(report, exec_type="I", ord_rej_reason="", reason="", text="")
    return report


def _standing(state: State, order: Order) -> dict[str, Any]:
    """An order's numbers for a report of the gateway's own."""
    decimals = state.setup.policy.price_decimals
    return {
        "order_id": order.order_id or f"GW{state.day}-{order.key}",
        "cum_qty": order.cum_qty,
        "leaves_qty": order.leaves(),
        "avg_px": round_half_up(order.average(), decimals) if order.fills else "0",
        "order": order.key,
        "statement_id": order.statement_id,
        "broker": order.broker,
    }


def on_replace_order(state: State, given: ReplaceOrder) -> list[Output]:
    """OrderCancelReplaceRequest (G): forwarded and committed at the higher quantity, or refused with a 9."""
    order = _known(state, given.session, given.orig_cl_ord_id)
    if not given.cl_ord_id:
        return [
            _business_reject(given.session, given.msg_seq_num, "G", "", refuse("GW-303", "ClOrdID(11) is missing"))
        ]
    if order is None:
        refusal = refuse("GW-701", f"order {given.orig_cl_ord_id or '(no OrigClOrdID)'} is unknown")
        return [_cancel_reject(given, order, refusal, "2")]
    if (given.session, given.cl_ord_id) in state.cl_ord_ids:
        refusal = refuse("GW-301", f"ClOrdID {given.cl_ord_id} was used already today")
        return [_cancel_reject(given, order, refusal, "2")]
    verdict = gate.check_replace(state, order, given)
    if isinstance(verdict, Refusal):
        state.cl_ord_ids[(given.session, given.cl_ord_id)] = REFUSED
        return [_cancel_reject(given, order, verdict, "2")]
    order.pending[given.cl_ord_id] = verdict
    settle(state, order)
    return [_request(state, given, order, "G", verdict)]


def on_cancel_order(state: State, given: CancelOrder) -> list[Output]:
    """A cancel of an order the gateway forwarded always passes; of an unknown one it gets 35=9."""
    order = _known(state, given.session, given.orig_cl_ord_id)
    if order is None:
        refusal = refuse("GW-701", f"order {given.orig_cl_ord_id or '(no OrigClOrdID)'} is unknown")
        return [_cancel_reject(given, None, refusal, "1")]
    flags: list[Output] = [Flagged(given.defect.split(" ")[0], given.defect)] if given.defect else []
    return [*flags, _request(state, given, order, "F", order.quantity)]


def _known(state: State, oms: str, cl_ord_id: str) -> Order | None:
    return state.orders.get(state.cl_ord_ids.get((oms, cl_ord_id), REFUSED))


def _request(
    state: State, given: ReplaceOrder | CancelOrder, order: Order, msg_type: str, quantity: Decimal
) -> ForwardToBroker:
    """Forward a G or F along the route of its order."""
    if given.cl_ord_id:
        state.cl_ord_ids.setdefault((order.oms, given.cl_ord_id), order.key)
        state.at_broker.setdefault((order.broker, given.cl_ord_id), order.key)
        order.names.add(given.cl_ord_id)
    state.requests[given.seq] = Request(order.key, msg_type, given.cl_ord_id, given.orig_cl_ord_id)
    return ForwardToBroker(
        broker=order.broker,
        oms=order.oms,
        msg_type=msg_type,
        order=order.key,
        statement_id=order.statement_id,
        cl_ord_id=given.cl_ord_id,
        orig_cl_ord_id=given.orig_cl_ord_id,
        symbol=order.symbol,
        side=order.side,
        quantity=quantity,
    )


def _cancel_reject(
    given: ReplaceOrder | CancelOrder, order: Order | None, refusal: Refusal, response_to: str
) -> SendCancelReject:
    return SendCancelReject(
        session=given.session,
        cl_ord_id=given.cl_ord_id,
        orig_cl_ord_id=given.orig_cl_ord_id,
        order_id=(order.order_id or "NONE") if order else "NONE",
        ord_status=order.status if order else "8",
        response_to=response_to,
        cxl_rej_reason=refusal.reason.cxl_rej or "99",
        reason=refusal.reason.code,
        text=refusal.text,
        order=order.key if order else 0,
    )


def on_status_request(state: State, given: StatusRequest) -> list[Output]:
    """H of a known order goes to its broker; of an unknown one it is answered here (matrix G.1.a)."""
    order = _known(state, given.session, given.cl_ord_id)
    if order is not None:
        return [
            ForwardToBroker(
                order.broker,
                order.oms,
                "H",
                order.key,
                order.statement_id,
                given.cl_ord_id,
                "",
                order.symbol,
                order.side,
                order.quantity,
            )
        ]
    refusal = refuse("GW-701", f"order {given.cl_ord_id or '(no ClOrdID)'} is unknown")
    return [
        SendReport(
            session=given.session,
            exec_type="I",
            ord_status="8",
            cl_ord_id=given.cl_ord_id,
            order_id="NONE",
            exec_id=f"GWE{state.day}-{given.seq}",
            symbol="",
            side="",
            order_qty="",
            cum_qty=ZERO,
            leaves_qty=ZERO,
            avg_px="0",
            ord_rej_reason="5",
            reason="GW-701",
            text=refusal.text,
            order=0,
            statement_id="",
            broker="",
        )
    ]


def on_unsupported(_state: State, given: Unsupported) -> list[Output]:
    """Default deny: a type the gate cannot check goes nowhere."""
    refusal = refuse("GW-404", f"MsgType {given.msg_type} is not supported on this session")
    return [_business_reject(given.session, given.msg_seq_num, given.msg_type, "", refusal)]


def missing(session: str, seq_num: int, msg_type: str, name: str) -> SendBusinessReject:
    """A message that cannot be answered otherwise because the id an answer repeats is missing (380=5)."""
    return _business_reject(session, seq_num, msg_type, "", refuse("GW-303", f"{name} is missing"))


def _business_reject(
    session: str, seq_num: int, msg_type: str, ref_id: str, refusal: Refusal
) -> SendBusinessReject:
    return SendBusinessReject(
        session, seq_num, msg_type, ref_id, refusal.reason.business or "0", refusal.reason.code, refusal.text
    )
