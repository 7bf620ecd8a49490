"""The state of one order: its ClOrdID chain, its fills, what it keeps committed.

Theory of operation. The gateway owns no order; it follows two opinions of one. The OMS's requests (D, G, F)
are *pending* until the broker answers; the broker's reports are what happened. From both follows the
*commitment*, the quantity a statement must keep for the order:

    open          max(OrderQty in force, every pending replace's OrderQty, filled)
    ended         filled (cancelled, expired, rejected, filled), and a pending replace that may reopen it
    done for day  as open: a broker may trade on after 39=3, so nothing is released before the cut-off
    in doubt      as open, whatever else is known: an execution report settles it

So a raising G counts from the moment it is forwarded, a lowering one releases only on 150=5, and a later
fill of an ended order commits again. Fills are kept by ExecID: a repeated one changes nothing, a bust or
correction names the fill's *last* ExecID in ExecRefID(19) (FIX 4.4 vol. 4, order state matrices).
OrdStatus values are FIX 4.4's.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction

from fixgateway.core.inputs import ExecKind, Execution
from fixgateway.core.model import EXACT, ZERO, exact_sum
from fixgateway.core.pricing import average, round_half_up
from fixgateway.core.values import quick

PENDING_NEW, NEW, PARTIAL, FILLED, DONE, CANCELLED = "A", "0", "1", "2", "3", "4"
PENDING_CANCEL, REJECTED, EXPIRED, PENDING_REPLACE = "6", "8", "C", "E"

ENDED = frozenset({FILLED, CANCELLED, REJECTED, EXPIRED})
"""OrdStatus values after which nothing more is expected and the rest is released."""
ENDS_STATEMENT = frozenset({CANCELLED, EXPIRED, DONE})
"""OrdStatus values of a last order that complete its statement although quantity is left."""

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


@quick
@dataclass(frozen=True, slots=True)
class Fill:
    """One trade as it stands now, after corrections."""

    quantity: Decimal
    price: Decimal


@dataclass(slots=True)
class Order:
    """One order the gateway forwarded; mutable, owned by the engine's state.

    ``cl_ord_id`` is the latest accepted ClOrdID, ``names`` every ClOrdID of its chain.
    """

    key: int
    oms: str
    broker: str
    statement_id: str
    symbol: str
    side: str
    account: str
    cl_ord_id: str
    quantity: Decimal
    forwarded_ns: int
    order_id: str = ""
    status: str = PENDING_NEW
    cum_qty: Decimal = ZERO
    answered: bool = False
    in_doubt: bool = False
    mismatch: bool = False
    committed: Decimal = ZERO
    counted: Decimal = ZERO
    counted_open: bool = False
    names: set[str] = field(default_factory=set)
    pending: dict[str, Decimal] = field(default_factory=dict)
    fills: dict[str, Fill] = field(default_factory=dict)
    seen: dict[str, tuple[ExecKind, Decimal | None, Decimal | None, str]] = field(default_factory=dict)

    @property
    def open(self) -> bool:
        """Whether the broker may still trade it as far as completion is concerned."""
        return self.status not in ENDED and self.status != DONE

    def commitment(self) -> Decimal:
        """What the statement must keep for this order (see the module's theory of operation)."""
        base = ZERO if self.status in ENDED and not self.in_doubt else self.quantity
        return max(base, self.cum_qty, *self.pending.values())

    def leaves(self) -> Decimal:
        """OrderQty − CumQty while open, else 0."""
        return max(EXACT.subtract(self.quantity, self.cum_qty), ZERO) if self.status not in ENDED else ZERO

    def average(self) -> Fraction:
        """Exact average price of the fills."""
        return average((fill.quantity, fill.price) for fill in self.fills.values())


def blended(orders: Iterable[Order]) -> Fraction:
    """Exact average price over all fills of several orders."""
    return average((fill.quantity, fill.price) for order in orders for fill in order.fills.values())


@quick
@dataclass(frozen=True, slots=True)
class Effect:
    """What an execution report did to its order.

    ``name`` is the ``effect`` of :class:`outputs.ExecutionApplied`; ``reason`` a GW code when something is
    wrong, with ``text`` for the person who must look.
    """

    name: str
    reason: str = ""
    text: str = ""


def apply(order: Order, report: Execution) -> Effect:
    """Take one execution report into the order's state.

    Reports that only repeat what is known (the same ExecID, a drop copy, a status) change nothing. The
    broker's numbers never overwrite ours: CumQty is the sum of the fills received, and a difference is
    reported once as GW-803.
    """
    if disowned(order, report):
        return Effect("state")
    order.answered = True
    order.in_doubt = False
    order.order_id = report.order_id or order.order_id
    fingerprint = (report.kind, report.last_qty, report.last_px, report.exec_ref_id)
    if report.copy or report.kind in (ExecKind.STATUS, ExecKind.OTHER):
        return _compare(order, report, Effect("ignored" if report.copy else "state"))
    known = order.seen.get(report.exec_id)
    if known is not None:
        if known == fingerprint:
            return Effect("duplicate")
        return Effect("duplicate", "GW-804", f"ExecID {report.exec_id} came again with other content")
    order.seen[report.exec_id] = fingerprint
    match report.kind:
        case ExecKind.FILL:
            effect = _fill(order, report)
        case ExecKind.BUST | ExecKind.CORRECT:
            effect = _amend(order, report)
        case ExecKind.REPLACED:
            effect = _replaced(order, report)
        case ExecKind.RESTATED:
            order.quantity = report.order_qty or order.quantity
            effect = Effect("state")
        case _:
            effect = _state(order, report)
    return _compare(order, report, effect)


def disowned(order: Order, report: Execution) -> bool:
    """Whether the broker answers a question (150=I) about an order it never answered by "unknown" (39=8).

    That settles nothing: whether the order is still on its way only a person can find out.
    """
    return report.kind is ExecKind.STATUS and report.ord_status == REJECTED and not order.answered


def _fill(order: Order, report: Execution) -> Effect:
    if not report.last_qty or report.last_qty < 0 or report.last_px is None:
        return Effect("ignored", "GW-811", f"fill {report.exec_id} has no readable LastQty(32) or LastPx(31)")
    order.fills[report.exec_id] = Fill(report.last_qty, report.last_px)
    _recount(order)
    if order.cum_qty > max(order.quantity, *order.pending.values(), ZERO):
        return Effect(
            "fill", "GW-802", f"order {order.cl_ord_id} has {order.cum_qty} filled of {order.quantity} ordered"
        )
    return Effect("fill")


def _amend(order: Order, report: Execution) -> Effect:
    """A bust removes the fill ExecRefID names; a correction puts the new numbers in its place."""
    if report.exec_ref_id not in order.fills:
        return Effect(
            "ignored", "GW-805", f"{report.kind} {report.exec_id} names ExecID {report.exec_ref_id!r}, not a fill"
        )
    if report.kind is ExecKind.CORRECT:
        if not report.last_qty or report.last_qty < 0 or report.last_px is None:
            return Effect("ignored", "GW-811", f"correction {report.exec_id} has no readable LastQty or LastPx")
        order.fills[report.exec_id] = Fill(report.last_qty, report.last_px)
    del order.fills[report.exec_ref_id]
    _recount(order)
    return Effect("correct" if report.kind is ExecKind.CORRECT else "bust")


def _recount(order: Order) -> None:
    """CumQty from the fills, and the status a change of CumQty gives an order that is not cancelled."""
    order.cum_qty = exact_sum(fill.quantity for fill in order.fills.values())
    if order.status in (CANCELLED, EXPIRED, REJECTED, DONE):
        return  # a late fill or a bust does not bring an ended order back (matrix J.1.b)
    if order.cum_qty >= order.quantity:
        order.status = FILLED
    elif order.status not in (PENDING_CANCEL, PENDING_REPLACE):
        order.status = PARTIAL if order.cum_qty else NEW


def _replaced(order: Order, report: Execution) -> Effect:
    """150=5: the replace is in force; OrderQty never falls below what is filled.

    One that comes late, after the order ended, does not bring it back; only a filled order can be raised again.
    """
    asked = order.pending.pop(report.cl_ord_id, None)
    quantity = report.order_qty or asked or order.quantity
    order.quantity = max(quantity, order.cum_qty)
    order.cl_ord_id = report.cl_ord_id or order.cl_ord_id
    if order.status not in ENDED or order.status == FILLED:
        order.status = FILLED if order.cum_qty >= order.quantity else (PARTIAL if order.cum_qty else NEW)
    return Effect("state")


def _state(order: Order, report: Execution) -> Effect:
    """A report that moves the order without a trade."""
    status = _STATUS_OF[report.kind]
    if order.status in ENDED and status not in ENDED:
        return Effect("state")  # a late acknowledgement does not reopen an ended order
    if status == NEW and order.cum_qty:
        status = PARTIAL
    order.status = status
    if status in ENDED:
        order.pending.clear()
    return Effect("state")


def _compare(order: Order, report: Execution, effect: Effect) -> Effect:
    """Our CumQty and average against the broker's CumQty(14) and AvgPx(6); said once until they agree again.

    Averages agree when they differ by no more than one unit of the last place the broker wrote.
    """
    if report.cum_qty is None or report.copy:
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
