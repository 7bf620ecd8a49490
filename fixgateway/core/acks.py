"""What brokers answer to our AllocationInstructions (P)."""

from __future__ import annotations

from fixgateway.core.executions import (
    exception,
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
from fixgateway.core.state import State


def on_allocation_ack(state: State, given: AllocationAck) -> list[Output]:
    """AllocationInstructionAck (P) from a broker; a repeated one changes nothing."""
    kept = state.allocations.get(given.alloc_id)
    if kept is None or kept.allocation.broker != given.session:
        text = (
            f"{given.session} acknowledges allocation {given.alloc_id or '(no AllocID)'}, which it was never sent"
        )
        return [Flagged("GW-807", text), Alert("GW-807", "warning", given.session, text)]
    allocation = kept.allocation
    repeat = kept.status == given.status
    outputs: list[Output] = []
    oms = state.omses.get(allocation.oms)
    if oms is not None and oms.pass_allocation_ack:
        outputs.append(PassToOms(oms.name, given.session, "P", 0))
    if given.duplicate and kept.repeated:
        refusal = f"(88={given.reject_code}): {given.text}"
        words = f"{given.session} refuses the repeated allocation {given.alloc_id} {refusal}"
        return outputs + in_query(state, given.alloc_id, words)
    if repeat or (given.status == "received" and kept.status == "accepted"):
        return outputs
    kept.status = given.status
    outputs.append(
        AllocationAcked(
            given.alloc_id, allocation.statement_id, given.session, given.status, given.reject_code, given.text
        )
    )
    if given.status not in ("received", "other"):
        state.waiting.pop(given.alloc_id, None)
    if given.status == "accepted" and oms is not None and oms.allocation_report != "none":
        outputs.append(
            SendAllocationReport(oms.name, oms.allocation_report, f"GWR{state.day}-{given.seq}", allocation)
        )
    if given.status in ("rejected", "account-rejected", "incomplete"):
        text = (
            f"{given.session}: allocation {given.alloc_id} {given.status} (88={given.reject_code}): {given.text}"
        )
        outputs += exception("GW-806", given.alloc_id, text)
    return outputs
