"""What the engine is told. Every input is a frozen value; the same inputs give the same outputs anywhere.

Each input carries ``seq``, the journal sequence of the record it came from (ids derive from it), and
``ts_ns``, the UTC clock reading in nanoseconds when it was taken. Messages are version-neutral: ``wire``
turns FIX text of any version into these and nothing below knows tags.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum

from fixgateway.core.model import Draft, Setup
from fixgateway.core.values import quick


class ExecKind(StrEnum):
    """What an execution report reports, whatever the version (150, or 20 with 150 and 39 in FIX 4.2)."""

    PENDING_NEW = "pending-new"
    NEW = "new"
    FILL = "fill"
    CORRECT = "correct"
    BUST = "bust"
    PENDING_CANCEL = "pending-cancel"
    CANCELLED = "cancelled"
    PENDING_REPLACE = "pending-replace"
    REPLACED = "replaced"
    REJECTED = "rejected"
    DONE_FOR_DAY = "done-for-day"
    EXPIRED = "expired"
    RESTATED = "restated"
    STATUS = "status"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Configure:
    """The configuration in force from here on."""

    seq: int
    ts_ns: int
    setup: Setup


@dataclass(frozen=True, slots=True)
class SessionUp:
    """A counterparty's session is logged on."""

    seq: int
    ts_ns: int
    session: str


@dataclass(frozen=True, slots=True)
class SessionDown:
    """A counterparty's session is logged out or lost."""

    seq: int
    ts_ns: int
    session: str


@dataclass(frozen=True, slots=True)
class Tick:
    """A clock reading, given when :meth:`Engine.due` says something is due.

    ``trade_date`` and ``local_time`` (``HH:MM:SS``) are the reading in the policy's time zone.
    """

    seq: int
    ts_ns: int
    trade_date: date
    local_time: str


@dataclass(frozen=True, slots=True)
class JournalState:
    """The journal is degraded (orders off) or normal again."""

    seq: int
    ts_ns: int
    degraded: bool
    why: str


@dataclass(frozen=True, slots=True)
class Operator:
    """A named person's action.

    ``action`` is ``halt`` or ``resume`` (``target`` is ``all`` or a counterparty name), ``close`` or
    ``cancel`` (``target`` is a statement id), ``session`` (``target`` was logged out, enabled, renumbered or
    rolled, as ``reason`` says), ``stop`` (the gateway is stopping: no new orders) or ``start`` (it started:
    every session is down until it says otherwise; ``reason`` says how the run before ended: ``none`` there was
    none, ``stopped``, ``killed`` it crashed, ``failed`` the machine did; in older journals "" or ``crash``).
    """

    seq: int
    ts_ns: int
    actor: str
    action: str
    target: str
    reason: str


@dataclass(frozen=True, slots=True)
class SubmitStatement:
    """An allocation statement arrives by a door: ``fix``, ``http``, ``cli`` or ``drop``.

    ``seed`` is 32 random bytes in hex, drawn by the gateway and journaled with this input.
    ``session`` is the OMS session for ``fix``, else "". ``alloc_trans_type`` is 0 new, 1 replace, 2 cancel;
    ``ref_statement_id`` names the statement that 1 and 2 change.
    """

    seq: int
    ts_ns: int
    door: str
    actor: str
    session: str
    draft: Draft
    seed: str
    alloc_trans_type: str = "0"
    ref_statement_id: str = ""


@quick
@dataclass(frozen=True, slots=True)
class NewOrder:
    """NewOrderSingle (D).

    ``defect`` is what the text check found wrong, "" when nothing: a reason code, a blank, and words.
    ``keys`` are the values of the OMS's match keys in configured order, only those present.
    ``alloc_lines`` is the order's own allocation group as (account, quantity text), None when absent.
    ``poss_resend`` is 97=Y; ``sent_ns`` is 60, else 122, else 52, 0 when unreadable; ``deliver_to`` is
    128, ``ex_destination`` 100.
    """

    seq: int
    ts_ns: int
    session: str
    msg_seq_num: int
    defect: str
    cl_ord_id: str
    keys: tuple[tuple[str, str], ...]
    symbol: str
    security_id: str
    id_source: str
    side: str
    order_qty: str
    ord_type: str
    account: str
    alloc_lines: tuple[tuple[str, str], ...] | None
    deliver_to: str
    ex_destination: str
    poss_resend: bool
    poss_dup: bool
    sent_ns: int
    placed_by: str
    cash_order_qty: str = ""


@dataclass(frozen=True, slots=True)
class ReplaceOrder:
    """OrderCancelReplaceRequest (G); fields as in :class:`NewOrder`."""

    seq: int
    ts_ns: int
    session: str
    msg_seq_num: int
    defect: str
    cl_ord_id: str
    orig_cl_ord_id: str
    symbol: str
    security_id: str
    side: str
    order_qty: str
    account: str
    alloc_lines: tuple[tuple[str, str], ...] | None
    poss_resend: bool
    poss_dup: bool
    cash_order_qty: str = ""


@dataclass(frozen=True, slots=True)
class CancelOrder:
    """OrderCancelRequest (F)."""

    seq: int
    ts_ns: int
    session: str
    msg_seq_num: int
    defect: str
    cl_ord_id: str
    orig_cl_ord_id: str


@dataclass(frozen=True, slots=True)
class StatusRequest:
    """OrderStatusRequest (H)."""

    seq: int
    ts_ns: int
    session: str
    msg_seq_num: int
    cl_ord_id: str


@dataclass(frozen=True, slots=True)
class Unsupported:
    """A message of a type the gate does not know how to check, or for which it has no use here."""

    seq: int
    ts_ns: int
    session: str
    msg_seq_num: int
    msg_type: str


@dataclass(frozen=True, slots=True)
class Absorbed:
    """A message that needs no answer and no decision (an AT for our AS): journaled, counted, kept."""

    seq: int
    ts_ns: int
    session: str
    msg_seq_num: int
    msg_type: str


@quick
@dataclass(frozen=True, slots=True)
class Execution:
    """ExecutionReport (8) from a broker.

    ``last_qty`` and ``last_px`` are None when absent or unreadable; ``defects`` lists what was unreadable.
    ``copy`` is 797=Y. ``refused`` is "" or why the FIX engine itself refused the message: it is then
    taken from its raw text.
    """

    seq: int
    ts_ns: int
    session: str
    msg_seq_num: int
    kind: ExecKind
    ord_status: str
    order_id: str
    exec_id: str
    exec_ref_id: str
    cl_ord_id: str
    orig_cl_ord_id: str
    symbol: str
    side: str
    order_qty: Decimal | None
    last_qty: Decimal | None
    last_px: Decimal | None
    cum_qty: Decimal | None
    leaves_qty: Decimal | None
    avg_px: Decimal | None
    copy: bool
    poss_resend: bool
    deliver_to: str
    text: str
    defects: tuple[str, ...] = ()
    refused: str = ""


@dataclass(frozen=True, slots=True)
class CancelReject:
    """OrderCancelReject (9) from a broker; ``response_to`` is 434: 1 cancel, 2 replace."""

    seq: int
    ts_ns: int
    session: str
    msg_seq_num: int
    cl_ord_id: str
    orig_cl_ord_id: str
    ord_status: str
    response_to: str
    reason: str
    text: str


@dataclass(frozen=True, slots=True)
class MessageReject:
    """The broker's Reject (3) or BusinessMessageReject (j) of something we sent.

    ``ref_decision`` is the journal sequence of the input whose decision sent the refused message, found
    from the session and RefSeqNum(45) in the journal's wire-out records; None when it names none.
    ``duplicate``: the refusal may mean that the message's id is known.
    """

    seq: int
    ts_ns: int
    session: str
    msg_seq_num: int
    msg_type: str
    ref_seq_num: int
    ref_msg_type: str
    ref_decision: int | None
    ref_id: str
    reason: str
    text: str
    duplicate: bool = False


@dataclass(frozen=True, slots=True)
class AllocationAck:
    """AllocationInstructionAck (P) from a broker.

    ``status`` is 87 as the profile reads it: ``accepted``, ``rejected``, ``account-rejected``,
    ``received``, ``incomplete``, ``other``. ``duplicate``: the refusal may mean that the AllocID is known.
    """

    seq: int
    ts_ns: int
    session: str
    msg_seq_num: int
    alloc_id: str
    status: str
    reject_code: str
    text: str
    duplicate: bool = False


@dataclass(frozen=True, slots=True)
class NotSent:
    """A message decided by input ``decision_seq`` (its ``index``-th output) did not leave and never will.

    ``recovered`` is true when a start found it: the run before ended first. Else there was no session.
    """

    seq: int
    ts_ns: int
    session: str
    decision_seq: int
    index: int
    why: str
    recovered: bool = False


@dataclass(frozen=True, slots=True)
class ReceiptUnknown:
    """What was sent on ``session`` may not have been received, and cannot be asked for by its number any more.

    ``why`` is one of :mod:`.receipts`. ``repeated`` are the inputs whose messages are sent again with
    PossResend(97)=Y, ``doubtful`` those whose D or G is never sent again.
    """

    seq: int
    ts_ns: int
    session: str
    why: str
    repeated: tuple[int, ...]
    doubtful: tuple[int, ...]


Input = (
    Configure
    | SessionUp
    | SessionDown
    | Tick
    | JournalState
    | Operator
    | SubmitStatement
    | NewOrder
    | ReplaceOrder
    | CancelOrder
    | StatusRequest
    | Unsupported
    | Absorbed
    | Execution
    | CancelReject
    | MessageReject
    | AllocationAck
    | NotSent
    | ReceiptUnknown
)
