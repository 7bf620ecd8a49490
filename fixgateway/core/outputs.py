"""What the engine answers: messages to send and facts to keep, in the order they were decided.

A *send* is something the gateway performs after the records behind it are synced; a *fact* only goes to
the journal, the database, the log and the metrics. Every output of one input stands in one ``decision``
record, so replay can compare them one by one. Names of the field's messages are kept in the class names.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from fixgateway.core.inputs import ExecKind
from fixgateway.core.model import Setup, Side, Statement
from fixgateway.core.values import quick

# ---------------------------------------------------------------- sends


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
class Share:
    """One entry of NoAllocs(78): an account, its quantity and its average price as written on the wire."""

    account: str
    quantity: Decimal
    avg_px: str


@dataclass(frozen=True, slots=True)
class Allocation:
    """One AllocationInstruction's content: what one broker is told about one statement.

    ``alloc_id`` is unique and derived from the journal sequence; ``trans_type`` is 71 (0 new, 1 replace, 2
    cancel), ``ref_alloc_id`` 72, ``replace_reason`` 796. ``avg_px`` is rounded half-up to ``price_decimals``
    (74). Σ shares = ``quantity``.
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


# ---------------------------------------------------------------- facts


@dataclass(frozen=True, slots=True)
class Configured:
    """A configuration came into force."""

    setup: Setup


@dataclass(frozen=True, slots=True)
class StatementRegistered:
    """A statement is registered; durable once this record is."""

    statement: Statement


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a draft: the line (0 for the whole statement), the field and what to do."""

    row: int
    field: str
    reason: str
    text: str


@dataclass(frozen=True, slots=True)
class StatementRefused:
    """A draft was refused; every problem found is listed."""

    door: str
    actor: str
    statement_id: str
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class StatementClosed:
    """No further order is taken under the statement.

    ``why`` is ``complete``, ``cut-off``, ``closed`` (a named person), ``cancelled`` or ``replaced``.
    """

    statement_id: str
    why: str
    actor: str


@quick
@dataclass(frozen=True, slots=True)
class ExecutionApplied:
    """A broker's execution report was taken into the order's state.

    ``effect`` is ``fill``, ``bust``, ``correct``, ``state``, ``duplicate``, ``unknown-order``, ``ignored``.
    """

    order: int
    statement_id: str
    broker: str
    oms: str
    order_id: str
    exec_id: str
    exec_ref_id: str
    kind: ExecKind
    effect: str
    last_qty: Decimal | None
    last_px: Decimal | None


@quick
@dataclass(frozen=True, slots=True)
class OrderChanged:
    """The order's state after an event; ``status`` is OrdStatus(39)."""

    order: int
    statement_id: str
    cl_ord_id: str
    order_id: str
    status: str
    quantity: Decimal
    cum_qty: Decimal
    avg_px: str
    open: bool


@dataclass(frozen=True, slots=True)
class TraceLine:
    """How one account's share came about: ``exact`` is ``num/den``, ``floor`` whole units, ``award`` extra."""

    account: str
    intent: Decimal
    exact: str
    floor: Decimal
    award: Decimal
    quantity: Decimal
    rule: str


@dataclass(frozen=True, slots=True)
class StatementAllocated:
    """The statement's total fill divided, once, over all its orders (DESIGN §2 rule 7)."""

    statement_id: str
    version: int
    filled: Decimal
    unallocated: Decimal
    avg_px: str
    seed: str
    lines: tuple[TraceLine, ...]


@dataclass(frozen=True, slots=True)
class AllocationAcked:
    """A broker answered an allocation; ``status`` as in :class:`inputs.AllocationAck`."""

    alloc_id: str
    statement_id: str
    broker: str
    status: str
    reject_code: str
    text: str


@dataclass(frozen=True, slots=True)
class ExceptionOpened:
    """Something a person must look at; ``reason`` is the GW code."""

    reason: str
    subject: str
    text: str


@dataclass(frozen=True, slots=True)
class Alert:
    """Tell operations now; ``severity`` is ``warning`` or ``critical``."""

    reason: str
    severity: str
    subject: str
    text: str


@dataclass(frozen=True, slots=True)
class Flagged:
    """A message was odd and kept; nothing else happened because of it."""

    reason: str
    text: str


@dataclass(frozen=True, slots=True)
class OrdersSwitched:
    """New orders were halted or resumed for ``target``."""

    target: str
    halted: bool
    actor: str
    reason: str


@dataclass(frozen=True, slots=True)
class ResendForbidden:
    """The D or G decided by input ``decision_seq`` must not be resent any more; its fate is in doubt."""

    order: int
    decision_seq: int


Send = (
    ForwardToBroker
    | PassToOms
    | SendReport
    | SendCancelReject
    | SendBusinessReject
    | SendStatementAck
    | SendAllocation
    | SendAllocationReport
    | SendDontKnow
    | CutSession
)
Fact = (
    Configured
    | StatementRegistered
    | StatementRefused
    | StatementClosed
    | ExecutionApplied
    | OrderChanged
    | StatementAllocated
    | AllocationAcked
    | ExceptionOpened
    | Alert
    | Flagged
    | OrdersSwitched
    | ResendForbidden
)
Output = Send | Fact
