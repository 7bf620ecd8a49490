"""Which version of an allocation a broker has: the chain of a J (71=0) and its replaces and cancels (71=1, 2).

Every version has an AllocID of its own and names the one before it (72). A version the broker refused leaves the
earlier one standing.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from fixgateway.core.model import ZERO
from fixgateway.core.outputs import Allocation
from fixgateway.core.state import AllocationRecord, State, StatementRecord, sent_at

REPLACED = {"1": "replaced", "2": "cancelled"}
"""AllocTransType(71) of an accepted change → what the version before it is from then on."""
REFUSED = "refused"
OVER = frozenset(("replaced", "cancelled"))
FINAL = frozenset(("accepted", "rejected", "account-rejected", "incomplete", "query", REFUSED, *OVER))
"""What no timer waits for any more."""


def earlier(state: State, allocation: Allocation) -> AllocationRecord | None:
    """The version before one, None for the first."""
    return state.allocations.get(allocation.ref_alloc_id) if allocation.ref_alloc_id else None


def _sent(state: State, allocation: Allocation) -> dict[str, Allocation]:
    """What brokers have of the booking an allocation belongs to."""
    return sent_at(state.statements[allocation.statement_id], allocation)


def root(state: State, alloc_id: str) -> str:
    """The first AllocID of an allocation's chain: the same for all its versions."""
    kept = state.allocations[alloc_id]
    while (before := earlier(state, kept.allocation)) is not None:
        kept = before
    return kept.allocation.alloc_id


def refuse(state: State, kept: AllocationRecord) -> str:
    """The broker refuses a version as a whole: what its status is, and what the statement holds as sent.

    Returns:
        ``refused`` when an earlier version stands, which the broker has then; else ``rejected``.
    """
    before = earlier(state, kept.allocation)
    while before is not None and before.status == REFUSED:
        before = earlier(state, before.allocation)
    if before is None or before.status == "rejected":
        return "rejected"
    sent = _sent(state, kept.allocation)
    current = sent.get(kept.allocation.broker)
    if current is None or current.alloc_id == kept.allocation.alloc_id:
        sent[kept.allocation.broker] = before.allocation
    return REFUSED


def accept(state: State, kept: AllocationRecord) -> None:
    """The broker accepts a version: the one before it is over, even if it had refused this one first."""
    allocation = kept.allocation
    before = earlier(state, allocation)
    if before is None:
        return
    before.status = REPLACED[allocation.trans_type]
    state.waiting.pop(before.allocation.alloc_id, None)
    sent = _sent(state, allocation)
    held = sent.get(allocation.broker)
    if held is not None and held.alloc_id == before.allocation.alloc_id:
        if allocation.trans_type == "2":
            del sent[allocation.broker]
        else:
            sent[allocation.broker] = allocation


def current(state: State, alloc_id: str) -> AllocationRecord:
    """The newest version of an allocation that stands or may stand; the one named when none does."""
    kept = state.allocations[alloc_id]
    sent = _sent(state, kept.allocation).get(kept.allocation.broker)
    if sent is not None and root(state, sent.alloc_id) == root(state, alloc_id):
        return state.allocations[sent.alloc_id]
    return kept


def in_force(state: State, day: date) -> Iterator[AllocationRecord]:
    """The allocations of a trade date as they should be booked: the newest version of each, cancels left out."""
    of_day = [kept for kept in state.allocations.values() if kept.allocation.trade_date == day]
    named = {kept.allocation.ref_alloc_id for kept in of_day if kept.status != REFUSED}
    for kept in of_day:
        allocation = kept.allocation
        if allocation.alloc_id in named or allocation.trans_type == "2" or kept.status in (REFUSED, *OVER):
            continue
        sent = _sent(state, allocation).get(allocation.broker)
        if kept.status == "rejected" and sent is not None and sent.alloc_id != allocation.alloc_id:
            continue  # another one was sent in its place
        yield kept


def unallocated(state: State, day: date) -> Iterator[StatementRecord]:
    """Statements of a trade date, or of an earlier one, with fills that no allocation covers yet."""
    for statement_id in (*state.active, *state.held):
        record = state.statements[statement_id]
        if record.statement.trade_date <= day and record.unbooked > ZERO:
            yield record
