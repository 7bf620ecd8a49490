"""The tables of messages as they came, and of what happened to an order without one; conventions: :mod:`.tables`."""

from __future__ import annotations

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from fixgateway.records.tables import Base, Happened, Ident, Seq


class ArrivalRow(Base):
    """A statement, order, change or cancel of an OMS, or a broker's P, AS or AK, as it was read.

    ``journal_seq`` and ``ts_ns`` are those of its ``seen`` record: when it was received. ``input_seq`` leads to the
    rows it made; empty when it was never delivered. ``raw`` is its bytes.
    """

    __tablename__ = "arrivals"
    __table_args__ = (Index(None, "input_seq"),)

    journal_seq: Mapped[Seq] = mapped_column(primary_key=True, autoincrement=False)
    ts_ns: Mapped[Seq]
    input_seq: Mapped[Seq | None]
    session: Mapped[Ident]
    msg_type: Mapped[str]
    raw: Mapped[bytes]


class OrderChangeRow(Happened, Base):
    """Something that changed an order without a message about it: a deadline, a doubt after a crash, a split."""

    __tablename__ = "order_changes"
    __table_args__ = (Index(None, "order_key"),)

    order_key: Mapped[Seq]
    what: Mapped[str]
