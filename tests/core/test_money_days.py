"""Money through the engine: several brokers, day averages, a bust; nothing is lost to the cent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from worlds import POLICY, SETUP, TODAY, World, draft, some

from fixgateway.core import held
from fixgateway.core.inputs import ExecKind
from fixgateway.core.model import Averaging, Setup, Statement
from fixgateway.core.outputs import Alert, Allocation, SendAllocation, StatementAllocated
from fixgateway.core.pricing import average, written
from fixgateway.core.state import State

CENT = Fraction(1, 100)
LINES = (("CLIENT-A", "250"), ("CLIENT-B", "100"), ("PROP", "150"))
DAY: Setup = replace(SETUP, money=True, policy=replace(POLICY, averaging=Averaging.DAY))
Fill = tuple[int, Decimal, str]
"""Quantity, price, broker."""

prices = st.decimals(Decimal("0.01"), Decimal(1000), places=4)
fills_ = st.lists(st.tuples(st.integers(1, 60), prices, st.sampled_from(["BRK1", "BRK2"])), min_size=1, max_size=6)


def play(world: World, statement_id: str, fills: Sequence[Fill]) -> None:
    """A statement with an order at each broker, both ended after these fills."""
    world.submit(draft(statement_id, lines=LINES))
    for broker in ("BRK1", "BRK2"):
        world.order(f"{statement_id}-{broker}", "250", statement_id, deliver_to=broker)
    for number, (quantity, price, broker) in enumerate(fills):
        name = f"{statement_id}-{broker}"
        world.fill(str(quantity), str(price), name, exec_id=f"{name}-{number}", session=broker)
    for broker in ("BRK1", "BRK2"):
        name = f"{statement_id}-{broker}"
        world.execution(ExecKind.CANCELLED, name, exec_id=f"{name}-end", session=broker)


def standing(world: World) -> list[Allocation]:
    """What every broker has now of every statement."""
    latest: dict[tuple[str, str], Allocation] = {}
    for output in some(world.outputs, SendAllocation):
        found: Allocation = output.allocation
        latest[(found.statement_id, found.broker)] = found
    return [found for found in latest.values() if found.trans_type != "2"]


def cost(fills: Sequence[Fill], broker: str = "") -> Fraction:
    return sum((Fraction(q) * Fraction(p) for q, p, where in fills if broker in ("", where)), Fraction(0))


def check(allocation: Allocation, fills: Sequence[Fill]) -> None:
    """P11 and P12 of one allocation."""
    assert {share.avg_px for share in allocation.shares} == {allocation.avg_px}
    assert abs(Fraction(allocation.fills_money or 0) - cost(fills, allocation.broker)) <= CENT / 2
    gross = sum(share.gross or Decimal(0) for share in allocation.shares)
    assert gross + (allocation.residual_cash or 0) + (allocation.averaging_cash or 0) == allocation.fills_money
    assert sum(share.residual or Decimal(0) for share in allocation.shares) == allocation.residual_cash


@settings(max_examples=40, deadline=None)
@given(fills_)
def test_every_broker_s_fills_are_accounted_for(fills: list[Fill]) -> None:
    world = World(replace(SETUP, money=True))
    play(world, "S-1", fills)
    allocations = standing(world)
    assert {found.broker for found in allocations} == {broker for *_, broker in fills}
    for allocation in allocations:
        check(allocation, fills)
        assert allocation.averaging_cash == 0
    (division,) = some(world.outputs, StatementAllocated)
    assert isinstance(division, StatementAllocated)
    assert abs(Fraction(division.fills_money or 0) - cost(fills)) <= CENT * len(allocations) / 2
    if len(allocations) == 1:
        return
    exact = average((Decimal(q), p) for q, p, _ in fills)
    for line in division.lines:
        paid = sum(
            share.gross or Decimal(0)
            for found in allocations
            for share in found.shares
            if share.account == line.account
        )
        even = written(Fraction(line.quantity) * exact, 2)
        assert line.cost_difference == paid - Decimal(even)


@settings(max_examples=40, deadline=None)
@given(fills_, fills_)
def test_a_day_has_one_price_and_every_cent_of_it_a_place(one: list[Fill], two: list[Fill]) -> None:
    world = World(DAY)
    play(world, "S-1", one)
    play(world, "S-2", two)
    world.tick(local_time="19:00:01")
    allocations = standing(world)
    price = written(average((Decimal(q), p) for q, p, _ in (*one, *two)), 4)
    assert {found.avg_px for found in allocations} == {price}
    moved = Fraction(0)
    for allocation in allocations:
        check(allocation, one if allocation.statement_id == "S-1" else two)
        moved += Fraction(allocation.averaging_cash or 0)
    assert abs(moved) <= CENT * len(allocations)
    uneven = False
    for broker in ("BRK1", "BRK2"):
        amounts = [Fraction(x.averaging_cash or 0) for x in allocations if x.broker == broker]
        uneven |= abs(sum(amounts, Fraction(0))) > CENT * len(amounts)
    told = [alert for alert in some(world.outputs, Alert) if alert.reason == "GW-852"]
    assert bool(told) >= uneven


def test_a_bust_after_the_day_s_prices_changes_all_of_them() -> None:
    world = World(DAY)
    play(world, "S-1", [(100, Decimal(10), "BRK1")])
    play(world, "S-2", [(100, Decimal(20), "BRK1"), (100, Decimal(30), "BRK1")])
    world.tick(local_time="19:00:01")
    assert {found.avg_px for found in standing(world)} == {"20.0000"}
    world.execution(ExecKind.BUST, "S-2-BRK1", exec_id="B", exec_ref_id="S-2-BRK1-1")
    allocations = standing(world)
    assert {(found.statement_id, found.avg_px, found.trans_type) for found in allocations} == {
        ("S-1", "15.0000", "1"),
        ("S-2", "15.0000", "1"),
    }
    assert [found.averaging_cash for found in allocations] == [Decimal("-500.00"), Decimal("500.00")]
    assert "GW-852" not in {alert.reason for alert in some(world.outputs, Alert)}  # one broker: it comes out even


def test_a_cut_off_that_closes_many_statements_prices_each_a_few_times(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each closing alone repriced all those before it: with hundreds the cut-off took minutes."""
    world = World(DAY)
    count = 12
    for number in range(count):
        world.submit(draft(f"S{number}", lines=LINES))
        world.order(f"C{number}", "500", f"S{number}")
        world.fill("50", "10", f"C{number}", exec_id=f"E{number}")
    asked: list[str] = []
    exactly = held.price

    def counted(state: State, statement: Statement, day: date) -> Fraction | None:
        asked.append(statement.statement_id)
        return exactly(state, statement, day)

    monkeypatch.setattr(held, "price", counted)
    told = some(world.tick(TODAY, "19:00:00"), SendAllocation)
    assert len(told) == count
    assert len(asked) <= 3 * count
