"""The tables of the configuration: which policy and which accounts were in force at any journal record.

Conventions as in :mod:`.tables`.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from fixgateway.records.tables import Base, Happened, Ident, Part, Seq


class PolicyRow(Happened, Base):
    """A policy from the moment it came into force until ``until_seq`` (empty: still in force).

    ``approved_on`` and ``disclosed_on`` (to clients) are as the file says; ``text`` is the policy file;
    ``allowed``, ``tiers`` and ``instruments`` are JSON.
    """

    __tablename__ = "policies"

    policy_id: Mapped[Ident]
    version: Mapped[str]
    approved_by: Mapped[str]
    effective_from: Mapped[date]
    method: Mapped[str]
    ties: Mapped[str]
    remainder: Mapped[str]
    lot: Mapped[Decimal]
    min_quantity: Mapped[Decimal]
    completion: Mapped[str]
    price_decimals: Mapped[int]
    require_memo: Mapped[bool]
    timezone: Mapped[str]
    allocate_at: Mapped[str]
    affirm_at: Mapped[str]
    text_sha256: Mapped[str]
    allowed: Mapped[str]
    effective_at: Mapped[str]
    basis: Mapped[str]
    rounding: Mapped[str]
    min_value: Mapped[Decimal]
    price_rounding: Mapped[str]
    money_decimals: Mapped[int]
    residual_cash: Mapped[str]
    overfill: Mapped[str]
    error_account: Mapped[str]
    averaging: Mapped[str]
    interim: Mapped[str]
    tiers: Mapped[str]
    sellable: Mapped[bool]
    reregistrations: Mapped[int]
    instruments: Mapped[str]
    text: Mapped[str]
    engine_version: Mapped[str]
    approved_on: Mapped[date | None]
    disclosed_on: Mapped[date | None]
    until_seq: Mapped[Seq | None]
    until_ns: Mapped[Seq | None]


class AccountRow(Part, Base):
    """An account as the account file had it, from this record until ``until_seq`` (empty: now).

    ``ts_ns`` and ``until_ns`` say when that was recorded; ``valid_from`` since which day it is true: as the file says,
    else the day of ``ts_ns`` in the policy's time zone.
    """

    __tablename__ = "accounts"
    __table_args__ = (Index(None, "account"),)

    ts_ns: Mapped[Seq]
    account: Mapped[Ident]
    name: Mapped[str]
    class_: Mapped[str] = mapped_column("class", key="class_")
    fee: Mapped[str]
    strategy: Mapped[str]
    status: Mapped[str]
    fee_rate: Mapped[str]
    owner: Mapped[str]
    aggregation_permitted: Mapped[bool]
    agreement_ref: Mapped[str]
    disclosed_on: Mapped[str]
    new_issue_restricted: Mapped[bool]
    represented_on: Mapped[str]
    valid_from: Mapped[date | None]
    until_seq: Mapped[Seq | None]
    until_ns: Mapped[Seq | None]
