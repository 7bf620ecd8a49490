"""From output type to rows: a table of small functions, one for each kind of output.

:data:`WRITERS` names every output; those that leave no row of their own map to :func:`nothing` with the
reason beside them. A new output without an entry fails the tests, not the night.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import bindparam, update

from fixgateway.core import outputs
from fixgateway.core.desk_facts import ExceptionDecided
from fixgateway.core.model import ZERO, exact_sum, plain_decimal
from fixgateway.records import booked_writers as booked
from fixgateway.records import rotation_writers as rotation
from fixgateway.records import tables
from fixgateway.records.batch import Batch, Origin, Row
from fixgateway.records.configuration import configured
from fixgateway.records.desk_writers import DESK_WRITERS
from fixgateway.records.message_writers import changed_silently

Writer = Callable[[Batch, Origin, Any], None]


def nothing(batch: Batch, origin: Origin, out: object) -> None:
    """The output leaves no row."""


def words(values: tuple[str, ...]) -> str:
    """Several values in one text column: a JSON list."""
    return json.dumps(list(values), ensure_ascii=True)


# ---------------------------------------------------------------- statements


def statement_registered(batch: Batch, origin: Origin, out: outputs.StatementRegistered) -> None:
    """The statement and its lines; the seed stays out until the allocation reveals it."""
    s = out.statement
    row = {
        **origin.columns(),
        "statement_id": s.statement_id,
        "version": s.version,
        "oms": s.oms,
        "trade_date": s.trade_date,
        "symbol": s.symbol,
        "security_id": s.security_id,
        "id_source": s.id_source,
        "side": str(s.side),
        "total": s.total,
        "method": str(s.method),
        "lot": s.lot,
        "min_quantity": s.min_quantity,
        "ties": str(s.ties),
        "remainder": str(s.remainder),
        "policy_id": s.policy_id,
        "policy_version": s.policy_version,
        "cl_ord_ids": words(s.cl_ord_ids),
        "brokers": words(s.brokers),
        "recommended_by": s.recommended_by,
        "placed_by": s.placed_by,
        "discretionary": s.discretionary,
        "rationale": s.rationale,
        "memo_complete": s.memo_complete,
        "basis": str(s.basis),
        "rounding": str(s.rounding),
        "reference_price": s.reference_price,
        "justification": s.justification,
        "new_issue": s.new_issue,
        "door": s.door,
        "actor": s.actor,
        "registered_ns": s.registered_ns,
        "seed_commitment": s.seed_commitment,
        "state": "active",
        "closed_seq": None,
        "closed_ns": None,
        "closed_by": None,
        "allocated_seq": None,
        "filled": None,
        "unallocated": None,
        "avg_px": None,
        "seed": None,
    }
    batch.insert(tables.StatementRow, row)
    for number, line in enumerate(s.lines):
        batch.insert(tables.StatementLineRow, {**origin.line(number), **_fields(line, _LINE)})
    decided = next((x for x in origin.decided if isinstance(x, ExceptionDecided)), None)
    if decided is not None:  # an approved change: the version before it is in force no more
        _close(batch, origin, s.statement_id, "replaced", decided.actor)


_LINE = (
    "account", "quantity", "min_quantity", "weight", "limit", "received_ns", "tier", "turn", "cap", "residual",
)  # fmt: skip


def _fields(thing: object, names: tuple[str, ...]) -> Row:
    """Columns that are called like the fields they hold."""
    return {name: getattr(thing, name) for name in names}


def statement_refused(batch: Batch, origin: Origin, out: outputs.StatementRefused) -> None:
    """The refusal and every problem found."""
    head = {**origin.columns(), **_fields(out, ("statement_id", "door", "actor"))}
    batch.insert(tables.StatementRefusalRow, head)
    for number, problem in enumerate(out.problems):
        row = _fields(problem, ("row", "field", "reason", "text"))
        batch.insert(tables.StatementProblemRow, {**origin.line(number), **row})


_STATEMENTS = tables.Base.metadata.tables["statements"]
# A statement replaced by one of the same id: only what was registered by an earlier decision is meant.
_CLOSE = (
    update(_STATEMENTS)
    .where(
        _STATEMENTS.c.statement_id == bindparam("which"),
        _STATEMENTS.c.journal_seq < bindparam("before"),
        _STATEMENTS.c.closed_seq.is_(None),
    )
    .values({name: bindparam(f"new_{name}") for name in ("state", "closed_seq", "closed_ns", "closed_by")})
)
_DIVIDE = (
    update(_STATEMENTS)
    .where(
        _STATEMENTS.c.statement_id == bindparam("which"),
        _STATEMENTS.c.journal_seq < bindparam("before"),
        _STATEMENTS.c.state != "replaced",
    )
    .values(
        {name: bindparam(f"new_{name}") for name in ("allocated_seq", "filled", "unallocated", "avg_px", "seed")}
    )
)


def statement_closed(batch: Batch, origin: Origin, out: outputs.StatementClosed) -> None:
    """The statement's state."""
    _close(batch, origin, out.statement_id, out.why, out.actor)


def _close(batch: Batch, origin: Origin, statement_id: str, why: str, actor: str) -> None:
    """What was registered of a statement before this decision is closed."""
    batch.change(
        _CLOSE,
        {
            "which": statement_id,
            "before": origin.journal_seq,
            "new_state": why,
            "new_closed_seq": origin.journal_seq,
            "new_closed_ns": origin.ts_ns,
            "new_closed_by": actor,
        },
    )


_DIVISION = (
    "statement_id", "version", "filled", "unallocated", "avg_px", "seed", "gross", "fills_money", "residual_cash",
    "averaging_cash", "kind", "number", "trade_date", "average",
)  # fmt: skip
_DIVISION_LINE = (
    "account", "intent", "exact", "floor", "award", "quantity", "rule", "cost_difference", "before", "place", "cap",
    "credit",
)  # fmt: skip


def statement_allocated(batch: Batch, origin: Origin, out: outputs.StatementAllocated) -> None:
    """The division, how each share came about, and the statement's totals."""
    head = {**_fields(out, _DIVISION), "notes": "\n".join(out.notes)}
    batch.insert(tables.DivisionRow, {**origin.columns(), **head})
    for number, line in enumerate(out.lines):
        batch.insert(tables.DivisionLineRow, {**origin.line(number), **_fields(line, _DIVISION_LINE)})
    batch.change(
        _DIVIDE,
        {
            "which": out.statement_id,
            "before": origin.journal_seq,
            "new_allocated_seq": origin.journal_seq,
            "new_filled": _booked(out) if out.number else out.filled,
            "new_unallocated": out.unallocated,
            "new_avg_px": out.avg_px,
            "new_seed": out.seed or None,
        },
    )


def _booked(out: outputs.StatementAllocated) -> Decimal:
    """What is booked of a statement with a booking, all others included."""
    return exact_sum((out.unallocated, *(q for line in out.lines for q in (line.before, line.quantity))))


# ---------------------------------------------------------------- orders


def _order(origin: Origin, out: outputs.ForwardToBroker | outputs.SendReport, row: Row) -> Row:
    """A row of ``orders`` with what a forwarded and a blocked D have in common."""
    return {
        **origin.columns(),
        "order_key": origin.input_seq,
        "broker": out.broker,
        "statement_id": out.statement_id,
        "cl_ord_id": out.cl_ord_id,
        "latest_cl_ord_id": out.cl_ord_id,
        "symbol": out.symbol,
        "side": out.side,
        "in_doubt": False,
        "changed_seq": origin.journal_seq,
        **row,
    }


def forwarded(batch: Batch, origin: Origin, out: outputs.ForwardToBroker) -> None:
    """A D opens an order; a G or F is a request about one."""
    if out.msg_type != "D":
        batch.insert(tables.RequestRow, _request(origin, out.oms, out, verdict="forwarded"))
        return
    row = {
        "oms": out.oms,
        "order_qty": format(out.quantity, "f"),
        "verdict": "forwarded",
        "reason": "",
        "text": "",
        "status": "A",
        "order_id": "",
        "quantity": out.quantity,
        "cum_qty": ZERO,
        "avg_px": "0",
        "open": True,
    }
    batch.insert(tables.OrderRow, _order(origin, out, row))


def reported(batch: Batch, origin: Origin, out: outputs.SendReport) -> None:
    """A report of the gateway's own: a D blocked, an order undone later, or a status answered."""
    if out.exec_type != "8":
        batch.insert(tables.RequestRow, _request(origin, out.session, out, verdict="status", msg_type="8"))
    elif _ends_order(origin, out):
        batch.insert(tables.RequestRow, _request(origin, out.session, out, verdict="undone", msg_type="D"))
        ended = {"verdict": "undone", "status": out.ord_status, "open": False}
        why = {"reason": out.reason, "text": out.text, "changed_seq": origin.journal_seq}
        batch.change_order(out.order, {**ended, **why})
    else:
        batch.insert(tables.OrderRow, _order(origin, out, _blocked(out)))


def _ends_order(origin: Origin, out: outputs.SendReport) -> bool:
    """Whether the refusal ends an older order. A D that repeats a ClOrdID names that order too (its report
    carries the first order's numbers) but changes nothing about it; an order undone is changed with it.
    """
    return out.order not in (0, origin.input_seq) and any(
        isinstance(other, outputs.OrderChanged) and other.order == out.order for other in origin.decided
    )


def _blocked(out: outputs.SendReport) -> Row:
    return {
        "oms": out.session,
        "order_qty": out.order_qty,
        "verdict": "blocked",
        "reason": out.reason,
        "text": out.text,
        "status": "8",
        "order_id": "" if out.order else out.order_id,
        "quantity": plain_decimal(out.order_qty),
        "cum_qty": ZERO,
        "avg_px": "0",
        "open": False,
    }


def cancel_rejected(batch: Batch, origin: Origin, out: outputs.SendCancelReject) -> None:
    """A refused G or F."""
    msg_type = "G" if out.response_to == "2" else "F"
    row = _request(origin, out.session, out, verdict="refused", msg_type=msg_type)
    batch.insert(tables.RequestRow, row)


def business_rejected(batch: Batch, origin: Origin, out: outputs.SendBusinessReject) -> None:
    """A refused message of a type the gate does not check; its id stands where a ClOrdID would."""
    row = _request(origin, out.session, out, verdict="refused", msg_type=out.ref_msg_type)
    batch.insert(tables.RequestRow, {**row, "cl_ord_id": out.ref_id})


def _request(origin: Origin, session: str, out: object, verdict: str, msg_type: str = "") -> Row:
    return {
        **origin.columns(),
        "order_key": getattr(out, "order", 0),
        "session": session,
        "statement_id": getattr(out, "statement_id", ""),
        "msg_type": msg_type or getattr(out, "msg_type", ""),
        "cl_ord_id": getattr(out, "cl_ord_id", ""),
        "orig_cl_ord_id": getattr(out, "orig_cl_ord_id", ""),
        "quantity": getattr(out, "quantity", None),
        "verdict": verdict,
        "reason": getattr(out, "reason", ""),
        "text": getattr(out, "text", ""),
    }


_EXECUTION = (
    "statement_id", "broker", "oms", "order_id", "exec_id", "exec_ref_id", "effect", "last_qty", "last_px",
)  # fmt: skip


def execution_applied(batch: Batch, origin: Origin, out: outputs.ExecutionApplied) -> None:
    """The execution; any report about an order settles a doubt about it."""
    row = {**origin.columns(), "order_key": out.order, "kind": str(out.kind), **_fields(out, _EXECUTION)}
    batch.insert(tables.ExecutionRow, row)
    if out.order:
        batch.change_order(out.order, {"in_doubt": False})


def order_changed(batch: Batch, origin: Origin, out: outputs.OrderChanged) -> None:
    """The order's state now."""
    changed_silently(batch, origin, out)
    row = _fields(out, ("order_id", "status", "quantity", "cum_qty", "avg_px", "open"))
    row |= {"latest_cl_ord_id": out.cl_ord_id, "changed_seq": origin.journal_seq}
    batch.change_order(out.order, row)


def in_doubt(batch: Batch, origin: Origin, out: outputs.ResendForbidden) -> None:
    """The order's fate is in doubt."""
    changed_silently(batch, origin, out)
    batch.change_order(out.order, {"in_doubt": True})


# ---------------------------------------------------------------- allocations

_ALLOCATION = (
    "alloc_id", "trans_type", "ref_alloc_id", "replace_reason", "alloc_type", "statement_id", "broker", "oms",
    "trade_date", "symbol", "security_id", "id_source", "quantity", "avg_px", "price_decimals", "gross", "net",
    "fills_money", "residual_cash", "averaging_cash", "residual_to", "booking",
)  # fmt: skip
_SHARE = ("account", "quantity", "avg_px", "price", "gross", "commission", "net", "residual")
_FEE = ("type", "amount")
_ALLOCATIONS = tables.Base.metadata.tables["allocations"]
_ANSWER = (
    update(_ALLOCATIONS)
    .where(_ALLOCATIONS.c.alloc_id == bindparam("which"), _ALLOCATIONS.c.journal_seq <= bindparam("before"))
    .values({name: bindparam(f"new_{name}") for name in ("status", "answered_seq", "answered_ns")})
)


def allocation_sent(batch: Batch, origin: Origin, out: outputs.SendAllocation) -> None:
    """The allocation with its accounts, their fees, and its orders."""
    allocation = out.allocation
    row = {**origin.columns(), **_fields(allocation, _ALLOCATION), "side": str(allocation.side)}
    row |= {"status": "sent", "answered_seq": None, "answered_ns": None}
    batch.insert(tables.AllocationRow, row)
    for number, share in enumerate(allocation.shares):
        line = _fields(share, _SHARE)
        line["fees"] = None if share.net is None else exact_sum(fee.amount for fee in share.fees)
        batch.insert(tables.AllocationLineRow, {**origin.line(number), **line})
        for place, fee in enumerate(share.fees):
            row = {**origin.line(number), "number": place, "account": share.account, **_fields(fee, _FEE)}
            batch.insert(tables.AllocationFeeRow, row)
    names = ("cl_ord_id", "order_id", "order_qty", "avg_px", "booked_qty")
    for number, order in enumerate(allocation.orders):
        batch.insert(tables.AllocationOrderRow, {**origin.line(number), **_fields(order, names)})


def allocation_acked(batch: Batch, origin: Origin, out: outputs.AllocationAcked) -> None:
    """The answer, and the allocation's status."""
    row = _fields(out, ("alloc_id", "statement_id", "broker", "status", "reject_code", "text"))
    batch.insert(tables.AllocationAckRow, {**origin.columns(), **row})
    batch.change(
        _ANSWER,
        {
            "which": out.alloc_id,
            "before": origin.journal_seq,
            "new_status": out.status,
            "new_answered_seq": origin.journal_seq,
            "new_answered_ns": origin.ts_ns,
        },
    )
    booked.ack_lines(batch, origin, out)


def allocation_reported(batch: Batch, origin: Origin, out: outputs.SendAllocationReport) -> None:
    """What the OMS was told."""
    row = _fields(out, ("report_id", "session", "form"))
    row |= _fields(out.allocation, ("alloc_id", "statement_id"))
    batch.insert(tables.AllocationReportRow, {**origin.columns(), **row})


# ---------------------------------------------------------------- for people


def exception_opened(batch: Batch, origin: Origin, out: outputs.ExceptionOpened) -> None:
    """An exception."""
    row = _fields(out, ("reason", "subject", "text"))
    batch.insert(tables.ExceptionRow, {**origin.columns(), **row, "state": "open"})


def alerted(batch: Batch, origin: Origin, out: outputs.Alert) -> None:
    """An alert."""
    row = _fields(out, ("reason", "severity", "subject", "text"))
    row |= {"acknowledged_ns": None, "acknowledged_by": None}
    batch.insert(tables.AlertRow, {**origin.columns(), **row})


def switched(batch: Batch, origin: Origin, out: outputs.OrdersSwitched) -> None:
    """Orders halted or resumed."""
    row = _fields(out, ("target", "halted", "actor", "reason"))
    batch.insert(tables.SwitchRow, {**origin.columns(), **row})


def flag(kind: str, subject: str, reason: str = "") -> Writer:
    """A writer of ``flags``: ``subject`` and ``reason`` name fields of the output, "" for none."""

    def write(batch: Batch, origin: Origin, out: Any) -> None:
        row = {
            "kind": kind,
            "subject": getattr(out, subject) if subject else "",
            "reason": getattr(out, reason) if reason else "",
            "text": out.text,
        }
        batch.insert(tables.FlagRow, {**origin.columns(), **row})

    return write


def statement_split(batch: Batch, origin: Origin, out: outputs.StatementSplit) -> None:
    """A split, as a flag: the statement's row stays as it was registered."""
    text = f"{out.numerator}:{out.denominator}; total {out.total}, filled {out.filled}"
    row = {"kind": "statement split", "subject": out.statement_id, "reason": "", "text": text}
    batch.insert(tables.FlagRow, {**origin.columns(), **row})


WRITERS: Final[Mapping[type[Any], Writer]] = {
    outputs.Configured: configured,
    outputs.StatementRegistered: statement_registered,
    outputs.StatementRefused: statement_refused,
    outputs.StatementClosed: statement_closed,
    outputs.StatementAllocated: statement_allocated,
    outputs.ForwardToBroker: forwarded,
    outputs.SendReport: reported,
    outputs.SendCancelReject: cancel_rejected,
    outputs.SendBusinessReject: business_rejected,
    outputs.ExecutionApplied: execution_applied,
    outputs.OrderChanged: order_changed,
    outputs.ResendForbidden: in_doubt,
    outputs.SendAllocation: allocation_sent,
    outputs.AllocationAcked: allocation_acked,
    outputs.SendAllocationReport: allocation_reported,
    outputs.ReportJudged: booked.report_judged,
    outputs.SendReportAck: booked.report_answered,
    outputs.ConfirmationJudged: booked.confirmation_judged,
    outputs.SendConfirmationAck: booked.confirmation_answered,
    outputs.SendConfirmationRequest: booked.confirmation_requested,
    outputs.CompletionMeasured: booked.completion_measured,
    outputs.CalendarRenewed: booked.calendar_renewed,
    outputs.ExceptionOpened: exception_opened,
    outputs.Alert: alerted,
    outputs.OrdersSwitched: switched,
    outputs.Flagged: flag("flagged", "", "reason"),
    outputs.StatementSplit: statement_split,
    outputs.RotationTurn: rotation.turn,
    outputs.HoldingSet: rotation.holding_set,
    outputs.CutSession: flag("session cut", "session", "reason"),
    outputs.SendDontKnow: flag("trade not known", "exec_id", "dk_reason"),
    outputs.PassToOms: nothing,  # the execution it passes on has its own row
    outputs.SendStatementAck: nothing,  # the registration or refusal it answers has its own row
    **DESK_WRITERS,
}
"""Output type → what it leaves in the database."""
