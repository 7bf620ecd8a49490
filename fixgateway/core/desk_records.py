"""What the engine remembers of people's work at the desk: requests, exceptions it opened itself, reviews."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

PENDING = "pending"


@dataclass(slots=True)
class ExceptionRecord:
    """An exception a person asked for.

    ``status`` is ``pending`` or how it was decided (:class:`.desk_facts.ExceptionDecided`). ``lines`` is quantity by
    account as asked for. ``total`` and ``version`` are the statement's when it was asked: another total (a stock
    split) means that the quantities speak of something else. ``open`` says that the statement was not complete then.
    ``overdue``: people know that its deadline has passed.
    """

    exception_id: str
    kind: str
    statement_id: str
    version: int
    total: Decimal
    code: str
    requested_by: str
    requested_ns: int
    role: str
    due_date: date
    due_time: str
    lines: dict[str, Decimal] = field(default_factory=dict)
    open: bool = False
    status: str = PENDING
    overdue: bool = False
    decided_by: str = ""


@dataclass(slots=True)
class OpenedRecord:
    """An exception the gateway opened itself and nobody has resolved; ``acknowledged_by`` is who looked at it first."""

    seq: int
    reason: str
    subject: str
    text: str
    day: date
    acknowledged_by: str = ""


@dataclass(slots=True)
class Mark:
    """What a security was worth last, as somebody said; ``as_of_ns`` is the price's own time."""

    price: Decimal
    source: str
    as_of_ns: int
    close: bool
