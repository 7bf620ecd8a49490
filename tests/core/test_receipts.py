"""What may not have been received: doubts, repeats and what a refusal of a repeat means."""

from __future__ import annotations

import pytest
from worlds import SETUP, TODAY, World, draft, one, some

from fixgateway.core.inputs import AllocationAck, ExecKind, MessageReject, NotSent, Operator, ReceiptUnknown
from fixgateway.core.model import ZERO
from fixgateway.core.outputs import (
    Alert,
    AllocationAcked,
    ExceptionOpened,
    Flagged,
    ForwardToBroker,
    Output,
    ResendForbidden,
    SendAllocation,
    SendCancelReject,
    SendReport,
)
from fixgateway.core.receipts import CRASH, MACHINE, RESET, answered

Outputs = tuple[Output, ...]


def unknown(
    world: World, why: str = RESET, repeated: tuple[int, ...] = (), doubtful: tuple[int, ...] = ()
) -> Outputs:
    return world.give(ReceiptUnknown, session="BRK1", why=why, repeated=repeated, doubtful=doubtful)


def start(world: World, reason: str) -> Outputs:
    return world.give(Operator, actor="gateway", action="start", target="all", reason=reason)


def order(world: World, cl_ord_id: str, qty: str = "10") -> int:
    """Send an order; its decision."""
    assert one(world.order(cl_ord_id, qty), ForwardToBroker)
    return world.seq


def allocated(world: World) -> tuple[int, str]:
    """A filled and allocated statement: the decision of its J, and its AllocID."""
    world.submit(draft("S-2", (("CLIENT-A", "60"), ("PROP", "40"))))
    assert one(world.order("A1", "100", "S-2"), ForwardToBroker)
    world.fill("60", "10", "A1", exec_id="F1")
    allocation = one(world.fill("40", "10", "A1", exec_id="F2"), SendAllocation).allocation
    return world.seq, allocation.alloc_id


def bust(world: World) -> Outputs:
    """Something that changes the allocation."""
    return world.execution(ExecKind.BUST, "A1", exec_ref_id="F2")


@pytest.fixture
def world() -> World:
    made = World()
    made.submit()
    return made


@pytest.mark.parametrize(("why", "code"), [(RESET, "GW-407"), (MACHINE, "GW-408"), (CRASH, "")])
def test_the_cause_is_told_with_what_follows(world: World, why: str, code: str) -> None:
    told = some(unknown(world, why, (3, 4), (5,)), Alert)
    assert [(a.reason, a.severity, a.subject) for a in told] == ([(code, "warning", "BRK1")] if code else [])
    if code:
        assert "2 messages" in told[0].text
        assert "1 orders" in told[0].text


def test_an_unanswered_order_is_in_doubt_once_and_an_answered_one_is_not(world: World) -> None:
    silent, told = order(world, "C1"), order(world, "C2")
    world.execution(ExecKind.NEW, "C2")
    outputs = unknown(world, doubtful=(silent, told))
    assert [x.decision_seq for x in some(outputs, ResendForbidden)] == [silent]
    assert [(x.reason, x.subject) for x in some(outputs, ExceptionOpened)] == [("GW-809", "C1")]
    assert not some(unknown(world, doubtful=(silent, told)), ExceptionOpened)
    state = world.engine.state
    assert state is not None
    assert not state.brokers["BRK1"].unacked
    assert state.statements["S-1"].committed == 20
    world.fill("10", "5", "C1")  # an execution settles it
    assert not state.orders[silent].in_doubt


def test_a_pending_replace_is_in_doubt_and_keeps_the_larger_quantity(world: World) -> None:
    order(world, "C1")
    world.execution(ExecKind.NEW, "C1")
    world.replace("C1b", "C1", "30")
    raised = world.seq
    world.cancel("C1c", "C1")
    outputs = unknown(world, doubtful=(raised, world.seq))
    assert [(x.order != 0, x.decision_seq) for x in some(outputs, ResendForbidden)] == [(True, raised)]
    assert one(outputs, ExceptionOpened).subject == "C1b"
    assert not some(unknown(world, doubtful=(raised,)), ExceptionOpened)
    state = world.engine.state
    assert state is not None
    assert state.statements["S-1"].committed == 30
    world.cancel_reject("C1b", "C1")
    assert state.statements["S-1"].committed == 10


def test_what_was_never_an_order_is_no_doubt(world: World) -> None:
    assert not some(unknown(world, doubtful=(99_999,)), ExceptionOpened)


@pytest.mark.parametrize("how", ["killed", "failed", "crash"])
def test_every_crash_leaves_unanswered_orders_in_doubt(world: World, how: str) -> None:
    silent = order(world, "C1")
    outputs = start(world, how)
    assert one(outputs, ExceptionOpened).subject == "C1"
    assert one(outputs, ResendForbidden).decision_seq == silent
    assert not some(unknown(world, MACHINE, doubtful=(silent,)), ExceptionOpened)


@pytest.mark.parametrize("how", ["stopped", "none", ""])
def test_after_a_stop_nothing_is_in_doubt(world: World, how: str) -> None:
    order(world, "C1")
    assert start(world, how) == ()


# ---------------------------------------------------------------- answers


def test_an_order_and_an_allocation_are_answered_when_their_broker_says_something(world: World) -> None:
    state = world.engine.state
    assert state is not None
    decision = order(world, "C1")
    assert not answered(state, decision, "BRK1")
    world.execution(ExecKind.NEW, "C1")
    assert answered(state, decision, "BRK1")
    sent, alloc_id = allocated(world)
    assert not answered(state, sent, "BRK1")
    world.ack(alloc_id, "received")
    assert answered(state, sent, "BRK1")
    assert not answered(state, 99_999, "BRK1")


def ack(world: World, alloc_id: str, code: str = "7", *, duplicate: bool = True) -> Outputs:
    return world.give(
        AllocationAck, session="BRK1", msg_seq_num=1, alloc_id=alloc_id, status="rejected", reject_code=code,
        text="known", duplicate=duplicate,
    )  # fmt: skip


def test_a_repeated_allocation_refused_as_a_duplicate_is_a_query(world: World) -> None:
    decision, alloc_id = allocated(world)
    unknown(world, repeated=(decision,))
    outputs = ack(world, alloc_id)
    assert one(outputs, AllocationAcked).status == "query"
    assert one(outputs, ExceptionOpened).reason == "GW-816"
    state = world.engine.state
    assert state is not None
    assert alloc_id not in state.waiting
    assert some(ack(world, alloc_id), ExceptionOpened) == [], "asked about once"
    assert one(bust(world), SendAllocation).allocation.trans_type == "1", "replaced, never new"
    assert one(world.ack(alloc_id), AllocationAcked).status == "accepted", "what it said of the first copy counts"


def test_an_allocation_that_was_accepted_stays_accepted_when_its_copy_is_refused(world: World) -> None:
    decision, alloc_id = allocated(world)
    unknown(world, repeated=(decision,))
    world.ack(alloc_id)
    outputs = ack(world, alloc_id)
    assert one(outputs, Flagged).reason == "GW-816"
    assert not some(outputs, AllocationAcked)


@pytest.mark.parametrize(("repeated", "duplicate"), [(False, True), (True, False)])
def test_any_other_refusal_is_a_refusal(world: World, repeated: bool, duplicate: bool) -> None:
    decision, alloc_id = allocated(world)
    if repeated:
        unknown(world, repeated=(decision,))
    outputs = ack(world, alloc_id, duplicate=duplicate)
    assert one(outputs, AllocationAcked).status == "rejected"
    assert one(outputs, ExceptionOpened).reason == "GW-806"
    assert one(bust(world), SendAllocation).allocation.trans_type == "0"


@pytest.mark.parametrize(("repeated", "code"), [(True, "GW-816"), (False, "GW-810")])
def test_a_business_reject_of_a_repeated_one_is_a_query_too(world: World, repeated: bool, code: str) -> None:
    decision, alloc_id = allocated(world)
    if repeated:
        unknown(world, repeated=(decision,))
    outputs = world.give(
        MessageReject, session="BRK1", msg_seq_num=1, msg_type="j", ref_seq_num=2, ref_msg_type="J",
        ref_decision=decision, ref_id=alloc_id, reason="0", text="dup", duplicate=True,
    )  # fmt: skip
    assert (one(outputs, ExceptionOpened).reason, one(outputs, ExceptionOpened).subject) == (code, alloc_id)


# ---------------------------------------------------------------- never sent


@pytest.mark.parametrize(("recovered", "code", "ord_rej"), [(False, "GW-405", "2"), (True, "GW-406", "8")])
def test_an_order_that_never_left_is_refused_with_the_reason_why(
    world: World, recovered: bool, code: str, ord_rej: str
) -> None:
    decision = order(world, "C1")
    given = {"session": "BRK1", "decision_seq": decision, "index": 0, "why": "x"}
    report = one(world.give(NotSent, **given, recovered=recovered), SendReport)
    assert (report.reason, report.ord_rej_reason, report.ord_status) == (code, ord_rej, "8")
    state = world.engine.state
    assert state is not None
    assert state.statements["S-1"].committed == ZERO


def test_a_replace_that_never_left_is_refused_with_the_reason_why(world: World) -> None:
    order(world, "C1")
    world.execution(ExecKind.NEW, "C1")
    world.replace("C1b", "C1", "30")
    outputs = world.give(NotSent, session="BRK1", decision_seq=world.seq, index=0, why="x", recovered=True)
    assert (one(outputs, SendCancelReject).reason, one(outputs, SendCancelReject).response_to) == ("GW-406", "2")


# ---------------------------------------------------------------- age


def seconds_later(world: World, seconds: int) -> list[ExceptionOpened]:
    return some(world.tick(TODAY, "10:00:00", seconds), ExceptionOpened)


LIMIT = SETUP.brokers[0].max_unacked_seconds


def test_the_age_of_an_order_counts_from_our_start_or_the_brokers_logon_when_later(world: World) -> None:
    order(world, "C1")
    world.ts_ns += 10 * LIMIT * 10**9  # stopped over night
    assert start(world, "stopped") == ()
    assert seconds_later(world, LIMIT - 1) == []
    world.up()
    assert seconds_later(world, LIMIT - 1) == []
    assert [x.reason for x in seconds_later(world, 2)] == ["GW-809"]


def test_in_an_older_journal_the_age_counts_from_the_forwarding_alone(world: World) -> None:
    order(world, "C1")
    world.ts_ns += 10 * LIMIT * 10**9
    assert start(world, "") == ()
    world.up()
    assert [x.reason for x in seconds_later(world, 1)] == ["GW-809"]
