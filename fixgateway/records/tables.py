"""The tables. Every row says which journal record it came from.

``journal_seq`` is the sequence of the decision record and ``position`` the output's place in it: together
the primary key of almost every table, so a row leads to its evidence and no content of a message can
make two rows collide. ``input_seq`` is the sequence of the input that was decided. Times are UTC nanoseconds
(``*_ns``), exact and sortable on every database; queries add readable ISO text.

Two kinds of tables: most only grow, one row for each thing that happened; ``orders``, ``statements``,
``allocations``, ``policies`` and ``accounts`` also carry what became of the row. Prices that were written on
the wire are kept as that text (``100.0000``); see :class:`columns.Amount` for quantities.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Annotated, ClassVar

from sqlalchemy import BigInteger, Boolean, Date, ForeignKeyConstraint, Index, Integer, LargeBinary, MetaData
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeEngine

from fixgateway.records.columns import Amount, Id, Words

SCHEMA_VERSION = 3
"""Raised with every change of the tables; another version is refused with "rebuild the records"."""

Ident = Annotated[str, "an id that is looked up"]
Seq = Annotated[int, "a journal sequence or nanoseconds"]


class Base(DeclarativeBase):
    """Base of all tables: constraint names that are the same on every database, and column types."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[object, TypeEngine[object] | type]] = {
        str: Words,
        Ident: Id,
        Decimal: Amount,
        date: Date,
        bool: Boolean,
        int: Integer,
        Seq: BigInteger,
        bytes: LargeBinary,
    }


class Happened:
    """Columns of everything that happened."""

    journal_seq: Mapped[Seq] = mapped_column(primary_key=True, autoincrement=False)
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    input_seq: Mapped[Seq]
    ts_ns: Mapped[Seq]


class Part:
    """Key columns of a line under something that happened."""

    journal_seq: Mapped[Seq] = mapped_column(primary_key=True, autoincrement=False)
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    line: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)


def under(head: str) -> ForeignKeyConstraint:
    """A line belongs to one row of ``head``."""
    return ForeignKeyConstraint(
        ("journal_seq", "position"), (f"{head}.journal_seq", f"{head}.position"), ondelete="CASCADE"
    )


class Projection(Base):
    """One row: how far the journal is projected.

    ``watermark`` is the sequence of the last record taken, ``watermark_ns`` its time: together they tell
    whether the database belongs to this journal.
    """

    __tablename__ = "projection"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    schema_version: Mapped[int]
    watermark: Mapped[Seq]
    watermark_ns: Mapped[Seq]


class Unprojected(Base):
    """A journal record whose rows the database refused; the journal still has it."""

    __tablename__ = "unprojected"

    journal_seq: Mapped[Seq] = mapped_column(primary_key=True, autoincrement=False)
    ts_ns: Mapped[Seq]
    error: Mapped[str]


class StatementRow(Happened, Base):
    """A registered statement. ``seed`` stays empty until the allocation reveals it.

    ``state`` is ``active`` or why it was closed; ``filled``, ``unallocated`` and ``avg_px`` are of the latest
    division of its fills.
    """

    __tablename__ = "statements"
    __table_args__ = (Index(None, "statement_id"), Index(None, "trade_date"), Index(None, "symbol"))

    statement_id: Mapped[Ident]
    version: Mapped[int]
    oms: Mapped[Ident]
    trade_date: Mapped[date]
    symbol: Mapped[Ident]
    security_id: Mapped[str]
    id_source: Mapped[str]
    side: Mapped[str]
    total: Mapped[Decimal]
    method: Mapped[str]
    lot: Mapped[Decimal]
    min_quantity: Mapped[Decimal]
    ties: Mapped[str]
    remainder: Mapped[str]
    policy_id: Mapped[Ident]
    policy_version: Mapped[str]
    cl_ord_ids: Mapped[str]
    brokers: Mapped[str]
    recommended_by: Mapped[str]
    placed_by: Mapped[str]
    discretionary: Mapped[str]
    rationale: Mapped[str]
    memo_complete: Mapped[bool]
    basis: Mapped[str]
    rounding: Mapped[str]
    reference_price: Mapped[Decimal]
    justification: Mapped[str]
    new_issue: Mapped[bool]
    door: Mapped[str]
    actor: Mapped[str]
    registered_ns: Mapped[Seq]
    seed_commitment: Mapped[str]
    state: Mapped[str]
    closed_seq: Mapped[Seq | None]
    closed_ns: Mapped[Seq | None]
    closed_by: Mapped[str | None]
    allocated_seq: Mapped[Seq | None]
    filled: Mapped[Decimal | None]
    unallocated: Mapped[Decimal | None]
    avg_px: Mapped[str | None]
    seed: Mapped[str | None]


class StatementLineRow(Part, Base):
    """One account's intended quantity and what registration froze beside it, in the statement's order.

    ``weight`` is what the statement said where its basis is not quantity; ``tier`` the order client-priority serves
    in, ``turn`` the place in the rotation (0: none), ``cap`` the sellable holding; ``residual``: whether the account
    may bear residual cash.
    """

    __tablename__ = "statement_lines"
    __table_args__ = (under("statements"), Index(None, "account"))

    account: Mapped[Ident]
    quantity: Mapped[Decimal]
    min_quantity: Mapped[Decimal]
    weight: Mapped[Decimal]
    limit: Mapped[Decimal | None] = mapped_column("price_limit", key="limit")
    received_ns: Mapped[Seq]
    tier: Mapped[int]
    turn: Mapped[int]
    cap: Mapped[Decimal | None]
    residual: Mapped[bool]


class StatementRefusalRow(Happened, Base):
    """A draft that was refused."""

    __tablename__ = "statement_refusals"
    __table_args__ = (Index(None, "statement_id"),)

    statement_id: Mapped[Ident]
    door: Mapped[str]
    actor: Mapped[str]


class StatementProblemRow(Part, Base):
    """One thing wrong with a refused draft; ``row`` is 0 for the whole statement."""

    __tablename__ = "statement_problems"
    __table_args__ = (under("statement_refusals"),)

    row: Mapped[int]
    field: Mapped[str]
    reason: Mapped[str]
    text: Mapped[str]


class DivisionRow(Happened, Base):
    """A statement's total fill divided, once, over all its orders; a bust or correction makes another.

    The money columns are sums over its allocations: see :class:`AllocationRow`. ``kind`` is ``final`` or ``interim``;
    with ``number`` above 0 it is that booking's, ``filled`` and the lines' quantities are the booking's own.
    ``average`` is the exact price (``num/den``) that ``avg_px`` was written from.
    """

    __tablename__ = "divisions"
    __table_args__ = (Index(None, "statement_id"),)

    statement_id: Mapped[Ident]
    version: Mapped[int]
    filled: Mapped[Decimal]
    unallocated: Mapped[Decimal]
    avg_px: Mapped[str]
    average: Mapped[str]
    seed: Mapped[str]
    gross: Mapped[Decimal | None]
    fills_money: Mapped[Decimal | None]
    residual_cash: Mapped[Decimal | None]
    averaging_cash: Mapped[Decimal | None]
    kind: Mapped[str]
    number: Mapped[int]
    trade_date: Mapped[date | None]
    notes: Mapped[str]


class DivisionLineRow(Part, Base):
    """How one account's share came about: exact share, floor, award and the rule.

    ``cost_difference``: with several brokers, what it pays more than at the statement's average price. ``before``: what
    the statement's other bookings gave it. ``place`` is the position it was served in (0: none), ``cap`` its holding,
    ``credit`` what earlier roundings left it short of, in lots.
    """

    __tablename__ = "division_lines"
    __table_args__ = (under("divisions"), Index(None, "account"))

    account: Mapped[Ident]
    intent: Mapped[Decimal]
    exact: Mapped[str]
    floor: Mapped[Decimal]
    award: Mapped[Decimal]
    quantity: Mapped[Decimal]
    rule: Mapped[str]
    cost_difference: Mapped[Decimal | None]
    before: Mapped[Decimal]
    place: Mapped[int]
    cap: Mapped[Decimal | None]
    credit: Mapped[str]


class OrderRow(Happened, Base):
    """A NewOrderSingle the gate decided, and what became of it.

    ``order_key`` is the journal sequence of the D. ``verdict`` is ``forwarded``, ``blocked`` or ``undone``
    (forwarded, then not sent or refused by the broker with 35=3 or j). ``cl_ord_id`` and ``order_qty`` are
    the D's own, ``latest_cl_ord_id`` and ``quantity`` in force after replaces; ``status`` is OrdStatus(39).
    """

    __tablename__ = "orders"
    __table_args__ = (
        Index(None, "order_key"),
        Index(None, "cl_ord_id"),
        Index(None, "latest_cl_ord_id"),
        Index(None, "order_id"),
        Index(None, "statement_id"),
        Index(None, "ts_ns"),
    )

    order_key: Mapped[Seq]
    oms: Mapped[Ident]
    broker: Mapped[Ident]
    statement_id: Mapped[Ident]
    cl_ord_id: Mapped[Ident]
    symbol: Mapped[Ident]
    side: Mapped[str]
    order_qty: Mapped[str]
    verdict: Mapped[str]
    reason: Mapped[str]
    text: Mapped[str]
    status: Mapped[str]
    latest_cl_ord_id: Mapped[Ident]
    order_id: Mapped[Ident]
    quantity: Mapped[Decimal | None]
    cum_qty: Mapped[Decimal]
    avg_px: Mapped[str]
    open: Mapped[bool]
    in_doubt: Mapped[bool]
    changed_seq: Mapped[Seq]


class RequestRow(Happened, Base):
    """Everything else decided about an order or message.

    ``msg_type`` with ``verdict``: G or F forwarded or refused; D undone later; 8 status (an OrderStatusRequest
    or a repeated D was answered); any other type refused.
    """

    __tablename__ = "requests"
    __table_args__ = (Index(None, "cl_ord_id"), Index(None, "order_key"), Index(None, "statement_id"))

    order_key: Mapped[Seq]
    session: Mapped[Ident]
    statement_id: Mapped[Ident]
    msg_type: Mapped[str]
    cl_ord_id: Mapped[Ident]
    orig_cl_ord_id: Mapped[Ident]
    quantity: Mapped[Decimal | None]
    verdict: Mapped[str]
    reason: Mapped[str]
    text: Mapped[str]


class ExecutionRow(Happened, Base):
    """An execution report taken into an order's state; ``order_key`` 0 when the order is unknown."""

    __tablename__ = "executions"
    __table_args__ = (Index(None, "order_key"), Index(None, "statement_id"), Index(None, "exec_id"))

    order_key: Mapped[Seq]
    statement_id: Mapped[Ident]
    broker: Mapped[Ident]
    oms: Mapped[Ident]
    order_id: Mapped[Ident]
    exec_id: Mapped[Ident]
    exec_ref_id: Mapped[Ident]
    kind: Mapped[str]
    effect: Mapped[str]
    last_qty: Mapped[Decimal | None]
    last_px: Mapped[Decimal | None]


class AllocationRow(Happened, Base):
    """An AllocationInstruction (J) to a broker; ``status`` is the broker's latest answer, else ``sent``.

    ``gross`` (381) + ``residual_cash`` + ``averaging_cash`` = ``fills_money``, what the fills cost.
    ``residual_to`` is ``accounts``, the error account or empty; ``net`` (118) is empty where the broker's charges
    are not configured.
    """

    __tablename__ = "allocations"
    __table_args__ = (Index(None, "alloc_id"), Index(None, "statement_id"), Index(None, "trade_date"))

    alloc_id: Mapped[Ident]
    trans_type: Mapped[str]
    ref_alloc_id: Mapped[Ident]
    replace_reason: Mapped[str]
    alloc_type: Mapped[str]
    statement_id: Mapped[Ident]
    broker: Mapped[Ident]
    oms: Mapped[Ident]
    trade_date: Mapped[date]
    symbol: Mapped[str]
    security_id: Mapped[str]
    id_source: Mapped[str]
    side: Mapped[str]
    quantity: Mapped[Decimal]
    avg_px: Mapped[str]
    price_decimals: Mapped[int]
    gross: Mapped[Decimal | None]
    net: Mapped[Decimal | None]
    fills_money: Mapped[Decimal | None]
    residual_cash: Mapped[Decimal | None]
    averaging_cash: Mapped[Decimal | None]
    residual_to: Mapped[str]
    booking: Mapped[int]
    status: Mapped[str]
    answered_seq: Mapped[Seq | None]
    answered_ns: Mapped[Seq | None]


class AllocationLineRow(Part, Base):
    """One account of an allocation: NoAllocs(78).

    ``price`` is AllocPrice(366) where not all pay the average. ``fees`` is the sum of its ``allocation_fees``,
    ``residual`` the cents of rounding that belong to the account on top of ``gross``.
    """

    __tablename__ = "allocation_lines"
    __table_args__ = (under("allocations"), Index(None, "account"))

    account: Mapped[Ident]
    quantity: Mapped[Decimal]
    avg_px: Mapped[str]
    price: Mapped[str]
    gross: Mapped[Decimal | None]
    commission: Mapped[Decimal | None]
    fees: Mapped[Decimal | None]
    net: Mapped[Decimal | None]
    residual: Mapped[Decimal | None]


class AllocationFeeRow(Part, Base):
    """One fee of one account of an allocation: NoMiscFees(136); ``type`` is MiscFeeType(139)."""

    __tablename__ = "allocation_fees"
    __table_args__ = (under("allocations"),)

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    account: Mapped[Ident]
    type: Mapped[str]
    amount: Mapped[Decimal]


class AllocationOrderRow(Part, Base):
    """One order of an allocation: NoOrders(73)."""

    __tablename__ = "allocation_orders"
    __table_args__ = (under("allocations"), Index(None, "cl_ord_id"))

    cl_ord_id: Mapped[Ident]
    order_id: Mapped[Ident]
    order_qty: Mapped[Decimal]
    avg_px: Mapped[str]
    booked_qty: Mapped[Decimal]


class AllocationAckRow(Happened, Base):
    """A broker's answer (P) to an allocation."""

    __tablename__ = "allocation_acks"
    __table_args__ = (Index(None, "alloc_id"), Index(None, "statement_id"))

    alloc_id: Mapped[Ident]
    statement_id: Mapped[Ident]
    broker: Mapped[Ident]
    status: Mapped[str]
    reject_code: Mapped[str]
    text: Mapped[str]


class AllocationReportRow(Happened, Base):
    """What the OMS was told of an accepted allocation: AS or a copy of J."""

    __tablename__ = "allocation_reports"
    __table_args__ = (Index(None, "alloc_id"), Index(None, "statement_id"))

    report_id: Mapped[Ident]
    session: Mapped[Ident]
    form: Mapped[str]
    alloc_id: Mapped[Ident]
    statement_id: Mapped[Ident]


class ExceptionRow(Happened, Base):
    """Something a person must look at; ``state`` is ``open``, ``acknowledged``, ``noted`` or ``resolved``."""

    __tablename__ = "exceptions"
    __table_args__ = (Index(None, "subject"), Index(None, "state"), Index(None, "input_seq"))

    reason: Mapped[str]
    subject: Mapped[Ident]
    text: Mapped[str]
    state: Mapped[Ident]


class AlertRow(Happened, Base):
    """An alert raised; ``acknowledged_…`` are empty until a person has seen it."""

    __tablename__ = "alerts"
    __table_args__ = (Index(None, "subject"), Index(None, "acknowledged_ns"), Index(None, "input_seq"))

    reason: Mapped[str]
    severity: Mapped[str]
    subject: Mapped[Ident]
    text: Mapped[str]
    acknowledged_ns: Mapped[Seq | None]
    acknowledged_by: Mapped[str | None]


class FlagRow(Happened, Base):
    """An odd message that was kept, a session that was cut, a DontKnowTrade that was sent."""

    __tablename__ = "flags"
    __table_args__ = (Index(None, "subject"),)

    kind: Mapped[str]
    subject: Mapped[Ident]
    reason: Mapped[str]
    text: Mapped[str]


class SwitchRow(Happened, Base):
    """New orders were halted or resumed by a named person."""

    __tablename__ = "switches"

    target: Mapped[Ident]
    halted: Mapped[bool]
    actor: Mapped[str]
    reason: Mapped[str]
