"""What brokers tell the engine: executions, refusals, answers to allocations, reports and confirmations."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum

from fixgateway.core import back_office
from fixgateway.core.values import quick

AccountAnswer = back_office.AccountAnswer


Confirmation = back_office.Confirmation


ReportedAllocation = back_office.ReportedAllocation


ReportedLine = back_office.ReportedLine


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


@quick
@dataclass(frozen=True, slots=True)
class Execution:
    """ExecutionReport (8) from a broker.

    ``last_qty`` and ``last_px`` are None when absent or unreadable; ``defects`` lists what was unreadable.
    ``copy`` is 797=Y. ``refused`` is "" or why the FIX engine itself refused the message: it is then
    taken from its raw text. ``trade_date`` is 75, ``day_cum_qty`` 425, each None when absent or unreadable.
    ``orig_exec_id`` (16017, a bust's or correction's first ExecID), ``restatement_reason`` (378) and
    ``time_in_force`` (59) are read from the kinds of report that use them.
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
    trade_date: date | None = None
    day_cum_qty: Decimal | None = None
    orig_exec_id: str = ""
    restatement_reason: str = ""
    time_in_force: str = ""


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

    ``status`` is 87 as the profile reads it: ``accepted``, ``rejected``, ``account-rejected``, ``received``,
    ``incomplete``, ``pending``, ``reversed``, ``other``. ``duplicate``: the refusal may mean that the AllocID is
    known. ``accounts`` is what it says of single accounts.
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
    accounts: tuple[AccountAnswer, ...] = ()
