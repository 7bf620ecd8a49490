"""Shares at executed prices, through the engine: the FIX specification's example and what must always hold."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from worlds import SETUP, World, draft, one, some

from fixgateway.core import executed
from fixgateway.core.executed import Writing, by_account, entries
from fixgateway.core.inputs import ExecKind
from fixgateway.core.model import Method, PriceRounding, Setup
from fixgateway.core.outputs import Allocation, Charge, SendAllocation, Share, StatementAllocated

WRITING = Writing(4, PriceRounding.HALF_UP)
SPEC = (("3000", "100.00"), ("1000", "100.25"), ("3000", "100.00"), ("2000", "100.50"))


def setup_of(method: Method) -> Setup:
    return replace(SETUP, money=True, policy=replace(SETUP.policy, method=method))


def allocated(method: Method, lines: tuple[tuple[str, str], ...], fills: tuple[tuple[str, str], ...]) -> World:
    """A statement under a policy of this method, filled."""
    world = World(setup_of(method))
    world.submit(draft(lines=lines))
    total = str(sum(int(quantity) for _, quantity in lines))
    world.order(qty=total)
    for number, (quantity, price) in enumerate(fills):
        world.fill(quantity, price, exec_id=f"F{number}")
    return world


def sent(world: World) -> Allocation:
    last: SendAllocation = some(world.outputs, SendAllocation)[-1]
    return last.allocation


def pieces(allocation: Allocation) -> list[tuple[str, str, str]]:
    return [(share.account, str(share.quantity), share.price) for share in allocation.shares]


THREE = (("CLIENT-A", "3000"), ("CLIENT-B", "3000"), ("CLIENT-C", "3000"))


def test_min_dispersion_is_nearer_to_the_average_than_the_specification_s_example() -> None:
    """FIX 4.2 Errata 20010501 deals 2000@100 to each, 1000@100.25 to F1 and 1000@100.50 to F2 and F3."""
    world = allocated(Method.MIN_DISPERSION, THREE, SPEC)
    exact = Fraction(90125, 900)
    theirs = max(abs(Fraction(text) - exact) for text in ("100.083333", "100.166667"))
    paid = {account: share.gross for account, share in by_account(sent(world).shares).items()}
    assert sorted(paid) == ["CLIENT-A", "CLIENT-B", "CLIENT-C"]
    for gross in paid.values():
        assert gross is not None
        assert abs(Fraction(gross) / 3000 - exact) < theirs / 100
    assert (sent(world).gross, sent(world).fills_money) == (Decimal("901250.00"), Decimal("901250.00"))


def test_high_low_gives_the_highest_prices_to_the_highest_account_numbers() -> None:
    world = allocated(Method.HIGH_LOW, THREE, SPEC)
    assert pieces(sent(world)) == [
        ("CLIENT-A", "3000", "100"),
        ("CLIENT-B", "3000", "100"),
        ("CLIENT-C", "2000", "100.5"),
        ("CLIENT-C", "1000", "100.25"),
    ]
    division = one(world.outputs, StatementAllocated)
    assert division.avg_px == sent(world).avg_px == "100.1389"
    # against 3000 at the exact average, 300416.67
    assert [str(line.cost_difference) for line in division.lines] == ["-416.67", "-416.67", "833.33"]


def test_a_bust_deals_the_fills_that_are_left_again() -> None:
    world = allocated(Method.HIGH_LOW, THREE, SPEC)
    first = sent(world)
    world.execution(ExecKind.BUST, exec_id="B1", exec_ref_id="F3")
    again = sent(world)
    assert (again.trans_type, again.ref_alloc_id, again.quantity) == ("1", first.alloc_id, 7000)
    assert sum(share.quantity for share in again.shares) == 7000
    assert {share.price for share in again.shares} == {"100", "100.25"}


def test_fills_above_the_statement_stay_out_of_the_entries() -> None:
    """An overfill that nobody may have is dealt to nobody."""
    made, price = entries(
        {"A": Decimal(2), "B": Decimal(1)}, [(Decimal(10), Decimal(3)), (Decimal(12), Decimal(1))],
        Method.HIGH_LOW, WRITING,
    )  # fmt: skip
    assert [(share.account, share.quantity, share.price) for share in made] == [
        ("A", 2, "10"),
        ("B", 1, "12"),
    ]
    assert price == Fraction(32, 3)


def test_a_price_that_no_decimal_says_is_written_rounded() -> None:
    made, price = entries({"A": Decimal(3)}, [(Fraction(100, 3), Decimal(3))], Method.HIGH_LOW, WRITING)
    assert ([share.price for share in made], price) == (["33.3333"], Fraction(100, 3))


@given(
    st.lists(st.integers(0, 50), min_size=1, max_size=5).filter(any),
    st.lists(st.tuples(st.integers(1, 30), st.integers(1, 500)), min_size=1, max_size=6),
    st.sampled_from(sorted(executed.METHODS)),
)
def test_entries_use_every_fill_once_and_give_everybody_the_share(
    shares: list[int], levels: list[tuple[int, int]], method: Method
) -> None:
    wanted = {f"A{i}": Decimal(quantity) for i, quantity in enumerate(shares)}
    short = sum(shares) - sum(quantity for quantity, _ in levels)
    if short > 0:
        levels = [*levels, (short, 7)]
    fills = [(Decimal(price).scaleb(-1), Decimal(quantity)) for quantity, price in levels]
    made, price = entries(wanted, fills, method, WRITING)
    merged = by_account(made)
    assert {account: share.quantity for account, share in merged.items()} == {k: v for k, v in wanted.items() if v}
    used: defaultdict[Decimal, Decimal] = defaultdict(Decimal)
    there: defaultdict[Decimal, Decimal] = defaultdict(Decimal)
    for share in made:
        used[Decimal(share.price)] += share.quantity
    for level, quantity in fills:
        there[level] += quantity
    assert all(quantity <= there[level] for level, quantity in used.items())
    assert len({(share.account, share.price) for share in made}) == len(made)  # (79, 366) is the key
    cost = sum(Fraction(share.quantity) * Fraction(share.price) for share in made)
    assert price == cost / sum(shares)


def test_the_entries_of_an_account_add_up() -> None:
    fee = (Charge("4", Decimal("0.10")),)
    two = (
        Share("A", Decimal(2), "10.3333", "10", Decimal(20), Decimal(1), fee, Decimal("21.10"), Decimal(0)),
        Share("A", Decimal(1), "10.3333", "11", Decimal(11), None, fee, Decimal("11.10"), Decimal("-0.01")),
    )
    assert by_account(two) == {
        "A": Share(
            "A", Decimal(3), "10.3333", "", Decimal(31), Decimal(1), (Charge("4", Decimal("0.20")),),
            Decimal("32.20"), Decimal("-0.01"),
        )
    }  # fmt: skip


def test_a_method_that_averages_has_no_entries() -> None:
    with pytest.raises(ValueError, match="does not split fills"):
        entries({"A": Decimal(1)}, [(Decimal(1), Decimal(1))], Method.PRO_RATA, WRITING)
