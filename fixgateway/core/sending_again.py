"""An allocation the broker refused as a whole is sent once more on a person's word, with the very same shares.

The account was set up at the broker meanwhile, say: nothing of ours changed, so nothing would ever send it again.
What was refused as new (71=0) is sent as new with another AllocID; a replace or cancel (71=1, 71=2) the broker refused
is sent again naming the version that stands there (72). Shares, price and orders cannot be changed on this way.
"""

from __future__ import annotations

from fixgateway.core import guard, standing
from fixgateway.core.desk_inputs import SendAgain
from fixgateway.core.facts import Flagged
from fixgateway.core.instructions import Stamp, send_again
from fixgateway.core.outputs import Allocation, Output
from fixgateway.core.people import Task
from fixgateway.core.state import AllocationRecord, State, sent_at

MAX_REASON = 1_000
_WHOLLY = ("rejected", standing.REFUSED)


def on_send_again(state: State, given: SendAgain) -> list[Output]:
    """Send a refused allocation again, or say why not."""
    refused = (given.actor, "send allocation again", given.alloc_id)
    if state.people and (why := guard.why_not(state, given.actor, Task.SEND_AGAIN)):
        return guard.refused(*refused, guard.REASON, why)
    kept = state.allocations.get(given.alloc_id)
    if kept is None:
        return guard.refused(*refused, "GW-932", f"allocation {given.alloc_id} is not known")
    if why := _wrong(state, given, kept):
        return guard.refused(*refused, "GW-932", why)
    record = state.statements[kept.allocation.statement_id]
    standing_ = sent_at(record, kept.allocation).get(kept.allocation.broker)
    if kept.status == "rejected":
        # What is remembered as sent is in today's units, should a split have come since.
        again, ref = standing_ or kept.allocation, ""
    else:
        again, ref = kept.allocation, standing_.alloc_id if standing_ else ""
    sent = send_again(state, record, again, ref, Stamp(given.seq, given.ts_ns))
    words = f"allocation {given.alloc_id} is sent again by {given.actor}: {given.reason.strip()}"
    return [*sent, Flagged("GW-935", words)]


def _wrong(state: State, given: SendAgain, kept: AllocationRecord) -> str:
    """Why an allocation cannot be sent again, "" when it can."""
    name = given.alloc_id
    if not given.reason.strip() or len(given.reason) > MAX_REASON:
        return f"say why, in at most {MAX_REASON} characters"
    if kept.status not in _WHOLLY:
        return f"allocation {name} is {kept.status}: only one the broker refused as a whole can be sent again"
    newest = _newest(state, kept.allocation)
    if newest != name:
        return f"allocation {name} is not the newest of its chain: {newest} is"
    record = state.statements[kept.allocation.statement_id]
    sent = sent_at(record, kept.allocation).get(kept.allocation.broker)
    if kept.status == standing.REFUSED and (sent is None or record.split_num != record.split_den):
        return f"what allocation {name} would change is not what {kept.allocation.broker} has any more"
    return ""


def _newest(state: State, allocation: Allocation) -> str:
    """The newest AllocID of a statement's booking at a broker."""
    newest = allocation.alloc_id
    same = (allocation.statement_id, allocation.broker, allocation.booking)
    for alloc_id, kept in state.allocations.items():
        other = kept.allocation
        if (other.statement_id, other.broker, other.booking) == same:
            newest = alloc_id
    return newest
