"""What brokers answer to our AllocationInstructions (P): the life of a J after it was sent.

    sent ── 87=3 ──▶ received ── 87=0 ──▶ accepted ── its 71=1 or 71=2 accepted ──▶ replaced, cancelled
      └──────────────────┴────── 87=1 ──▶ rejected, 87=2 account-rejected, 87=4 incomplete

87=0 may come without 87=3 and 87=3 after 87=0. A change (71=1, 71=2) that is refused is ``refused`` and the
earlier version stands (:mod:`.standing`). Journals from before the life cycle was judged keep the rules they had.
"""

from __future__ import annotations

from fixgateway.core import standing
from fixgateway.core.exceptions import exception
from fixgateway.core.executions import (
    in_query,
)
from fixgateway.core.inputs import (
    AllocationAck,
)
from fixgateway.core.outputs import (
    Alert,
    AllocationAcked,
    Flagged,
    Output,
    PassToOms,
    SendAllocationReport,
)
from fixgateway.core.state import AllocationRecord, State

_OPEN = frozenset(("received", "other"))
_WORDS = {"pending": "received", "reversed": "rejected"}
"""AllocStatus words of FIX 5.0SP2 → what they come to."""
_WHOLLY = frozenset(("rejected", standing.REFUSED))
_REFUSALS = frozenset(("account-rejected", "incomplete", *_WHOLLY))


def on_allocation_ack(state: State, given: AllocationAck) -> list[Output]:
    """AllocationInstructionAck (P) from a broker; a repeated one changes nothing."""
    kept = state.allocations.get(given.alloc_id)
    if kept is None or kept.allocation.broker != given.session:
        text = (
            f"{given.session} acknowledges allocation {given.alloc_id or '(no AllocID)'}, which it was never sent"
        )
        return [Flagged("GW-807", text), Alert("GW-807", "warning", given.session, text)]
    allocation = kept.allocation
    outputs: list[Output] = []
    oms = state.omses.get(allocation.oms)
    if oms is not None and oms.pass_allocation_ack:
        outputs.append(PassToOms(oms.name, given.session, "P", 0))
    if given.duplicate and kept.repeated:
        refusal = f"(88={given.reject_code}): {given.text}"
        words = f"{given.session} refuses the repeated allocation {given.alloc_id} {refusal}"
        return outputs + in_query(state, given.alloc_id, words)
    before, after = kept.status, _status(state, kept, given)
    if _says_nothing_new(state, before, after):
        return outputs
    kept.status = after
    outputs.append(_acked(state, given, allocation.statement_id, after))
    if after not in _OPEN:
        state.waiting.pop(given.alloc_id, None)
    elif after == "received":
        kept.received_ns, kept.late = _received(state, kept, given)
    if after == "accepted" and state.setup.life_cycle:
        standing.accept(state, kept)
    if after == "accepted" and oms is not None and oms.allocation_report != "none":
        outputs.append(
            SendAllocationReport(oms.name, oms.allocation_report, f"GWR{state.day}-{given.seq}", allocation)
        )
    return outputs + _told(state, kept, given, before)


def _status(state: State, kept: AllocationRecord, given: AllocationAck) -> str:
    """What the answer makes of the allocation."""
    if not state.setup.life_cycle:
        return "other" if given.status in _WORDS else given.status
    status = _WORDS.get(given.status, given.status)
    if status == "rejected" and kept.status in ("sent", "received", "other", standing.REFUSED):
        return standing.refuse(state, kept)
    return status


def _says_nothing_new(state: State, before: str, after: str) -> bool:
    if before == after or (after == "received" and before == "accepted"):
        return True
    if not state.setup.life_cycle:
        return False
    return before in standing.OVER or (after in _OPEN and before in standing.FINAL)


def _acked(state: State, given: AllocationAck, statement_id: str, status: str) -> AllocationAcked:
    accounts = given.accounts if state.setup.life_cycle else ()
    return AllocationAcked(
        given.alloc_id, statement_id, given.session, status, given.reject_code, given.text, accounts
    )


def _received(state: State, kept: AllocationRecord, given: AllocationAck) -> tuple[int, bool]:
    """When the wait for the final answer begins; an alert about the first answer does not count for it."""
    return (given.ts_ns, False) if state.setup.life_cycle else (0, kept.late)


def _told(state: State, kept: AllocationRecord, given: AllocationAck, before: str) -> list[Output]:
    """Exceptions: a refusal, or another answer than the one before."""
    words = f"{given.session}: allocation {given.alloc_id} {kept.status} (88={given.reject_code}): {given.text}"
    refused = kept.status in _REFUSALS
    if state.setup.life_cycle:
        named = [f"{x.account} 776={x.code} {x.text}".rstrip() for x in given.accounts[:_ACCOUNTS_TOLD]]
        words = "; ".join((words, *named))
        if (before == "accepted" and refused) or (before in _WHOLLY and kept.status == "accepted"):
            return exception("GW-872", given.alloc_id, f"{words}; it was {before} before")
        if kept.status == standing.REFUSED:
            return exception("GW-871", given.alloc_id, f"{words}; {kept.allocation.ref_alloc_id} stands")
    return exception("GW-806", given.alloc_id, words) if refused else []


_ACCOUNTS_TOLD = 5
"""Accounts whose refusal is written into the exception; all stand in the decision."""
