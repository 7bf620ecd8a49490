"""What the engine decided and found, as facts to keep: for the journal, the records, the log and the metrics."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from fixgateway.core.broker_inputs import AccountAnswer, ExecKind
from fixgateway.core.model import ZERO, Setup, Statement
from fixgateway.core.values import quick


@dataclass(frozen=True, slots=True)
class Configured:
    """A configuration came into force."""

    setup: Setup


@dataclass(frozen=True, slots=True)
class StatementRegistered:
    """A statement is registered; durable once this record is."""

    statement: Statement


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a draft: the line (0 for the whole statement), the field and what to do."""

    row: int
    field: str
    reason: str
    text: str


@dataclass(frozen=True, slots=True)
class StatementRefused:
    """A draft was refused; every problem found is listed."""

    door: str
    actor: str
    statement_id: str
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class StatementClosed:
    """No further order is taken under the statement.

    ``why`` is ``complete``, ``cut-off``, ``closed`` (a named person), ``cancelled`` or ``replaced``.
    """

    statement_id: str
    why: str
    actor: str


@quick
@dataclass(frozen=True, slots=True)
class ExecutionApplied:
    """A broker's execution report was taken into the order's state.

    ``effect`` is ``fill``, ``bust``, ``correct``, ``state``, ``duplicate``, ``unknown-order``, ``ignored``; or
    ``fills-from-cum``: no report of its own, but a fill entered from what another one's CumQty and AvgPx say
    (``exec_id`` is that one's after ``cum-``).
    """

    order: int
    statement_id: str
    broker: str
    oms: str
    order_id: str
    exec_id: str
    exec_ref_id: str
    kind: ExecKind
    effect: str
    last_qty: Decimal | None
    last_px: Decimal | None


@quick
@dataclass(frozen=True, slots=True)
class OrderChanged:
    """The order's state after an event; ``status`` is OrdStatus(39)."""

    order: int
    statement_id: str
    cl_ord_id: str
    order_id: str
    status: str
    quantity: Decimal
    cum_qty: Decimal
    avg_px: str
    open: bool


@dataclass(frozen=True, slots=True)
class TraceLine:
    """How one account's share came about: ``exact`` is ``num/den``, ``floor`` whole units, ``award`` extra.

    ``cost_difference`` is, with several brokers or at executed prices, the account's gross minus its quantity at the
    exact average price: in money, how far from equal the prices are. ``before`` is what the statement's other bookings
    gave the account: floor + award = before + quantity.
    """

    account: str
    intent: Decimal
    exact: str
    floor: Decimal
    award: Decimal
    quantity: Decimal
    rule: str
    cost_difference: Decimal | None = None
    place: int = 0
    cap: Decimal | None = None
    credit: str = ""
    before: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class StatementAllocated:
    """The statement's total fill divided, once, over all its orders (DESIGN §2 rule 7).

    The money fields are the sums over its allocations (:class:`Allocation`); None where none was computed.
    ``kind`` is ``final`` or ``interim``; ``number`` and ``trade_date`` are the booking's, 0 and None where the
    statement is booked as a whole; ``filled``, ``avg_px`` and the lines' quantities are then the booking's own.
    ``notes`` say what was not as usual: a minimum waived, shares forced or taken back, who asked. ``average`` is the
    exact price (``num/den``) that ``avg_px`` was written from, "" in journals from before money was computed.
    """

    statement_id: str
    version: int
    filled: Decimal
    unallocated: Decimal
    avg_px: str
    seed: str
    lines: tuple[TraceLine, ...]
    gross: Decimal | None = None
    fills_money: Decimal | None = None
    residual_cash: Decimal | None = None
    averaging_cash: Decimal | None = None
    kind: str = "final"
    number: int = 0
    trade_date: date | None = None
    notes: tuple[str, ...] = ()
    average: str = ""


@dataclass(frozen=True, slots=True)
class AllocationAcked:
    """A broker answered an allocation; ``status`` as in :class:`inputs.AllocationAck`, ``query`` or ``refused``.

    ``refused``: a replace or cancel was refused and the earlier version stands. ``accounts`` are the broker's
    words about single accounts.
    """

    alloc_id: str
    statement_id: str
    broker: str
    status: str
    reject_code: str
    text: str
    accounts: tuple[AccountAnswer, ...] = ()


@dataclass(frozen=True, slots=True)
class StatementSplit:
    """A stock split changed the units of a statement and of everything under it.

    ``numerator`` new units for ``denominator`` old ones; ``total`` and ``filled`` are the statement's in new units.
    """

    statement_id: str
    numerator: int
    denominator: int
    total: Decimal
    filled: Decimal


@dataclass(frozen=True, slots=True)
class RotationTurn:
    """A turn of a rotation came.

    ``outcome`` is ``served``, ``passed`` (by ``actor``, with ``reason``) or ``unfilled``. ``turn`` is the one
    registration stamped, ``position`` the account's place in the policy's queue afterwards, both from 1;
    ``quantity`` is what the account received of the statement.
    """

    policy_id: str
    statement_id: str
    account: str
    turn: int
    outcome: str
    position: int
    quantity: Decimal = ZERO
    actor: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class HoldingSet:
    """A named person said what an account may sell of a symbol from now on.

    ``before`` is what it could sell until then, None where nothing was known. ``statements`` are the open ones in
    which what the account may receive changed.
    """

    account: str
    symbol: str
    quantity: Decimal
    before: Decimal | None
    actor: str
    reason: str
    statements: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ExceptionOpened:
    """Something a person must look at; ``reason`` is the GW code."""

    reason: str
    subject: str
    text: str


@dataclass(frozen=True, slots=True)
class Alert:
    """Tell operations now; ``severity`` is ``warning`` or ``critical``."""

    reason: str
    severity: str
    subject: str
    text: str


@dataclass(frozen=True, slots=True)
class Flagged:
    """A message was odd and kept; nothing else happened because of it."""

    reason: str
    text: str


@dataclass(frozen=True, slots=True)
class OrdersSwitched:
    """New orders were halted or resumed for ``target``."""

    target: str
    halted: bool
    actor: str
    reason: str


@dataclass(frozen=True, slots=True)
class ResendForbidden:
    """The D or G decided by input ``decision_seq`` must not be resent any more; its fate is in doubt."""

    order: int
    decision_seq: int
