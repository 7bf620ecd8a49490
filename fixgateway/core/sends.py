"""What the engine wants sent: every message and, for allocations, everything that stands in it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from fixgateway.core.model import Side
from fixgateway.core.values import quick


@quick
@dataclass(frozen=True, slots=True)
class ForwardToBroker:
    """Send the input's body, byte for byte, to ``broker``.

    ``order`` is the gateway's key of the order: the journal sequence of the D that opened it.
    ``quantity`` is the OrderQty now asked for.
    """

    broker: str
    oms: str
    msg_type: str
    order: int
    statement_id: str
    cl_ord_id: str
    orig_cl_ord_id: str
    symbol: str
    side: str
    quantity: Decimal


@quick
@dataclass(frozen=True, slots=True)
class PassToOms:
    """Send the input's body, byte for byte, to ``oms``; ``order`` is 0 when the order is unknown."""

    oms: str
    broker: str
    msg_type: str
    order: int


@dataclass(frozen=True, slots=True)
class SendReport:
    """An ExecutionReport (8) of the gateway's own: an order refused, or a status answered.

    ``exec_type`` is 150 (``8`` rejected, ``I`` status), ``ord_status`` 39, ``ord_rej_reason`` 103 as FIX 4.4
    numbers it. ``reason`` is the GW code, "" for a plain status. ``replaces_order`` names the order a broker's
    own refusal ended.
    """

    session: str
    exec_type: str
    ord_status: str
    cl_ord_id: str
    order_id: str
    exec_id: str
    symbol: str
    side: str
    order_qty: str
    cum_qty: Decimal
    leaves_qty: Decimal
    avg_px: str
    ord_rej_reason: str
    reason: str
    text: str
    order: int
    statement_id: str
    broker: str


@dataclass(frozen=True, slots=True)
class SendCancelReject:
    """An OrderCancelReject (9) of the gateway's own; ``response_to`` is 434: 1 cancel, 2 replace."""

    session: str
    cl_ord_id: str
    orig_cl_ord_id: str
    order_id: str
    ord_status: str
    response_to: str
    cxl_rej_reason: str
    reason: str
    text: str
    order: int


@dataclass(frozen=True, slots=True)
class SendBusinessReject:
    """A BusinessMessageReject (j); ``business_reason`` is 380, ``ref_id`` 379."""

    session: str
    ref_seq_num: int
    ref_msg_type: str
    ref_id: str
    business_reason: str
    reason: str
    text: str


@dataclass(frozen=True, slots=True)
class SendStatementAck:
    """An AllocationInstructionAck (P) answering the OMS's statement J.

    ``alloc_status`` is 87, ``alloc_rej_code`` 88 ("" when accepted); ``text`` of an accepted one carries the
    seed commitment.
    """

    session: str
    alloc_id: str
    trade_date: str
    alloc_status: str
    alloc_rej_code: str
    reason: str
    text: str


@dataclass(frozen=True, slots=True)
class OrderRef:
    """One entry of NoOrders(73): the order's latest ClOrdID, the broker's OrderID and what is booked of it."""

    cl_ord_id: str
    order_id: str
    order_qty: Decimal
    avg_px: str
    booked_qty: Decimal


@dataclass(frozen=True, slots=True)
class Charge:
    """One entry of NoMiscFees(136): ``type`` is MiscFeeType(139), ``amount`` MiscFeeAmt(137)."""

    type: str
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Share:
    """One entry of NoAllocs(78): an account, its quantity and its average price as written on the wire.

    ``price`` is AllocPrice(366) of an executed-price allocation, "" where all pay the average. The money fields are
    rounded to the policy's ``money_decimals``: ``gross`` is quantity times the price written; ``commission`` (12) and
    ``net`` (154) are None where the broker's profile knows no commission; ``residual`` are the cents of
    rounding that belong to the account on top of its gross. All are None in journals from before money was computed.
    """

    account: str
    quantity: Decimal
    avg_px: str
    price: str = ""
    gross: Decimal | None = None
    commission: Decimal | None = None
    fees: tuple[Charge, ...] = ()
    net: Decimal | None = None
    residual: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Allocation:
    """One AllocationInstruction's content: what one broker is told about one statement.

    ``alloc_id`` is unique and derived from the journal sequence; ``trans_type`` is 71 (0 new, 1 replace, 2
    cancel), ``ref_alloc_id`` 72, ``replace_reason`` 796. ``avg_px`` is rounded to ``price_decimals``
    (74). Σ shares = ``quantity``.

    ``gross`` (381) and ``net`` (118) are the sums of the shares'. ``fills_money`` is what the fills booked here cost,
    ``residual_cash`` the part of it that rounding left over and ``averaging_cash`` the part that a day average moves
    to the day's other allocations: gross + residual_cash + averaging_cash = fills_money. ``residual_to`` says who
    bears the residual: ``accounts``, the error account, or "" for nobody. ``booking`` is the booking of the
    statement it belongs to (:mod:`.booking`), 0 for the statement as a whole.
    """

    alloc_id: str
    trans_type: str
    ref_alloc_id: str
    replace_reason: str
    alloc_type: str
    statement_id: str
    broker: str
    oms: str
    trade_date: date
    symbol: str
    security_id: str
    id_source: str
    side: Side
    quantity: Decimal
    avg_px: str
    price_decimals: int
    orders: tuple[OrderRef, ...]
    shares: tuple[Share, ...]
    gross: Decimal | None = None
    net: Decimal | None = None
    fills_money: Decimal | None = None
    residual_cash: Decimal | None = None
    averaging_cash: Decimal | None = None
    residual_to: str = ""
    booking: int = 0


@dataclass(frozen=True, slots=True)
class SendAllocation:
    """Send an AllocationInstruction (J) to ``allocation.broker``."""

    allocation: Allocation


@dataclass(frozen=True, slots=True)
class SendAllocationReport:
    """Tell the OMS of an accepted allocation; ``form`` is ``AS`` or ``J``, ``report_id`` is 755 (or 70)."""

    session: str
    form: str
    report_id: str
    allocation: Allocation


@dataclass(frozen=True, slots=True)
class SendDontKnow:
    """A DontKnowTrade (Q) for a fill of an order the gateway never sent."""

    session: str
    order_id: str
    exec_id: str
    symbol: str
    side: str
    dk_reason: str
    text: str


@dataclass(frozen=True, slots=True)
class CutSession:
    """Log the session out: the counterparty broke a bound."""

    session: str
    reason: str
    text: str
