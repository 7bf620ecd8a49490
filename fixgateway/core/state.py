"""Everything the engine remembers, in one place, so that it can be seen, saved and compared.

Only the engine's handlers change it. Values inside (statements, allocations) are frozen; orders and
statement records are mutable and never leave the core.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from fixgateway.core.desk_records import ExceptionRecord, Mark, OpenedRecord
from fixgateway.core.model import (
    EXACT,
    ZERO,
    Account,
    BrokerSetup,
    Line,
    OmsSetup,
    Policy,
    Setup,
    Statement,
    exact_sum,
)
from fixgateway.core.orders import Order
from fixgateway.core.outbox import AlertRecord
from fixgateway.core.outputs import Allocation, StatementAllocated
from fixgateway.core.people import Person

ACTIVE = "active"
OWN_POLICY_RULES = 2
"""From these rules on a statement keeps the policy it was registered under."""


@dataclass(slots=True)
class Booking:
    """Fills of a statement that were booked together: before it was complete, or beside what a broker keeps.

    ``number`` counts from 1; ``kind`` is ``interim``, ``final`` or ``part``. ``quantity`` is the sum of its fills
    and ``shares`` its units by account when it was last divided ("" what nobody may have), ``money`` what its
    fills cost; ``sent`` is what each broker has of it. A ``part`` is of one ``broker`` only.
    """

    number: int
    kind: str
    trade_date: date
    quantity: Decimal = ZERO
    money: Decimal = ZERO
    broker: str = ""
    version: int = 0
    shares: dict[str, Decimal] = field(default_factory=dict)
    sent: dict[str, Allocation] = field(default_factory=dict)


@dataclass(slots=True)
class StatementRecord:
    """A statement and what happened under it.

    ``status`` is ``active`` or why it was closed; ``barred`` names an account of it that the account file
    does not permit any more; ``last_ended`` is the key of the order that ended last. ``split_num`` and
    ``split_den``: units now for one unit as registered, over all stock splits since. ``sent`` is what each broker
    has of the statement as a whole, ``bookings`` what was booked apart (:mod:`.booking`); ``booked_through`` is the
    day of the last cut-off it was booked at. ``told_minimum``: people know that every share is below its minimum;
    ``waived``: it was divided without the minimum. ``credits`` are each account's before and after its division.
    ``first`` is the account whose turn is the first (:mod:`.rotation`), "" without turns; ``passed`` are turns a
    person passed over, by account, with who and why. ``caps`` are cuts of what accounts may sell, made since it was
    registered (:mod:`.holdings`). ``override`` is the division an approved exception (``override_id``) put in the
    place of the computed one, empty without; ``original`` the statement as it was registered when an exception
    changed it, else None (:mod:`.overrides`).
    """

    statement: Statement
    status: str = ACTIVE
    barred: str = ""
    orders: list[int] = field(default_factory=list)
    last_ended: int = 0
    committed: Decimal = ZERO
    filled: Decimal = ZERO
    open_orders: int = 0
    allocated: StatementAllocated | None = None
    sent: dict[str, Allocation] = field(default_factory=dict)
    split_num: int = 1
    split_den: int = 1
    bookings: list[Booking] = field(default_factory=list)
    booked_through: date = date.min
    told_minimum: bool = False
    waived: bool = False
    credits: dict[str, tuple[str, str]] = field(default_factory=dict)
    first: str = ""
    passed: dict[str, str] = field(default_factory=dict)
    caps: dict[str, Decimal] = field(default_factory=dict)
    override: dict[str, Decimal] = field(default_factory=dict)
    override_id: str = ""
    original: Statement | None = None

    @property
    def unbooked(self) -> Decimal:
        """What is filled and no interim booking has."""
        return EXACT.subtract(self.filled, exact_sum(booking.quantity for booking in self.bookings))

    def most(self, line: Line) -> Decimal:
        """The most a line's account may receive: its intent, or less where its holding was cut."""
        return min(line.quantity, self.caps.get(line.account, line.quantity)) if self.caps else line.quantity

    @property
    def reach(self) -> Decimal:
        """What all accounts together may receive: the total, less where holdings were cut."""
        if not self.caps:
            return self.statement.total
        return exact_sum(self.most(line) for line in self.statement.lines)

    @property
    def uncommitted(self) -> Decimal:
        """What further orders may still take: :attr:`reach` − Σ commitments of all orders under the statement."""
        return EXACT.subtract(self.reach, self.committed)


@dataclass(slots=True)
class AllocationRecord:
    """An AllocationInstruction that was decided, and how its broker answered.

    ``repeated`` says that it was sent again with PossResend(97)=Y: a refusal as a duplicate is no refusal then.
    ``received_ns`` is when the broker said 87=3, 0 before. ``by_account`` is where each account stands in the
    shares, filled when the first confirmation asks.
    """

    allocation: Allocation
    decided_seq: int
    decided_ns: int
    status: str = "sent"
    late: bool = False
    repeated: bool = False
    received_ns: int = 0
    by_account: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class ConfirmationRecord:
    """A broker's confirmation (AK) of an account and what we answered.

    ``status`` is ``affirmed``, ``rejected``, ``copy``, ``status``, ``cancelled`` or ``replaced``; ``content`` tells
    a repeat from another message of the same id. ``alloc_id`` is the allocation it was compared with, "" for none.
    """

    content: str
    status: str
    alloc_id: str
    account: str


@dataclass(slots=True)
class HoldingRecord:
    """What an account could sell of a symbol as the day ``as_of`` began; ``actor`` set it, "" for the holdings file."""

    quantity: Decimal
    as_of: date
    actor: str = ""


@dataclass(slots=True)
class Request:
    """A G or F that was forwarded and waits for the broker's answer."""

    order: int
    msg_type: str
    cl_ord_id: str
    orig_cl_ord_id: str
    in_doubt: bool = False


@dataclass(slots=True)
class BrokerRecord:
    """One broker: its setup, its session, and the orders it has not answered, oldest first.

    ``since_ns`` is when it logged on last or we started: unanswered orders are not older than that.
    """

    setup: BrokerSetup
    up: bool = False
    since_ns: int = 0
    unacked: deque[int] = field(default_factory=deque)


@dataclass(slots=True)
class State:
    """The engine's memory.

    ``ages_from_up``: logons count for the age of unanswered orders; they did not in older journals. ``stages`` are
    the deadlines of the trade date that have come, with when they were noticed. ``reports`` holds, by broker and
    AllocReportID, a broker's report and our answer; ``confirmations`` the same by ConfirmID; ``confirmed``, by the
    first AllocID of an allocation and account, the ConfirmID in force. ``held`` are closed statements whose
    allocations wait for the day's average price, ``together`` the statements of each security and side;
    ``credits``, by policy and account, is what roundings left an account short of, in lots (``num/den``).
    ``rotations`` are the accounts of each policy in the order of their next turn; ``unfilled_turns`` (policy|account),
    ``withdrawn`` and ``reregistered`` (OMS|symbol|side) count the trade date's possible grinding. ``holdings`` is, by
    account and symbol, what could be sold. ``people`` are everybody recorded by id, ``marks`` the latest by symbol.
    ``exceptions`` are those people asked for by id, ``pending`` the undecided ones; ``opened`` those the gateway
    opened and nobody has resolved; ``reviews`` say by id whether a review is ``open`` or ``signed``. ``own_until`` is
    the input up to which an account was the firm's or an employee's own, for those that are not any more.
    ``alerts`` are the unacknowledged ones by id (:mod:`.outbox`), ``alerted`` the newest by reason and subject,
    ``repeats`` by id the one a repeat is counted in;
    ``last_fills`` is when each statement not yet allocated was filled last (UTC nanoseconds). ``day_tally`` and
    ``day_named`` are the trade date's exceptions for the digest, ``reconciled`` what the last days' comparisons found.
    """

    setup: Setup
    trade_date: date = date.min
    local_time: str = "00:00:00"
    stopping: bool = False
    ages_from_up: bool = False
    degraded: str = ""
    halted: set[str] = field(default_factory=set)
    accounts: dict[str, Account] = field(default_factory=dict)
    policies: dict[tuple[str, str], Policy] = field(default_factory=dict)
    omses: dict[str, OmsSetup] = field(default_factory=dict)
    brokers: dict[str, BrokerRecord] = field(default_factory=dict)
    statements: dict[str, StatementRecord] = field(default_factory=dict)
    named: dict[str, list[str]] = field(default_factory=dict)
    active: dict[str, None] = field(default_factory=dict)
    orders: dict[int, Order] = field(default_factory=dict)
    cl_ord_ids: dict[tuple[str, str], int] = field(default_factory=dict)
    at_broker: dict[tuple[str, str], int] = field(default_factory=dict)
    order_ids: dict[tuple[str, str], int] = field(default_factory=dict)
    requests: dict[int, Request] = field(default_factory=dict)
    allocations: dict[str, AllocationRecord] = field(default_factory=dict)
    decided: dict[tuple[int, str], str] = field(default_factory=dict)
    waiting: dict[str, None] = field(default_factory=dict)
    unknown_executions: dict[tuple[str, str, str], None] = field(default_factory=dict)
    held: dict[str, date] = field(default_factory=dict)
    together: dict[str, list[str]] = field(default_factory=dict)
    credits: dict[tuple[str, str], str] = field(default_factory=dict)
    stages: dict[str, int] = field(default_factory=dict)
    reports: dict[tuple[str, str], tuple[str, str]] = field(default_factory=dict)
    confirmations: dict[tuple[str, str], ConfirmationRecord] = field(default_factory=dict)
    confirmed: dict[tuple[str, str], str] = field(default_factory=dict)
    rotations: dict[str, list[str]] = field(default_factory=dict)
    unfilled_turns: dict[str, int] = field(default_factory=dict)
    withdrawn: dict[str, int] = field(default_factory=dict)
    reregistered: dict[str, int] = field(default_factory=dict)
    holdings: dict[tuple[str, str], HoldingRecord] = field(default_factory=dict)
    people: dict[str, Person] = field(default_factory=dict)
    marks: dict[str, Mark] = field(default_factory=dict)
    exceptions: dict[str, ExceptionRecord] = field(default_factory=dict)
    pending: dict[str, None] = field(default_factory=dict)
    opened: dict[str, OpenedRecord] = field(default_factory=dict)
    reviews: dict[str, str] = field(default_factory=dict)
    own_until: dict[str, int] = field(default_factory=dict)
    alerts: dict[str, AlertRecord] = field(default_factory=dict)
    alerted: dict[tuple[str, str], str] = field(default_factory=dict)
    repeats: dict[str, str] = field(default_factory=dict)
    last_fills: dict[str, int] = field(default_factory=dict)
    day_tally: dict[str, int] = field(default_factory=dict)
    day_named: dict[str, str] = field(default_factory=dict)
    reconciled: dict[str, str] = field(default_factory=dict)

    @property
    def day(self) -> str:
        """Trade date as YYYYMMDD: part of every id the gateway makes."""
        return self.trade_date.strftime("%Y%m%d")


def policy_of(state: State, statement: Statement) -> Policy:
    """The policy version a statement was registered under; it keeps it whatever comes into force later.

    Under the first rules it was always the one in force.
    """
    if state.setup.rules < OWN_POLICY_RULES:
        return state.setup.policy
    return state.policies.get((statement.policy_id, statement.policy_version), state.setup.policy)


def decided_allocations(state: State, seq: int, broker: str) -> list[str]:
    """AllocIDs that input ``seq`` decided for a broker: a cut-off closes several statements at once."""
    first = state.decided.get((seq, broker))
    if first is None:
        return []
    found = [first]
    while (following := f"{first}-{len(found) + 1}") in state.allocations:
        found.append(following)
    return found


def open_order(record: StatementRecord, order: Order) -> None:
    """Count a new order into its statement's sums."""
    record.committed = EXACT.add(record.committed, order.quantity)
    record.open_orders += 1
    record.orders.append(order.key)
    order.committed, order.counted_open = order.quantity, True


def sent_at(record: StatementRecord, allocation: Allocation) -> dict[str, Allocation]:
    """What brokers have, by broker, of the booking an allocation belongs to."""
    return record.bookings[allocation.booking - 1].sent if allocation.booking else record.sent


def settle(state: State, order: Order) -> StatementRecord:
    """Bring the statement's sums (committed, filled, open orders) up to date with one of its orders."""
    record = state.statements[order.statement_id]
    commitment = order.commitment()
    # The very same number changes no sum, nor how a sum is written (its trailing zeros): most reports bring one.
    if commitment is not order.committed:
        record.committed = EXACT.add(record.committed, EXACT.subtract(commitment, order.committed))
    if order.cum_qty is not order.counted:
        record.filled = EXACT.add(record.filled, EXACT.subtract(order.cum_qty, order.counted))
    record.open_orders += order.open - order.counted_open
    if order.counted_open and not order.open:
        record.last_ended = order.key
    order.committed, order.counted, order.counted_open = commitment, order.cum_qty, order.open
    return record
