"""Brokers that change their minds, or whose words do not fit: what they keep, take back, and say twice."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from booked import CONFIRMING, confirm, sent
from worlds import POLICY, SETUP, TODAY, World, draft, some

from fixgateway.core import dayclock
from fixgateway.core.inputs import Configure, ExecKind
from fixgateway.core.model import Averaging, Method, Policy, Setup
from fixgateway.core.outputs import Allocation, ExceptionOpened, SendAllocation

LINES = (("CLIENT-A", "60"), ("CLIENT-B", "40"))


def world_of(policy: Policy = POLICY, *keeping: str, **more: Any) -> World:
    brokers = tuple(replace(x, replace_accepted=x.name not in keeping) for x in SETUP.brokers)
    return World(replace(SETUP, policy=policy, brokers=brokers, money=True, life_cycle=True, **more))


def closed(world: World, qty: str = "40", **more: Any) -> str:
    """A statement of which BRK1 filled a part, allocated at its cancel; its AllocID."""
    world.submit(draft(lines=LINES, **more))
    world.order(qty="100")
    world.fill(qty, "10", exec_id="F1")
    outputs = world.execution(ExecKind.CANCELLED, exec_id="end")
    return str(some(outputs, SendAllocation)[0].allocation.alloc_id)


def standing(world: World) -> dict[tuple[str, int], Allocation]:
    """What each broker was told last of each booking, and not told to cancel."""
    found: dict[tuple[str, int], Allocation] = {}
    for output in some(world.outputs, SendAllocation):
        allocation = output.allocation
        found.pop((allocation.broker, allocation.booking), None)
        if allocation.trans_type != "2":
            found[allocation.broker, allocation.booking] = allocation
    return found


def by_account(world: World) -> dict[str, Decimal]:
    total: dict[str, Decimal] = {}
    for allocation in standing(world).values():
        for share in allocation.shares:
            total[share.account] = total.get(share.account, Decimal(0)) + share.quantity
    return total


def codes(outputs: Any) -> list[str]:
    return [x.reason for x in some(outputs, ExceptionOpened)]


@pytest.mark.parametrize("method", [Method.PRO_RATA, Method.HIGH_LOW])
def test_what_a_broker_took_back_its_acceptance_of_is_told_again_once(method: Method) -> None:
    world = world_of(replace(POLICY, method=method), "BRK1")
    first = closed(world)
    world.ack(first)
    second = some(world.fill("10", "11", exec_id="F2"), SendAllocation)[0].allocation
    assert (second.quantity, second.booking) == (10, 2)
    assert "GW-872" in codes(world.ack(first, "rejected"))
    third = some(world.fill("10", "12", exec_id="F3"), SendAllocation)[0].allocation
    assert (third.quantity, third.trans_type, third.ref_alloc_id) == (60, "1", second.alloc_id)
    assert third.gross == 40 * 10 + 10 * 11 + 10 * 12


def test_what_a_broker_took_back_and_still_has_is_cancelled_first() -> None:
    world = world_of(POLICY, "BRK1")
    first = closed(world)
    world.ack(first)
    world.fill("10", "11", exec_id="F2")
    world.ack(first, "account-rejected")
    changes = [x.allocation for x in some(world.fill("10", "12", exec_id="F3"), SendAllocation)]
    assert [(x.trans_type, x.ref_alloc_id == first) for x in changes] == [("2", True), ("1", False)]
    assert by_account(world) == {"CLIENT-A": 36, "CLIENT-B": 24}


def test_a_broker_that_refused_a_change_and_accepts_what_it_has_is_an_exception() -> None:
    world = world_of(replace(POLICY, method=Method.HIGH_LOW), "BRK1")
    first = closed(world)
    second = some(world.fill("10", "11", exec_id="F2"), SendAllocation)[0].allocation
    world.ack(second.alloc_id, "rejected")
    world.ack(first)
    outputs = world.fill("10", "12", exec_id="F3")
    assert not some(outputs, SendAllocation)
    assert "GW-842" in codes(outputs)


def test_an_overfill_beside_a_broker_that_keeps_lifts_nobody_above_the_intent() -> None:
    world = world_of(POLICY, "BRK1")
    world.submit(draft(lines=LINES))
    world.order("C1", "50", deliver_to="BRK1")
    world.order("C2", "50", deliver_to="BRK2")
    world.fill("50", "10", "C1", exec_id="F1")
    world.fill("50", "10", "C2", exec_id="F2", session="BRK2")
    world.ack(standing(world)["BRK1", 1].alloc_id)
    world.fill("500", "10", "C2", exec_id="F3", session="BRK2")
    assert by_account(world) == {"CLIENT-A": 60, "CLIENT-B": 40}
    assert standing(world)["BRK2", 0].quantity == 50


def test_room_that_comes_back_after_an_overfill_was_accepted_short_is_an_exception() -> None:
    """BRK2 accepted 50 of its 550 fills; a bust at BRK1 makes room for more than its new fills can give."""
    world = world_of(replace(POLICY, method=Method.HIGH_LOW), "BRK2")
    world.submit(draft(lines=LINES))
    world.order("C1", "50", deliver_to="BRK1")
    world.order("C2", "50", deliver_to="BRK2")
    world.fill("550", "10", "C1", exec_id="F1")
    world.fill("550", "10", "C2", exec_id="F2", session="BRK2")
    world.ack(standing(world)["BRK2", 1].alloc_id, session="BRK2")
    world.execution(ExecKind.CORRECT, "C1", exec_id="F3", exec_ref_id="F1", last_qty=Decimal(10), last_px=Decimal(10))
    outputs = world.fill("5", "10", "C2", exec_id="F4", session="BRK2")
    assert "GW-842" in codes(outputs)
    assert not any(x.allocation.broker == "BRK2" for x in some(outputs, SendAllocation))


@pytest.mark.parametrize("keeps_first", [True, False])
def test_a_profile_that_changes_on_the_way_books_no_fill_twice(*, keeps_first: bool) -> None:
    world = world_of(POLICY, *(("BRK1",) if keeps_first else ()))
    world.ack(closed(world))
    brokers = tuple(replace(x, replace_accepted=keeps_first) for x in SETUP.brokers)
    assert world.engine.state is not None
    world.give(Configure, setup=replace(world.engine.state.setup, brokers=brokers))
    outputs = world.fill("10", "11", exec_id="F2")
    if keeps_first:
        assert sum(by_account(world).values()) == 50
    else:  # it has accepted and now keeps it: a person must agree the rest with it
        assert not some(outputs, SendAllocation)
        assert "GW-842" in codes(outputs)


def test_a_split_after_a_refused_change_of_executed_prices_leaves_what_the_broker_has() -> None:
    world = world_of(replace(POLICY, method=Method.HIGH_LOW))
    world.submit(draft(lines=LINES))
    world.order(qty="100", time_in_force="1")
    world.fill("30", "10", exec_id="F1")
    world.fill("30", "12", exec_id="F2")
    world.operate("close", "S-1")
    bust = some(world.execution(ExecKind.BUST, exec_id="B1", exec_ref_id="F2"), SendAllocation)[0].allocation
    world.ack(bust.alloc_id, "rejected")
    world.execution(ExecKind.RESTATED, exec_id="D1", order_qty=Decimal(200), restatement_reason="0")
    last = some(world.fill("10", "5", exec_id="F3"), SendAllocation)[0].allocation
    assert (last.quantity, last.trans_type) == (70, "1")


def test_a_statement_filled_wholly_on_a_later_day_has_its_own_price_not_the_day_s() -> None:
    world = world_of(replace(POLICY, averaging=Averaging.DAY))
    world.submit(draft(lines=LINES))
    world.order(qty="100")
    world.tick(TODAY + timedelta(days=1))
    found = some(world.fill("40", "10.5", exec_id="F1"), SendAllocation)[0].allocation
    assert (found.avg_px, found.gross) == ("10.5000", 420)


def test_fills_shown_only_by_an_average_that_cannot_be_cost_the_average() -> None:
    """CumQty 100 at 10 after 50 were reported at 100: the other 50 would have cost less than nothing."""
    brokers = tuple(replace(x, fills_from_cum=True) for x in SETUP.brokers)
    setup: Setup = replace(SETUP, brokers=brokers)
    world = World(setup)
    world.submit(draft(lines=LINES))
    world.order(qty="100")
    world.fill("50", "100", exec_id="F1")
    outputs = world.execution(ExecKind.CANCELLED, exec_id="X", cum_qty=Decimal(100), avg_px=Decimal("10.0000"))
    assert some(outputs, SendAllocation)[0].allocation.avg_px == "55.0000"
    assert "GW-864" in codes(outputs)


def test_a_confirmation_whose_id_comes_again_for_something_unknown_affirms_nothing() -> None:
    world = World(CONFIRMING)
    alloc_id = sent(world)
    world.ack(alloc_id)
    confirm(world, alloc_id, "CLIENT-A", confirm_id="K1")
    confirm(world, "NOT-OURS", "CLIENT-A", confirm_id="K1", trans_type="1", cl_ord_ids=())
    assert world.engine.state is not None
    work = dayclock.survey(world.engine.state, world.engine.state.trade_date)["BRK1"]
    assert (work.due, work.affirmed) == (4, 0)
