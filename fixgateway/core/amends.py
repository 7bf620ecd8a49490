"""Busts, corrections, and fills that only CumQty and AvgPx show.

A bust or correction names a trade by ExecRefID(19): by the *last* ExecID the trade has (FIX 4.4 vol. 4, matrix
J.1.a). Some brokers name its first one, or say that in 16017: both are followed. What names no trade is one of

- a bust, or a trade that was busted: a cancel cannot be cancelled, nothing happens (GW-805)
- a trade that has not come: remembered, at most :data:`MAX_EARLY` for an order; when the fill comes it is dead, or
  has the corrected numbers

A *derived* fill (one an order at most, named :data:`fills.DERIVED`) stands for what the broker counts in
CumQty(14) and AvgPx(6) and never reported. A real fill that comes later takes its place as far as they overlap,
so that nothing is counted twice.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from fractions import Fraction

from fixgateway.core.fills import DERIVED, MONEY, Early, Fill, costing
from fixgateway.core.inputs import ExecKind, Execution
from fixgateway.core.model import EXACT, ZERO
from fixgateway.core.orders import Effect, Order

MAX_EARLY = 100
"""Early busts and corrections remembered for one order; the oldest is forgotten first."""
_PRECISION = Fraction(1, 1000)
"""How far AvgPx's own rounding may leave a derived price open, as a part of AvgPx; beyond it AvgPx is taken."""


def day_of(report: Execution, today: date) -> date:
    """The trade date of a report's fill: TradeDate(75) when it names an earlier day, else today."""
    return report.trade_date if report.trade_date is not None and report.trade_date < today else today


# ---------------------------------------------------------------- busts and corrections


def amend(order: Order, report: Execution, today: date) -> Effect:
    """A bust removes the fill ExecRefID names; a correction puts the new numbers in its place, on the same day."""
    ref = report.exec_ref_id
    if order.rules >= 2:
        ref = _named(order, report)
    if ref not in order.fills:
        return _unnamed(order, report, today)
    old = order.fills[ref]
    if report.kind is ExecKind.CORRECT and not (order.rules >= 2 and report.last_qty == ZERO):
        if not report.last_qty or report.last_qty < 0 or report.last_px is None:
            return Effect("ignored", "GW-811", f"correction {report.exec_id} has no readable LastQty or LastPx")
        order.fills[report.exec_id] = Fill(
            report.last_qty, report.last_px, old.trade_date, origin=old.origin or ref, booking=old.booking
        )
    del order.fills[ref]
    order.recount()
    if DERIVED in order.fills:
        _fit(order, report, today)
    return Effect("correct" if report.kind is ExecKind.CORRECT else "bust")


def _named(order: Order, report: Execution) -> str:
    """The name under which the trade stands now, the report's own word when there is none."""
    ref = report.exec_ref_id
    if ref in order.fills:
        return ref
    first = ref
    for _ in range(len(order.seen)):  # back along the corrections to the trade's first ExecID
        known = order.seen.get(first)
        if known is None or known[0] is not ExecKind.CORRECT:
            break
        first = known[3]
    wanted = {first, report.orig_exec_id} - {""}
    return next((name for name, fill in order.fills.items() if name in wanted or fill.origin in wanted), ref)


def _unnamed(order: Order, report: Execution, today: date) -> Effect:
    """A bust or correction of no trade that stands."""
    ref = report.exec_ref_id
    text = f"{report.kind} {report.exec_id} names ExecID {ref!r}, "
    if order.rules < 2:
        return Effect("ignored", "GW-805", text + "not a fill")
    known = order.seen.get(ref)
    if known is not None:
        if known[0] is ExecKind.BUST:
            return Effect("ignored", "GW-805", text + "a bust: a cancel cannot be cancelled")
        standing = known[0] in (ExecKind.FILL, ExecKind.CORRECT)
        return Effect(
            "ignored", "GW-805", text + ("busted already or never counted" if standing else "not a fill")
        )
    correct = report.kind is ExecKind.CORRECT
    if not ref or (correct and (report.last_qty is None or report.last_px is None)):
        return Effect("ignored", "GW-805", text + "not a fill")
    if len(order.early) >= MAX_EARLY:
        del order.early[next(iter(order.early))]
    numbers = (report.last_qty, report.last_px) if correct else (None, None)
    order.early[ref] = Early(report.exec_id, *numbers)
    if DERIVED in order.fills and _fit(order, report, today):
        return Effect("correct" if correct else "bust")
    return Effect("ignored", "GW-805", text + "which has not come; should it come, this counts for it")


def forestalled(order: Order, report: Execution, today: date) -> Effect:
    """A fill whose bust or correction was here first: dead on arrival, or counted with the corrected numbers."""
    first = early = order.early.pop(report.exec_id)
    while early.quantity and early.exec_id in order.early:
        early = order.early.pop(early.exec_id)
    if not early.quantity or early.price is None:
        return Effect("ignored", note=f"GW-865 fill {report.exec_id} came after its bust {early.exec_id}")
    fill = Fill(early.quantity, early.price, day_of(report, today), origin=report.exec_id)
    claimed = order.cum_qty
    order.fills[early.exec_id] = fill
    order.recount()
    if DERIVED in order.fills:
        give_way(order, report, claimed)
    words = (
        f"GW-865 fill {report.exec_id} came after its correction {first.exec_id}: {fill.quantity} at {fill.price}"
    )
    return Effect("correct", note=words)


# ---------------------------------------------------------------- fills in 14 and 6 only


def derive(order: Order, report: Execution, today: date) -> Fill | None:
    """Enter what CumQty(14) and AvgPx(6) count beyond the fills received; the fill entered, None when nothing is.

    Returned is what this report adds; the order keeps one derived fill for all of it.
    """
    more = EXACT.subtract(report.cum_qty, order.cum_qty) if report.cum_qty is not None else ZERO
    if more <= 0 or report.avg_px is None or report.cum_qty is None:
        return None
    added = _difference(order.paid, more, report.cum_qty, report.avg_px, day_of(report, today))
    before = order.fills.get(DERIVED)
    if before is None:
        order.fills[DERIVED] = added
    else:
        quantity = EXACT.add(before.quantity, more)
        order.fills[DERIVED] = costing(quantity, MONEY.add(before.value, added.value), added.trade_date)
    order.recount()
    return added


def _difference(paid: Decimal, more: Decimal, cum_qty: Decimal, avg_px: Decimal, day: date) -> Fill:
    """The fill of ``more`` that brings what was paid to CumQty times AvgPx.

    AvgPx is rounded; where that rounding, times CumQty, leaves the price of a small difference open by more than a
    thousandth, AvgPx itself is the better price; so it is where the difference has the other sign.
    """
    exponent = avg_px.as_tuple().exponent
    step = Fraction(1, 2 * 10 ** max(0, -exponent)) if isinstance(exponent, int) else Fraction(0)
    if step * Fraction(cum_qty) / Fraction(more) > _PRECISION * abs(Fraction(avg_px)):
        return Fill(more, avg_px, day)
    money = MONEY.subtract(MONEY.multiply(cum_qty, avg_px), paid)
    if (money > 0) != (avg_px > 0):  # its AvgPx does not fit the fills we have: a person is told (GW-864)
        return Fill(more, avg_px, day)
    return costing(more, money, day)


def give_way(order: Order, report: Execution, claimed: Decimal) -> str:
    """A real fill came: the derived one keeps only what is still missing; "" or the words of the note.

    ``claimed`` is CumQty before the fill. What goes beyond it is a new trade, as the report's own CumQty says.
    """
    derived = order.fills[DERIVED]
    claim = max(claimed, report.cum_qty if report.cum_qty is not None else claimed)
    real = EXACT.subtract(order.cum_qty, derived.quantity)
    left = min(derived.quantity, max(EXACT.subtract(claim, real), ZERO))
    if left == derived.quantity:
        return ""
    _leave(order, derived, left)
    return f"GW-865 execution {report.exec_id} came for what CumQty had shown; {left} is still without one"


def _leave(order: Order, derived: Fill, left: Decimal) -> None:
    """Keep ``left`` of the derived fill, at its price."""
    if left:
        order.fills[DERIVED] = replace(derived, quantity=left, money=None)
    else:
        del order.fills[DERIVED]
    order.recount()


def _fit(order: Order, report: Execution, today: date) -> bool:
    """After a bust or correction: make the derived fill what CumQty still shows; whether it changed."""
    derived = order.fills[DERIVED]
    if report.cum_qty is None or report.cum_qty == order.cum_qty:
        return False
    if report.cum_qty > order.cum_qty:
        return derive(order, report, today) is not None
    real = EXACT.subtract(order.cum_qty, derived.quantity)
    _leave(order, derived, max(EXACT.subtract(report.cum_qty, real), ZERO))
    return True
