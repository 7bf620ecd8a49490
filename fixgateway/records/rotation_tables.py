"""The tables of turns and holdings. Conventions as in :mod:`.tables`."""

from __future__ import annotations

from decimal import Decimal

from sqlalchemy import Index
from sqlalchemy.orm import Mapped

from fixgateway.records.tables import Base, Happened, Ident


class RotationTurnRow(Happened, Base):
    """A turn of a rotation: ``outcome`` is ``served``, ``passed`` or ``unfilled``.

    ``turn`` is the one stamped at registration, ``queue_position`` the account's place in the policy's queue
    afterwards.
    """

    __tablename__ = "rotation_turns"
    __table_args__ = (Index(None, "policy_id"), Index(None, "statement_id"), Index(None, "account"))

    policy_id: Mapped[Ident]
    statement_id: Mapped[Ident]
    account: Mapped[Ident]
    turn: Mapped[int]
    outcome: Mapped[str]
    queue_position: Mapped[int]
    quantity: Mapped[Decimal]
    actor: Mapped[str]
    reason: Mapped[str]


class HoldingChangeRow(Happened, Base):
    """What an account may sell of a symbol, as a named person said; ``before`` is what it could sell until then.

    ``statements`` are the open ones that were cut or whose cut was lifted, as a JSON list.
    """

    __tablename__ = "holding_changes"
    __table_args__ = (Index(None, "account"),)

    account: Mapped[Ident]
    symbol: Mapped[str]
    quantity: Mapped[Decimal]
    before: Mapped[Decimal | None]
    actor: Mapped[str]
    reason: Mapped[str]
    statements: Mapped[str]
