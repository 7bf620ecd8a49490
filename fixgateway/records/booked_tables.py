"""The tables of what follows an allocation: answers, reports, confirmations, affirmations, deadlines.

Conventions as in :mod:`.tables`. ``ts_ns`` of a broker's message is when the gateway took it, ``input_seq`` leads
to its raw text. When a message of ours left stands in ``deliveries``: same ``input_seq``, same ``position``.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from fixgateway.records.tables import Base, Happened, Ident, Part, Seq, under


class AckLineRow(Part, Base):
    """What a broker said of one account of an allocation: IndividualAllocRejCode(776) and AllocText(161)."""

    __tablename__ = "allocation_ack_lines"
    __table_args__ = (under("allocation_acks"), Index(None, "account"))

    account: Mapped[Ident]
    code: Mapped[str]
    text: Mapped[str]


class BrokerReportRow(Happened, Base):
    """A broker's AllocationReport (AS) and what it was worth."""

    __tablename__ = "broker_reports"
    __table_args__ = (Index(None, "report_id"), Index(None, "alloc_id"), Index(None, "statement_id"))

    report_id: Mapped[Ident]
    alloc_id: Mapped[Ident]
    statement_id: Mapped[Ident]
    broker: Mapped[Ident]
    trans_type: Mapped[str]
    status: Mapped[str]
    verdict: Mapped[str]
    text: Mapped[str]


class ReportAnswerRow(Happened, Base):
    """An AllocationReportAck (AT) the gateway answered a broker's AS with; ``alloc_status`` is 87."""

    __tablename__ = "report_answers"
    __table_args__ = (Index(None, "report_id"),)

    report_id: Mapped[Ident]
    alloc_id: Mapped[Ident]
    broker: Mapped[Ident]
    alloc_status: Mapped[str]
    reason: Mapped[str]
    text: Mapped[str]


class ConfirmationRow(Happened, Base):
    """A broker's Confirmation (AK) of an account and what it was worth; numbers as the broker wrote them."""

    __tablename__ = "confirmations"
    __table_args__ = (
        Index(None, "confirm_id"),
        Index(None, "alloc_id"),
        Index(None, "statement_id"),
        Index(None, "account"),
    )

    confirm_id: Mapped[Ident]
    ref_confirm_id: Mapped[Ident]
    trans_type: Mapped[str]
    confirm_type: Mapped[str]
    broker: Mapped[Ident]
    alloc_id: Mapped[Ident]
    statement_id: Mapped[Ident]
    account: Mapped[Ident]
    quantity: Mapped[Decimal | None]
    avg_px: Mapped[Decimal | None]
    gross: Mapped[Decimal | None]
    net: Mapped[Decimal | None]
    verdict: Mapped[str]
    text: Mapped[str]


class AffirmationRow(Happened, Base):
    """A ConfirmationAck (AU) of the gateway; ``affirm_status`` is 940: 1 received, 2 rejected, 3 affirmed."""

    __tablename__ = "affirmations"
    __table_args__ = (Index(None, "confirm_id"), Index(None, "alloc_id"), Index(None, "statement_id"))

    confirm_id: Mapped[Ident]
    alloc_id: Mapped[Ident]
    statement_id: Mapped[Ident]
    broker: Mapped[Ident]
    account: Mapped[Ident]
    affirm_status: Mapped[str]
    reject_reason: Mapped[str]
    reason: Mapped[str]
    text: Mapped[str]


class ConfirmationRequestRow(Happened, Base):
    """A ConfirmationRequest (BH); ``account`` is empty where the whole allocation is asked for."""

    __tablename__ = "confirmation_requests"
    __table_args__ = (Index(None, "alloc_id"), Index(None, "statement_id"))

    request_id: Mapped[Ident]
    alloc_id: Mapped[Ident]
    statement_id: Mapped[Ident]
    broker: Mapped[Ident]
    account: Mapped[Ident]


class CompletionRow(Happened, Base):
    """How much of a trade date was done at a broker at a deadline or at the day's end, counted in accounts."""

    __tablename__ = "completions"
    __table_args__ = (Index(None, "trade_date"),)

    trade_date: Mapped[date]
    broker: Mapped[Ident]
    stage: Mapped[str]
    due: Mapped[int]
    allocated: Mapped[int]
    accepted: Mapped[int]
    confirmed: Mapped[int]
    affirmed: Mapped[int]
    confirms: Mapped[bool]


class DeliveryRow(Base):
    """An allocation message that left (J, AS, AT, AU, BH), from its wire-out record: when, and for which decision.

    ``input_seq`` and ``position`` are those of the row it performs; a resend makes another row. ``raw`` is its bytes.
    """

    __tablename__ = "deliveries"
    __table_args__ = (Index(None, "input_seq"),)

    journal_seq: Mapped[Seq] = mapped_column(primary_key=True, autoincrement=False)
    ts_ns: Mapped[Seq]
    input_seq: Mapped[Seq]
    position: Mapped[int]
    session: Mapped[Ident]
    msg_type: Mapped[str]
    raw: Mapped[bytes | None]
