"""Everything the engine remembers, in one place, so that it can be seen, saved and compared.

Only the engine's handlers change it. Values inside (statements, allocations) are frozen; orders and
statement records are mutable and never leave the core.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from fixgateway.core.model import EXACT, ZERO, Account, BrokerSetup, OmsSetup, Policy, Setup, Statement
from fixgateway.core.orders import Order
from fixgateway.core.outputs import Allocation, StatementAllocated

ACTIVE = "active"


@dataclass(slots=True)
class StatementRecord:
    """A statement and what happened under it.

    ``status`` is ``active`` or why it was closed; ``barred`` names an account of it that the account file
    does not permit any more; ``last_ended`` is the key of the order that ended last.
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

    @property
    def uncommitted(self) -> Decimal:
        """What further orders may still take: total − Σ commitments of all orders under the statement."""
        return EXACT.subtract(self.statement.total, self.committed)


@dataclass(slots=True)
class AllocationRecord:
    """An AllocationInstruction that was decided, and how its broker answered.

    ``repeated`` says that it was sent again with PossResend(97)=Y: a refusal as a duplicate is no refusal then.
    """

    allocation: Allocation
    decided_seq: int
    decided_ns: int
    status: str = "sent"
    late: bool = False
    repeated: bool = False


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

    ``ages_from_up``: logons count for the age of unanswered orders; they did not in older journals.
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

    @property
    def day(self) -> str:
        """Trade date as YYYYMMDD: part of every id the gateway makes."""
        return self.trade_date.strftime("%Y%m%d")


def policy_of(state: State, statement: Statement) -> Policy:
    """The policy version a statement was registered under; it keeps it whatever comes into force later."""
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
