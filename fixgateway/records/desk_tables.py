"""The tables of people's work: who they are, what they asked for and decided, marks, alerts, reviews, accesses.

Conventions as in :mod:`.tables`. An exception the gateway opened itself is a row of ``exceptions`` and is called
``X-<input_seq>-<position>``; an alert is a row of ``alerts`` and is called ``A-<input_seq>-<position>``.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from fixgateway.records.tables import Base, Happened, Ident, Part, Seq, under


class PersonRow(Happened, Base):
    """A person as recorded, from this record until ``until_seq`` (empty: now). ``roles`` is a JSON list."""

    __tablename__ = "people"
    __table_args__ = (Index(None, "person_id"), Index(None, "until_seq"))

    person_id: Mapped[Ident]
    name: Mapped[str]
    roles: Mapped[str]
    active: Mapped[bool]
    email: Mapped[str]
    actor: Mapped[Ident]
    until_seq: Mapped[Seq | None]


class AccessRow(Happened, Base):
    """Somebody signed in, failed to, signed out, or read something; ``address`` is where from."""

    __tablename__ = "accesses"
    __table_args__ = (Index(None, "actor"), Index(None, "subject"))

    actor: Mapped[Ident]
    what: Mapped[str]
    subject: Mapped[Ident]
    address: Mapped[str]


class RefusedActionRow(Happened, Base):
    """What a person wanted to do and was refused; it changed nothing."""

    __tablename__ = "refused_actions"
    __table_args__ = (Index(None, "actor"), Index(None, "subject"))

    actor: Mapped[Ident]
    action: Mapped[str]
    subject: Mapped[Ident]
    reason: Mapped[str]
    text: Mapped[str]


class ExceptionRequestRow(Happened, Base):
    """A deviation a person asked for, and what became of it.

    ``state`` is ``open`` or the decision; ``decided_…`` and ``late`` are empty until then. ``overdue_ns`` is when its
    deadline passed undecided. ``alloc_ids`` is a JSON list of the allocations that stood at the request.
    """

    __tablename__ = "exception_requests"
    __table_args__ = (
        Index(None, "exception_id"),
        Index(None, "statement_id"),
        Index(None, "state"),
        Index(None, "ts_ns"),
    )

    exception_id: Mapped[Ident]
    kind: Mapped[str]
    statement_id: Mapped[Ident]
    statement_version: Mapped[int]
    code: Mapped[Ident]
    codes_version: Mapped[str]
    text: Mapped[str]
    requested_by: Mapped[Ident]
    role: Mapped[str]
    due_date: Mapped[date]
    due_time: Mapped[str]
    avg_px: Mapped[str]
    mark: Mapped[str]
    mark_source: Mapped[str]
    mark_ns: Mapped[Seq]
    alloc_ids: Mapped[str]
    state: Mapped[Ident]
    decided_seq: Mapped[Seq | None]
    decided_ns: Mapped[Seq | None]
    decided_by: Mapped[str | None]
    late: Mapped[bool | None]
    overdue_ns: Mapped[Seq | None]


class ExceptionLineRow(Part, Base):
    """One account of a request: intended, computed, asked for, and what it gains at the mark."""

    __tablename__ = "exception_lines"
    __table_args__ = (under("exception_requests"), Index(None, "account"))

    account: Mapped[Ident]
    class_: Mapped[str] = mapped_column("class", key="class_")
    intent: Mapped[Decimal]
    before: Mapped[Decimal]
    after: Mapped[Decimal]
    benefit: Mapped[Decimal | None]


class ExceptionDecisionRow(Happened, Base):
    """A request was approved, rejected, withdrawn, void or expired.

    ``alloc_ids`` is a JSON list of the allocations it made.
    """

    __tablename__ = "exception_decisions"
    __table_args__ = (Index(None, "exception_id"), Index(None, "statement_id"))

    exception_id: Mapped[Ident]
    statement_id: Mapped[Ident]
    decision: Mapped[str]
    actor: Mapped[Ident]
    text: Mapped[str]
    late: Mapped[bool]
    alloc_ids: Mapped[str]


class ExceptionOverdueRow(Happened, Base):
    """A request's deadline passed without a decision."""

    __tablename__ = "exception_overdues"
    __table_args__ = (Index(None, "exception_id"), Index(None, "statement_id"))

    exception_id: Mapped[Ident]
    statement_id: Mapped[Ident]
    due_date: Mapped[date]
    due_time: Mapped[str]


class AttentionRow(Happened, Base):
    """What a person did about an exception the gateway opened: ``acknowledge``, ``note`` or ``resolve``."""

    __tablename__ = "exception_attentions"
    __table_args__ = (Index(None, "exception_id"),)

    exception_id: Mapped[Ident]
    actor: Mapped[Ident]
    action: Mapped[str]
    text: Mapped[str]


class MarkRow(Happened, Base):
    """A security's price as somebody or some source said it; ``as_of_ns`` is its own time."""

    __tablename__ = "marks"
    __table_args__ = (Index(None, "symbol", "as_of_ns"),)

    symbol: Mapped[Ident]
    price: Mapped[Decimal]
    source: Mapped[str]
    as_of_ns: Mapped[Seq]
    close: Mapped[bool]
    actor: Mapped[Ident]


class AlertDeliveryRow(Happened, Base):
    """An attempt to deliver an alert."""

    __tablename__ = "alert_deliveries"
    __table_args__ = (Index(None, "alert_id"),)

    alert_id: Mapped[Ident]
    channel: Mapped[str]
    delivered: Mapped[bool]
    text: Mapped[str]


class AcknowledgementRow(Happened, Base):
    """A person has seen an alert and says what is done about it."""

    __tablename__ = "alert_acknowledgements"
    __table_args__ = (Index(None, "alert_id"),)

    alert_id: Mapped[Ident]
    actor: Mapped[Ident]
    text: Mapped[str]


class ReconciliationRow(Happened, Base):
    """A day compared with a file, or not (``source`` and ``sha256`` empty).

    Each discrepancy is a row of ``exceptions`` with the same ``input_seq``.
    """

    __tablename__ = "reconciliations"
    __table_args__ = (Index(None, "trade_date"),)

    trade_date: Mapped[date]
    source: Mapped[str]
    sha256: Mapped[str]
    rows: Mapped[int]
    matched: Mapped[int]
    discrepancies: Mapped[int]
    actor: Mapped[Ident]


class ReviewRow(Happened, Base):
    """A forensic review of the records; ``first`` and ``last`` are the trade dates it covers, as written."""

    __tablename__ = "reviews"
    __table_args__ = (Index(None, "review_id"),)

    review_id: Mapped[Ident]
    kind: Mapped[str]
    plan_sha256: Mapped[str]
    data_sha256: Mapped[str]
    seed: Mapped[str]
    verdict: Mapped[str]
    summary: Mapped[str]
    first: Mapped[str]
    last: Mapped[str]
    result: Mapped[str]
    actor: Mapped[Ident]


class ReviewSignatureRow(Happened, Base):
    """The CCO's conclusion of a review and what follows from it."""

    __tablename__ = "review_signatures"
    __table_args__ = (Index(None, "review_id"),)

    review_id: Mapped[Ident]
    conclusion: Mapped[str]
    follow_up: Mapped[str]
    actor: Mapped[Ident]
