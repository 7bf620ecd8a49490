"""When a statement is complete, and what is sent when it is.

The unit of allocation is the statement, never an order and never a fill (DESIGN §2 rule 7): dividing
100 one-share fills one by one gives 100/0/0/0 under the worked example's weights. A statement is complete
when no order under it is open and its quantity is used up or the last order ended cancelled, expired or
done for the day; else at the cut-off or when a named person closes it. Then:

1. the total fill over all its orders is divided once (:mod:`targets`, :mod:`methods`);
2. with several brokers that division becomes a matrix whose rows add up to the accounts' shares and whose
   columns add up to each broker's fills (:mod:`columns`, :mod:`matrix`);
3. each broker gets one AllocationInstruction for its own column, at its own average price (:mod:`instructions`).

A bust, correction or late fill afterwards runs the same three steps again (:mod:`whole`); a broker whose column
changed gets a replacement (71=1) or, when nothing is left, a cancel (71=2).

When every share is below its minimum the statement is not complete yet: people are told at once (GW-840), and it
waits for more fills until the cut-off or a named person closes it; then it is divided without the minimum. What is
booked before a statement is complete: :mod:`booking`. What waits for the day's average price: :mod:`held`.
"""

from __future__ import annotations

from datetime import date

from fixgateway.core import booking, held, holdings, money, own_orders, pending, rotation, whole
from fixgateway.core.exceptions import exception
from fixgateway.core.instructions import Stamp
from fixgateway.core.model import ZERO, Completion, plain_text
from fixgateway.core.orders import ENDS_STATEMENT, FILLED
from fixgateway.core.outputs import Flagged, Output, SendAllocation, StatementClosed
from fixgateway.core.state import ACTIVE, State, StatementRecord, policy_of
from fixgateway.core.targets import target, terms

__all__ = ["allocate_statement", "amended", "close", "cut_off", "is_complete", "release", "terms"]


_LAST_TURN_OVER = ENDS_STATEMENT | {FILLED}
"""The same in a release rotation whose turns have all come: what an account passed over leaves nobody takes."""


def is_complete(state: State, record: StatementRecord) -> bool:
    """Whether the statement's orders have ended in a way that completes it."""
    if record.status != ACTIVE or not record.orders or record.open_orders:
        return False
    if record.filled >= record.reach:
        return True
    if rotation.waits(state, record):
        return False
    if policy_of(state, record.statement).completion is Completion.DAY:
        return False
    last = state.orders.get(record.last_ended)
    ends = ENDS_STATEMENT if not own_orders.applies(record.statement, state.setup.rules) else _LAST_TURN_OVER
    return last is not None and last.status in ends


def close(state: State, record: StatementRecord, why: str, actor: str, seq: int, ts_ns: int) -> list[Output]:
    """Close a statement and allocate what was filled under it.

    One that is ``complete`` with every share below its minimum stays open; people are told once. So does one that is
    ``complete`` while a person asks for another division, where the policy waits for that (:mod:`.pending`).
    """
    statement_id = record.statement.statement_id
    if why == "complete" and pending.waits(state, record):
        return []
    if _below_minimum(state, record):
        if why == "complete":
            return _waits(record)
        record.waived = True
    record.status = why
    state.active.pop(statement_id, None)
    outputs: list[Output] = [StatementClosed(statement_id, why, actor)]
    if record.filled == ZERO:
        outputs.append(Flagged("GW-814", f"nothing was filled under statement {statement_id}"))
        return outputs + rotation.ended(state, record) + pending.at_close(state, record, why)
    outputs += allocate_statement(state, record, seq, ts_ns, at_cut_off=why == "cut-off")
    outputs += rotation.ended(state, record) + pending.at_close(state, record, why)
    return outputs + (holdings.barred(record) if state.setup.rules >= holdings.RULES else [])


def _below_minimum(state: State, record: StatementRecord) -> bool:
    """Whether every share of what is filled is below its account's minimum."""
    statement = record.statement
    if state.setup.rules < 2 or not record.filled:
        return False
    if not statement.min_quantity and not any(line.min_quantity for line in statement.lines):
        return False
    return target(state, record, record.filled).waits


def _waits(record: StatementRecord) -> list[Output]:
    if record.told_minimum:
        return []
    record.told_minimum = True
    name = record.statement.statement_id
    text = (
        f"statement {name}: of {plain_text(record.filled)} filled every account's share is below its minimum; "
        "it waits for more fills, at the cut-off it is divided without the minimum"
    )
    return exception("GW-840", name, text)


def allocate_statement(
    state: State, record: StatementRecord, seq: int, ts_ns: int, *, at_cut_off: bool = False
) -> list[Output]:
    """Divide what is filled under a closed statement and tell each broker what changed for it.

    With day-average pricing brokers are told nothing while something in the security and side may still trade;
    afterwards every statement that shares the price gets its new one. At a cut-off that closes many statements they
    are told once all are closed (:func:`release`, for the same tick): else each would reprice those before it.
    """
    stamp = Stamp(seq, ts_ns)
    day = held.day_of(state, record)
    quiet = (at_cut_off and held.by_day(state, record.statement)) or held.waits(state, record, day)
    if quiet:
        state.held[record.statement.statement_id] = day
    outputs = _settle(state, record, stamp, quiet=quiet)
    if quiet or not held.by_day(state, record.statement):
        return outputs
    for other in held.others(state, record):
        outputs += _settle(state, other, stamp, reprice=True)
    if state.setup.money and any(isinstance(output, SendAllocation) for output in outputs):
        outputs += money.day_remarks(held.standing(state, record.statement, day))
    return outputs


def _settle(
    state: State, record: StatementRecord, stamp: Stamp, *, quiet: bool = False, reprice: bool = False
) -> list[Output]:
    if not booking.applies(state, record):
        return whole.settle(state, record, stamp, quiet=quiet, reprice=reprice)
    if reprice:
        return booking.settle(state, record, stamp, reprice=True)
    if any(item.kind == booking.FINAL for item in record.bookings):
        return booking.late(state, record, stamp, quiet=quiet)
    return booking.book(state, record, booking.FINAL, stamp, quiet=quiet)


def amended(state: State, record: StatementRecord, seq: int, ts_ns: int) -> list[Output]:
    """A bust or correction under a statement that is still open: what is booked of it follows."""
    outputs = booking.settle(state, record, Stamp(seq, ts_ns), ("a bust or correction changed what is booked",))
    if not outputs:
        return []
    name = record.statement.statement_id
    return [*exception("GW-813", name, f"a bust or correction changed what is booked of statement {name}"), *outputs]


def cut_off(state: State, record: StatementRecord, through: date, seq: int, ts_ns: int) -> list[Output]:
    """A statement's cut-off has come: it is closed, or its day is booked where it lives on."""
    if booking.stays_open(state, record):
        return booking.at_cut_off(state, record, through, Stamp(seq, ts_ns))
    return close(state, record, "cut-off", "", seq, ts_ns)


def release(state: State, seq: int, ts_ns: int) -> list[Output]:
    """Allocations that waited for the day's average price and wait no longer."""
    outputs: list[Output] = []
    stamp = Stamp(seq, ts_ns)
    ready = {name: day for name, day in state.held.items() if not held.waits(state, state.statements[name], day)}
    told_before = {
        other.statement.statement_id for name in ready for other in held.others(state, state.statements[name])
    }
    for name in ready:
        del state.held[name]
    for name in (*ready, *sorted(told_before - {*ready})):
        outputs += _settle(state, state.statements[name], stamp, reprice=True)
    days = {(held.key(state.statements[name].statement), day): name for name, day in ready.items()}
    for (_, day), name in days.items() if state.setup.money else ():
        outputs += money.day_remarks(held.standing(state, state.statements[name].statement, day))
    return outputs
