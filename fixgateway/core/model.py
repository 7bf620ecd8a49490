"""The nouns of the trade: accounts, policy, statements, counterparties.

Everything here is a frozen value. Quantities and prices are :class:`decimal.Decimal`, shares are
:class:`fractions.Fraction`; floats are refused by :func:`quantity` and :func:`price`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Context, Decimal, Inexact, InvalidOperation
from enum import StrEnum
from functools import lru_cache

MAX_LINES = 100_000
"""Most accounts one statement may name."""

_PLAIN_NUMBER = re.compile(r"[0-9]{1,15}(?:\.[0-9]{1,9})?")
_PLAIN_LENGTH_MAX = 25
ZERO = Decimal(0)
EXACT = Context(prec=60, traps=[InvalidOperation, Inexact])
"""Arithmetic that fails rather than rounds: 60 digits hold any sum of 10^5 quantities of 24 digits."""


class Side(StrEnum):
    """Side of an order or statement; the value is the word used in files."""

    BUY = "buy"
    SELL = "sell"
    SHORT = "short"
    SHORT_EXEMPT = "short-exempt"


class Method(StrEnum):
    """How fills are divided among the lines of a statement."""

    PRO_RATA = "pro-rata"


class Ties(StrEnum):
    """Who comes first when two shares have the same remainder (DESIGN §2 rule 8)."""

    SEEDED = "seeded"
    ACCOUNT = "account"
    SMALLEST = "smallest"
    LARGEST = "largest"


class Remainder(StrEnum):
    """Who receives the odd rest below one lot."""

    LARGEST_SHORTFALL = "largest-shortfall"
    SMALLEST_ACCOUNT = "smallest-account"


class Completion(StrEnum):
    """When a statement is complete: when its orders have ended, or only at the cut-off."""

    ORDERS = "orders"
    DAY = "day"


def plain_decimal(text: str) -> Decimal | None:
    """Read an unsigned number written plainly, or return None.

    Up to 15 digits before and 9 after the point; no sign, exponent, blank, ``NaN`` or grouping. FIX
    guarantees only 15 significant digits of a float field (FIX 4.4 vol. 1, data types).
    """
    return _plain_decimal(text) if len(text) <= _PLAIN_LENGTH_MAX else None


@lru_cache(maxsize=4096)
def _plain_decimal(text: str) -> Decimal | None:
    return Decimal(text) if _PLAIN_NUMBER.fullmatch(text) else None


def plain_text(value: Decimal) -> str:
    """Write a number without exponent and without trailing zeros: ``Decimal('100.00')`` → ``100``."""
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def exact_sum(values: Iterable[Decimal]) -> Decimal:
    """Σ values without any rounding, whatever the thread's decimal context."""
    result = ZERO
    for value in values:
        result = EXACT.add(result, value)
    return result


@dataclass(frozen=True, slots=True)
class Account:
    """One row of the account file. ``class_`` and ``fee`` never reach the allocator."""

    account: str
    name: str
    class_: str
    fee: str
    strategy: str
    status: str
    fee_rate: str = ""
    owner: str = ""
    aggregation_permitted: bool = True
    agreement_ref: str = ""
    disclosed_on: str = ""
    new_issue_restricted: bool = False


@dataclass(frozen=True, slots=True)
class Policy:
    """The allocation policy in force, as numbers and names; its text is hashed by ``text_sha256``.

    ``allowed`` lists, per term, the values a statement may ask for besides the policy's own.
    ``allocate_at`` and ``affirm_at`` are local times ``HH:MM[:SS]`` in ``timezone`` or ``off``.
    """

    policy_id: str
    version: str
    approved_by: str
    effective_from: date
    method: Method
    ties: Ties
    remainder: Remainder
    lot: Decimal
    min_quantity: Decimal
    completion: Completion
    price_decimals: int
    require_memo: bool
    timezone: str
    allocate_at: str
    affirm_at: str
    text_sha256: str
    allowed: tuple[tuple[str, tuple[str, ...]], ...] = ()


@dataclass(frozen=True, slots=True)
class OmsSetup:
    """One OMS session as the core sees it.

    ``match`` lists the keys that link an order to its statement, in order; ``allocation_report`` is
    ``AS``, ``J`` or ``none``.
    """

    name: str
    brokers: tuple[str, ...]
    match: tuple[str, ...] = ("AllocID", "ClOrdID")
    allocation_report: str = "AS"
    pass_allocation_ack: bool = False


@dataclass(frozen=True, slots=True)
class BrokerSetup:
    """One broker session as the core sees it.

    ``max_unacked_orders`` and ``max_unacked_seconds`` bound the orders the broker has not answered;
    ``ack_timeout_seconds`` is how long a J may stay without a P before an alert.
    """

    name: str
    alloc_type: str = "1"
    price_decimals: int | None = None
    max_unacked_orders: int = 1000
    max_unacked_seconds: int = 30
    ack_timeout_seconds: int = 300
    dont_know: bool = False


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on orders: the oldest an order may be when judged, and how long a resend may carry one."""

    max_queue_seconds: int = 10
    resend_seconds: int = 30


@dataclass(frozen=True, slots=True)
class Setup:
    """Everything the core reads from outside; journaled in full (DESIGN §2 rule 6)."""

    engine_version: str
    policy: Policy
    accounts: tuple[Account, ...]
    omses: tuple[OmsSetup, ...]
    brokers: tuple[BrokerSetup, ...]
    limits: Limits = Limits()


@dataclass(frozen=True, slots=True)
class DraftLine:
    """One line of a statement as written by whoever submits it; nothing is checked yet.

    ``row`` is where the line stands in its source, counted from 1, for messages.
    """

    row: int
    account: str
    quantity: str
    min_quantity: str = ""


@dataclass(frozen=True, slots=True)
class Draft:
    """An allocation statement as submitted by any of the four doors; every field is text, "" when absent.

    ``defects`` are problems the door itself saw (an unreadable file row, a count that lies); any makes the
    statement refused.
    """

    statement_id: str
    trade_date: str
    symbol: str
    side: str
    lines: tuple[DraftLine, ...]
    total: str = ""
    security_id: str = ""
    id_source: str = ""
    method: str = ""
    lot: str = ""
    min_quantity: str = ""
    ties: str = ""
    oms: str = ""
    cl_ord_ids: tuple[str, ...] = ()
    brokers: tuple[str, ...] = ()
    recommended_by: str = ""
    placed_by: str = ""
    discretionary: str = ""
    rationale: str = ""
    defects: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Line:
    """One account's intended quantity."""

    account: str
    quantity: Decimal
    min_quantity: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class Statement:
    """A registered allocation statement: who gets what, written down before the order.

    ``registered_seq`` is the journal sequence of the input that registered it; an order is covered only
    when its own sequence is higher. ``seed_commitment`` is the SHA-256 of ``seed`` in hex and is what the
    registration acknowledgement shows; ``seed`` is revealed with the allocation.
    """

    statement_id: str
    version: int
    oms: str
    trade_date: date
    symbol: str
    security_id: str
    id_source: str
    side: Side
    total: Decimal
    lines: tuple[Line, ...]
    method: Method
    lot: Decimal
    min_quantity: Decimal
    ties: Ties
    remainder: Remainder
    policy_id: str
    policy_version: str
    cl_ord_ids: tuple[str, ...]
    brokers: tuple[str, ...]
    recommended_by: str
    placed_by: str
    discretionary: str
    rationale: str
    memo_complete: bool
    door: str
    actor: str
    registered_seq: int
    registered_ns: int
    seed: str
    seed_commitment: str
