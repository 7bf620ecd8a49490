"""What an execution report does to its order.

The broker's words decide what happened, the gateway's own arithmetic how much: CumQty is the sum of the fills
received, never the broker's 14, and a difference is told once as GW-803. The OrdStatus an order may have follows
the precedence of FIX 4.4 vol. 4 (order state matrices): pending cancel and pending replace before done for day
before filled before partially filled.

An order keeps the edition of the rules it was opened under (:attr:`model.Setup.rules`); 1 is how journals without
an edition were decided. It knew no early busts, no splits and no derived fills, looked at no ``39`` beside the
kind of report, and let nothing but a replace bring a done order back.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from fractions import Fraction

from fixgateway.core import amends, restated
from fixgateway.core.fills import DERIVED, MONEY, Fill
from fixgateway.core.inputs import ExecKind, Execution
from fixgateway.core.model import EXACT, ZERO
from fixgateway.core.orders import (
    CANCELLED,
    DONE,
    ENDED,
    EXPIRED,
    FILLED,
    GONE,
    NEW,
    PARTIAL,
    PENDING,
    PENDING_CANCEL,
    PENDING_NEW,
    PENDING_REPLACE,
    REJECTED,
    STOPPED,
    Effect,
    Order,
)
from fixgateway.core.pricing import round_half_up

_STATUS_OF = {
    ExecKind.PENDING_NEW: PENDING_NEW,
    ExecKind.NEW: NEW,
    ExecKind.PENDING_CANCEL: PENDING_CANCEL,
    ExecKind.CANCELLED: CANCELLED,
    ExecKind.PENDING_REPLACE: PENDING_REPLACE,
    ExecKind.REJECTED: REJECTED,
    ExecKind.DONE_FOR_DAY: DONE,
    ExecKind.EXPIRED: EXPIRED,
}
_SETTLED = frozenset(
    (ExecKind.STATUS, ExecKind.DONE_FOR_DAY, ExecKind.CANCELLED, ExecKind.EXPIRED, ExecKind.REJECTED)
)
"""Reports whose 14 and 6 are the last word on what was filled: nothing is on its way any more, or we asked."""


def apply(order: Order, report: Execution, today: date = date.min, fills_from_cum: bool = False) -> Effect:
    """Take one execution report into the order's state.

    Reports that only repeat what is known (the same ExecID, a drop copy, a status) change nothing.

    Args:
        order: the order the report is about.
        report: the report.
        today: the trade date it was received under; its fills are that day's unless it names an earlier one.
        fills_from_cum: the broker may show fills in 14 and 6 only (:attr:`model.BrokerSetup.fills_from_cum`).
    """
    if disowned(order, report):
        return Effect("state")
    order.answered = True
    order.in_doubt = False
    order.order_id = report.order_id or order.order_id
    kind = report.kind
    if report.copy:
        return Effect("ignored")
    if kind is ExecKind.STATUS or kind is ExecKind.OTHER:
        return _after(order, report, Effect("state"), today, fills_from_cum)
    fingerprint = (kind, report.last_qty, report.last_px, report.exec_ref_id)
    known = order.seen.get(report.exec_id)
    if known is not None:
        if known == fingerprint:
            return Effect("duplicate")
        return Effect("duplicate", "GW-804", f"ExecID {report.exec_id} came again with other content")
    order.seen[report.exec_id] = fingerprint
    match kind:
        case ExecKind.FILL:
            effect = _fill(order, report, today)
        case ExecKind.BUST | ExecKind.CORRECT:
            effect = amends.amend(order, report, today)
            if effect.name != "ignored":
                _progress(order, report)
        case ExecKind.REPLACED:
            effect = _replaced(order, report)
        case ExecKind.RESTATED:
            effect = restated.restate(order, report)
        case _:
            effect = _state(order, report)
    return _after(order, report, effect, today, fills_from_cum)


def disowned(order: Order, report: Execution) -> bool:
    """Whether the broker answers a question (150=I) about an order it never answered by "unknown" (39=8).

    That settles nothing: whether the order is still on its way only a person can find out.
    """
    return report.kind is ExecKind.STATUS and report.ord_status == REJECTED and not order.answered


def _after(order: Order, report: Execution, effect: Effect, today: date, fills_from_cum: bool) -> Effect:
    """What the broker's numbers say beside the event itself: fills never reported, differences."""
    if effect.note or effect.ratio is not None:
        return effect  # its 14 is of an earlier moment, or in other units
    if order.rules >= 2 and report.kind is not ExecKind.FILL:
        if fills_from_cum and report.kind in _SETTLED and not effect.reason:
            derived = amends.derive(order, report, today)
            if derived is not None:
                _progress(order, report)
                effect = Effect(effect.name, "GW-864", _derived_words(order, derived), derived=derived)
        if report.day_cum_qty is not None and not effect.reason:
            effect = _compare_day(order, report, effect, today)
    return _compare(order, report, effect)


def _derived_words(order: Order, derived: Fill) -> str:
    price = round_half_up(Fraction(derived.exact_price), 6)
    return (
        f"order {order.cl_ord_id}: no execution was received for {derived.quantity} of CumQty {order.cum_qty}; "
        f"they are entered at {price}, as CumQty and AvgPx say"
    )


# ---------------------------------------------------------------- the kinds


def _fill(order: Order, report: Execution, today: date) -> Effect:
    quantity, price = report.last_qty, report.last_px
    if not quantity or quantity < 0 or price is None:
        return Effect("ignored", "GW-811", f"fill {report.exec_id} has no readable LastQty(32) or LastPx(31)")
    if order.rules >= 2:
        if report.exec_id in order.early:
            effect = amends.forestalled(order, report, today)
            if effect.name != "ignored":
                _progress(order, report)
            return effect
        if report.ord_status == STOPPED and report.cum_qty == order.cum_qty:
            return Effect("state")  # a guarantee, not a trade: CumQty does not move (FIX 4.2 matrix D37)
    claimed = order.cum_qty
    order.fills[report.exec_id] = Fill(quantity, price, amends.day_of(report, today))
    order.cum_qty = EXACT.add(claimed, quantity)
    order.paid = MONEY.add(order.paid, MONEY.multiply(quantity, price))
    note = ""
    if DERIVED in order.fills:
        note = amends.give_way(order, report, claimed)
    _progress(order, report)
    if order.cum_qty > max(order.quantity, *order.pending.values(), ZERO):
        text = f"order {order.cl_ord_id} has {order.cum_qty} filled of {order.quantity} ordered"
        return Effect("fill", "GW-802", text, note)
    return Effect("fill", note=note) if note else Effect("fill")


def _progress(order: Order, report: Execution) -> None:
    """The status a change of CumQty gives an order: an ended one stays so, a pending one waits for its answer."""
    status = order.status
    if status in GONE:
        return  # a late fill or a bust does not bring an ended order back (matrix J.1.b)
    if status == DONE and (order.rules < 2 or not trades_on(report)):
        return
    if status not in PENDING:
        order.status = order.standing()
    elif order.rules < 2 and order.cum_qty >= order.quantity:
        order.status = FILLED


def trades_on(report: Execution) -> bool:
    """Whether the broker says that a done order trades again: 39 is not done any more, and something is left."""
    if report.ord_status == FILLED:
        return True
    return report.ord_status in (NEW, PARTIAL) and report.leaves_qty != ZERO


def _replaced(order: Order, report: Execution) -> Effect:
    """150=5: the replace is in force; OrderQty never falls below what is filled.

    One that comes late, after the order ended, does not bring it back; only a filled order can be raised again.
    """
    asked = order.pending.pop(report.cl_ord_id, None)
    quantity = report.order_qty or asked or order.quantity
    order.quantity = max(quantity, order.cum_qty)
    order.cl_ord_id = report.cl_ord_id or order.cl_ord_id
    told = ""
    if order.rules >= 2:
        told = report.ord_status
        order.time_in_force = report.time_in_force or order.time_in_force
    if order.status not in ENDED or order.status == FILLED:
        # Pending (another replace waits) and done for day take precedence; else the fills say it.
        order.status = told if told in PENDING or told == DONE == order.status else order.standing()
    return Effect("state")


def _state(order: Order, report: Execution) -> Effect:
    """A report that moves the order without a trade."""
    status = _STATUS_OF[report.kind]
    # Pending takes precedence over filled (matrix C.1.c).
    waits = order.rules >= 2 and order.status == FILLED and status in PENDING
    if order.status in ENDED and status not in ENDED and not waits:
        return Effect("state")  # a late acknowledgement does not reopen an ended order
    if status == NEW and order.cum_qty:
        status = PARTIAL
    if status == NEW and order.rules >= 2 and report.ord_status in PENDING:
        status = report.ord_status  # acknowledged while a cancel waits (matrix B.1.d)
    order.status = status
    if status in ENDED:
        order.pending.clear()
    return Effect("state")


# ---------------------------------------------------------------- comparisons


def _compare(order: Order, report: Execution, effect: Effect) -> Effect:
    """Our CumQty and average against the broker's CumQty(14) and AvgPx(6); said once until they agree again.

    Averages agree when they differ by no more than one unit of the last place the broker wrote.
    """
    if report.cum_qty is None:
        return effect
    differs = report.cum_qty != order.cum_qty or _average_differs(order, report.avg_px)
    said, order.mismatch = order.mismatch, differs
    if effect.reason or not differs or said:
        return effect
    return Effect(
        effect.name,
        "GW-803",
        f"order {order.cl_ord_id}: broker says CumQty {report.cum_qty} at {report.avg_px}, the fills received say "
        f"{order.cum_qty} at {round_half_up(order.average(), 6)}",
    )


def _average_differs(order: Order, theirs: Decimal | None) -> bool:
    exponent = theirs.as_tuple().exponent if theirs is not None else 0
    if theirs is None or not order.cum_qty or not isinstance(exponent, int):
        return False
    return abs(order.average() - Fraction(theirs)) > Fraction(1, 10 ** max(0, -exponent))


def _compare_day(order: Order, report: Execution, effect: Effect, today: date) -> Effect:
    """Our fills of the day against DayCumQty(425); said once until they agree again.

    A bust or correction of an earlier day's trade names that day (75) and still counts today's (425).
    """
    amended = report.kind in (ExecKind.BUST, ExecKind.CORRECT)
    ours = order.day(today if amended else amends.day_of(report, today))[0]
    differs = report.day_cum_qty != ours
    said, order.day_mismatch = order.day_mismatch, differs
    if not differs or said:
        return effect
    text = (
        f"order {order.cl_ord_id}: broker says DayCumQty {report.day_cum_qty}, the day's fills received say {ours}"
    )
    return Effect(effect.name, "GW-866", text)
