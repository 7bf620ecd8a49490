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
from functools import lru_cache

from fixgateway.core import market
from fixgateway.core.choices import (
    Averaging,
    Basis,
    CommType,
    Completion,
    FeeBasis,
    Interim,
    Method,
    Overfill,
    PriceRounding,
    Remainder,
    ResidualCash,
    Rounding,
    Side,
    Ties,
)
from fixgateway.core.codes import ExceptionRules

__all__ = [
    "EXACT",
    "MAX_LINES",
    "RULES",
    "ZERO",
    "Account",
    "Averaging",
    "Basis",
    "BrokerSetup",
    "Calendar",
    "CommType",
    "Completion",
    "Draft",
    "DraftLine",
    "ExceptionRules",
    "FeeBasis",
    "FeeTerms",
    "Holding",
    "InstrumentTerms",
    "Interim",
    "Limits",
    "Line",
    "MarketDay",
    "Method",
    "OmsSetup",
    "Overfill",
    "Policy",
    "PriceRounding",
    "Remainder",
    "ResidualCash",
    "Rounding",
    "Setup",
    "Side",
    "Statement",
    "Ties",
    "exact_sum",
    "plain_decimal",
    "plain_text",
]


Calendar = market.Calendar
MarketDay = market.MarketDay


MAX_LINES = 100_000
"""Most accounts one statement may name."""
RULES = 2
"""The newest edition of the core's rules, see :class:`Setup`."""

_PLAIN_NUMBER = re.compile(r"[0-9]{1,15}(?:\.[0-9]{1,9})?")
_PLAIN_LENGTH_MAX = 25
ZERO = Decimal(0)
EXACT = Context(prec=60, traps=[InvalidOperation, Inexact])
"""Arithmetic that fails rather than rounds: 60 digits hold any sum of 10^5 quantities of 24 digits."""


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
    """One row of the account file. ``class_`` and ``fee`` never reach the allocator.

    ``represented_on`` is the day (``YYYY-MM-DD``) of the owner's last word that new issues may be bought (FINRA 5130).
    ``valid_from`` is the day since when the row is true, "" where that is the day it came into force; only the records
    use it.
    """

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
    represented_on: str = ""
    valid_from: str = ""


@dataclass(frozen=True, slots=True)
class InstrumentTerms:
    """Lot, minimum piece and rest rule of one symbol, where they differ from the policy's; None where not."""

    symbol: str
    lot: Decimal | None = None
    min_quantity: Decimal | None = None
    remainder: Remainder | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """The allocation policy in force, as numbers and names, and its ``text`` with the SHA-256 of it in hex.

    ``allowed`` lists, per term, the values a statement may ask for besides the policy's own.
    ``allocate_at`` and ``affirm_at`` are local times ``HH:MM[:SS]`` in ``timezone`` or ``off``;
    ``effective_at`` is one on the first day, ``effective_from``. ``min_value`` is money and becomes a quantity
    on each line at the statement's reference price. ``instruments`` are terms of one symbol that differ from
    the policy's own; ``tiers`` name account classes in the order client-priority serves them. ``sellable`` says
    that sells need a holding; ``reregistrations`` is how often statements for one instrument and side may be
    cancelled and registered again in a day before an alert. ``calendar`` names the market whose days are trade
    dates, or ``none``; ``warn_minutes`` before a deadline open work is told; ``allocate_after_close`` and
    ``affirm_after_close`` are minutes after the market's close that end the day earlier than the times above,
    None where they do not; ``closed`` are days without trading that the calendar does not know. ``approved_on`` and
    ``disclosed_on`` are when this version was approved and told to clients, None where the file does not say.
    ``exceptions_wait``: an allocation waits, until the cut-off, for the decision on an exception asked for before.
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
    effective_at: str = "00:00:00"
    basis: Basis = Basis.QUANTITY
    rounding: Rounding = Rounding.LARGEST_REMAINDER
    min_value: Decimal = ZERO
    price_rounding: PriceRounding = PriceRounding.HALF_UP
    money_decimals: int = 2
    residual_cash: ResidualCash = ResidualCash.ACCOUNTS
    overfill: Overfill = Overfill.UNALLOCATED
    error_account: str = ""
    averaging: Averaging = Averaging.STATEMENT
    interim: Interim = Interim.NEVER
    tiers: tuple[tuple[str, ...], ...] = ()
    sellable: bool = False
    reregistrations: int = 3
    instruments: tuple[InstrumentTerms, ...] = ()
    text: str = ""
    calendar: str = "none"
    warn_minutes: int = 0
    allocate_after_close: int | None = None
    affirm_after_close: int | None = None
    closed: tuple[date, ...] = ()
    approved_on: date | None = None
    disclosed_on: date | None = None
    exceptions_wait: bool = False


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
class FeeTerms:
    """A fee a broker charges: MiscFeeType(139), what ``amount`` is of, and whether an absolute one is per account."""

    type: str
    amount: Decimal
    basis: FeeBasis = FeeBasis.PERCENTAGE
    each: bool = False


@dataclass(frozen=True, slots=True)
class BrokerSetup:
    """One broker session as the core sees it.

    ``max_unacked_orders`` and ``max_unacked_seconds`` bound the orders the broker has not answered;
    ``ack_timeout_seconds`` is how long a J may stay without a P before an alert. ``commission`` (12, read as
    ``commission_type`` says) and ``fees`` are what it charges; with neither, its allocations say no net money.
    ``final_timeout_seconds`` is how long a J may stay received (87=3) without a final answer, 0 for ever.
    ``confirmations`` says that it confirms each account (AK); ``price_tolerance`` and ``money_tolerance`` are how
    far its prices and amounts may be from ours. ``fills_from_cum``: a fill it shows only in CumQty(14) and AvgPx(6)
    is entered when the order is over. ``replace_accepted``: it takes a 71=1 or 71=2 for what it has accepted.
    """

    name: str
    alloc_type: str = "1"
    price_decimals: int | None = None
    max_unacked_orders: int = 1000
    max_unacked_seconds: int = 30
    ack_timeout_seconds: int = 300
    dont_know: bool = False
    commission: Decimal | None = None
    commission_type: CommType = CommType.ABSOLUTE
    fees: tuple[FeeTerms, ...] = ()
    final_timeout_seconds: int = 0
    confirmations: bool = False
    price_tolerance: Decimal = ZERO
    money_tolerance: Decimal = ZERO
    fills_from_cum: bool = False
    replace_accepted: bool = True


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on orders: the oldest an order may be when judged, and how long a resend may carry one."""

    max_queue_seconds: int = 10
    resend_seconds: int = 30


@dataclass(frozen=True, slots=True)
class Holding:
    """What an account may sell of a symbol as the day ``as_of`` began: a row of the holdings file."""

    account: str
    symbol: str
    quantity: Decimal
    as_of: date


@dataclass(frozen=True, slots=True)
class Setup:
    """Everything the core reads from outside; journaled in full (DESIGN §2 rule 6).

    ``money``: gross amounts, residual cash, commission and fees are computed; they were not in older journals.
    ``rules`` is the edition of the rules that have no switch of their own: 1 in journals that do not name it, so that
    they are decided again as they were; the configuration always says :data:`RULES`.
    ``life_cycle``: what follows a J is judged (reports, confirmations, deadlines of the trade date); older journals
    knew its acknowledgement only. ``calendar`` is the market's that the policy names, None without one.
    ``exceptions`` is the list of pre-approved codes, None where nobody can ask for an exception.
    ``desk``: alerts are kept until somebody acknowledges them, and a day ends with a digest; older journals had
    neither.
    """

    engine_version: str
    policy: Policy
    accounts: tuple[Account, ...]
    omses: tuple[OmsSetup, ...]
    brokers: tuple[BrokerSetup, ...]
    limits: Limits = Limits()
    money: bool = False
    rules: int = 1
    life_cycle: bool = False
    calendar: Calendar | None = None
    holdings: tuple[Holding, ...] = ()
    desk: bool = False
    exceptions: ExceptionRules | None = None


@dataclass(frozen=True, slots=True)
class DraftLine:
    """One line of a statement as written by whoever submits it; nothing is checked yet.

    ``row`` is where the line stands in its source, counted from 1, for messages.
    """

    row: int
    account: str
    quantity: str
    min_quantity: str = ""
    weight: str = ""
    limit: str = ""
    received_at: str = ""


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
    basis: str = ""
    reference_price: str = ""
    justification: str = ""
    new_issue: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """One account's intended quantity, and what registration froze beside it (DESIGN §2 rule 5).

    ``weight`` is what the statement said where its basis is not quantity (percent, money). ``limit`` and
    ``received_ns`` (UTC nanoseconds) are read by price-time only. ``tier`` is the order client-priority serves in
    (0 first), ``turn`` the account's place in the rotation, from 1. ``cap`` is the sellable holding, None when
    nothing bounds the line but its quantity. ``residual`` says that the account may bear residual cash.
    """

    account: str
    quantity: Decimal
    min_quantity: Decimal = ZERO
    weight: Decimal = ZERO
    limit: Decimal | None = None
    received_ns: int = 0
    tier: int = 0
    turn: int = 0
    cap: Decimal | None = None
    residual: bool = True


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
    basis: Basis = Basis.QUANTITY
    rounding: Rounding = Rounding.LARGEST_REMAINDER
    reference_price: Decimal = ZERO
    justification: str = ""
    new_issue: bool = False
