"""One average price for everything the adviser traded in a security and side that day, and the wait for it.

With ``averaging = "day"`` (SMC Capital, SEC staff letter of 5 September 1995) the shares are decided when the
statement is complete, but the price is known only when nothing can trade any more: the allocations wait until no
other statement in that security and side is active and no order of any is open, or until the cut-off, whichever
comes first. A fill, bust or correction afterwards, or a later statement, changes the price of all: each gets a
replacement.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from fractions import Fraction

from fixgateway.core.calendar import past_cut_off
from fixgateway.core.fills import Fill
from fixgateway.core.inputs import Input, Tick
from fixgateway.core.model import Averaging, Interim, Statement
from fixgateway.core.outputs import Allocation, OrderChanged, Output, StatementClosed
from fixgateway.core.pricing import average
from fixgateway.core.state import ACTIVE, State, StatementRecord, policy_of


def key(statement: Statement) -> str:
    """Under which :attr:`State.together` lists a statement."""
    return f"{statement.side}|{statement.symbol}"


def by_day(state: State, statement: Statement) -> bool:
    """Whether the statement's policy asks for the day's average."""
    return policy_of(state, statement).averaging is Averaging.DAY


def group(state: State, statement: Statement) -> Iterator[StatementRecord]:
    """Every statement in the same security and side, of any trade date; the statement itself is one.

    A statement that names its security by symbol alone means the one of that symbol.
    """
    for name in state.together.get(key(statement), ()):
        other = state.statements[name].statement
        ids = (other.security_id, statement.security_id)
        if "" in ids or (ids[0] == ids[1] and other.id_source == statement.id_source):
            yield state.statements[name]


def day_of(state: State, record: StatementRecord) -> date:
    """The day whose price a statement gets last: its trade date, today where it lives on for several days."""
    statement = record.statement
    daily = policy_of(state, statement).interim is Interim.DAILY
    return max(statement.trade_date, state.trade_date) if daily else statement.trade_date


def waits(state: State, record: StatementRecord, day: date) -> bool:
    """Whether something in its security and side may still trade before the cut-off of ``day``."""
    statement = record.statement
    if not by_day(state, statement) or over(state, day, state.trade_date, state.local_time):
        return False
    return any(
        other.open_orders or (other.status == ACTIVE and other is not record)
        for other in group(state, statement)
        if other.statement.trade_date <= state.trade_date
    )


def over(state: State, day: date, today: date, local_time: str) -> bool:
    """Whether the cut-off of ``day`` has come when it is ``local_time`` of ``today``."""
    return day < today or (day == today and past_cut_off(state, today, local_time))


def due(state: State, today: date, local_time: str) -> bool:
    """Whether a clock reading releases what waits."""
    return any(over(state, day, today, local_time) for day in state.held.values())


def may_release(given: Input, outputs: Sequence[Output]) -> bool:
    """Whether an input can have ended a wait: the clock moved, a statement closed, an order ended."""
    return isinstance(given, Tick) or any(
        isinstance(output, StatementClosed) or (isinstance(output, OrderChanged) and not output.open)
        for output in outputs
    )


def price(state: State, statement: Statement, day: date) -> Fraction | None:
    """The exact average of all that was filled in the security and side on ``day``.

    None when it is not asked for, or when the statement itself filled nothing that day (all of it came late): what
    others paid on another day is not its price.
    """
    if not by_day(state, statement) or not any(_fills(state, state.statements[statement.statement_id], day)):
        return None
    return average(
        (fill.quantity, fill.exact_price)
        for other in group(state, statement)
        for fill in _fills(state, other, day)
    )


def _fills(state: State, record: StatementRecord, day: date) -> Iterator[Fill]:
    """What a statement filled on a day."""
    for key in record.orders:
        for fill in state.orders[key].fills.values():
            if fill.trade_date == day:
                yield fill


def others(state: State, record: StatementRecord) -> Iterator[StatementRecord]:
    """Statements that brokers were told a price of which this one's fills are part."""
    for other in group(state, record.statement):
        told = other.sent or any(booking.sent for booking in other.bookings)
        if other is not record and told and by_day(state, other.statement):
            yield other


def standing(state: State, statement: Statement, day: date) -> Iterator[Allocation]:
    """What brokers have of a day in a security and side."""
    for other in group(state, statement):
        for sent in (other.sent, *(booking.sent for booking in other.bookings)):
            yield from (allocation for allocation in sent.values() if allocation.trade_date == day)
