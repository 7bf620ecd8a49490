"""Completion on the awkward days: overfills, minimums, brokers that replace nothing, the day's average price."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from worlds import EXAMPLE, POLICY, SETUP, TODAY, World, draft, one, some

from fixgateway.core.inputs import Configure, ExecKind
from fixgateway.core.model import Averaging, BrokerSetup, Completion, OmsSetup, Overfill, Setup, Ties
from fixgateway.core.outputs import (
    Alert,
    Allocation,
    ExceptionOpened,
    SendAllocation,
    SendReport,
    StatementAllocated,
    StatementClosed,
)

BROKERS = ("BRK1", "BRK2", "BRK3")


def setup_of(*, keeping: tuple[str, ...] = (), lines: Any = EXAMPLE, **terms: Any) -> Setup:
    """The example's world with three brokers; those in ``keeping`` replace nothing they accepted."""
    accounts = tuple(replace(SETUP.accounts[0], account=name) for name, _ in lines)
    return replace(
        SETUP,
        policy=replace(POLICY, **terms),
        accounts=(*SETUP.accounts, *accounts),
        omses=(OmsSetup("OMS1", BROKERS),),
        brokers=tuple(BrokerSetup(name, replace_accepted=name not in keeping) for name in BROKERS),
    )


def sent(outputs: Any) -> dict[str, Allocation]:
    """What was sent, by broker (one each)."""
    found = {x.allocation.broker: x.allocation for x in some(outputs, SendAllocation)}
    assert len(found) == len(some(outputs, SendAllocation))
    return found


def shares(*allocations: Allocation) -> dict[str, Decimal]:
    """Quantity by account over some allocations."""
    found: dict[str, Decimal] = {}
    for share in (share for allocation in allocations for share in allocation.shares):
        found[share.account] = found.get(share.account, Decimal(0)) + share.quantity
    return found


def codes(outputs: Any) -> list[str]:
    return [exception.reason for exception in some(outputs, ExceptionOpened)]


# ---------------------------------------------------------------- overfill


def test_an_overfill_goes_to_the_error_account_with_an_exception() -> None:
    world = World(setup_of(overfill=Overfill.ERROR_ACCOUNT, error_account="ERR"))
    world.submit()
    world.order()
    outputs = world.fill("50100", "10")
    division = one(outputs, StatementAllocated)
    assert (division.unallocated, division.lines[-1].account, division.lines[-1].rule) == (0, "ERR", "overfill")
    assert (division.lines[-1].intent, division.lines[-1].quantity, division.lines[-1].exact) == (0, 100, "100/1")
    allocation = one(outputs, SendAllocation).allocation
    assert allocation.quantity == 50100
    assert shares(allocation) == {**{name: int(q) for name, q in EXAMPLE}, "ERR": 100}
    assert "GW-802" in codes(outputs)


def test_an_overfill_over_three_brokers_is_shared_by_all_of_them() -> None:
    world = World(setup_of(overfill=Overfill.ERROR_ACCOUNT, error_account="ERR"))
    world.submit()
    for name in BROKERS:
        world.order(f"C-{name}", "16666", deliver_to=name)
    for name in BROKERS:
        outputs = world.fill("17000", "10", f"C-{name}", session=name)
    found = sent(outputs)
    assert {name: allocation.quantity for name, allocation in found.items()} == dict.fromkeys(BROKERS, 17000)
    assert shares(*found.values())["ERR"] == 1000
    assert all(abs(Fraction(shares(allocation)["ERR"]) - Fraction(1000, 3)) < 1 for allocation in found.values())


# ---------------------------------------------------------------- below the minimum


def below(world: World) -> Any:
    world.submit()
    world.order("C1", "50000")
    world.fill("100", "10")
    return world.execution(ExecKind.CANCELLED, "C1")


def test_all_below_the_minimum_waits_for_more() -> None:
    world = World(setup_of(min_quantity=Decimal(1000)))
    waits = below(world)
    assert codes(waits) == ["GW-840"]
    assert not some(waits, StatementClosed)
    assert not some(world.execution(ExecKind.STATUS, "C1"), ExceptionOpened), "said once"
    assert not some(world.order("C2", "30000"), SendReport), "the statement is open"
    world.fill("20000", "10", "C2")
    done = world.execution(ExecKind.CANCELLED, "C2")
    assert one(done, StatementClosed).why == "complete"
    assert not one(done, StatementAllocated).notes


@pytest.mark.parametrize("by_hand", [True, False])
def test_at_the_cut_off_it_is_divided_without_the_minimum_and_says_so(by_hand: bool) -> None:
    world = World(setup_of(min_quantity=Decimal(1000)))
    below(world)
    outputs = world.operate("close", "S-1") if by_hand else world.tick(TODAY, "19:00:00")
    division = one(outputs, StatementAllocated)
    assert any("minimum was waived" in note for note in division.notes)
    assert shares(one(outputs, SendAllocation).allocation) == {
        "CLIENT-A": 50,
        "CLIENT-B": 20,
        "CLIENT-C": 10,
        "PROP": 20,
    }
    late = world.fill("100", "10")
    assert shares(one(late, SendAllocation).allocation)["CLIENT-C"] == 20, "waived once, waived for good"
    assert one(world.order("C9", "10"), SendReport).reason == "GW-103"


# ---------------------------------------------------------------- brokers that keep what they accepted


def test_a_late_fill_at_a_broker_that_replaces_nothing_gets_an_allocation_beside() -> None:
    world = World(setup_of(keeping=("BRK1",)))
    world.submit()
    world.order()
    world.fill("30000", "100")
    first = one(world.tick(TODAY, "19:00:00"), SendAllocation).allocation
    again = one(world.fill("1000", "106"), SendAllocation).allocation
    assert (again.trans_type, again.ref_alloc_id, again.quantity) == ("1", first.alloc_id, 31000), (
        "not accepted yet"
    )
    world.ack(again.alloc_id)
    beside = one(world.fill("10000", "104"), SendAllocation).allocation
    assert (beside.trans_type, beside.ref_alloc_id, beside.quantity, beside.avg_px) == ("0", "", 10000, "104.0000")
    assert beside.orders[0].booked_qty == 10000
    assert shares(again, beside) == {"CLIENT-A": 20500, "CLIENT-B": 8200, "CLIENT-C": 4100, "PROP": 8200}


PARADOX = (("A1", "1500"), ("A2", "1500"), ("A3", "900"), ("A4", "500"), ("A5", "500"), ("A6", "200"))


def test_nobody_falls_below_what_was_accepted_forced_and_told() -> None:
    """Largest remainder gives an account less of some larger fill (Alabama); what is accepted stands."""
    forced = 0
    for filled in range(20, 60):
        world = World(setup_of(keeping=("BRK1",), lines=PARADOX, ties=Ties.ACCOUNT))
        world.submit(draft(lines=PARADOX))
        world.order("C1", "5100")
        world.fill(str(filled), "10")
        first = one(world.operate("close", "S-1"), SendAllocation).allocation
        world.ack(first.alloc_id)
        outputs = world.fill("1", "10")
        beside = one(outputs, SendAllocation).allocation
        division = one(outputs, StatementAllocated)
        assert (beside.trans_type, beside.quantity) == ("0", 1)
        assert shares(first, beside) == {line.account: line.quantity for line in division.lines if line.quantity}
        marked = [line for line in division.lines if line.rule == "forced"]
        assert ("GW-841" in codes(outputs)) == bool(marked) == bool(division.notes)
        forced += bool(marked)
        for line in division.lines:
            assert abs(Fraction(line.quantity) - Fraction(line.exact)) < 2
            assert line.floor + line.award == line.quantity
    assert forced, "no fill of these forces anything: the test proves nothing"


def test_a_bust_at_a_broker_that_replaces_nothing_is_an_exception_and_nothing_is_sent() -> None:
    world = World(setup_of(keeping=("BRK1",)))
    world.submit()
    world.order("C1", "25000")
    world.order("C2", "25000", deliver_to="BRK2")
    world.fill("10000", "10", "C1", exec_id="E1")
    world.fill("5000", "10", "C1", exec_id="E2")
    world.fill("10000", "10", "C2", session="BRK2", exec_id="E3")
    first = sent(world.operate("close", "S-1"))
    for name, allocation in first.items():
        world.ack(allocation.alloc_id, session=name)
    outputs = world.execution(ExecKind.BUST, "C1", exec_id="B", exec_ref_id="E2")
    assert "BRK1" not in sent(outputs)
    assert "GW-842" in codes(outputs)
    text = next(x.text for x in some(outputs, ExceptionOpened) if x.reason == "GW-842")
    assert "15000 at 10.0000" in text
    assert "10000 at 10.0000" in text
    # the other broker takes a replacement when its column changes
    other = world.execution(ExecKind.BUST, "C2", exec_id="B2", exec_ref_id="E3", session="BRK2")
    assert sent(other)["BRK2"].trans_type == "2"


def test_a_price_correction_at_a_broker_that_replaces_nothing_is_no_silent_difference() -> None:
    world = World(setup_of(keeping=("BRK1",)))
    world.submit()
    world.order()
    allocation = one(world.fill("50000", "10", exec_id="E1"), SendAllocation).allocation
    world.ack(allocation.alloc_id)
    outputs = world.execution(
        ExecKind.CORRECT, exec_id="K", exec_ref_id="E1", last_qty=Decimal(50000), last_px=Decimal(11)
    )
    assert not some(outputs, SendAllocation)
    assert "GW-842" in codes(outputs)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 30), min_size=2, max_size=6), st.randoms())
def test_whatever_comes_late_what_was_accepted_stands_and_both_totals_are_exact(
    intents: list[int], chance: Any
) -> None:
    lines = tuple((f"A{n}", str(quantity)) for n, quantity in enumerate(intents))
    world = World(setup_of(keeping=("BRK1", "BRK3"), lines=lines))
    world.submit(draft(lines=lines))
    room = {name: max(sum(intents) // 3, 1) for name in BROKERS}
    for name in BROKERS:
        world.order(f"C-{name}", str(room[name]), deliver_to=name)
    for name in BROKERS[: 1 + sum(intents) % 3]:
        some_units = chance.randint(0, room[name])
        if some_units:
            room[name] -= some_units
            world.fill(str(some_units), "10", f"C-{name}", session=name)
    world.operate("close", "S-1")
    standing: dict[str, Allocation] = {}
    seen = 0
    for _ in range(6):
        for x in world.outputs[seen:]:
            if isinstance(x, SendAllocation):
                standing.pop(x.allocation.ref_alloc_id, None)
                standing[x.allocation.alloc_id] = x.allocation
        seen = len(world.outputs)
        for alloc_id, allocation in list(standing.items()):
            if chance.random() < 0.5:
                world.ack(alloc_id, session=allocation.broker)
        name = chance.choice(BROKERS)
        if room[name]:
            units = chance.randint(1, room[name])
            room[name] -= units
            outputs = world.fill(str(units), "11", f"C-{name}", session=name)
            assert "GW-842" not in codes(outputs)
    for x in world.outputs[seen:]:
        if isinstance(x, SendAllocation):
            standing.pop(x.allocation.ref_alloc_id, None)
            standing[x.allocation.alloc_id] = x.allocation
    divisions = [x for x in world.outputs if isinstance(x, StatementAllocated)]
    if not divisions:
        return
    assert shares(*standing.values()) == {
        line.account: line.quantity for line in divisions[-1].lines if line.quantity
    }
    state = world.engine.state
    assert state is not None
    for name in BROKERS:
        filled = sum(order.cum_qty for order in state.orders.values() if order.broker == name)
        assert filled == sum(allocation.quantity for allocation in standing.values() if allocation.broker == name)


# ---------------------------------------------------------------- several brokers


@settings(max_examples=80, deadline=None)
@given(st.lists(st.integers(1, 300), min_size=1, max_size=8), st.randoms())
def test_three_brokers_have_exact_totals_and_entries_within_two_units(intents: list[int], chance: Any) -> None:
    lines = tuple((f"A{n}", str(q)) for n, q in enumerate(intents))
    total = sum(intents)
    world = World(setup_of(lines=lines))
    world.submit(draft(lines=lines))
    cuts = sorted(chance.randint(0, total) for _ in range(2))
    filled = {}
    for name, (low, high) in zip(BROKERS, zip([0, *cuts], [*cuts, total], strict=True), strict=True):
        if high > low:
            world.order(f"C-{name}", str(high - low), deliver_to=name)
            filled[name] = chance.randint(1, high - low)
            world.fill(str(filled[name]), str(chance.randint(5, 15)), f"C-{name}", session=name)
    outputs = world.tick(TODAY, "19:00:00")
    found = sent(some(outputs, SendAllocation) or some(world.outputs, SendAllocation))
    assert {name: allocation.quantity for name, allocation in found.items()} == filled
    division = [x for x in world.outputs if isinstance(x, StatementAllocated)][-1]
    assert shares(*found.values()) == {line.account: line.quantity for line in division.lines if line.quantity}
    for name, allocation in found.items():
        own = shares(allocation)
        for (account, intent), line in zip(lines, division.lines, strict=True):
            got = Fraction(own.get(account, Decimal(0)))
            assert abs(got - Fraction(filled[name] * int(intent), total)) < 2
            assert abs(got - Fraction(filled[name]) * Fraction(line.quantity) / sum(filled.values())) < 1


def test_a_statement_keeps_its_policy_s_completion_rule() -> None:
    world = World(setup_of(completion=Completion.DAY))
    world.submit()
    world.order("C1", "100")
    world.fill("100", "10")
    world.give(
        Configure, setup=replace(setup_of(completion=Completion.ORDERS), policy=replace(POLICY, version="2"))
    )
    assert not some(world.execution(ExecKind.DONE_FOR_DAY, "C1"), StatementClosed)
    assert one(world.tick(TODAY, "19:00:00"), StatementClosed).why == "cut-off"


# ---------------------------------------------------------------- the day's average


def day_world() -> World:
    world = World(setup_of(averaging=Averaging.DAY))
    for name in ("S-1", "S-2"):
        world.submit(draft(name))
        world.order(f"C-{name}", "50000", name)
    return world


def test_allocations_wait_for_the_day_s_average() -> None:
    world = day_world()
    first = world.fill("50000", "100", "C-S-1")
    assert one(first, StatementClosed).why == "complete"
    assert not some(first, SendAllocation)
    assert one(first, StatementAllocated).filled == 50000, "the shares are decided before the price is"
    both = world.fill("50000", "101", "C-S-2")
    allocations = [x.allocation for x in some(both, SendAllocation)]
    assert sorted((x.statement_id, x.avg_px) for x in allocations) == [("S-1", "100.5000"), ("S-2", "100.5000")]
    assert {share.avg_px for x in allocations for share in x.shares} == {"100.5000"}


def test_the_cut_off_ends_the_wait() -> None:
    world = day_world()
    world.fill("50000", "100", "C-S-1")
    world.fill("10000", "112", "C-S-2")
    outputs = world.tick(TODAY, "19:00:00")
    assert {x.allocation.avg_px for x in some(outputs, SendAllocation)} == {"102.0000"}
    assert len(some(outputs, SendAllocation)) == 2


def test_an_open_order_under_a_closed_statement_holds_the_others_until_it_ends() -> None:
    world = day_world()
    world.fill("10000", "100", "C-S-1")
    assert not some(world.operate("close", "S-1"), SendAllocation)
    assert not some(world.fill("50000", "100", "C-S-2"), SendAllocation)
    assert not some(world.fill("10000", "100", "C-S-1"), SendAllocation)
    outputs = world.execution(ExecKind.CANCELLED, "C-S-1")
    assert {x.allocation.statement_id: x.allocation.quantity for x in some(outputs, SendAllocation)} == {
        "S-1": 20000,
        "S-2": 50000,
    }


def test_with_nothing_else_active_the_cut_off_comes_by_its_own_tick() -> None:
    world = day_world()
    world.operate("cancel", "S-2")
    world.fill("10000", "100", "C-S-1")
    world.operate("close", "S-1")
    world.operate("close", "S-2")
    assert not some(world.outputs, SendAllocation)
    assert world.engine.due(world.ts_ns, TODAY, "19:00:00")
    assert one(world.tick(TODAY, "19:00:00"), SendAllocation).allocation.statement_id == "S-1"
    assert not world.engine.due(world.ts_ns, TODAY, "19:00:01")


def test_another_side_or_security_does_not_wait() -> None:
    world = World(setup_of(averaging=Averaging.DAY))
    world.submit()
    world.submit(draft("S-2", side="sell"))
    world.submit(draft("S-3", symbol="ABC"))
    world.order()
    assert one(world.fill("50000", "100"), SendAllocation).allocation.avg_px == "100.0000"


def test_a_correction_after_the_release_changes_the_price_of_all() -> None:
    world = day_world()
    world.fill("50000", "100", "C-S-1", exec_id="E1")
    first = {
        x.allocation.statement_id: x.allocation for x in some(world.fill("50000", "101", "C-S-2"), SendAllocation)
    }
    outputs = world.execution(
        ExecKind.CORRECT, "C-S-1", exec_id="K", exec_ref_id="E1", last_qty=Decimal(50000), last_px=Decimal(99)
    )
    again = {x.allocation.statement_id: x.allocation for x in some(outputs, SendAllocation)}
    assert {x.avg_px for x in again.values()} == {"100.0000"}
    assert {name: (x.trans_type, x.ref_alloc_id) for name, x in again.items()} == {
        name: ("1", x.alloc_id) for name, x in first.items()
    }


def test_a_later_statement_in_the_security_replaces_the_price_of_the_earlier_one() -> None:
    world = World(setup_of(averaging=Averaging.DAY))
    world.submit()
    world.order()
    first = one(world.fill("50000", "100"), SendAllocation).allocation
    world.submit(draft("S-2"))
    world.order("C2", "50000", "S-2")
    outputs = world.fill("50000", "102", "C2")
    by_statement = {x.allocation.statement_id: x.allocation for x in some(outputs, SendAllocation)}
    assert {x.avg_px for x in by_statement.values()} == {"101.0000"}
    assert by_statement["S-1"].ref_alloc_id == first.alloc_id


def test_after_the_cut_off_a_late_fill_does_not_wait() -> None:
    world = day_world()
    world.fill("10000", "100", "C-S-1")
    world.tick(TODAY, "19:00:00")
    assert one(world.fill("10000", "110", "C-S-1"), SendAllocation).allocation.avg_px == "105.0000"
    world.tick(TODAY + timedelta(days=1), "09:30:00")
    assert some(world.fill("10000", "105", "C-S-1"), SendAllocation)


def test_alerts_name_the_error_account() -> None:
    world = World(setup_of(overfill=Overfill.ERROR_ACCOUNT, error_account="ERR"))
    world.submit()
    world.order()
    texts = [alert.text for alert in some(world.fill("50100", "10"), Alert)]
    assert any("100 filled above what its accounts may have go to ERR" in text for text in texts)
