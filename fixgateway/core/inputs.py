"""What the engine is told. Every input is a frozen value; the same inputs give the same outputs anywhere.

Each input carries ``seq``, the journal sequence of the record it came from (ids derive from it), and
``ts_ns``, the UTC clock reading in nanoseconds when it was taken. Messages are version-neutral: ``wire``
turns FIX text of any version into these and nothing below knows tags.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from fixgateway.core import market
from fixgateway.core.broker_inputs import (
    AccountAnswer,
    AllocationAck,
    CancelReject,
    Confirmation,
    ExecKind,
    Execution,
    MessageReject,
    ReportedAllocation,
    ReportedLine,
)
from fixgateway.core.desk_inputs import DeskInput
from fixgateway.core.model import Draft, Setup
from fixgateway.core.values import quick

__all__ = [
    "Absorbed",
    "AccountAnswer",
    "AllocationAck",
    "CancelOrder",
    "CancelReject",
    "Configure",
    "Confirmation",
    "ExecKind",
    "Execution",
    "Input",
    "JournalState",
    "MessageReject",
    "NewOrder",
    "NotSent",
    "Operator",
    "PassTurn",
    "ReceiptUnknown",
    "RenewCalendar",
    "ReplaceOrder",
    "ReportedAllocation",
    "ReportedLine",
    "SessionDown",
    "SessionUp",
    "SetHolding",
    "StatusRequest",
    "SubmitStatement",
    "Tick",
    "Unsupported",
]


RenewCalendar = market.RenewCalendar


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

    ``action`` is ``halt`` or ``resume`` (``target`` is ``all`` or a counterparty name), ``close``, ``cancel``
    or ``book`` (``target`` is a statement id), ``session`` (``target`` was logged out, enabled, renumbered or
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
class PassTurn:
    """A named person passes over an account's turn in a release rotation: the next one's orders may leave."""

    seq: int
    ts_ns: int
    actor: str
    statement_id: str
    account: str
    reason: str


@dataclass(frozen=True, slots=True)
class SetHolding:
    """A named person says what an account may sell of a symbol from now on; ``quantity`` is as written."""

    seq: int
    ts_ns: int
    actor: str
    account: str
    symbol: str
    quantity: str
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
    128, ``ex_destination`` 100, ``time_in_force`` 59.
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
    time_in_force: str = ""


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
    | PassTurn
    | SetHolding
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
    | ReportedAllocation
    | Confirmation
    | RenewCalendar
    | NotSent
    | ReceiptUnknown
    | DeskInput
)
