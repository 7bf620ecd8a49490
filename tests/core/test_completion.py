"""Completion belongs to the statement; shares are computed once; several brokers add up."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from worlds import POLICY, SETUP, TODAY, World, draft, one, some

from fixgateway.core.inputs import ExecKind
from fixgateway.core.model import Completion
from fixgateway.core.outputs import (
    Alert,
    Allocation,
    AllocationAcked,
    ExceptionOpened,
    Flagged,
    PassToOms,
    SendAllocation,
    SendAllocationReport,
    StatementAllocated,
    StatementClosed,
)


def shares(allocation: Allocation) -> dict[str, Decimal]:
    return {share.account: share.quantity for share in allocation.shares}


def test_a_filled_slice_does_not_complete_the_statement() -> None:
    world = World()
    world.submit()
    world.order("C1", "20000")
    assert not some(world.fill("20000", "10"), StatementClosed)
    world.order("C2", "30000")
    done = world.fill("30000", "11", "C2")
    assert one(done, StatementClosed).why == "complete"
    allocation = one(done, SendAllocation).allocation
    assert shares(allocation) == {"CLIENT-A": 25000, "CLIENT-B": 10000, "CLIENT-C": 5000, "PROP": 10000}
    assert [(o.cl_ord_id, o.booked_qty) for o in allocation.orders] == [("C1", 20000), ("C2", 30000)]
    assert allocation.avg_px == "10.6000"


def test_statements_that_one_cut_off_closes_have_allocations_of_their_own() -> None:
    world = World()
    for name in ("S-1", "S-2", "S-3"):
        world.submit(draft(name))
        world.order(f"C-{name}", "20000", name)
        world.fill("100", "10", f"C-{name}")
    sent = [output.allocation for output in some(world.tick(TODAY, "19:00:00"), SendAllocation)]
    assert [allocation.statement_id for allocation in sent] == ["S-1", "S-2", "S-3"]
    first, second, third = [allocation.alloc_id for allocation in sent]
    assert (second, third) == (f"{first}-2", f"{first}-3")
    decision = int(first.split("-")[1])
    assert one(world.refused_by_broker(decision, "j", "J"), ExceptionOpened).subject == first
    state = world.engine.state
    assert state is not None
    for name in (first, second, third):
        assert state.allocations[name].status == "sent", "which one was refused is not known"
        assert one(world.ack(name), AllocationAcked).alloc_id == name
    assert not state.waiting


@pytest.mark.parametrize("kind", [ExecKind.CANCELLED, ExecKind.EXPIRED, ExecKind.DONE_FOR_DAY])
def test_the_last_order_s_end_completes(kind: ExecKind) -> None:
    world = World()
    world.submit()
    world.order("C1", "20000")
    world.order("C2", "20000")
    world.fill("100", "10", "C1")
    assert not some(world.execution(kind, "C1"), StatementClosed)
    assert one(world.execution(kind, "C2"), StatementClosed).why == "complete"


def test_a_rejected_order_leaves_the_statement_open() -> None:
    world = World()
    world.submit()
    world.order("C1", "100")
    assert not some(world.execution(ExecKind.REJECTED, "C1"), StatementClosed)


def test_nothing_filled_is_nothing_to_allocate() -> None:
    world = World()
    world.submit()
    world.order("C1", "100")
    outputs = world.execution(ExecKind.CANCELLED, "C1")
    assert one(outputs, Flagged).reason == "GW-814"
    assert not some(outputs, SendAllocation)


def test_completion_day_waits_for_the_cut_off() -> None:
    world = World(replace(SETUP, policy=replace(POLICY, completion=Completion.DAY)))
    world.submit()
    world.order("C1", "100")
    world.fill("40", "10")
    assert not some(world.execution(ExecKind.CANCELLED, "C1"), StatementClosed)
    assert one(world.tick(local_time="19:00:00"), StatementClosed).why == "cut-off"
    used_up = World(replace(SETUP, policy=replace(POLICY, completion=Completion.DAY)))
    used_up.submit()
    used_up.order()
    assert one(used_up.fill("50000", "10"), StatementClosed).why == "complete"


def test_the_cut_off_allocates_what_is_filled_and_a_late_fill_replaces() -> None:
    world = World()
    world.submit()
    world.order()
    world.fill("10000", "10")
    outputs = world.tick(local_time="19:00:00")
    first = one(outputs, SendAllocation).allocation
    assert (one(outputs, StatementClosed).why, first.quantity) == ("cut-off", 10000)
    late = world.fill("10000", "12")
    assert one(late, ExceptionOpened).reason == "GW-813"
    second = one(late, SendAllocation).allocation
    assert (second.trans_type, second.ref_alloc_id, second.replace_reason) == ("1", first.alloc_id, "2")
    assert (second.quantity, second.avg_px) == (20000, "11.0000")
    assert one(late, StatementAllocated).version == 2


def test_a_missed_cut_off_comes_with_the_next_day() -> None:
    world = World()
    world.submit()
    world.order()
    world.fill("10000", "10")
    tomorrow = TODAY + timedelta(days=1)
    assert world.engine.due(world.ts_ns, tomorrow, "00:00:01")
    assert one(world.tick(tomorrow, "00:00:01"), StatementClosed).why == "cut-off"


def test_closed_by_a_named_person() -> None:
    world = World()
    world.submit()
    world.order()
    world.fill("100", "10")
    closed = one(world.operate("close", "S-1"), StatementClosed)
    assert (closed.why, closed.actor) == ("closed", "ops")


def test_everything_busted_cancels_the_allocation() -> None:
    world = World()
    world.submit()
    world.order()
    world.fill("50000", "10", exec_id="A")
    cancelled = one(world.execution(ExecKind.BUST, exec_id="B", exec_ref_id="A"), SendAllocation).allocation
    assert (cancelled.trans_type, cancelled.quantity) == ("2", 50000)
    assert cancelled.ref_alloc_id != cancelled.alloc_id


def test_a_correction_that_changes_only_the_price_replaces() -> None:
    world = World()
    world.submit()
    world.order()
    world.fill("50000", "10", exec_id="A")
    outputs = world.execution(
        ExecKind.CORRECT, exec_id="B", exec_ref_id="A", last_qty=Decimal(50000), last_px=Decimal(11)
    )
    assert one(outputs, SendAllocation).allocation.avg_px == "11.0000"


def test_after_a_block_reject_the_next_version_is_a_new_j() -> None:
    world = World()
    world.submit()
    world.order()
    first = one(world.fill("50000", "10", exec_id="A"), SendAllocation).allocation
    rejected = world.ack(first.alloc_id, "rejected")
    assert one(rejected, ExceptionOpened).reason == "GW-806"
    outputs = world.execution(
        ExecKind.CORRECT, exec_id="B", exec_ref_id="A", last_qty=Decimal(40000), last_px=Decimal(10)
    )
    assert one(outputs, SendAllocation).allocation.trans_type == "0"


def test_acknowledgements() -> None:
    world = World()
    world.submit()
    world.order()
    alloc_id = one(world.fill("50000", "10"), SendAllocation).allocation.alloc_id
    assert not some(world.ack(alloc_id, "received"), SendAllocationReport)
    assert one(world.ack(alloc_id), SendAllocationReport).form == "AS"
    assert not some(world.ack(alloc_id), SendAllocationReport)  # the same answer again
    assert not some(world.ack(alloc_id, "received"), SendAllocationReport)  # received after accepted
    assert one(world.ack("GWA-unknown"), Alert).reason == "GW-807"
    assert one(world.ack(alloc_id, session="BRK2"), Alert).reason == "GW-807"


def test_no_answer_in_time_alerts_once() -> None:
    world = World()
    world.submit()
    world.order()
    world.fill("50000", "10")
    assert not world.engine.due(world.ts_ns + 299 * 10**9, TODAY, "10:00:00")
    assert world.engine.due(world.ts_ns + 301 * 10**9, TODAY, "10:00:00")
    assert one(world.tick(seconds=301), Alert).reason == "GW-808"
    assert not some(world.tick(seconds=301), Alert)


def test_pass_and_report_as_the_oms_is_configured() -> None:
    omses = tuple(replace(o, pass_allocation_ack=True, allocation_report="J") for o in SETUP.omses)
    world = World(replace(SETUP, omses=omses))
    world.submit()
    world.order()
    alloc_id = one(world.fill("50000", "10"), SendAllocation).allocation.alloc_id
    outputs = world.ack(alloc_id)
    assert one(outputs, PassToOms).msg_type == "P"
    assert one(outputs, SendAllocationReport).form == "J"
    assert one(outputs, AllocationAcked).status == "accepted"


def test_an_overfill_stays_unallocated_and_alerts() -> None:
    world = World()
    world.submit()
    world.order()
    outputs = world.fill("50100", "10")
    assert one(outputs, StatementAllocated).unallocated == 100
    assert one(outputs, SendAllocation).allocation.quantity == 50000
    assert "GW-802" in {alert.reason for alert in some(outputs, Alert)}


@settings(max_examples=150, deadline=None)
@given(st.lists(st.integers(1, 400), min_size=2, max_size=7), st.integers(0, 100), st.data())
def test_two_brokers_add_up_on_both_sides(intents: list[int], percent: int, data: st.DataObject) -> None:
    total = sum(intents)
    lines = tuple((f"A{n}", str(q)) for n, q in enumerate(intents))
    accounts = tuple(replace(SETUP.accounts[0], account=a) for a, _ in lines)
    world = World(replace(SETUP, accounts=accounts))
    world.submit(draft(lines=lines))
    first = max(1, total * percent // 100) if total > 1 else 1
    first = min(first, total - 1)
    if first < 1:
        return
    world.order("C1", str(first))
    world.order("C2", str(total - first), deliver_to="BRK2")
    filled = {"BRK1": data.draw(st.integers(0, first)), "BRK2": data.draw(st.integers(0, total - first))}
    outputs: list[object] = []
    for broker, cl_ord_id in (("BRK1", "C1"), ("BRK2", "C2")):
        if filled[broker]:
            outputs += world.fill(str(filled[broker]), "10", cl_ord_id, session=broker)
        outputs += world.execution(ExecKind.CANCELLED, cl_ord_id, session=broker)
    if not any(filled.values()):
        return
    division = [x for x in world.outputs if isinstance(x, StatementAllocated)][-1]
    latest = {x.allocation.broker: x.allocation for x in world.outputs if isinstance(x, SendAllocation)}
    for broker, allocation in latest.items():
        assert allocation.quantity == filled[broker] == sum(s.quantity for s in allocation.shares)
    for line in division.lines:
        assert line.quantity == sum(shares(a).get(line.account, Decimal(0)) for a in latest.values())
