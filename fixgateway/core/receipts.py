"""What may not have been received: after a counterparty reset its numbers, or a run that did not end well.

FIX has what was missed sent again by its number. That ends when the numbers begin at 1 again, and when the
machine failed and nobody knows what was sent last. What has no proof of receipt is then sent once more as a
possible duplicate (97=Y), except D and G: those are in doubt, never sent again, their quantity stays committed.

Proof of receipt of a message is an answer to it. As FIX messages are taken in the order of their numbers, it
is proof for everything before it, too.
"""

from __future__ import annotations

from fixgateway.core.exceptions import exception
from fixgateway.core.executions import forget_unacked
from fixgateway.core.inputs import ReceiptUnknown
from fixgateway.core.orders import Order
from fixgateway.core.outputs import Alert, Output, ResendForbidden
from fixgateway.core.state import BrokerRecord, State, decided_allocations

RESET, MACHINE, CRASH = "reset", "machine", "crash"
"""Why a receipt is unknown (``ReceiptUnknown.why``): numbers began at 1 again; the machine failed; the gateway was
killed, which is told by the start, so that only the doubts are new."""

_TOLD = {
    RESET: ("GW-407", "sequence numbers began at 1 again"),
    MACHINE: ("GW-408", "the machine failed"),
}


def answered(state: State, decision: int, session: str) -> bool:
    """Whether the counterparty answered what input ``decision`` sent to it: an order or an allocation."""
    order = state.orders.get(decision)
    if order is not None:
        return order.answered or not order.open
    decided = decided_allocations(state, decision, session)
    return bool(decided) and all(state.allocations[alloc_id].status != "sent" for alloc_id in decided)


def on_receipt_unknown(state: State, given: ReceiptUnknown) -> list[Output]:
    """Doubts and repeats, and the alert that names their cause."""
    outputs: list[Output] = []
    if given.why in _TOLD:
        code, what = _TOLD[given.why]
        text = (
            f"{given.session}: {what}; {len(given.repeated)} messages of no known receipt are sent again with "
            f"PossResend, {len(given.doubtful)} orders or replaces are not"
        )
        outputs.append(Alert(code, "warning", given.session, text))
    for decision in given.repeated:
        for alloc_id in decided_allocations(state, decision, given.session):
            state.allocations[alloc_id].repeated = True
    for decision in given.doubtful:
        outputs += _doubt(state, decision, given.session)
    return outputs


def _doubt(state: State, decision: int, session: str) -> list[Output]:
    """One D or G of which nobody knows whether it arrived; nothing when it was answered or is known as such."""
    order = state.orders.get(decision)
    if order is not None:
        if order.answered or not order.open or order.in_doubt:
            return []
        forget_unacked(state, order)
        return in_doubt(order, f"nobody knows whether {session} received order {order.cl_ord_id}")
    request = state.requests.get(decision)
    if request is None or request.msg_type != "G" or request.in_doubt:
        return []
    order = state.orders[request.order]
    if request.cl_ord_id not in order.pending:
        return []
    request.in_doubt = True
    text = (
        f"nobody knows whether {session} received replace {request.cl_ord_id} of order {request.orig_cl_ord_id}; "
        "the larger quantity stays committed"
    )
    return [ResendForbidden(order.key, decision), *exception("GW-809", request.cl_ord_id, text)]


def restart(state: State, how: str, ts_ns: int) -> list[Output]:
    """Every session is down; after a crash an order the broker never answered may or may not have reached it.

    Args:
        how: the run before ended, see :class:`inputs.Operator`; "" and "crash" are of older journals, in which
            an order's age counts from its forwarding whatever happened since.
        ts_ns: the start.
    """
    outputs: list[Output] = []
    state.ages_from_up = how not in ("", "crash")
    for name, broker in state.brokers.items():
        broker.up = False
        if state.ages_from_up:
            broker.since_ns = ts_ns
        if how in ("crash", "killed", "failed"):
            outputs += _unanswered(state, name, broker)
    return outputs


def _unanswered(state: State, name: str, broker: BrokerRecord) -> list[Output]:
    outputs: list[Output] = []
    while broker.unacked:
        order = state.orders[broker.unacked.popleft()]
        outputs += in_doubt(order, f"the gateway crashed before {name} answered order {order.cl_ord_id}")
    return outputs


def in_doubt(order: Order, text: str) -> list[Output]:
    """Never sent again, quantity kept, told at once; an execution report settles it."""
    order.in_doubt = True
    return [ResendForbidden(order.key, order.key), *exception("GW-809", order.cl_ord_id, text)]
