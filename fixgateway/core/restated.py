"""150=D: the broker restates an order. Nobody asked; why is in ExecRestatementReason(378).

0, a corporate action on a good-till order: OrderQty, CumQty and AvgPx are in new units (matrix H.1.b: 38
10000→20000, 14 2000→4000, 6 50→25). When the three say one ratio, the statement and everything under it follow it
(:mod:`splits`); when they do not, a person must look (GW-863).

Anything else (1 renewal, 2 verbal change, 3 repricing, 5 partial decline, …) puts OrderQty(38) in force. A lower
one releases the difference; a higher one was not gated, is counted, and a person is told (GW-862), as when an
ended order is said to live. A done order wakes up the next day.
"""

from __future__ import annotations

from fractions import Fraction

from fixgateway.core.fills import times
from fixgateway.core.inputs import Execution
from fixgateway.core.model import ZERO
from fixgateway.core.orders import DONE, GONE, NEW, PARTIAL, PENDING, Effect, Order

CORPORATE_ACTION = "0"
"""ExecRestatementReason(378) of a split."""


def restate(order: Order, report: Execution) -> Effect:
    """Put a restatement in force, or say which split the statement must follow (``Effect.ratio``)."""
    if order.rules < 2:
        order.quantity = report.order_qty or order.quantity
        return Effect("state")
    if report.orig_cl_ord_id in order.names and report.cl_ord_id:
        order.cl_ord_id = report.cl_ord_id  # the broker may give the order another ClOrdID for the new day
    order.time_in_force = report.time_in_force or order.time_in_force
    quantity = report.order_qty or order.quantity
    if report.restatement_reason == CORPORATE_ACTION and quantity != order.quantity:
        ratio = Fraction(quantity) / Fraction(order.quantity)
        if says(order, report, ratio):
            _wake(order, report)
            return Effect("state", ratio=ratio)
        effect = Effect("state", "GW-863", _words(order, report))
        order.quantity = max(quantity, order.cum_qty)
    else:
        effect = _amount(order, report)
    return _wake(order, report) or effect


def says(order: Order, report: Execution, ratio: Fraction) -> bool:
    """Whether CumQty and AvgPx were multiplied and divided by the same ratio as OrderQty."""
    cum_qty = times(order.cum_qty, ratio)
    if cum_qty is None or (report.cum_qty is not None and report.cum_qty != cum_qty):
        return False
    average = order.average() / ratio
    exponent = report.avg_px.as_tuple().exponent if report.avg_px is not None else 0
    if report.avg_px is None or not cum_qty or not isinstance(exponent, int):
        return True
    return abs(average - Fraction(report.avg_px)) <= Fraction(1, 10 ** max(0, -exponent))


def _words(order: Order, report: Execution) -> str:
    return (
        f"order {order.cl_ord_id} was restated for a corporate action: OrderQty {order.quantity} to "
        f"{report.order_qty}, CumQty {order.cum_qty} to {report.cum_qty}, AvgPx to {report.avg_px} say no single "
        "ratio; nothing was scaled"
    )


def _amount(order: Order, report: Execution) -> Effect:
    """OrderQty(38) without a corporate action."""
    asked = max(order.quantity, *order.pending.values(), ZERO)
    was, order.quantity = order.quantity, max(report.order_qty or order.quantity, order.cum_qty)
    if order.quantity > asked:
        what = f"raises order {order.cl_ord_id} from {was} to {order.quantity}"
        text = f"{report.exec_id} {what}; nobody asked for it here"
        return Effect("state", "GW-862", text)
    return Effect("state")


def _wake(order: Order, report: Execution) -> Effect | None:
    """The status after a restatement; an effect when an order that ended is said to live."""
    lives = report.ord_status in (NEW, PARTIAL) and report.leaves_qty != ZERO
    if order.status in GONE:
        if not lives or not report.leaves_qty:
            return None
        was, order.status = order.status, order.standing()
        text = f"{report.exec_id} brings order {order.cl_ord_id} back, which had ended (OrdStatus {was})"
        return Effect("state", "GW-862", text)
    if order.status in PENDING or (order.status == DONE and not lives):
        return None
    order.status = order.standing()
    return None
