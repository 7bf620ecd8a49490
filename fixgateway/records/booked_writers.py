"""Rows of what follows an allocation; see :mod:`.writers`, whose table names these functions."""

from __future__ import annotations

from typing import Any

from fixgateway.core import outputs
from fixgateway.records import booked_tables as tables
from fixgateway.records.batch import Batch, Origin
from fixgateway.records.tables import FlagRow


def _row(out: Any, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: getattr(out, name) for name in names}


def ack_lines(batch: Batch, origin: Origin, out: outputs.AllocationAcked) -> None:
    """What a P said of single accounts."""
    for number, answer in enumerate(out.accounts):
        batch.insert(tables.AckLineRow, {**origin.line(number), **_row(answer, ("account", "code", "text"))})


_REPORT = ("report_id", "alloc_id", "statement_id", "broker", "trans_type", "status", "verdict", "text")


def report_judged(batch: Batch, origin: Origin, out: outputs.ReportJudged) -> None:
    """A broker's AS."""
    batch.insert(tables.BrokerReportRow, {**origin.columns(), **_row(out, _REPORT)})


def report_answered(batch: Batch, origin: Origin, out: outputs.SendReportAck) -> None:
    """Our AT."""
    row = _row(out, ("report_id", "alloc_id", "alloc_status", "reason", "text"))
    batch.insert(tables.ReportAnswerRow, {**origin.columns(), "broker": out.session, **row})


_CONFIRMATION = (
    "confirm_id", "ref_confirm_id", "trans_type", "confirm_type", "broker", "alloc_id", "statement_id", "account",
    "quantity", "avg_px", "gross", "net", "verdict", "text",
)  # fmt: skip


def confirmation_judged(batch: Batch, origin: Origin, out: outputs.ConfirmationJudged) -> None:
    """A broker's AK."""
    batch.insert(tables.ConfirmationRow, {**origin.columns(), **_row(out, _CONFIRMATION)})


_AFFIRMATION = (
    "confirm_id", "alloc_id", "statement_id", "account", "affirm_status", "reject_reason", "reason", "text",
)  # fmt: skip


def confirmation_answered(batch: Batch, origin: Origin, out: outputs.SendConfirmationAck) -> None:
    """Our AU."""
    row = _row(out, _AFFIRMATION)
    batch.insert(tables.AffirmationRow, {**origin.columns(), "broker": out.session, **row})


def confirmation_requested(batch: Batch, origin: Origin, out: outputs.SendConfirmationRequest) -> None:
    """Our BH."""
    row = _row(out, ("request_id", "alloc_id", "statement_id", "account"))
    batch.insert(tables.ConfirmationRequestRow, {**origin.columns(), "broker": out.session, **row})


_COMPLETION = (
    "trade_date", "broker", "stage", "due", "allocated", "accepted", "confirmed", "affirmed", "confirms",
)  # fmt: skip


def completion_measured(batch: Batch, origin: Origin, out: outputs.CompletionMeasured) -> None:
    """The figures of a trade date at a broker."""
    batch.insert(tables.CompletionRow, {**origin.columns(), **_row(out, _COMPLETION)})


def calendar_renewed(batch: Batch, origin: Origin, out: outputs.CalendarRenewed) -> None:
    """A flag, with the days that changed."""
    text = f"{out.source}, {out.first} to {out.last}; changed: {', '.join(map(str, out.changed)) or 'no day'}"
    row = {"kind": "calendar renewed", "subject": out.name, "reason": "", "text": text}
    batch.insert(FlagRow, {**origin.columns(), **row})
